//! Every error of the API: provoked by a request of a transcript, or here with the reason
//! why a server that runs alone never answers with it.

use std::collections::BTreeMap;

use natter::api_error::table;
use serde_json::Value;

use super::ALL;
use super::script::{Script, Step};

/// Errors that no request to one server provokes, and why.
#[rustfmt::skip]
const NEVER: &[(&str, &[u16])] = &[
    ("servers, peers, placement and moves: only a cluster has them",
        &[10004, 10005, 10006, 10007, 10009, 10011, 10036, 10040, 10041, 10044, 10048, 10075,
          10118, 10119, 10123, 10124, 10129, 10202, 10224, 10226]),
    ("a stream that stops while it is asked, which no request does; its caller asks again",
        &[10008]),
    ("replicas of consumers: without a cluster more than one is refused before (10074)",
        &[10126, 10134]),
    ("two writers of a replicated stream at once: here the log decides, one after the other",
        &[10158, 10163, 10164]),
    ("the disk: told in the log, and by the health of the server",
        &[10050, 10051, 10053, 10104]),
    ("load, not a request: what waits for a stream is full (tested at its mailbox)",
        &[10167]),
    ("a server of a later level left the stream or consumer behind: there is none yet",
        &[10194, 10195]),
    ("limits by replicas come with operator mode, which is not part of this release",
        &[10035, 10120]),
    ("stream snapshots are not part of this release: 10003 with a sentence",
        &[10015, 10042, 10062, 10064, 10072, 10130]),
    ("atomic batches are not part of this release: streams refuse allow_atomic, messages 10174",
        &[10175, 10176, 10177, 10179, 10199, 10200, 10201, 10210]),
    ("fast batches are not part of this release: streams refuse allow_batched, messages 10205",
        &[10206, 10207, 10208, 10211]),
    ("scheduled messages are not part of this release: messages are refused with 10188",
        &[10189, 10190, 10191, 10192, 10203, 10212, 10223]),
    ("counters are not part of this release: messages are refused with 10168",
        &[10169, 10170, 10171, 10172]),
    ("origins in other accounts are not part of this release: only their form is checked",
        &[10022]),
    ("a copy that does not start is told in the stream's info, with the error of the origin",
        &[10029, 10045, 10214, 10217]),
    ("stream identities belong to a later API level",
        &[10225]),
    ("subjects come in pages, however many there are",
        &[10117]),
    ("the name in the subject is put in the place of the other one",
        &[10132]),
    ("words that are none are refused when the JSON is read (10025)",
        &[10181, 10182]),
    ("what is out of bounds is put right silently",
        &[10087, 10114]),
    ("without JetStream nobody listens: 503",
        &[10076]),
    ("no request asks for a least sequence",
        &[10180]),
    ("nothing is answered so any more: the peer has no use for them either",
        &[10016, 10019, 10032, 10033, 10061, 10063, 10066, 10067, 10068, 10073, 10078, 10085,
          10092, 10093, 10096, 10103, 10105, 10106]),
];

/// The errors in all answers: code, text, and the request that provoked it first.
fn provoked() -> BTreeMap<u16, (u16, String, String)> {
    let mut all = BTreeMap::new();
    for script in ALL.iter().flat_map(|text| Script::parse(text)) {
        for step in script.steps {
            let Step::Request {
                subject, answers, ..
            } = step
            else {
                continue;
            };
            for answer in answers {
                let body = answer.split_once(") ").map_or(&*answer, |(_, body)| body);
                let error = serde_json::from_str::<Value>(body)
                    .map(|body| body["error"].clone())
                    .unwrap_or_default();
                let number = |key: &str| Some(u16::try_from(error[key].as_u64()?).unwrap());
                if let (Some(code), Some(err_code)) = (number("code"), number("err_code")) {
                    let text = error["description"].as_str().unwrap_or_default();
                    all.entry(err_code)
                        .or_insert((code, text.to_owned(), subject.clone()));
                }
            }
        }
    }
    all
}

/// Whether a text is the description with its placeholders filled.
fn fits(description: &str, text: &str) -> bool {
    match description.split_once('{') {
        None => description == text,
        Some((before, rest)) => {
            let (_, behind) = rest.split_once('}').expect("a placeholder ends");
            let end = behind.split('{').next().unwrap_or_default();
            text.starts_with(before) && text.contains(end)
        }
    }
}

#[test]
fn every_error_is_provoked_or_has_a_reason() {
    let provoked = provoked();
    let mut wrong = Vec::new();
    for row in table::ALL {
        let is_never = NEVER.iter().any(|(_, codes)| codes.contains(&row.err_code));
        match provoked.get(&row.err_code) {
            None if is_never => {}
            None => wrong.push(format!("{row:?} is not provoked")),
            Some((_, _, subject)) if is_never => {
                wrong.push(format!("{row:?} is provoked by {subject}"));
            }
            Some((code, text, _)) if *code == row.code && fits(row.description, text) => {}
            Some(other) => wrong.push(format!("{row:?} is {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
