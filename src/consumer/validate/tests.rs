//! Requests with the answers of the peers, and what is our own.

use serde_json::{Value, json};

use super::*;
use crate::consumer::config::AckPolicy;
use crate::stream;

/// The account's streams and their consumers.
struct Account {
    streams: BTreeMap<String, stream::config::Config>,
    consumers: BTreeMap<String, BTreeMap<String, Config>>,
}

impl Account {
    fn request(&self, request: &Value, in_addition: Option<Config>) -> Result<Put, ApiError> {
        let request = CreateRequest::from_request(request.to_string().as_bytes(), true)?;
        let stream = &self.streams[&request.stream_name];
        let mut consumers = self
            .consumers
            .get(&request.stream_name)
            .cloned()
            .unwrap_or_default();
        consumers.extend(in_addition.map(|config| (config.name.clone(), config)));
        put(
            request,
            &stream.seen_by_consumers(),
            &consumers,
            &Limits::default(),
        )
    }

    fn created(&self, stream: &str, config: &Value) -> Config {
        match self.request(&json!({"stream_name": stream, "config": config}), None) {
            Ok(Put::Create(config)) => config,
            other => panic!("{config}: {other:?}"),
        }
    }

    /// The first line of the file: streams, and consumers that are there.
    fn read(line: &Value) -> Self {
        let mut account = Account {
            streams: BTreeMap::new(),
            consumers: BTreeMap::new(),
        };
        for asked in line["streams"].as_array().unwrap() {
            let asked = serde_json::from_value(asked.clone()).unwrap();
            let limits = stream::validate::limits::Limits::default();
            let created =
                stream::validate::create(asked, false, &limits, &account.streams).unwrap();
            account.streams.insert(created.name.clone(), created);
        }
        for pair in line["consumers"].as_array().unwrap() {
            let stream = pair[0].as_str().unwrap();
            let config = account.created(stream, &pair[1]);
            let of_stream = account.consumers.entry(stream.to_owned()).or_default();
            of_stream.insert(config.name.clone(), config);
        }
        account
    }
}

#[test]
fn requests_are_answered_as_the_peers_do() {
    let mut lines = include_str!("cases.jsonl").lines();
    let line = |line: &str| serde_json::from_str::<Value>(line).expect("a line is JSON");
    let account = Account::read(&line(lines.next().unwrap()));
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in lines.map(line) {
        count += 1;
        let stream = case["request"]["stream_name"].as_str().unwrap();
        let current = case
            .get("current")
            .map(|current| account.created(stream, current));
        let (ours, theirs) = match account.request(&case["request"], current) {
            Ok(Put::Create(config) | Put::Update(config) | Put::Same(config)) => (
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
    assert!(count > 400);
}

fn check(config: Value, pedantic: bool, limits: &Limits, expected: Result<Value, (u16, &str)>) {
    let stream = Stream {
        replicas: 1,
        ..Stream::default()
    };
    let asked: Config = serde_json::from_value(config.clone()).unwrap();
    let created = create(asked, pedantic, &stream, &BTreeMap::new(), limits);
    match (created, expected) {
        (Ok(created), Ok(expected)) => {
            let created = serde_json::to_value(created).unwrap();
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(
                    created.get(key).unwrap_or(&Value::Null),
                    value,
                    "{config}: {key}"
                );
            }
        }
        (Err(error), Err(expected)) => {
            assert_eq!(
                (error.err_code, error.description.as_str()),
                expected,
                "{config}"
            );
        }
        (created, expected) => panic!("{config}: {created:?}, not {expected:?}"),
    }
}

#[test]
fn limits_of_account_and_server_hold() {
    let server = Limits {
        server_ack_pending_max: Some(500),
        request_batch_max: Some(100),
        ..Limits::default()
    };
    let explicit = |more: Value| {
        let mut config = json!({"ack_policy": "explicit"});
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        config
    };
    check(
        json!({}),
        false,
        &server,
        Ok(json!({"max_ack_pending": null, "max_batch": 100})),
    );
    check(
        explicit(json!({})),
        false,
        &server,
        Ok(json!({"max_ack_pending": 500})),
    );
    check(
        explicit(json!({"max_ack_pending": 600})),
        false,
        &server,
        Err((
            10121,
            "consumer max ack pending exceeds system limit of 500",
        )),
    );
    check(
        explicit(json!({"max_ack_pending": -1})),
        false,
        &server,
        Ok(json!({"max_ack_pending": -1})),
    );
    check(
        json!({"max_batch": 101}),
        false,
        &server,
        Err((
            10125,
            "consumer max request batch exceeds server limit of 100",
        )),
    );
    check(
        json!({}),
        true,
        &server,
        Err((
            10157,
            "pedantic mode: max_request_batch must be set if it's JetStream limits are set",
        )),
    );
    check(
        json!({"deliver_subject": "x", "max_batch": 500}),
        true,
        &server,
        Ok(json!({"max_batch": 500})),
    );
    let account = Limits {
        account_ack_pending_max: Some(50),
        consumers_max: Some(1),
        ..server
    };
    check(
        explicit(json!({})),
        false,
        &account,
        Ok(json!({"max_ack_pending": 50})),
    );
    check(
        explicit(json!({"max_ack_pending": 60})),
        false,
        &account,
        Err((10121, "consumer max ack pending exceeds system limit of 50")),
    );
    let full = Limits {
        consumers_max: Some(0),
        ..account
    };
    check(
        json!({}),
        false,
        &full,
        Err((10026, "maximum consumers limit reached")),
    );
    check(
        json!({"direct": true, "deliver_subject": "x"}),
        false,
        &full,
        Ok(json!({})),
    );
}

#[test]
fn what_is_not_built_is_refused() {
    for (policy, what) in [
        ("pinned_client", "pinned clients"),
        ("prioritized", "prioritized requests"),
    ] {
        let text = format!("priority_policy: {what} are not part of this release");
        let config = json!({"priority_policy": policy, "priority_groups": ["a"]});
        check(config, false, &Limits::default(), Err((10012, &text)));
    }
}

proptest::proptest! {
    #[test]
    fn what_passes_passes_again_unchanged(
        numbers: [i64; 6],
        filters in proptest::collection::vec("[a-c.*>]{1,4}", 0..3),
        deliver in proptest::option::of("[a-c.]{1,4}"),
        policy in 0..4_usize,
        durable: bool,
    ) {
        let requested = Config {
            durable_name: if durable { "d".to_owned() } else { String::new() },
            ack_policy: [AckPolicy::None, AckPolicy::All, AckPolicy::Explicit, AckPolicy::FlowControl][policy],
            ack_wait: numbers[0],
            max_deliver: numbers[1],
            max_ack_pending: numbers[2],
            max_waiting: numbers[3],
            inactive_threshold: numbers[4],
            max_expires: numbers[5],
            filter_subjects: filters,
            deliver_subject: deliver.unwrap_or_default(),
            ..Config::default()
        };
        let stream = Stream { replicas: 1, ..Stream::default() };
        let limits = Limits::default();
        if let Ok(once) = create(requested, false, &stream, &BTreeMap::new(), &limits) {
            let again = create(once.clone(), true, &stream, &BTreeMap::new(), &limits);
            proptest::prop_assert_eq!(again, Ok(once.clone()));
            let updated = update(&once, once.clone(), false, &stream, &BTreeMap::new(), &limits);
            proptest::prop_assert_eq!(updated, Ok(once));
        }
    }
}
