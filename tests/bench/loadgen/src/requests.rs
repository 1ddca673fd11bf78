//! Request/reply: the request engine on one side, responders of our own on the other.

use crate::args::Args;
use crate::poll::Poll;
use crate::requester::{Load, Subjects, connect_many, drive};
use crate::run::{Ctl, Target, emit};
use crate::wire::{Conn, Frame, put_pub};
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

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
        subjects: Subjects::One("bench.service".into()),
        body,
        window: a.usize("window", 1),
        rate: a.f64("rate", 0.0),
        limit: 0,
        ok: |hdr, _| hdr.is_empty(),
    };
    let conns = connect_many(&t, t.servers[0], n);
    let v = drive(a, &t, conns, load, ctl);
    let _ = h.join();
    emit(a, v);
}
