//! Fuzz targets: each takes any bytes and panics where a promise is broken.

use natter::auth::permissions::{Permissions, PermissionsSpec, SubjectPermission, Subscribe};
use natter::config::include::NoFiles;
use natter::config::options::Options;
use natter::config::{digest, parser as config_parser, render};
use natter::protocol::connect::Connect;
use natter::protocol::headers as header_block;
use natter::protocol::limits::Limits;
use natter::protocol::op::Op;
use natter::protocol::parser::{self, ParseError, Step};
use natter::subject::sublist::{Keyed, Sublist};
use natter::subject::transform::Transform;
use natter::subject::{tokens, wildcard};
use natter::telemetry::protocol_trace;

const LIMITS: Limits = Limits {
    control_line_max: 256,
    payload_max: 4096,
    headers: true,
};

/// Leading blanks do not count toward the control line, but are bounded by this.
const BLANKS_MAX: usize = 4096;

/// What a connection that sent these bytes in one piece does: operations, and how it ends.
fn run_whole(data: &[u8]) -> (Vec<String>, Option<ParseError>) {
    let (mut ops, mut at) = (Vec::new(), 0);
    while at < data.len() {
        match parser::parse(&data[at..], &LIMITS) {
            Ok(Step::Op(op, len)) => {
                assert!(len > 0 && len <= data.len() - at);
                check_op(&op);
                ops.push(format!("{op:?}"));
                at += len;
            }
            Ok(Step::Incomplete(need)) => {
                assert!(need > data.len() - at, "it asked for what it had");
                assert!(need <= LIMITS.payload_max + 2 * BLANKS_MAX);
                break;
            }
            Err(error) => return (ops, Some(error)),
        }
    }
    (ops, None)
}

/// The same in pieces, as the driver of a link hands them over.
fn run_split(data: &[u8], sizes: &[u8]) -> (Vec<String>, Option<ParseError>) {
    let (mut ops, mut held, mut need) = (Vec::new(), Vec::new(), 0);
    let mut sizes = sizes.iter().cycle();
    let mut rest = data;
    while !rest.is_empty() {
        let size = usize::from(sizes.next().copied().unwrap_or(1)).clamp(1, rest.len());
        let (piece, later) = rest.split_at(size);
        rest = later;
        held.extend_from_slice(piece);
        if held.len() < need {
            continue;
        }
        let mut at = 0;
        need = 0;
        while at < held.len() {
            match parser::parse(&held[at..], &LIMITS) {
                Ok(Step::Op(op, len)) => {
                    ops.push(format!("{op:?}"));
                    at += len;
                }
                Ok(Step::Incomplete(len)) => {
                    need = len;
                    break;
                }
                Err(error) => return (ops, Some(error)),
            }
        }
        held.drain(..at);
    }
    (ops, None)
}

fn check_op(op: &Op<'_>) {
    if let Op::Publish(publish) = op {
        assert!(publish.body.len() <= LIMITS.payload_max);
        assert!(publish.header_len.unwrap_or(0) <= publish.body.len());
        assert!(!publish.subject.is_empty());
    }
}

/// The first byte says how many of the next are sizes of pieces.
pub fn client_parser(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (sizes, data) = rest.split_at(usize::from(count % 16).min(rest.len()));
    let whole = run_whole(data);
    let split = run_split(data, sizes);
    if whole.1.is_none() || split.1.is_none() {
        // A piece may show an error later than the whole does, where more bytes are needed
        // to be sure; never earlier, and never another operation.
        assert!(whole.0.starts_with(&split.0) || split.0.starts_with(&whole.0));
    }
    if whole.1.is_none() {
        assert_eq!(split, whole);
    }
    if split.1.is_some() {
        assert_eq!(split, whole);
    }
}

/// Finding and setting a field.
pub fn headers(data: &[u8]) {
    let Some((&len, rest)) = data.split_first() else {
        return;
    };
    let (key, block) = rest.split_at(usize::from(len % 8).min(rest.len()));
    let _ = header_block::find(block, key);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if key.is_empty() || !key.iter().all(plain) {
        return;
    }
    let mut out = Vec::new();
    header_block::with_field(&mut out, Some(block), key, b"a value");
    assert_eq!(header_block::find(&out, key), Some(&b"a value"[..]));
    let mut again = Vec::new();
    header_block::with_field(&mut again, Some(&out), key, b"a value");
    assert_eq!(again, out, "setting twice is setting once");
}

/// The JSON of `CONNECT`, and what of it may be logged.
pub fn connect(data: &[u8]) {
    let shown = protocol_trace::without_secrets(data);
    let mut connect = Connect::default();
    if connect.update(data).is_ok() {
        for secret in [&connect.pass, &connect.auth_token] {
            let telling = secret.len() >= 12 && secret.bytes().all(|b| b.is_ascii_alphanumeric());
            let elsewhere = data
                .windows(secret.len().max(1))
                .filter(|w| *w == secret.as_bytes());
            if telling && elsewhere.count() == 1 {
                assert!(!shown.contains(secret.as_str()), "{shown}");
            }
        }
    }
}

/// Configuration text, from characters to options and back.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let env = |name: &str| (name == "SET").then(|| "{ a: 1 }".to_owned());
    let Ok(map) = config_parser::parse(text, "a.conf", &env, &NoFiles) else {
        return;
    };
    if let Ok((options, _)) = Options::from_map(&map) {
        let _ = options.validate();
        let _ = options.refuse_unbuilt();
    }
    let json = digest::canonical_json(&map);
    if let Ok(rendered) = render::render(&map) {
        let again = config_parser::parse(&rendered, "a.conf", &|_| None, &NoFiles)
            .unwrap_or_else(|errors| panic!("{errors:?}\n{rendered}"));
        assert_eq!(digest::canonical_json(&again), json, "{rendered}");
    }
}

/// Lines of bytes as text.
fn lines(data: &[u8]) -> Vec<String> {
    let lines = data.split(|byte| *byte == b'\n').take(64);
    lines
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect()
}

/// A subject, then entries: `+` allows, anything else denies.
pub fn permissions(data: &[u8]) {
    let lines = lines(data);
    let Some((subject, entries)) = lines.split_first() else {
        return;
    };
    let mut lists = SubjectPermission::default();
    for entry in entries {
        match entry.strip_prefix('+') {
            Some(allow) => lists.allow.push(allow.to_owned()),
            None => lists.deny.push(entry.clone()),
        }
    }
    let spec = |lists: &SubjectPermission| PermissionsSpec {
        publish: Some(lists.clone()),
        subscribe: Some(lists.clone()),
        allow_responses: None,
    };
    let compiled = Permissions::compile(&spec(&lists));
    let subject = subject.as_bytes();
    for queue in [None, Some(&b"q"[..])] {
        if compiled.can_subscribe(subject, queue) == Subscribe::Allowed
            && tokens::is_valid_publish(subject)
        {
            assert!(compiled.may_deliver(subject, queue));
        }
    }
    let may = compiled.can_publish(subject);
    if tokens::is_valid_publish(subject) && entries.iter().all(|e| !e.contains(' ')) {
        let valid = |entry: &&String| tokens::is_valid_filter(entry);
        let matches = |entry: &String| wildcard::matches(entry.as_bytes(), subject);
        if lists.allow.iter().chain(&lists.deny).all(|e| valid(&e)) {
            let allowed = lists.allow.is_empty() || lists.allow.iter().any(matches);
            assert_eq!(may, allowed && !lists.deny.iter().any(matches));
        }
    }
    lists.deny.push(">".to_owned());
    let stricter = Permissions::compile(&spec(&lists));
    assert!(!tokens::is_valid_publish(subject) || !stricter.can_publish(subject));
}

struct Item(u64);

impl Keyed for Item {
    fn key(&self) -> u64 {
        self.0
    }
}

/// A subject, then filters to add and, behind a `-`, to remove.
pub fn sublist(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let subject = lines.next().unwrap_or_default();
    let mut list = Sublist::new();
    let mut naive: Vec<(Vec<u8>, Option<Vec<u8>>, u64)> = Vec::new();
    for (key, line) in (0u64..).zip(lines.take(256)) {
        if let Some(filter) = line.strip_prefix(b"-") {
            if let Some(at) = naive.iter().position(|(f, ..)| f == filter) {
                let (filter, queue, key) = naive.swap_remove(at);
                assert!(list.remove(&filter, queue.as_deref(), &Item(key)));
                assert!(!list.remove(&filter, queue.as_deref(), &Item(key)));
            }
            continue;
        }
        let (filter, queue) = match line.iter().position(|byte| *byte == b' ') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        if tokens::is_valid_subscribe(filter) {
            assert!(list.insert(filter, queue, Item(key)).is_none());
            naive.push((filter.to_vec(), queue.map(<[u8]>::to_vec), key));
        }
    }
    assert_eq!(list.len(), naive.len());
    let mut found = Vec::new();
    list.walk(subject, |queue, item| {
        found.push((queue.map(<[u8]>::to_vec), item.0))
    });
    found.sort();
    if tokens::has_no_empty_token(subject) {
        let matching = naive.iter().filter(|(f, ..)| wildcard::matches(f, subject));
        let mut expected: Vec<_> = matching.map(|(_, q, key)| (q.clone(), *key)).collect();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(list.has_interest(subject), !found.is_empty());
    }
    for (filter, queue, key) in naive {
        assert!(list.remove(&filter, queue.as_deref(), &Item(key)));
    }
    assert!(list.is_empty());
}

/// Source, destination, subject.
pub fn transform(data: &[u8]) {
    let lines = lines(data);
    let line = |at: usize| lines.get(at).map_or("", String::as_str);
    let (source, destination, subject) = (line(0), line(1), line(2).as_bytes());
    let mut random = |below: u64| below.saturating_sub(1);
    if let Ok(mapping) = Transform::mapping(source, destination) {
        let applied = mapping.apply(subject, &mut random);
        assert!(applied.is_none() || mapping.takes(subject));
    }
    let Ok(strict) = Transform::strict(source, destination) else {
        return;
    };
    let Some(reverse) = strict.reverse() else {
        panic!("{source} -> {destination} does not lead back");
    };
    if !tokens::is_valid_publish(subject) {
        return;
    }
    if let Some(there) = strict.apply(subject, &mut random) {
        let back = reverse.apply(&there, &mut random);
        assert_eq!(back.as_deref(), Some(subject), "{source} -> {destination}");
    }
}
