//! Request engine: many connections with a window of outstanding requests on each, on one
//! thread with epoll.
//!
//! Separate from the modes because request/reply, publishing to a stream, reading by subject
//! and API calls are all the same: send to a subject, wait for one answer, judge it. With a
//! rate, latency counts from the moment a request was due, so that a stalled server cannot
//! hide.

use crate::args::Args;
use crate::cost::{Rng, now_ns, r2, tight_timers};
use crate::hist::Hist;
use crate::poll::Poll;
use crate::run::{Ctl, Target, timed};
use crate::wire::{Conn, Frame, digits, other, put_num};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::Duration;

/// Where requests go.
pub enum Subjects {
    One(String),
    /// `prefix` and a number below `n`, in order or at random.
    Many {
        prefix: String,
        n: u64,
        random: bool,
    },
}

/// What a requester sends, and how fast.
pub struct Load {
    pub subjects: Subjects,
    pub body: Vec<u8>,
    /// Requests outstanding on each connection.
    pub window: usize,
    /// Requests per second in all; 0: as fast as replies come back.
    pub rate: f64,
    /// Requests in all; 0: until told to stop.
    pub limit: u64,
    /// Whether an answer, headers and body, is what was asked for.
    pub ok: fn(hdr: &[u8], body: &[u8]) -> bool,
}

struct Client {
    c: Conn,
    inbox: Vec<u8>,
    free: Vec<u32>,
    started: Vec<u64>,
    blocked: bool,
}

struct Requester {
    load: Load,
    /// The length of the body, in digits.
    size: Vec<u8>,
    clients: Vec<Client>,
    poll: Poll,
    ctl: Arc<Ctl>,
    hist: Hist,
    rng: Rng,
    began: u64,
    issued: u64,
    /// Whose turn it is at a fixed rate.
    turn: usize,
}

/// Runs until `ctl.stop`; returns latencies of the measuring window.
pub fn requester(conns: Vec<Conn>, load: Load, ctl: Arc<Ctl>) -> Hist {
    tight_timers();
    let mut r = Requester::new(conns, load, ctl).expect("subscribe inboxes");
    if let Err(e) = r.run() {
        r.ctl.error(&e.to_string());
    }
    r.hist
}

impl Requester {
    fn new(conns: Vec<Conn>, load: Load, ctl: Arc<Ctl>) -> io::Result<Requester> {
        let poll = Poll::new()?;
        let mut clients = Vec::new();
        for (i, mut c) in conns.into_iter().enumerate() {
            let inbox = format!("_INBOX.r{}x{i}.", std::process::id());
            c.out
                .extend_from_slice(format!("SUB {inbox}* 1\r\n").as_bytes());
            c.sync()?;
            c.sock.set_nonblocking(true)?;
            poll.add(&c.sock, i)?;
            clients.push(Client {
                c,
                inbox: inbox.into_bytes(),
                free: (0..load.window as u32).rev().collect(),
                started: vec![0; load.window],
                blocked: false,
            });
        }
        let mut size = Vec::new();
        put_num(&mut size, load.body.len() as u64);
        Ok(Requester {
            load,
            size,
            clients,
            poll,
            ctl,
            hist: Hist::default(),
            rng: Rng::new(99),
            began: now_ns(),
            issued: 0,
            turn: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut ready = Vec::new();
        while !self.ctl.stopped() {
            let timeout = if self.load.rate > 0.0 {
                self.issue_due()?
            } else {
                self.issue_all()?;
                Duration::from_millis(100)
            };
            self.ctl.sent[0].0.store(self.issued, Relaxed);
            self.poll.wait(timeout, &mut ready)?;
            for &(k, readable, writable) in &ready {
                if writable {
                    self.flush(k)?;
                }
                if readable {
                    self.receive(k)?;
                }
            }
        }
        Ok(())
    }

    /// Issues what is due; returns how long nothing else is.
    fn issue_due(&mut self) -> io::Result<Duration> {
        let n = self.clients.len();
        loop {
            let due = self.began + (self.issued as f64 / self.load.rate * 1e9) as u64;
            let now = now_ns();
            if due > now {
                return Ok(Duration::from_nanos(due - now));
            }
            let Some(k) = (0..n)
                .map(|k| (self.turn + k) % n)
                .find(|k| !self.clients[*k].free.is_empty())
            else {
                return Ok(Duration::from_millis(100));
            };
            self.turn = k + 1;
            // Latency counts from the moment the request was due.
            self.send(k, due);
            self.flush(k)?;
        }
    }

    /// Fills every window.
    fn issue_all(&mut self) -> io::Result<()> {
        for k in 0..self.clients.len() {
            if self.clients[k].free.is_empty() || self.clients[k].blocked {
                continue;
            }
            let now = now_ns();
            while !self.clients[k].free.is_empty()
                && (self.load.limit == 0 || self.issued < self.load.limit)
            {
                self.send(k, now);
            }
            self.flush(k)?;
        }
        Ok(())
    }

    fn send(&mut self, k: usize, at: u64) {
        let client = &mut self.clients[k];
        let slot = client.free.pop().expect("free slot");
        client.started[slot as usize] = at;
        let out = &mut client.c.out;
        out.extend_from_slice(b"PUB ");
        match &self.load.subjects {
            Subjects::One(subject) => out.extend_from_slice(subject.as_bytes()),
            Subjects::Many { prefix, n, random } => {
                out.extend_from_slice(prefix.as_bytes());
                let i = if *random {
                    self.rng.below(*n)
                } else {
                    self.issued % n
                };
                put_num(out, i);
            }
        }
        out.push(b' ');
        out.extend_from_slice(&client.inbox);
        put_num(out, slot as u64);
        out.push(b' ');
        out.extend_from_slice(&self.size);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.load.body);
        out.extend_from_slice(b"\r\n");
        self.issued += 1;
    }

    fn flush(&mut self, k: usize) -> io::Result<()> {
        let client = &mut self.clients[k];
        let done = client.c.flush()?;
        if done == client.blocked {
            client.blocked = !done;
            self.poll.want_write(&client.c.sock, k, !done)?;
        }
        Ok(())
    }

    /// Reads once and takes every whole answer.
    fn receive(&mut self, k: usize) -> io::Result<()> {
        let client = &mut self.clients[k];
        match client.c.fill() {
            Ok(0) => return Err(other("connection closed by the server")),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) => return Err(e),
        }
        let now = now_ns();
        let measuring = self.ctl.measuring.load(Relaxed);
        let mut got = 0;
        while let Some(frame) = client.c.next()? {
            match frame {
                Frame::Msg {
                    subject, hdr, body, ..
                } => {
                    let slot = digits(&client.c.slice(&subject)[client.inbox.len()..]) as u32;
                    let bytes = client.c.slice(&body);
                    // When all ends whoever answers may go first.
                    if !(self.load.ok)(&bytes[..hdr], &bytes[hdr..]) && !self.ctl.stopped() {
                        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
                        self.ctl.error(&format!("bad reply: {shown}"));
                    }
                    if measuring {
                        self.hist
                            .record(now.saturating_sub(client.started[slot as usize]));
                    }
                    client.free.push(slot);
                    got += 1;
                }
                Frame::Ping => client.c.out.extend_from_slice(b"PONG\r\n"),
                Frame::Err(text) => self
                    .ctl
                    .error(&String::from_utf8_lossy(client.c.slice(&text))),
                _ => {}
            }
        }
        self.ctl.recv[0].0.fetch_add(got, Relaxed);
        if got == 0 {
            // Nothing to issue will carry a PONG away.
            self.flush(k)?;
        }
        Ok(())
    }
}

/// Starts one requester thread, measures, adds latencies; costs per reply.
pub fn drive(a: &Args, t: &Target, conns: Vec<Conn>, load: Load, ctl: Arc<Ctl>) -> Value {
    let size = load.body.len();
    let h = {
        let ctl = ctl.clone();
        thread::spawn(move || requester(conns, load, ctl))
    };
    let mut v = timed(a, t, &ctl, true);
    v["latency_us"] = h.join().map(|h| h.to_json()).unwrap_or(Value::Null);
    let per_s = v["received_per_s"].as_f64().unwrap_or(0.0);
    v["payload_mb_per_s"] = json!(r2(per_s * size as f64 / 1e6));
    v
}

/// So many connections to one server.
pub fn connect_many(t: &Target, addr: SocketAddr, n: usize) -> Vec<Conn> {
    (0..n.max(1)).map(|_| t.connect_to(addr)).collect()
}
