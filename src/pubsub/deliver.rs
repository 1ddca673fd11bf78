//! Delivery: a copy to every plain subscription, one to a member of each queue group.

use std::sync::Arc;

use super::accounts::Account;
use super::match_cache::Matches;
use super::message::{Batch, Encoded, Message};
use super::subscription::Subscription;
use crate::entropy::Random;

/// Delivers to everybody in `matches`; true if somebody took the message.
///
/// The members of a group are tried from a random one on, until one takes it.
pub fn deliver(
    message: &Message<'_>,
    matches: &Matches,
    encoded: &mut Encoded,
    batch: &mut Batch,
    random: &mut Random,
) -> bool {
    let mut delivered = false;
    for sub in &matches.plain {
        delivered |= deliver_one(message, encoded, sub, batch);
    }
    for group in &matches.groups {
        let members = &group.members;
        let start = random.below(members.len() as u64) as usize;
        let (before, from) = members.split_at(start);
        delivered |= from
            .iter()
            .chain(before)
            .any(|sub| deliver_one(message, encoded, sub, batch));
    }
    delivered
}

fn deliver_one(
    message: &Message<'_>,
    encoded: &mut Encoded,
    sub: &Arc<Subscription>,
    batch: &mut Batch,
) -> bool {
    match sub.shadow() {
        None => sub.sink.deliver(message, encoded, sub, batch),
        Some(shadow) => shadow.deliver(message, batch),
    }
}

/// Matches and delivers in `account` without a cache: for what the server itself publishes
/// and for messages that cross accounts.
pub fn deliver_in(account: &Arc<Account>, message: &Message<'_>, batch: &mut Batch) -> bool {
    let mut matches = Matches::default();
    matches.fill(&account.interest, message.subject);
    if matches.receivers() == 0 {
        return false;
    }
    let mut encoded = Encoded::default();
    encoded.begin(matches.receivers());
    let mut random = Random::seeded(batch.next_random());
    let delivered = deliver(message, &matches, &mut encoded, batch, &mut random);
    batch.end_finished(account);
    delivered
}
