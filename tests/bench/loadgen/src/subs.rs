//! A large subscription set: memory, insert, match at random subjects, remove.

use crate::args::{Args, die};
use crate::cost::{Rng, Snap, r2, r4};
use crate::pubsub::reader;
use crate::run::{Ctl, Target, emit, settle, timed};
use crate::wire::{Conn, put_pub};
use serde_json::json;
use std::io::Write;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::Duration;

/// N subscriptions: memory, insert cost, match cost over random subjects, removal cost.
pub fn subs(a: &Args) {
    let t = Target::from(a);
    let n = a.u64("n", 1_000_000);
    let k = a.usize("conns", 10).max(1);
    let wild = a.u64("wild-pct", 0); // share of subscriptions that end in a wildcard
    let size = a.usize("size", 16);
    let name = |i: u64| format!("dev.{}.{}.{}", i % 97, (i / 97) % 1009, i);
    let before = Snap::take(&t.pids);
    let mut conns: Vec<Conn> = (0..k).map(|_| t.connect()).collect();
    for i in 0..n {
        let c = &mut conns[(i % k as u64) as usize];
        let s = name(i);
        if wild > 0 && i % 100 < wild {
            c.out
                .extend_from_slice(format!("SUB {s}.* {}\r\n", i / k as u64 + 1).as_bytes());
        } else {
            c.out
                .extend_from_slice(format!("SUB {s} {}\r\n", i / k as u64 + 1).as_bytes());
        }
        if c.out.len() > 64 * 1024 {
            c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
        }
    }
    for c in &mut conns {
        c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
    }
    let filled = Snap::take(&t.pids);
    thread::sleep(Duration::from_secs(3));
    let settled = Snap::take(&t.pids);

    // Publish to random existing subjects; every message has exactly one receiver.
    let ctl = Ctl::new(1, 1);
    let rd = {
        let ctl = ctl.clone();
        thread::spawn(move || reader(conns, false, ctl, 0))
    };
    let wr = {
        let (ctl, mut c) = (ctl.clone(), t.connect());
        let payload = vec![b'x'; size];
        thread::spawn(move || {
            let mut rng = Rng::new(42);
            while !ctl.stopped() {
                c.out.clear();
                let mut m = 0;
                while c.out.len() < 32 * 1024 {
                    let i = rng.below(n);
                    let s = name(i);
                    if wild > 0 && i % 100 < wild {
                        put_pub(&mut c.out, format!("{s}.x").as_bytes(), b"", &payload);
                    } else {
                        put_pub(&mut c.out, s.as_bytes(), b"", &payload);
                    }
                    m += 1;
                }
                while ctl.sent() > ctl.recv() + 50_000 && !ctl.stopped() {
                    thread::sleep(Duration::from_micros(50));
                }
                if let Err(e) = c.sock.write_all(&c.out) {
                    ctl.error(&format!("publish: {e}"));
                    return;
                }
                ctl.sent[0].0.fetch_add(m, Relaxed);
            }
        })
    };
    let mut v = timed(a, &t, &ctl, false);
    let _ = wr.join();
    let closing = Snap::take(&t.pids);
    let _ = rd.join(); // drops the connections: the server removes every subscription
    settle(&t, Duration::from_secs(60));
    let after = Snap::take(&t.pids);
    let nn = n as f64;
    v["bytes_per_sub"] = json!(r2((settled.rss_kb() as f64 - before.rss_kb() as f64)
        * 1024.0
        / nn));
    v["insert_cpu_us"] = json!(r4((filled.cpu_ns() - before.cpu_ns()) as f64 / 1e3 / nn));
    v["insert_per_s"] = json!(r2(nn / filled.at.duration_since(before.at).as_secs_f64()));
    v["remove_cpu_us"] = json!(r4((after.cpu_ns() - closing.cpu_ns()) as f64 / 1e3 / nn));
    emit(a, v);
}
