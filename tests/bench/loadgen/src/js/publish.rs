//! Publishing with acknowledgement: at a pace, in a window, or exactly so many.

use super::{
    ack_ok, create_stream, delete_stream, load_of, payload, place, stream_info, subjects_of,
};
use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::requester::{Load, Subjects, connect_many, drive, requester};
use crate::run::{Ctl, Target, emit, flaw};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::{Duration, Instant};

/// Publish with acknowledgement. `--window 1` is a synchronous publisher; `--into PREFIX`
/// publishes to subjects of streams that are there already.
pub fn publish(a: &Args) {
    let t = Target::from(a);
    let name = a.str("stream", "BENCH").to_string();
    let into = a.opt("into");
    let prefix = into.map_or_else(|| format!("{name}.s"), str::to_string);
    let mut c = t.connect();
    if into.is_none() {
        create_stream(a, &mut c, &name);
    }
    let subjects = subjects_of(a, &prefix);
    let load = load_of(a, subjects, payload(a.usize("size", 128)), ack_ok);
    let conns = connect_many(&t, place(a, &t, &name), a.usize("conns", 1));
    let ctl = Ctl::new(1, 1);
    let mut v = drive(a, &t, conns, load, ctl.clone());
    if into.is_none() {
        let info = stream_info(&mut c, &name);
        let stored = info["state"]["messages"].as_u64().unwrap_or(0);
        v["stream_msgs"] = json!(stored);
        v["stream_bytes"] = info["state"]["bytes"].clone();
        let bounded = ["max-msgs", "max-bytes", "per-subject"]
            .iter()
            .any(|option| a.opt(option).is_some());
        if !bounded && !(ctl.recv()..=ctl.sent()).contains(&stored) {
            let (sent, acked) = (ctl.sent(), ctl.recv());
            flaw(
                &mut v,
                &format!("sent {sent}, acknowledged {acked}, stored {stored}"),
            );
        }
        if !a.flag("keep") {
            delete_stream(&mut c, &name);
        }
    }
    emit(a, v);
}

/// Publishes exactly `n` messages with 512 in flight; all of them must be acknowledged.
pub fn fill_with(t: &Target, addr: SocketAddr, n: u64, subjects: Subjects, size: usize) {
    let ctl = Ctl::new(1, 1);
    let load = Load {
        subjects,
        body: payload(size),
        window: 512,
        rate: 0.0,
        limit: n,
        ok: ack_ok,
    };
    let conns = connect_many(t, addr, 1);
    let h = {
        let ctl = ctl.clone();
        thread::spawn(move || requester(conns, load, ctl))
    };
    let began = Instant::now();
    while ctl.recv() < n && !h.is_finished() {
        thread::sleep(Duration::from_millis(1));
        if began.elapsed() > Duration::from_secs(600) {
            die("fill: too slow");
        }
    }
    ctl.stop.store(true, SeqCst);
    let _ = h.join();
    if ctl.recv() != n || ctl.errors.load(Relaxed) > 0 {
        die(&format!("fill: {} of {n} acknowledged", ctl.recv()));
    }
}

/// Fills a stream with exactly `--msgs` messages and reports what it costs.
pub fn fill(a: &Args) {
    let t = Target::from(a);
    let name = a.str("stream", "BENCH").to_string();
    let n = a.u64("msgs", 1_000_000);
    let mut c = t.connect();
    let before = Snap::take(&t.pids);
    create_stream(a, &mut c, &name);
    let addr = place(a, &t, &name);
    let s0 = Snap::take(&t.pids);
    let subjects = subjects_of(a, &format!("{name}.s"));
    fill_with(&t, addr, n, subjects, a.usize("size", 128));
    let s1 = Snap::take(&t.pids);
    let mut v = Snap::cost(&s0, &s1, n);
    v["received_per_s"] = json!(r2(n as f64 / s1.at.duration_since(s0.at).as_secs_f64()));
    thread::sleep(Duration::from_secs_f64(a.f64("settle", 3.0)));
    let settled = Snap::take(&t.pids);
    v["rss_delta_settled_mb"] = json!(r2(
        (settled.rss_kb() as f64 - before.rss_kb() as f64) / 1024.0
    ));
    let asked = Instant::now();
    let info = stream_info(&mut c, &name);
    v["info_ms"] = json!(r2(asked.elapsed().as_secs_f64() * 1e3));
    for key in ["messages", "bytes", "num_subjects"] {
        v[format!("stream_{key}")] = info["state"][key].clone();
    }
    if info["state"]["messages"] != n {
        let stored = &info["state"]["messages"];
        flaw(&mut v, &format!("filled with {n}, stored {stored}"));
    }
    emit(a, v);
}
