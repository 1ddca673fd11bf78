//! What may change in a consumer that is there.

use crate::api_error::{ApiError, table};
use crate::consumer::config::Config;

/// What must not be, from the old one to the new, and the text about it.
type Rule = (fn(&Config, &Config) -> bool, &'static str);

#[rustfmt::skip]
const RULES: &[Rule] = &[
    (|old, new| old.deliver_policy != new.deliver_policy,
        "deliver policy can not be updated"),
    (|old, new| old.opt_start_seq != new.opt_start_seq,
        "start sequence can not be updated"),
    (|old, new| old.start_time() != new.start_time(),
        "start time can not be updated"),
    (|old, new| old.ack_policy != new.ack_policy,
        "ack policy can not be updated"),
    (|old, new| old.replay_policy != new.replay_policy,
        "replay policy can not be updated"),
    (|old, new| old.idle_heartbeat != new.idle_heartbeat,
        "heart beats can not be updated"),
    (|old, new| old.flow_control != new.flow_control,
        "flow control can not be updated"),
    (|old, new| !old.is_push() && new.is_push(),
        "can not update pull consumer to push based"),
    (|old, new| old.is_push() && !new.is_push(),
        "can not update push consumer to pull based"),
    (|old, new| old.max_waiting != new.max_waiting,
        "max waiting can not be updated"),
    (|old, new| old.mem_storage != new.mem_storage,
        "storage type can not be updated"),
    (|old, new| old.direct != new.direct || old.sourcing != new.sourcing,
        "direct and sourcing can not be updated"),
];

pub(super) fn check(current: &Config, config: &Config) -> Result<(), ApiError> {
    match RULES
        .iter()
        .find(|(is_broken, _)| is_broken(current, config))
    {
        Some((_, text)) => Err(ApiError::of(&table::CONSUMER_CREATE).with("{err}", text)),
        None => Ok(()),
    }
}
