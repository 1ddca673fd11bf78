//! Slow consumers beside healthy ones: many subscribers that never read, a publisher, and a
//! few subscribers that read everything and check the sequence number in each payload.
//!
//! Invariant of a good server: the slow are cut off, the healthy miss nothing. The publisher
//! stays within what the healthy have seen, so that these are never slow themselves.

use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::run::{Target, emit};
use crate::wire::{Conn, ConnOpts, Frame, put_pub};
use serde_json::json;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const SUBJECT: &str = "soak.slow";

/// Reads until `want` messages came or nothing came for `patience`; returns how many were
/// missing or out of order.
fn healthy(mut c: Conn, want: u64, seen: Arc<AtomicU64>, patience: Duration) -> u64 {
    let _ = c.sock.set_read_timeout(Some(patience));
    let (mut next, mut wrong) = (0u64, 0u64);
    while next < want {
        match c.frame() {
            Ok(Frame::Msg { body, .. }) => {
                let stamp = c.slice(&body).first_chunk();
                let seq = stamp.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes));
                if seq != next {
                    wrong += seq.abs_diff(next).min(want);
                }
                next = seq.saturating_add(1);
                seen.store(next, Relaxed);
            }
            Ok(_) => {}
            Err(e) => {
                eprintln!("loadgen: healthy subscriber after {next} of {want}: {e}");
                return wrong + (want - next);
            }
        }
    }
    wrong
}

/// How many of the slow were cut off: what they read at last ends instead of blocking.
fn cut_off(mut conns: Vec<Conn>) -> usize {
    let all = conns.len();
    let mut buf = vec![0u8; 256 * 1024];
    conns.retain(|c| c.sock.set_nonblocking(true).is_ok());
    let mut last_data = Instant::now();
    while !conns.is_empty() && last_data.elapsed() < Duration::from_secs(1) {
        conns.retain_mut(|c| match c.sock.read(&mut buf) {
            Ok(n) => {
                last_data = Instant::now();
                n > 0
            }
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        });
        thread::sleep(Duration::from_millis(1));
    }
    all - conns.len()
}

/// One round: open the slow and the healthy, publish `--mb` megabytes, count.
pub fn slow_consumers(a: &Args) {
    let t = Target::from(a);
    let slow = a.usize("slow", 1000);
    let well = a.usize("healthy", 4).max(1);
    let size = a.usize("size", 1024).max(8);
    let want = a.u64("mb", 4) * 1_000_000 / size as u64;
    let window = a.u64("window", 64);
    let patience = Duration::from_secs_f64(a.f64("patience", 20.0));
    let before = Snap::take(&t.pids);

    let mut slow_conns = Vec::with_capacity(slow);
    for i in 0..slow {
        let o = ConnOpts {
            rbuf: 2048,
            source: Some(Ipv4Addr::new(127, 0, 3, 1)),
            recv_buffer: Some(4096),
            ..t.opts()
        };
        let mut c =
            Conn::connect(t.servers[0], &o).unwrap_or_else(|e| die(&format!("slow {i}: {e}")));
        c.out
            .extend_from_slice(format!("SUB {SUBJECT} 1\r\n").as_bytes());
        c.sync().unwrap_or_else(|e| die(&format!("slow {i}: {e}")));
        slow_conns.push(c);
    }
    let mut readers = Vec::new();
    for _ in 0..well {
        let mut c = t.connect();
        c.out
            .extend_from_slice(format!("SUB {SUBJECT} 1\r\n").as_bytes());
        c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
        let seen = Arc::new(AtomicU64::new(0));
        let theirs = seen.clone();
        readers.push((
            seen,
            thread::spawn(move || healthy(c, want, theirs, patience)),
        ));
    }

    let started = Instant::now();
    let mut publisher = t.connect();
    let mut payload = vec![b's'; size];
    let mut sent = 0;
    while sent < want && readers.iter().any(|(_, reader)| !reader.is_finished()) {
        let slowest = readers
            .iter()
            .map(|(seen, _)| seen.load(Relaxed))
            .min()
            .unwrap_or(0);
        if sent >= slowest + window {
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        publisher.out.clear();
        let burst_end = want.min(slowest + window);
        while sent < burst_end {
            payload[..8].copy_from_slice(&sent.to_le_bytes());
            put_pub(&mut publisher.out, SUBJECT.as_bytes(), b"", &payload);
            sent += 1;
        }
        let out = std::mem::take(&mut publisher.out);
        publisher
            .sock
            .write_all(&out)
            .unwrap_or_else(|e| die(&format!("publish: {e}")));
    }
    let lost: u64 = readers
        .into_iter()
        .map(|(_, r)| r.join().unwrap_or(want))
        .sum();
    let secs = started.elapsed().as_secs_f64();
    let held = Snap::take(&t.pids);
    let cut = cut_off(slow_conns);
    let mut v = Snap::cost(&before, &held, sent);
    v["sent"] = json!(sent);
    v["delivered_per_s"] = json!(r2((sent * well as u64) as f64 / secs));
    v["lost"] = json!(lost);
    v["slow"] = json!(slow);
    v["cut"] = json!(cut);
    v["rss_kb_before"] = json!(before.rss_kb());
    v["rss_kb_held"] = json!(held.rss_kb());
    emit(a, v);
}
