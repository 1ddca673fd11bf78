//! Key-value: a bucket as clients create it, loaded with all keys, then puts or gets at random.

use super::publish::fill_with;
use super::{ack_ok, call, delete_stream, load_of, message_ok, payload, place, stream_info};
use crate::args::Args;
use crate::cost::{Snap, r2, r4};
use crate::requester::{Subjects, connect_many, drive};
use crate::run::{Ctl, Target, emit, flaw};
use crate::wire::Conn;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

/// A bucket under load, and what loading it has cost.
struct Bucket {
    t: Target,
    c: Conn,
    addr: SocketAddr,
    name: String,
    /// What a key's number is appended to.
    prefix: String,
    keys: u64,
    loaded: Value,
}

impl Bucket {
    /// Creates the bucket and puts every key once; with `--existing` it has been done.
    fn open(a: &Args) -> Bucket {
        let t = Target::from(a);
        let bucket = a.str("bucket", "bench");
        let name = format!("KV_{bucket}");
        let prefix = format!("$KV.{bucket}.k");
        let keys = a.u64("subjects", 10_000).max(2);
        let mut c = t.connect();
        let before = Snap::take(&t.pids);
        let mut loaded = json!({});
        if !a.flag("existing") {
            delete_stream(&mut c, &name);
            let cfg = json!({
                "name": name, "subjects": [format!("$KV.{bucket}.>")],
                "storage": a.str("storage", "file"), "num_replicas": a.u64("replicas", 1),
                "max_msgs_per_subject": a.u64("history", 1), "discard": "new",
                "allow_rollup_hdrs": true, "deny_delete": true, "allow_direct": true,
            });
            call(&mut c, &format!("STREAM.CREATE.{name}"), &cfg);
            let all = Subjects::Many {
                prefix: prefix.clone(),
                n: keys,
                random: false,
            };
            let addr = place(a, &t, &name);
            let size = a.usize("size", 128);
            fill_with(&t, addr, keys, all, size);
            let filled = Snap::take(&t.pids);
            thread::sleep(Duration::from_secs_f64(a.f64("settle", 1.0)));
            let settled = Snap::take(&t.pids);
            let each = |v: f64| v / keys as f64;
            let cpu_us = (filled.cpu_ns() - before.cpu_ns()) as f64 / 1e3;
            let bytes = (settled.rss_kb() as f64 - before.rss_kb() as f64) * 1024.0;
            loaded = json!({
                "load_cpu_us_per_key": r4(each(cpu_us)),
                "load_rss_bytes_per_key": r2(each(bytes)),
            });
        }
        let addr = place(a, &t, &name);
        Bucket {
            t,
            c,
            addr,
            name,
            prefix,
            keys,
            loaded,
        }
    }

    fn random(&self, before: &str) -> Subjects {
        Subjects::Many {
            prefix: format!("{before}{}", self.prefix),
            n: self.keys,
            random: true,
        }
    }

    /// Compares the number of keys, deletes the bucket unless told to keep it, reports.
    fn close(mut self, a: &Args, mut v: Value) {
        if let (Some(all), Some(loaded)) = (v.as_object_mut(), self.loaded.as_object_mut()) {
            all.append(loaded);
        }
        let info = stream_info(&mut self.c, &self.name);
        v["stream_msgs"] = info["state"]["messages"].clone();
        if a.u64("history", 1) == 1 && info["state"]["messages"] != self.keys {
            let (keys, stored) = (self.keys, &info["state"]["messages"]);
            flaw(&mut v, &format!("{keys} keys, {stored} values"));
        }
        if !a.flag("keep") {
            delete_stream(&mut self.c, &self.name);
        }
        emit(a, v);
    }
}

/// Puts at random keys.
pub fn put(a: &Args) {
    let bucket = Bucket::open(a);
    let body = payload(a.usize("size", 128));
    let load = load_of(a, bucket.random(""), body, ack_ok);
    let conns = connect_many(&bucket.t, bucket.addr, a.usize("conns", 1));
    let v = drive(a, &bucket.t, conns, load, Ctl::new(1, 1));
    bucket.close(a, v);
}

/// Gets at random keys, as clients do it: direct get of the last message of the subject.
pub fn get(a: &Args) {
    let bucket = Bucket::open(a);
    let before = format!("$JS.API.DIRECT.GET.{}.", bucket.name);
    let load = load_of(a, bucket.random(&before), Vec::new(), message_ok);
    let conns = connect_many(&bucket.t, bucket.addr, a.usize("conns", 1));
    let v = drive(a, &bucket.t, conns, load, Ctl::new(1, 1));
    bucket.close(a, v);
}
