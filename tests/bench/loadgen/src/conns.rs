//! Idle connections: what each costs in memory and CPU.

use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::run::{Target, emit};
use crate::wire::{Conn, ConnOpts, put_pub};
use serde_json::json;
use std::thread;
use std::time::Duration;

/// N idle connections: memory and idle CPU per connection.
pub fn conns(a: &Args) {
    let t = Target::from(a);
    let n = a.usize("conns", 1000);
    let subs_each = a.usize("subs-each", 1);
    let touch = a.usize("touch", 0); // messages delivered to every connection afterwards
    let size = a.usize("size", 128);
    let idle = Duration::from_secs_f64(a.f64("secs", 10.0));
    let before = Snap::take(&t.pids);
    let mut all = Vec::with_capacity(n);
    for i in 0..n {
        let o = ConnOpts {
            rbuf: 4096,
            source: Some(std::net::Ipv4Addr::new(127, 0, 1 + (i / 20_000) as u8, 1)),
            ..t.opts()
        };
        let mut c = Conn::connect(t.servers[0], &o)
            .unwrap_or_else(|e| die(&format!("connection {i}: {e}")));
        for s in 0..subs_each {
            c.out
                .extend_from_slice(format!("SUB conn.{i}.{s} {s}\r\n").as_bytes());
        }
        if subs_each > 0 {
            c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
        }
        all.push(c);
    }
    let opened = Snap::take(&t.pids);
    thread::sleep(Duration::from_secs(2));
    let settled = Snap::take(&t.pids);
    thread::sleep(idle);
    let after_idle = Snap::take(&t.pids);
    let per = |x: &Snap| r2((x.rss_kb() as f64 - before.rss_kb() as f64) / n as f64);
    let mut v = Snap::cost(&settled, &after_idle, 0);
    v["connects_per_s"] = json!(r2(
        n as f64 / opened.at.duration_since(before.at).as_secs_f64()
    ));
    v["connect_cpu_us"] = json!(r2((opened.cpu_ns() - before.cpu_ns()) as f64
        / 1e3
        / n as f64));
    v["rss_kb_per_conn"] = json!(per(&settled));
    if touch > 0 && subs_each > 0 {
        let mut p = t.connect();
        let payload = vec![b'x'; size];
        for _ in 0..touch {
            for i in 0..n {
                put_pub(&mut p.out, format!("conn.{i}.0").as_bytes(), b"", &payload);
                if p.out.len() > 65536 {
                    p.sync().unwrap_or_else(|e| die(&format!("touch: {e}")));
                }
            }
        }
        p.sync().unwrap_or_else(|e| die(&format!("touch: {e}")));
        for c in &mut all {
            for _ in 0..touch {
                c.frame().unwrap_or_else(|e| die(&format!("touch: {e}")));
            }
        }
        thread::sleep(Duration::from_secs(1));
        v["rss_kb_per_conn_touched"] = json!(per(&Snap::take(&t.pids)));
    }
    drop(all);
    thread::sleep(Duration::from_secs(3));
    v["rss_kb_per_conn_after_close"] = json!(per(&Snap::take(&t.pids)));
    emit(a, v);
}
