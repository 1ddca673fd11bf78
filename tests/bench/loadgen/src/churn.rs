//! Churn: connections and subscriptions that come and go, with the server's memory sampled
//! on the way. What comes back to where it was did not leak.

use crate::args::{Args, die};
use crate::cost::{Proc, Snap, r2};
use crate::run::{Target, emit, settle};
use crate::wire::{Conn, ConnOpts};
use serde_json::json;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A server at rest is given this long to return memory to the system.
const REST: Duration = Duration::from_secs(3);

/// Resident memory of the servers in KiB, now.
fn rss_kb(t: &Target) -> u64 {
    t.pids.iter().map(|pid| Proc::sample(*pid).rss_kb).sum()
}

/// Opens N connections with a subscription each and closes them, round after round.
pub fn connections(a: &Args) {
    let t = Target::from(a);
    let n = a.usize("conns", 10_000);
    let rounds = a.usize("rounds", 5);
    let before = Snap::take(&t.pids);
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for round in 0..rounds {
        // A source address per round, so that ports in TIME_WAIT are not in the way.
        let mut conns = Vec::with_capacity(n);
        for i in 0..n {
            let host = Ipv4Addr::new(
                127,
                1 + (i / 20_000) as u8,
                (round / 200) as u8,
                1 + (round % 200) as u8,
            );
            let o = ConnOpts {
                rbuf: 2048,
                source: Some(host),
                ..t.opts()
            };
            let mut c = Conn::connect(t.servers[0], &o)
                .unwrap_or_else(|e| die(&format!("round {round}, connection {i}: {e}")));
            c.out
                .extend_from_slice(format!("SUB churn.{i} 1\r\n").as_bytes());
            let _ = c.flush();
            conns.push(c);
        }
        for c in &mut conns {
            c.sync()
                .unwrap_or_else(|e| die(&format!("round {round}: {e}")));
        }
        open.push(rss_kb(&t));
        drop(conns);
        settle(&t, Duration::from_secs(20));
        std::thread::sleep(REST);
        closed.push(rss_kb(&t));
    }
    let after = Snap::take(&t.pids);
    let mut v = Snap::cost(&before, &after, (n * rounds) as u64);
    v["opened"] = json!(n * rounds);
    v["secs_per_round"] = json!(r2(started.elapsed().as_secs_f64() / rounds.max(1) as f64));
    v["rss_kb_before"] = json!(before.rss_kb());
    v["rss_kb_open"] = json!(open);
    v["rss_kb_closed"] = json!(closed);
    emit(a, v);
}

/// Keeps N subscriptions and replaces them by others, oldest first, for `--secs`.
pub fn subscriptions(a: &Args) {
    let t = Target::from(a);
    let n = a.u64("n", 100_000);
    let k = a.u64("conns", 10).max(1);
    let secs = Duration::from_secs_f64(a.f64("secs", 60.0));
    let per_turn = 1000; // replaced per connection before it waits for the server
    let before = Snap::take(&t.pids);
    let mut conns: Vec<Conn> = (0..k).map(|_| t.connect()).collect();
    let each = n / k;
    let subject = |conn: u64, sid: u64| format!("churn.{conn}.{}.{sid}", sid % 97);
    let sync = |c: &mut Conn| c.sync().unwrap_or_else(|e| die(&format!("churn: {e}")));
    for (i, c) in conns.iter_mut().enumerate() {
        for sid in 1..=each {
            let name = subject(i as u64, sid);
            c.out
                .extend_from_slice(format!("SUB {name} {sid}\r\n").as_bytes());
            if c.out.len() > 64 * 1024 {
                sync(c);
            }
        }
        sync(c);
    }
    let filled = rss_kb(&t);
    let started = Instant::now();
    let mut oldest = 1;
    let mut samples: Vec<u64> = Vec::new();
    let mut replaced = 0;
    while started.elapsed() < secs {
        let turn_end = oldest + per_turn;
        for (i, c) in conns.iter_mut().enumerate() {
            for sid in oldest..turn_end {
                let name = subject(i as u64, sid + each);
                let new = sid + each;
                c.out
                    .extend_from_slice(format!("UNSUB {sid}\r\nSUB {name} {new}\r\n").as_bytes());
            }
            sync(c);
        }
        oldest = turn_end;
        replaced += per_turn * k;
        // One sample per turnover of the whole set.
        if replaced / n > samples.len() as u64 {
            samples.push(rss_kb(&t));
        }
    }
    let after = Snap::take(&t.pids);
    let mut v = Snap::cost(&before, &after, replaced);
    v["replaced"] = json!(replaced);
    v["replaced_per_s"] = json!(r2(replaced as f64 / started.elapsed().as_secs_f64()));
    v["rss_kb_before"] = json!(before.rss_kb());
    v["rss_kb_filled"] = json!(filled);
    v["rss_kb_turnover"] = json!(samples);
    emit(a, v);
}
