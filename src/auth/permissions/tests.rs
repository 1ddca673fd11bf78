use proptest::prelude::*;

use super::*;

const ALLOWED: Subscribe = Subscribe::Allowed;
const FILTERED: Subscribe = Subscribe::AllowedFiltered;
const DENIED: Subscribe = Subscribe::Denied;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(|entry| (*entry).to_owned()).collect()
}

fn lists(allow: &[&str], deny: &[&str]) -> Option<SubjectPermission> {
    Some(SubjectPermission {
        allow: list(allow),
        deny: list(deny),
    })
}

fn subscriber(allow: &[&str], deny: &[&str]) -> Permissions {
    Permissions::compile(&PermissionsSpec {
        subscribe: lists(allow, deny),
        ..PermissionsSpec::default()
    })
}

fn publisher(allow: &[&str], deny: &[&str]) -> Permissions {
    Permissions::compile(&PermissionsSpec {
        publish: lists(allow, deny),
        ..PermissionsSpec::default()
    })
}

/// Holds `"subject"` or `"subject queue"` against the lists.
fn check_subscribe(allow: &[&str], deny: &[&str], expected: &[(&str, Subscribe)]) {
    let permissions = subscriber(allow, deny);
    for (text, answer) in expected {
        let (subject, queue) = match text.split_once(' ') {
            Some((subject, queue)) => (subject, Some(queue.as_bytes())),
            None => (*text, None),
        };
        let found = permissions.can_subscribe(subject.as_bytes(), queue);
        assert_eq!(found, *answer, "SUB {text}, allow {allow:?}, deny {deny:?}");
    }
}

fn check_publish(permissions: &Permissions, expected: &[(&str, bool)]) {
    for (subject, answer) in expected {
        let found = permissions.can_publish(subject.as_bytes());
        assert_eq!(found, *answer, "PUB {subject}");
    }
}

#[test]
fn nothing_configured_restricts_nothing() {
    for permissions in [
        Permissions::unrestricted(),
        subscriber(&[], &[]),
        Permissions::compile(&PermissionsSpec::default()),
    ] {
        assert!(permissions.is_unrestricted());
        assert_eq!(permissions.can_subscribe(b">", Some(b"q")), ALLOWED);
        check_publish(&permissions, &[("foo", true), ("$SYS.x", true)]);
    }
}

#[test]
fn publish_needs_an_allow_entry_and_no_deny_entry() {
    let allowing = publisher(&["foo.*", "x.>"], &[]);
    check_publish(
        &allowing,
        &[
            ("foo.a", true),
            ("foo.*", true),
            ("foo.>", true),
            ("foo", false),
            ("x", false),
            ("x.>", true),
            ("x.a..b", false),
            ("foo.", false),
        ],
    );
    let denying = publisher(&[], &["foo.*"]);
    check_publish(
        &denying,
        &[
            ("foo.a", false),
            ("foo.*", false),
            ("foo.>", false),
            ("foo", true),
            ("foo.a.b", true),
        ],
    );
    check_publish(
        &publisher(&["foo"], &["foo"]),
        &[("foo", false), ("bar", false)],
    );
}

#[test]
fn responses_close_publishing_but_for_the_allow_list() {
    let compile = |publish| {
        Permissions::compile(&PermissionsSpec {
            publish,
            allow_responses: Some(ResponsePermission::default()),
            ..PermissionsSpec::default()
        })
    };
    check_publish(&compile(None), &[("foo", false)]);
    check_publish(
        &compile(lists(&[], &["x"])),
        &[("foo", false), ("x", false)],
    );
    check_publish(
        &compile(lists(&["foo"], &[])),
        &[("foo", true), ("x", false)],
    );
    assert!(compile(None).responses().is_some());
}

#[test]
fn wildcards_of_a_sub_are_ordinary_tokens_to_allow_entries() {
    check_subscribe(
        &["foo.*"],
        &["foo.bar"],
        &[
            ("foo.>", FILTERED),
            ("foo.*", FILTERED),
            ("foo.a", ALLOWED),
            ("foo.bar", DENIED),
            (">", DENIED),
            ("*.a", DENIED),
        ],
    );
    check_subscribe(&["foo.a"], &[], &[("foo.>", DENIED), ("foo.*", DENIED)]);
}

#[test]
fn covered_subs_are_denied_and_overlapping_ones_filtered() {
    check_subscribe(
        &[],
        &["foo.*"],
        &[
            ("foo.>", DENIED),
            ("foo.*", DENIED),
            ("foo.a", DENIED),
            (">", FILTERED),
            ("*.a", FILTERED),
            ("*", ALLOWED),
            ("foo", ALLOWED),
        ],
    );
    check_subscribe(
        &[],
        &["*.bar"],
        &[("foo.*", FILTERED), ("foo.>", FILTERED), ("*.bar", DENIED)],
    );
    let permissions = subscriber(&[], &["*.bar"]);
    assert!(!permissions.may_deliver(b"foo.bar", None));
    assert!(permissions.may_deliver(b"foo.baz", None));
}

#[test]
fn queue_entries_speak_of_queue_subscriptions() {
    check_subscribe(
        &["foo", "foo v1"],
        &[],
        &[("foo", ALLOWED), ("foo v1", ALLOWED), ("foo v2", DENIED)],
    );
    check_subscribe(
        &["foo v1"],
        &[],
        &[("foo", DENIED), ("foo v1", ALLOWED), ("foo v2", DENIED)],
    );
    check_subscribe(&["foo"], &[], &[("foo", ALLOWED), ("foo any", ALLOWED)]);
    check_subscribe(
        &["foo v1.*"],
        &[],
        &[
            ("foo v1.a", ALLOWED),
            ("foo v1.*", ALLOWED),
            ("foo v1", DENIED),
            ("foo v1.>", DENIED),
        ],
    );
    check_subscribe(&["> v1"], &[], &[("foo.* v1", ALLOWED), ("foo", DENIED)]);
}

#[test]
fn queue_entries_deny_and_filter_their_queues_only() {
    check_subscribe(
        &[],
        &["foo v1"],
        &[
            ("foo", ALLOWED),
            ("foo v1", DENIED),
            ("foo v2", ALLOWED),
            ("* v1", FILTERED),
            ("* v2", ALLOWED),
            ("*", ALLOWED),
        ],
    );
    let permissions = subscriber(&[], &["foo v1"]);
    assert!(!permissions.may_deliver(b"foo", Some(b"v1")));
    assert!(permissions.may_deliver(b"foo", Some(b"v2")));
    assert!(permissions.may_deliver(b"foo", None));
    check_subscribe(
        &[],
        &["foo", "foo v1"],
        &[("foo", DENIED), ("foo v1", DENIED), ("foo v2", DENIED)],
    );
}

/// The definition of matching, by tokens; wildcards of `subject` are ordinary.
fn naive_matches(filter: &[&str], subject: &[&str]) -> bool {
    match (filter, subject) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        ([f, filter @ ..], [s, subject @ ..]) => {
            (*f == "*" || f == s) && naive_matches(filter, subject)
        }
        _ => false,
    }
}

fn any_matches(entries: &[String], subject: &str) -> bool {
    let subject: Vec<&str> = subject.split('.').collect();
    entries
        .iter()
        .any(|entry| naive_matches(&entry.split('.').collect::<Vec<_>>(), &subject))
}

/// Every literal subject of up to four tokens over `a` and `b`.
fn literals() -> Vec<String> {
    let mut all: Vec<String> = vec!["a".to_owned(), "b".to_owned()];
    let mut start = 0;
    for _ in 1..4 {
        let end = all.len();
        for index in start..end {
            all.push(format!("{}.a", all[index]));
            all.push(format!("{}.b", all[index]));
        }
        start = end;
    }
    all
}

fn filter() -> impl Strategy<Value = String> {
    "([ab*]\\.){0,2}[ab*>]"
}

fn filters() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(filter(), 0..4)
}

proptest! {
    #[test]
    fn publishing_is_what_the_lists_say(allow in filters(), deny in filters()) {
        let permissions = Permissions::compile(&PermissionsSpec {
            publish: Some(SubjectPermission { allow: allow.clone(), deny: deny.clone() }),
            ..PermissionsSpec::default()
        });
        for subject in literals() {
            let expected = (allow.is_empty() || any_matches(&allow, &subject))
                && !any_matches(&deny, &subject);
            prop_assert_eq!(permissions.can_publish(subject.as_bytes()), expected);
        }
    }

    #[test]
    fn nothing_denied_is_ever_delivered(allow in filters(), deny in filters(), sub in filter()) {
        let permissions = Permissions::compile(&PermissionsSpec {
            subscribe: Some(SubjectPermission { allow: allow.clone(), deny: deny.clone() }),
            ..PermissionsSpec::default()
        });
        let admitted = allow.is_empty() || any_matches(&allow, &sub);
        let forbidden = any_matches(&deny, &sub);
        let answer = permissions.can_subscribe(sub.as_bytes(), None);
        prop_assert_eq!(answer == DENIED, !admitted || forbidden);
        for subject in literals() {
            if !any_matches(std::slice::from_ref(&sub), &subject) {
                continue;
            }
            let is_denied = any_matches(&deny, &subject);
            match answer {
                ALLOWED => prop_assert!(!is_denied),
                FILTERED => {
                    let may = permissions.may_deliver(subject.as_bytes(), None);
                    prop_assert_eq!(may, !is_denied);
                }
                DENIED => {}
            }
        }
    }

    #[test]
    fn plain_lists_treat_queues_like_plain_subscriptions(
        allow in filters(),
        deny in filters(),
        sub in filter(),
        queue in "[ab*>]",
    ) {
        let permissions = Permissions::compile(&PermissionsSpec {
            subscribe: Some(SubjectPermission { allow, deny }),
            ..PermissionsSpec::default()
        });
        prop_assert_eq!(
            permissions.can_subscribe(sub.as_bytes(), None),
            permissions.can_subscribe(sub.as_bytes(), Some(queue.as_bytes()))
        );
    }

    #[test]
    fn more_denials_never_allow_more(deny in filters(), more in filter(), sub in filter()) {
        let with = |deny: &[String]| Permissions::compile(&PermissionsSpec {
            subscribe: Some(SubjectPermission { allow: Vec::new(), deny: deny.to_vec() }),
            ..PermissionsSpec::default()
        });
        let rank = |answer| match answer {
            DENIED => 0,
            FILTERED => 1,
            ALLOWED => 2,
        };
        let fewer = with(&deny);
        let denials = with(&[deny, vec![more]].concat());
        prop_assert!(
            rank(denials.can_subscribe(sub.as_bytes(), None))
                <= rank(fewer.can_subscribe(sub.as_bytes(), None))
        );
    }
}
