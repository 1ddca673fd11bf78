//! What rests: many streams, or many durable consumers of one, created and then left alone.

use super::{api_ok, call, delete_stream, stream_config};
use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::run::{Target, emit, flaw};
use crate::wire::{Conn, Frame, put_pub};
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

const REFUSALS_SHOWN: u64 = 3;

/// N streams of one subject each, `idle.NUMBER`.
pub fn streams(a: &Args) {
    let t = Target::from(a);
    let request = |i: u64| {
        let name = format!("S{i}");
        let cfg = stream_config(a, &name, &[format!("idle.{i}")]);
        (format!("STREAM.CREATE.{name}"), cfg)
    };
    rest(a, &t, "streams", request);
}

/// N durable pull consumers of one stream.
pub fn consumers(a: &Args) {
    let t = Target::from(a);
    let name = a.str("stream", "BENCH").to_string();
    let mut c = t.connect();
    delete_stream(&mut c, &name);
    let mut stream = stream_config(a, &name, &[format!("{name}.>")]);
    // Without a limit of its own a stream may be given one by the server.
    stream["max_consumers"] = json!(a.u64("n", 1000));
    call(&mut c, &format!("STREAM.CREATE.{name}"), &stream);
    let filtered = a.flag("filtered");
    let request = |i: u64| {
        let mut cfg = json!({
            "name": format!("d{i}"), "durable_name": format!("d{i}"), "ack_policy": "explicit",
            "max_ack_pending": 1000, "num_replicas": a.u64("consumer-replicas", 0),
        });
        let mut subject = format!("CONSUMER.CREATE.{name}.d{i}");
        if filtered {
            cfg["filter_subject"] = json!(format!("{name}.s{i}"));
            subject.push_str(&format!(".{name}.s{i}"));
        }
        (subject, json!({"stream_name": name, "config": cfg}))
    };
    rest(a, &t, "consumers", request);
}

/// Creates `--n` of a kind with `--window` calls under way, waits, and watches them idle.
fn rest(a: &Args, t: &Target, kind: &str, request: impl Fn(u64) -> (String, Value)) {
    let n = a.u64("n", 1000);
    let window = a.usize("window", 1).max(1);
    let mut c = t.connect();
    let had = count(&mut c, kind);
    let mut conns: Vec<Conn> = (0..window).map(|_| t.connect()).collect();
    let before = Snap::take(&t.pids);
    let refused = create_all(&mut conns, n, request);
    let made = Snap::take(&t.pids);
    thread::sleep(Duration::from_secs_f64(a.f64("settle", 5.0)));
    let s0 = Snap::take(&t.pids);
    thread::sleep(Duration::from_secs_f64(a.f64("secs", 20.0)));
    let s1 = Snap::take(&t.pids);
    let mut v = Snap::cost(&s0, &s1, 0);
    let secs = made.at.duration_since(before.at).as_secs_f64();
    v["create_per_s"] = json!(r2(n as f64 / secs));
    v["create_cpu_us"] = json!(r2((made.cpu_ns() - before.cpu_ns()) as f64
        / 1e3
        / n as f64));
    v["rss_kb_each"] = json!(r2((s0.rss_kb() as f64 - before.rss_kb() as f64) / n as f64));
    v["errors"] = json!(refused);
    let has = count(&mut c, kind);
    if has != had + n {
        flaw(&mut v, &format!("{n} {kind} created, {has} there"));
    }
    emit(a, v);
}

/// How many of a kind the account has.
fn count(c: &mut Conn, kind: &str) -> u64 {
    call(c, "INFO", &Value::Null)[kind].as_u64().unwrap_or(0)
}

/// Sends all requests, one under way on each connection; returns how many were refused.
fn create_all(conns: &mut [Conn], n: u64, request: impl Fn(u64) -> (String, Value)) -> u64 {
    let inbox = |k: usize| format!("_INBOX.s{}x{k}", std::process::id());
    for (k, c) in conns.iter_mut().enumerate() {
        c.out
            .extend_from_slice(format!("SUB {} 1\r\n", inbox(k)).as_bytes());
    }
    let window = conns.len() as u64;
    let mut refused = 0;
    for i in 0..n + window {
        let k = (i % window) as usize;
        if i >= window {
            refused += u64::from(!answered(&mut conns[k], refused));
        }
        if i < n {
            let (subject, body) = request(i);
            let out = &mut conns[k].out;
            let subject = format!("$JS.API.{subject}");
            put_pub(
                out,
                subject.as_bytes(),
                inbox(k).as_bytes(),
                body.to_string().as_bytes(),
            );
            conns[k]
                .flush()
                .unwrap_or_else(|e| die(&format!("create: {e}")));
        }
    }
    refused
}

/// Waits for one answer; says what it is if it is one of the first refusals.
fn answered(c: &mut Conn, shown: u64) -> bool {
    loop {
        match c.frame() {
            Ok(Frame::Msg { body, .. }) => {
                let ok = api_ok(b"", c.slice(&body));
                if !ok && shown < REFUSALS_SHOWN {
                    eprintln!("loadgen: {}", String::from_utf8_lossy(c.slice(&body)));
                }
                return ok;
            }
            Ok(_) => {}
            Err(e) => die(&format!("create: {e}")),
        }
    }
}

/// Only meters the given processes over `--secs`.
pub fn watch(a: &Args) {
    let t = Target::from(a);
    let s0 = Snap::take(&t.pids);
    thread::sleep(Duration::from_secs_f64(a.f64("secs", 10.0)));
    emit(a, Snap::cost(&s0, &Snap::take(&t.pids), 0));
}
