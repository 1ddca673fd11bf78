//! Requests with the answers of the peers, and what is our own.

use serde_json::{Value, json};

use super::*;
use crate::stream::config::StreamSource;

fn config(value: &Value) -> Config {
    serde_json::from_value(value.clone()).expect("a configuration")
}

fn account(streams: &[Value]) -> BTreeMap<String, Config> {
    let mut account = BTreeMap::new();
    for stream in streams {
        let created = create(config(stream), false, &Limits::default(), &account)
            .expect("a stream of the account");
        account.insert(created.name.clone(), created);
    }
    account
}

fn outcome(case: &Value, streams: &BTreeMap<String, Config>) -> Result<Config, ApiError> {
    let body = case["request"].to_string();
    let (requested, pedantic) = Config::from_request(body.as_bytes(), true)?;
    let limits = Limits::default();
    match case.get("current") {
        None => create(requested, pedantic, &limits, streams),
        Some(current) => {
            let current = create(config(current), false, &limits, streams)?;
            let mut streams = streams.clone();
            streams.insert(current.name.clone(), current.clone());
            update(&current, requested, pedantic, &limits, &streams, &[])
        }
    }
}

/// The file's first line has the account's other streams, each other line one case.
#[test]
fn requests_are_answered_as_the_peers_do() {
    let mut lines = include_str!("cases.jsonl").lines();
    let line = |line: &str| serde_json::from_str::<Value>(line).expect("a line is JSON");
    let streams = account(line(lines.next().unwrap()).as_array().unwrap());
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in lines.map(line) {
        count += 1;
        let (ours, theirs) = match outcome(&case, &streams) {
            Ok(config) => (
                serde_json::to_string(&config).unwrap(),
                case["config"].to_string(),
            ),
            Err(error) => (
                serde_json::to_string(&error).unwrap(),
                case["error"].to_string(),
            ),
        };
        if ours != theirs {
            wrong.push(format!("{case}\n   ours: {ours}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count > 300);
}

fn check_refused(requested: Value, limits: &Limits, err_code: u16, text: &str) {
    let streams = account(&[json!({"name": "ORDERS", "subjects": ["orders.>"]})]);
    let error = create(config(&requested), false, limits, &streams).expect_err("refused");
    assert_eq!(
        (error.err_code, error.description.as_str()),
        (err_code, text),
        "{requested}"
    );
}

#[test]
fn what_is_not_built_is_refused() {
    for (field, what) in [
        ("allow_atomic", "atomic batches"),
        ("allow_batched", "fast batches"),
        ("allow_msg_schedules", "scheduled messages"),
        ("allow_msg_counter", "counters"),
    ] {
        let text = format!("{field}: {what} are not part of this release");
        check_refused(
            json!({"name": "T", field: true}),
            &Limits::default(),
            10052,
            &text,
        );
    }
    for origin in ["mirror", "sources"] {
        let external = json!({"name": "X", "external": {"api": "$JS.hub.API", "deliver": ""}});
        let value = if origin == "mirror" {
            external
        } else {
            json!([external])
        };
        let text = "external: origins in other accounts or domains are not part of this release";
        check_refused(
            json!({"name": "T", origin: value}),
            &Limits::default(),
            10052,
            text,
        );
    }
}

#[test]
fn the_form_of_an_origin_elsewhere_is_checked_first() {
    let check = |api: &str, deliver: &str, err_code: u16, text: &str| {
        let origin = json!({"name": "X", "external": {"api": api, "deliver": deliver}});
        let limits = Limits::default();
        check_refused(
            json!({"name": "T", "mirror": origin}),
            &limits,
            err_code,
            text,
        );
        check_refused(
            json!({"name": "T", "sources": [origin]}),
            &limits,
            err_code,
            text,
        );
    };
    let overlap = "stream external api prefix $JS.API must not overlap with $JS.API";
    check("$JS.API", "d", 10021, overlap);
    let wildcards = "stream external delivery prefix d.* must not contain wildcards";
    check("A", "d.*", 10024, wildcards);
    check("$JS.API", "d.*", 10024, wildcards);
    let invalid = "stream external api prefix \"a b\" must be a valid subject without wildcards";
    check("a b", "d", 10052, invalid);
}

#[test]
fn limits_of_account_and_server_hold() {
    let limits = Limits {
        streams_max: Some(3),
        streams: 2,
        consumers_max: Some(5),
        bytes_max_required: true,
        dedup_window_max: Some(std::time::Duration::from_mins(1)),
        memory: limits::Space {
            stream_bytes_max: Some(100),
            ..limits::Space::default()
        },
        file: limits::Space {
            account_bytes_max: Some(1000),
            account_bytes_reserved: 600,
            server_bytes_max: Some(2000),
            server_bytes_reserved: 1900,
            ..limits::Space::default()
        },
        ..Limits::default()
    };
    let full = Limits {
        streams: 3,
        ..limits
    };
    let stream = |more: Value| {
        let mut stream = json!({"name": "T", "max_bytes": 50});
        stream
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        stream
    };
    let check = |more: Value, limits: &Limits, err_code: u16, text: &str| {
        check_refused(stream(more), limits, err_code, text);
    };
    check(json!({}), &full, 10027, "maximum number of streams reached");
    check(
        json!({"max_bytes": 0}),
        &limits,
        10113,
        "account requires a stream config to have max bytes set",
    );
    check(
        json!({"storage": "memory", "max_bytes": 101}),
        &limits,
        10122,
        "stream max bytes exceeds account limit max stream bytes",
    );
    check(
        json!({"max_consumers": 6}),
        &limits,
        10026,
        "maximum consumers limit reached",
    );
    check(
        json!({"max_bytes": 401}),
        &limits,
        10047,
        "insufficient storage resources available",
    );
    check(
        json!({"max_bytes": 101}),
        &limits,
        10047,
        "insufficient storage resources available",
    );
    check(
        json!({"duplicate_window": 120_000_000_000_i64}),
        &limits,
        10052,
        "duplicates window can not be larger then server limit of 1m0s",
    );
    check(
        json!({"num_replicas": 3}),
        &limits,
        10074,
        "replicas > 1 not supported in non-clustered mode",
    );
    let created = create(config(&stream(json!({}))), false, &limits, &BTreeMap::new()).unwrap();
    assert_eq!(created.duplicate_window, 60_000_000_000);
    let error = create(config(&stream(json!({}))), true, &limits, &BTreeMap::new()).unwrap_err();
    assert_eq!(
        error.description,
        "pedantic mode: duplicate window limits are higher than current limits"
    );

    // What a stream has reserved already is its own.
    let current = Config {
        max_bytes: 600,
        ..created.clone()
    };
    let grow = |bytes| {
        let requested = Config {
            max_bytes: bytes,
            ..created.clone()
        };
        update(&current, requested, false, &full, &BTreeMap::new(), &[]).map(|c| c.max_bytes)
    };
    assert_eq!(grow(700), Ok(700));
    assert_eq!(grow(500), Ok(500));
    assert_eq!(grow(701).unwrap_err().err_code, 10047);
}

#[test]
fn consumer_limits_are_not_lowered_below_consumers() {
    let current = create(
        config(&json!({"name": "C"})),
        false,
        &Limits::default(),
        &BTreeMap::new(),
    )
    .unwrap();
    let consumer = |name: &str, max_ack_pending, inactive_threshold| consumer::config::Config {
        name: name.to_owned(),
        max_ack_pending,
        inactive_threshold,
        ..consumer::config::Config::default()
    };
    let (a, b) = (consumer("n0", 1000, 0), consumer("n1", 50, 5_000_000_000));
    let check = |limits: Value, expected: Option<&str>| {
        let requested = config(&json!({"name": "C", "consumer_limits": limits}));
        let updated = update(
            &current,
            requested,
            false,
            &Limits::default(),
            &BTreeMap::new(),
            &[&a, &b],
        );
        assert_eq!(
            updated.err().map(|e| (e.err_code, e.description)),
            expected.map(|text| (
                10069,
                format!("change to limits violates consumers: {text}")
            ))
        );
    };
    check(json!({"max_ack_pending": 10}), Some("n0, n1"));
    check(json!({"inactive_threshold": 1_000_000_000}), Some("n1"));
    check(json!({"max_ack_pending": 2000}), None);
    check(json!({"inactive_threshold": 100_000_000_000_i64}), None);
}

#[test]
fn the_same_configuration_is_created_again() {
    let asked = json!({"name": "T", "metadata": {"a": "b", "_nats.ver": "9"}});
    let streams = account(std::slice::from_ref(&asked));
    let full = Limits {
        streams_max: Some(1),
        streams: 1,
        ..Limits::default()
    };
    assert_eq!(
        create(config(&asked), false, &full, &streams),
        Ok(streams["T"].clone())
    );
    let error = create(config(&json!({"name": "T"})), false, &full, &streams).unwrap_err();
    assert_eq!(error.err_code, 10058);
}

proptest::proptest! {
    #[test]
    fn what_passes_passes_again_unchanged(
        subjects in proptest::collection::vec("[a-c.*>]{1,5}", 0..3),
        source in proptest::option::of("[a-cT]"),
        numbers: (i64, i64, i32, i64),
        flags: [bool; 6],
    ) {
        let requested = Config {
            name: "T".to_owned(),
            subjects,
            max_msgs: numbers.0,
            max_age: numbers.1.clamp(0, i64::MAX),
            max_msg_size: numbers.2,
            max_msgs_per_subject: numbers.3,
            no_ack: flags[0],
            deny_purge: flags[1],
            allow_rollup_hdrs: flags[2],
            subject_delete_marker_ttl: if flags[3] { 1_000_000_000 } else { 0 },
            allow_msg_ttl: flags[4],
            sources: source.into_iter().map(|name| StreamSource { name, ..StreamSource::default() }).collect(),
            ..Config::default()
        };
        let streams = account(&[json!({"name": "a", "subjects": ["a.>"], "sources": [{"name": "b"}]})]);
        if let Ok(once) = create(requested, false, &Limits::default(), &streams) {
            let again = create(once.clone(), flags[5], &Limits::default(), &streams);
            proptest::prop_assert_eq!(again, Ok(once));
        }
    }
}
