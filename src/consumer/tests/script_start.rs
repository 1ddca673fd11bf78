//! Deliver policies and filters.

use super::script::check_from;
use super::world::pull;
use crate::consumer::config::{Config, DeliverPolicy, ReplayPolicy};

const STORED: [&str; 5] = ["a", "b", "a", "b", "c"];

fn starting(policy: DeliverPolicy) -> Config {
    Config {
        deliver_policy: policy,
        ..pull()
    }
}

#[test]
fn all_is_from_the_first() {
    check_from(
        starting(DeliverPolicy::All),
        &STORED,
        "t=0 info; pull x -> d=0/0 f=0/0 ap=0 rd=0 p=5 w=0, x 1 n=1 c=1 p=4",
    );
}

#[test]
fn last_is_the_last_that_matches() {
    let config = Config {
        filter_subjects: vec!["a".to_owned(), "b".to_owned()],
        ..starting(DeliverPolicy::Last)
    };
    check_from(
        config,
        &STORED,
        "t=0 info; pull x 9 -> d=0/3 f=0/3 ap=0 rd=0 p=1 w=0, x 4 n=1 c=1 p=0",
    );
}

#[test]
fn new_is_what_comes() {
    check_from(
        starting(DeliverPolicy::New),
        &STORED,
        "t=0 info; pull x; store a -> d=0/5 f=0/5 ap=0 rd=0 p=0 w=0, x 6 n=1 c=1 p=0",
    );
}

#[test]
fn a_start_sequence_may_lie_in_the_future() {
    let config = Config {
        opt_start_seq: 7,
        ..starting(DeliverPolicy::ByStartSequence)
    };
    check_from(
        config,
        &STORED,
        "t=0 info; pull x; store a; store a -> d=0/6 f=0/6 ap=0 rd=0 p=0 w=0, x 7 n=1 c=1 p=0",
    );
}

#[test]
fn a_start_time_finds_its_message() {
    let config = Config {
        opt_start_time: Some("1970-01-01T00:00:01Z".to_owned()),
        ..starting(DeliverPolicy::ByStartTime)
    };
    check_from(config, &STORED, "t=2 pull x; store a -> x 6 n=1 c=1 p=0");
}

#[test]
fn last_per_subject_goes_through_its_list_and_on() {
    let config = Config {
        filter_subject: ">".to_owned(),
        ..starting(DeliverPolicy::LastPerSubject)
    };
    check_from(
        config,
        &STORED,
        r#"
        t=0 info        -> d=0/2 f=0/2 ap=0 rd=0 p=3 w=0
        t=0 pull x      -> x 3 n=1 c=1 p=2
        t=0 store a; rm 4; info -> d=1/3 f=0/2 ap=1 rd=0 p=2 w=0
        t=0 pull x 9    -> x 5 n=1 c=2 p=1, x 6 n=1 c=3 p=0
        t=0 store a     -> x 7 n=1 c=4 p=0
        "#,
    );
}

#[test]
fn filters_pass_over_the_others() {
    let config = Config {
        filter_subject: "b".to_owned(),
        ..starting(DeliverPolicy::All)
    };
    check_from(
        config,
        &STORED,
        r#"
        t=0 pull x 9            -> x 2 n=1 c=1 p=1, x 4 n=1 c=2 p=0
        t=0 ack 4; ack 2; info  -> ok, ok, d=2/4 f=2/4 ap=0 rd=0 p=0 w=1
        t=0 store a; store b    -> x 7 n=1 c=3 p=0
        "#,
    );
}

#[test]
fn replay_keeps_the_pauses_of_the_past() {
    let config = Config {
        replay_policy: ReplayPolicy::Original,
        ..pull()
    };
    // The stored ones have no gaps; those stored later come with theirs.
    check_from(
        config,
        &["a", "a"],
        "t=0 pull x 9 -> x 1 n=1 c=1 p=1, x 2 n=1 c=2 p=0",
    );
}
