//! Publishers to subscribers: free running, paced, fan-in, fan-out, queue groups.

use crate::args::{Args, die};
use crate::cost::{Rng, now_ns, r2, r4, tight_timers};
use crate::counter::Counter;
use crate::hist::Hist;
use crate::poll::Poll;
use crate::run::{Ctl, Target, emit, merge_hists, timed};
use crate::wire::{Conn, RBUF};
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::Duration;

/// A payload begins with two times of eight bytes.
const STAMP_BYTES: usize = 16;

/// How long messages took.
#[derive(Default)]
pub struct Latency {
    /// From when they were due.
    due: Hist,
    /// From when they were sent.
    sent: Hist,
}

impl Latency {
    /// Notes a message that came now.
    fn record(&mut self, now: u64, payload: &[u8]) {
        let Some(stamp) = payload.first_chunk::<STAMP_BYTES>() else {
            return;
        };
        for (hist, since) in [&mut self.due, &mut self.sent]
            .into_iter()
            .zip(stamp.chunks_exact(8))
        {
            let since = since.try_into().map_or(now, u64::from_le_bytes);
            hist.record(now.saturating_sub(since));
        }
    }
}

/// Pre-encoded messages: one `write` sends all of them.
struct Batch {
    bytes: Vec<u8>,
    stamps: Vec<usize>,
    msgs: u64,
}

impl Batch {
    fn new(msgs: usize, size: usize, mut subject: impl FnMut(usize) -> String) -> Batch {
        let mut payload = vec![0u8; size];
        Rng::new(7).fill(&mut payload);
        let mut b = Batch {
            bytes: Vec::new(),
            stamps: Vec::new(),
            msgs: msgs as u64,
        };
        for i in 0..msgs {
            crate::wire::put_pub(&mut b.bytes, subject(i).as_bytes(), b"", &payload);
            b.stamps.push(b.bytes.len() - 2 - size);
        }
        b
    }

    /// From when the messages count, and when they are sent.
    fn stamp(&mut self, from: u64, sent: u64) {
        for s in &self.stamps {
            let place = &mut self.bytes[*s..*s + STAMP_BYTES];
            place[..8].copy_from_slice(&from.to_le_bytes());
            place[8..].copy_from_slice(&sent.to_le_bytes());
        }
    }
}

struct PubSpec {
    batch: usize,
    size: usize,
    subjects: usize,
    rate: f64,
    latency: bool,
    /// Messages the subscribers get for each one sent, and how far behind they may be.
    fan: u64,
    window: u64,
}

fn publisher(mut conns: Vec<Conn>, p: PubSpec, ctl: Arc<Ctl>, id: usize) {
    tight_timers();
    let n = conns.len();
    let mut at = 0usize;
    // Consecutive subjects over consecutive batches, so that all are used.
    let batches = p.subjects.div_ceil(p.batch).clamp(1, 4096);
    let mut ring: Vec<Batch> = (0..batches)
        .map(|k| {
            Batch::new(p.batch, p.size, |i| {
                format!("bench.t{}", (k * p.batch + i + id * 7919) % p.subjects)
            })
        })
        .collect();
    let per_write = Duration::from_secs_f64(if p.rate > 0.0 {
        p.batch as f64 / p.rate
    } else {
        0.0
    });
    let mut due = now_ns();
    let mut rounds = 0u64;
    let mut junk = [0u8; 4096];
    while !ctl.stopped() {
        // What could not go out when it was due counts from then. Only the message that was
        // slept for counts from waking up: those that fell due meanwhile do not, as a server
        // that holds the core may be why we woke up late.
        let mut late = false;
        if p.rate > 0.0 {
            due += per_write.as_nanos() as u64;
            let now = now_ns();
            late = due <= now;
            if !late {
                thread::sleep(Duration::from_nanos(due - now));
            }
        } else if p.fan > 0 {
            while ctl.sent() * p.fan > ctl.recv() + p.window {
                if ctl.stopped() {
                    return;
                }
                thread::sleep(Duration::from_micros(50));
            }
        }
        let slot = (rounds as usize) % ring.len();
        let b = &mut ring[slot];
        if p.latency {
            let now = now_ns();
            b.stamp(if late { due } else { now }, now);
        }
        let c = &mut conns[at % n];
        if let Err(e) = c.sock.write_all(&b.bytes) {
            ctl.error(&format!("publish: {e}"));
            return;
        }
        at += 1;
        rounds += 1;
        ctl.sent[id].0.fetch_add(b.msgs, Relaxed);
        if rounds.is_multiple_of(4096) {
            let c = &mut conns[0];
            let _ = c.sock.set_nonblocking(true);
            if let Ok(n) = c.sock.read(&mut junk)
                && junk[..n].starts_with(b"-ERR")
            {
                ctl.error(&String::from_utf8_lossy(&junk[..n]));
            }
            let _ = c.sock.set_nonblocking(false);
        }
    }
}

/// Counts what arrives on all connections until the run stops; returns latencies if asked.
pub fn reader(conns: Vec<Conn>, latency: bool, ctl: Arc<Ctl>, id: usize) -> Latency {
    let mut poll = Poll::new().expect("epoll");
    let mut took = Latency::default();
    let mut conns: Vec<(Conn, Counter)> =
        conns.into_iter().map(|c| (c, Counter::default())).collect();
    for (i, (c, _)) in conns.iter().enumerate() {
        c.sock.set_nonblocking(true).expect("nonblocking");
        poll.add(&c.sock, i).expect("epoll add");
    }
    let mut buf = vec![0u8; RBUF];
    let mut ready = Vec::new();
    while !ctl.stopped() {
        poll.wait(Duration::from_millis(100), &mut ready)
            .expect("epoll wait");
        for &(tok, r, _) in &ready {
            if !r {
                continue;
            }
            let (c, counter) = &mut conns[tok];
            let n = match c.sock.read(&mut buf) {
                Ok(0) => {
                    ctl.error("subscriber connection closed by the server");
                    ctl.stop.store(true, SeqCst);
                    break;
                }
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(e) => {
                    ctl.error(&format!("subscriber: {e}"));
                    break;
                }
            };
            let got = if latency && ctl.measuring.load(Relaxed) {
                let now = now_ns();
                counter.feed(&buf[..n], |payload| took.record(now, payload))
            } else {
                counter.feed(&buf[..n], |_| {})
            };
            if got.pings > 0 {
                let _ = c.sock.write_all(b"PONG\r\n");
            }
            if got.errs > 0 {
                ctl.errors.fetch_add(got.errs, Relaxed);
            }
            ctl.recv[id].0.fetch_add(got.msgs, Relaxed);
        }
    }
    took
}

fn split<T>(items: Vec<T>, parts: usize) -> Vec<Vec<T>> {
    let mut out: Vec<Vec<T>> = (0..parts).map(|_| Vec::new()).collect();
    for (i, x) in items.into_iter().enumerate() {
        out[i % parts].push(x);
    }
    out
}

/// Publishers and any number of subscribers, free running or at a fixed rate.
pub fn pubsub(a: &Args) {
    let t = Target::from(a);
    let (pubs, subs) = (a.usize("pubs", 1).max(1), a.usize("subs", 0));
    let size = a.usize("size", 128);
    let subjects = a.usize("subjects", 1).max(1);
    let latency = a.flag("latency");
    if latency && size < STAMP_BYTES {
        die("--latency needs --size 16 or more");
    }
    let wire = size + 24;
    let batch = a.usize("batch", (32 * 1024 / wire).clamp(1, 1024)).max(1);
    let queue = a.opt("queue").map(str::to_string);
    let fan = match (&queue, subs) {
        (_, 0) => 0,
        (Some(_), _) => 1,
        (None, n) => n as u64,
    };
    let window = (a.u64("inflight-mb", 16) * 1_000_000 / wire as u64)
        .max(fan * batch as u64 * pubs as u64 * 2);
    let pub_threads = a.usize("pub-threads", 1).clamp(1, pubs);
    let sub_threads = a.usize("sub-threads", 1).clamp(1, subs.max(1));
    let rate = a.f64("rate", 0.0) / pub_threads as f64;
    // Publishers and subscribers may sit on different servers of a cluster.
    let pub_at = t.servers[a.usize("pub-server", 0) % t.servers.len()];
    let sub_at = t.servers[a.usize("sub-server", 0) % t.servers.len()];
    let ctl = Ctl::new(pub_threads, sub_threads);

    let topic = if subjects == 1 { "bench.t0" } else { "bench.*" };
    let mut sub_conns = Vec::new();
    for _ in 0..subs {
        let mut c = t.connect_to(sub_at);
        let q = queue.as_deref().unwrap_or("");
        c.sock
            .write_all(format!("SUB {topic} {q} 1\r\n").as_bytes())
            .expect("sub");
        c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
        sub_conns.push(c);
    }
    if sub_at != pub_at {
        thread::sleep(Duration::from_millis(500)); // interest has to reach the other server
    }
    let pub_conns: Vec<Conn> = (0..pubs).map(|_| t.connect_to(pub_at)).collect();

    let mut readers = Vec::new();
    if subs > 0 {
        for (i, part) in split(sub_conns, sub_threads).into_iter().enumerate() {
            let ctl = ctl.clone();
            readers.push(thread::spawn(move || reader(part, latency, ctl, i)));
        }
    }
    let mut writers = Vec::new();
    for (i, part) in split(pub_conns, pub_threads).into_iter().enumerate() {
        let ctl = ctl.clone();
        let spec = PubSpec {
            batch,
            size,
            subjects,
            rate,
            latency,
            fan,
            window,
        };
        writers.push(thread::spawn(move || publisher(part, spec, ctl, i)));
    }
    let mut v = timed(a, &t, &ctl, false);
    let secs = v["secs"].as_f64().unwrap_or(1.0);
    if let (true, Some(per)) = (fan > 0, v["server"]["cpu_us_per_msg"].as_f64()) {
        let ratio =
            v["sent"].as_f64().unwrap_or(0.0) / v["received"].as_f64().unwrap_or(1.0).max(1.0);
        v["server"]["cpu_us_per_delivery"] = json!(r4(per * ratio));
    }
    let moved = v["sent"].as_f64().unwrap_or(0.0) + v["received"].as_f64().unwrap_or(0.0);
    v["payload_mb_per_s"] = json!(r2(moved * size as f64 / 1e6 / secs));
    let took: Vec<Latency> = readers.into_iter().filter_map(|h| h.join().ok()).collect();
    let (due, sent) = took
        .into_iter()
        .map(|took| (took.due, took.sent))
        .unzip::<_, _, Vec<_>, Vec<_>>();
    for w in writers {
        let _ = w.join();
    }
    if latency {
        v["latency_us"] = merge_hists(due).to_json();
        v["from_sending_us"] = merge_hists(sent).to_json();
    }
    emit(a, v);
}
