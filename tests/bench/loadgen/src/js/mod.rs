//! Streams: publishing with acknowledgement, reading, key-value buckets, what rests, restarts.
//!
//! The JSON API and plain protocol lines, as any client sends them. What a run was answered is
//! compared with what the server says it has: a difference counts as an error, and a figure
//! with errors is none.

pub mod bucket;
pub mod consume;
pub mod get;
pub mod idle;
pub mod publish;
pub mod restart;

use crate::args::{Args, die};
use crate::cost::Rng;
use crate::requester::{Load, Subjects};
use crate::run::Target;
use crate::wire::Conn;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// One API call, whatever the answer says.
fn api(c: &mut Conn, subject: &str, body: &Value) -> Value {
    let text = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    match c.request(&format!("$JS.API.{subject}"), text.as_bytes()) {
        Ok((_, answer)) => serde_json::from_slice(&answer).unwrap_or(Value::Null),
        Err(e) => die(&format!("$JS.API.{subject}: {e}")),
    }
}

/// One API call that must succeed.
fn call(c: &mut Conn, subject: &str, body: &Value) -> Value {
    let answer = api(c, subject, body);
    if answer.is_null() || !answer["error"].is_null() {
        die(&format!("{subject}: {answer}"));
    }
    answer
}

fn stream_info(c: &mut Conn, name: &str) -> Value {
    call(c, &format!("STREAM.INFO.{name}"), &Value::Null)
}

fn delete_stream(c: &mut Conn, name: &str) -> Value {
    api(c, &format!("STREAM.DELETE.{name}"), &Value::Null)
}

/// A publish was stored, and not as the duplicate of another.
fn ack_ok(hdr: &[u8], body: &[u8]) -> bool {
    hdr.is_empty()
        && body.starts_with(b"{\"stream\"")
        && memchr::memmem::find(body, b"\"error\"").is_none()
        && memchr::memmem::find(body, b"\"duplicate\"").is_none()
}

fn api_ok(_hdr: &[u8], body: &[u8]) -> bool {
    body.starts_with(b"{") && memchr::memmem::find(body, b"\"error\"").is_none()
}

/// A stored message, as direct get answers it.
fn message_ok(hdr: &[u8], _body: &[u8]) -> bool {
    memchr::memmem::find(hdr, b"Nats-Sequence").is_some()
}

/// The configuration that the options describe.
fn stream_config(a: &Args, name: &str, subjects: &[String]) -> Value {
    let mut cfg = json!({
        "name": name,
        "subjects": subjects,
        "storage": a.str("storage", "file"),
        "num_replicas": a.u64("replicas", 1),
        "retention": a.str("retention", "limits"),
        "discard": "old",
        "allow_direct": true,
    });
    for (option, key) in [
        ("max-msgs", "max_msgs"),
        ("max-bytes", "max_bytes"),
        ("per-subject", "max_msgs_per_subject"),
    ] {
        if a.opt(option).is_some() {
            cfg[key] = json!(a.u64(option, 0));
        }
    }
    cfg
}

/// Creates a stream that takes `NAME.>`, in place of one that has the name.
fn create_stream(a: &Args, c: &mut Conn, name: &str) {
    delete_stream(c, name);
    let cfg = stream_config(a, name, &[format!("{name}.>")]);
    call(c, &format!("STREAM.CREATE.{name}"), &cfg);
}

/// Which server to talk to: the stream's leader, a follower, or the first one given.
fn place(a: &Args, t: &Target, name: &str) -> SocketAddr {
    let at = a.str("at", "leader");
    if t.servers.len() < 2 || at == "first" {
        return t.servers[0];
    }
    let mut c = t.connect();
    for _ in 0..50 {
        let info = api(&mut c, &format!("STREAM.INFO.{name}"), &Value::Null);
        if let Some(leader) = info["cluster"]["leader"].as_str() {
            let lead = t
                .by_name(leader)
                .unwrap_or_else(|| die("the leader is not among --servers"));
            let follower = t.servers.iter().copied().find(|s| *s != lead);
            return if at == "leader" {
                lead
            } else {
                follower.unwrap_or(lead)
            };
        }
        thread::sleep(Duration::from_millis(100));
    }
    die("no stream leader")
}

/// A request load as the options say, without an end.
fn load_of(a: &Args, subjects: Subjects, body: Vec<u8>, ok: fn(&[u8], &[u8]) -> bool) -> Load {
    Load {
        subjects,
        body,
        window: a.usize("window", 1),
        rate: a.f64("rate", 0.0),
        limit: 0,
        ok,
    }
}

/// `--subjects` numbered ones, `--random` or in order, or one.
fn subjects_of(a: &Args, prefix: &str) -> Subjects {
    match a.u64("subjects", 1) {
        0 | 1 => Subjects::One(format!("{prefix}0")),
        n => Subjects::Many {
            prefix: prefix.into(),
            n,
            random: a.flag("random"),
        },
    }
}

/// Bytes that do not compress.
fn payload(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Rng::new(3).fill(&mut bytes);
    bytes
}
