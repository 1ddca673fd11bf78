//! Request/reply: many connections with a window of outstanding requests on each, one epoll
//! thread for the requesters and one for the responders. With a rate, latency counts from the
//! moment a request was due, so that a stalled server cannot hide.

use crate::args::Args;
use crate::cost::{now_ns, r2, tight_timers};
use crate::hist::Hist;
use crate::poll::Poll;
use crate::run::{Ctl, Target, emit, timed};
use crate::wire::{Conn, Frame, digits, put_num, put_pub};
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::Duration;

/// What a requester sends, and how fast.
struct Load {
    subject: String,
    body: Vec<u8>,
    /// Requests outstanding on each connection.
    window: usize,
    /// Requests per second in all; 0: as fast as replies come back.
    rate: f64,
}

struct Client {
    c: Conn,
    inbox: Vec<u8>,
    free: Vec<u32>,
    started: Vec<u64>,
    blocked: bool,
}

/// Runs until `ctl.stop`; returns latencies of the measuring window.
fn requester(conns: Vec<Conn>, load: Load, ctl: Arc<Ctl>, id: usize) -> Hist {
    tight_timers();
    let mut hist = Hist::default();
    let mut poll = Poll::new().expect("epoll");
    let mut clients: Vec<Client> = Vec::new();
    for (i, mut c) in conns.into_iter().enumerate() {
        let inbox = format!("_INBOX.r{}x{id}x{i}.", std::process::id()).into_bytes();
        c.out.extend_from_slice(
            format!("SUB {}* 1\r\n", String::from_utf8_lossy(&inbox)).as_bytes(),
        );
        c.sync().expect("subscribe inbox");
        c.sock.set_nonblocking(true).expect("nonblocking");
        poll.add(&c.sock, i).expect("epoll add");
        clients.push(Client {
            c,
            inbox,
            free: (0..load.window as u32).rev().collect(),
            started: vec![0; load.window],
            blocked: false,
        });
    }
    let t0 = now_ns();
    let mut issued = 0u64;
    let mut turn = 0usize;
    let mut ready = Vec::new();
    let mut size = Vec::new();
    put_num(&mut size, load.body.len() as u64);

    let send = |cl: &mut Client, at: u64| {
        let slot = cl.free.pop().expect("free slot");
        cl.started[slot as usize] = at;
        let o = &mut cl.c.out;
        o.extend_from_slice(b"PUB ");
        o.extend_from_slice(load.subject.as_bytes());
        o.push(b' ');
        o.extend_from_slice(&cl.inbox);
        put_num(o, slot as u64);
        o.push(b' ');
        o.extend_from_slice(&size);
        o.extend_from_slice(b"\r\n");
        o.extend_from_slice(&load.body);
        o.extend_from_slice(b"\r\n");
    };

    while !ctl.stopped() {
        // Issue what may be issued now.
        let mut timeout = Duration::from_millis(100);
        if load.rate > 0.0 {
            let n = clients.len();
            loop {
                let due = t0 + (issued as f64 / load.rate * 1e9) as u64;
                let now = now_ns();
                if due > now {
                    timeout = Duration::from_nanos(due - now);
                    break;
                }
                let Some(k) = (0..n)
                    .map(|k| (turn + k) % n)
                    .find(|k| !clients[*k].free.is_empty())
                else {
                    break;
                };
                turn = k + 1;
                // Latency counts from the moment the request was due.
                send(&mut clients[k], due);
                issued += 1;
                if !flush(&mut clients[k], &poll, k, &ctl) {
                    return hist;
                }
            }
        } else {
            for (k, cl) in clients.iter_mut().enumerate() {
                if cl.free.is_empty() || cl.blocked {
                    continue;
                }
                let now = now_ns();
                while !cl.free.is_empty() {
                    send(cl, now);
                    issued += 1;
                }
                if !flush(cl, &poll, k, &ctl) {
                    return hist;
                }
            }
        }
        ctl.sent[id].0.store(issued, Relaxed);
        poll.wait(timeout, &mut ready).expect("epoll wait");
        for &(tok, r, w) in &ready {
            let cl = &mut clients[tok];
            if w && !flush(cl, &poll, tok, &ctl) {
                return hist;
            }
            if !r {
                continue;
            }
            match cl.c.fill() {
                Ok(0) => {
                    ctl.error("connection closed by the server");
                    return hist;
                }
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(e) => {
                    ctl.error(&e.to_string());
                    return hist;
                }
            }
            let now = now_ns();
            let measuring = ctl.measuring.load(Relaxed);
            let mut got = 0;
            loop {
                match cl.c.next() {
                    Ok(None) => break,
                    Ok(Some(Frame::Msg {
                        subject, hdr, body, ..
                    })) => {
                        let slot = digits(&cl.c.slice(&subject)[cl.inbox.len()..]) as u32;
                        let b = cl.c.slice(&body);
                        if hdr > 0 {
                            ctl.error(&format!(
                                "bad reply: {}",
                                String::from_utf8_lossy(&b[..b.len().min(200)])
                            ));
                        }
                        if measuring {
                            hist.record(now.saturating_sub(cl.started[slot as usize]));
                        }
                        cl.free.push(slot);
                        got += 1;
                    }
                    Ok(Some(Frame::Ping)) => cl.c.out.extend_from_slice(b"PONG\r\n"),
                    Ok(Some(Frame::Err(r))) => {
                        ctl.error(&String::from_utf8_lossy(cl.c.slice(&r)));
                    }
                    Ok(Some(_)) => {}
                    Err(e) => {
                        ctl.error(&e.to_string());
                        return hist;
                    }
                }
            }
            ctl.recv[id].0.fetch_add(got, Relaxed);
        }
    }
    hist
}

fn flush(cl: &mut Client, poll: &Poll, tok: usize, ctl: &Ctl) -> bool {
    match cl.c.flush() {
        Ok(done) => {
            if done == cl.blocked {
                cl.blocked = !done;
                let _ = poll.want_write(&cl.c.sock, tok, !done);
            }
            true
        }
        Err(e) => {
            ctl.error(&e.to_string());
            false
        }
    }
}

/// Answers every request on `subject` with `body`.
fn responder(mut conns: Vec<Conn>, subject: &str, queue: &str, body: Vec<u8>, ctl: Arc<Ctl>) {
    let mut poll = Poll::new().expect("epoll");
    for (i, c) in conns.iter_mut().enumerate() {
        c.sock
            .write_all(format!("SUB {subject} {queue} 1\r\n").as_bytes())
            .expect("sub");
        c.sync().expect("sub");
        c.sock.set_nonblocking(true).expect("nonblocking");
        poll.add(&c.sock, i).expect("epoll add");
    }
    let mut ready = Vec::new();
    while !ctl.stopped() {
        poll.wait(Duration::from_millis(100), &mut ready)
            .expect("epoll wait");
        for &(tok, ..) in &ready {
            let c = &mut conns[tok];
            match c.fill() {
                Ok(0) => return ctl.error("responder closed by the server"),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(e) => return ctl.error(&e.to_string()),
            }
            let mut out = std::mem::take(&mut c.out);
            while let Ok(Some(f)) = c.next() {
                match f {
                    Frame::Msg { reply, .. } if !reply.is_empty() => {
                        put_pub(&mut out, c.slice(&reply), b"", &body)
                    }
                    Frame::Ping => out.extend_from_slice(b"PONG\r\n"),
                    _ => {}
                }
            }
            c.out = out;
            while !matches!(c.flush(), Ok(true) | Err(_)) {
                thread::sleep(Duration::from_micros(20));
            }
        }
    }
}

/// Requesters and responders, free running or at a fixed rate.
pub fn reqrep(a: &Args) {
    let t = Target::from(a);
    let size = a.usize("size", 128);
    let responders = a.usize("responders", 1).max(1);
    let n = a.usize("conns", 1).max(1);
    let ctl = Ctl::new(1, 1);
    let rc: Vec<Conn> = (0..responders).map(|_| t.connect()).collect();
    let queue = if responders > 1 { "workers" } else { "" };
    let body = vec![b'r'; size];
    let h = {
        let (ctl, body, queue) = (ctl.clone(), body.clone(), queue.to_string());
        thread::spawn(move || responder(rc, "bench.service", &queue, body, ctl))
    };
    thread::sleep(Duration::from_millis(300));
    let load = Load {
        subject: "bench.service".into(),
        body,
        window: a.usize("window", 1),
        rate: a.f64("rate", 0.0),
    };
    let conns = (0..n).map(|_| t.connect()).collect();
    let v = drive(a, &t, conns, load, ctl);
    let _ = h.join();
    emit(a, v);
}

/// Start one requester thread, measure, add latencies; costs per reply.
fn drive(a: &Args, t: &Target, conns: Vec<Conn>, load: Load, ctl: Arc<Ctl>) -> Value {
    let size = load.body.len();
    let h = {
        let ctl = ctl.clone();
        thread::spawn(move || requester(conns, load, ctl, 0))
    };
    let mut v = timed(a, t, &ctl, true);
    v["latency_us"] = h.join().map(|h| h.to_json()).unwrap_or(Value::Null);
    let per_s = v["received_per_s"].as_f64().unwrap_or(0.0);
    v["payload_mb_per_s"] = json!(r2(per_s * size as f64 / 1e6));
    v
}
