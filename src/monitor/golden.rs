//! Comparing with what a real server answered.
//!
//! A golden file holds cases by name (see `tests/it/golden/monitor/record.py`). Names,
//! order and types of all keys have to agree, and the values of all keys but those that
//! differ from run to run. Lists that come from unordered maps are compared sorted.

#![allow(clippy::disallowed_methods, reason = "tests read their goldens")]

use serde_json::Value;

/// Lists whose order differs from run to run.
const UNORDERED: &[&str] = &[
    "subscriptions_list",
    "subscriptions_list_detail",
    "accounts",
    "account_statz",
    "imports",
    "exports",
    "allow",
    "deny",
    "account_details",
    "stream_detail",
];

/// A case of a golden file.
pub fn case(file: &str, name: &str) -> Value {
    cases(file)
        .into_iter()
        .find(|(known, _)| known == name)
        .unwrap_or_else(|| panic!("{file} has no case {name:?}"))
        .1
}

/// All cases of a golden file.
pub fn cases(file: &str) -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/golden/monitor");
    let text = std::fs::read_to_string(format!("{folder}/{file}.json")).expect("a golden file");
    match serde_json::from_str(&text).expect("a golden file is JSON") {
        Value::Object(cases) => cases.into_iter().collect(),
        _ => panic!("{file} holds no cases"),
    }
}

/// Fails unless `ours` is JSON equal to `golden` but for the values of `varying` keys.
pub fn assert_same(context: &str, golden: &Value, ours: &str, varying: &[&str]) {
    let mut parsed: Value =
        serde_json::from_str(ours).unwrap_or_else(|err| panic!("{context}: {err}\n{ours}"));
    let mut golden = golden.clone();
    sort_unordered(&mut golden);
    sort_unordered(&mut parsed);
    let mut differences = Vec::new();
    compare("", &golden, &parsed, varying, &mut differences);
    assert!(
        differences.is_empty(),
        "{context}:\n{}\nours: {ours}",
        differences.join("\n")
    );
}

/// Brings unordered lists into the order of what their entries are about.
fn sort_unordered(value: &mut Value) {
    let about = |entry: &Value| match entry {
        Value::Object(entry) => {
            let parts =
                ["acc", "subject", "local_subject", "name"].map(|key| entry.get(key).cloned());
            format!("{parts:?}")
        }
        other => other.to_string(),
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Value::Array(list)) = (UNORDERED.contains(&key.as_str()), &mut *value)
                {
                    list.sort_by_key(about);
                }
                sort_unordered(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(sort_unordered),
        _ => {}
    }
}

fn compare(at: &str, golden: &Value, ours: &Value, varying: &[&str], found: &mut Vec<String>) {
    let key = at.rsplit(['.', '[']).next().unwrap_or(at);
    match (golden, ours) {
        _ if varying.contains(&key) => {
            if kind(golden) != kind(ours) {
                found.push(format!("{at}: is {}, was {}", kind(ours), kind(golden)));
            }
        }
        (Value::Object(golden), Value::Object(ours)) => {
            let names = |map: &serde_json::Map<String, Value>| {
                map.keys().cloned().collect::<Vec<_>>().join(" ")
            };
            if names(golden) != names(ours) {
                found.push(format!(
                    "{at}: keys {}\n     were {}",
                    names(ours),
                    names(golden)
                ));
            }
            for (name, value) in golden {
                if let Some(our_value) = ours.get(name) {
                    compare(&format!("{at}.{name}"), value, our_value, varying, found);
                }
            }
        }
        (Value::Array(golden), Value::Array(ours)) => {
            if golden.len() != ours.len() {
                found.push(format!(
                    "{at}: {} entries, were {}",
                    ours.len(),
                    golden.len()
                ));
            }
            for (index, (value, our_value)) in golden.iter().zip(ours).enumerate() {
                compare(&format!("{at}.{index}"), value, our_value, varying, found);
            }
        }
        _ if golden == ours => {}
        _ => found.push(format!("{at}: is {ours}, was {golden}")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
