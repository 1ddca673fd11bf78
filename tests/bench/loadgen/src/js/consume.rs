//! Reading a filled stream to its end, pulled or pushed, acknowledged or not.
//!
//! The clock runs from the creation of the consumers (push delivery begins there) until every
//! message has been read and, with acknowledgement, the server counts every message as
//! acknowledged. Afterwards each consumer must say that it delivered every message exactly
//! once.

use super::publish::fill_with;
use super::{api, call, create_stream, delete_stream, place, stream_info, subjects_of};
use crate::args::{Args, die};
use crate::cost::{Snap, tight_timers};
use crate::poll::Poll;
use crate::run::{Ctl, Target, emit, flaw, until};
use crate::wire::{Conn, Frame, other, put_pub};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::*;
use std::thread;
use std::time::{Duration, Instant};

/// How often the server is asked whether all is acknowledged.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// What to read, and how.
struct Plan {
    stream: String,
    msgs: u64,
    pull: bool,
    acking: bool,
    batch: u64,
    /// All readers on one consumer instead of one each.
    shared: bool,
}

struct Reader {
    c: Conn,
    consumer: String,
    inbox: String,
    /// Messages asked for and not yet received.
    credit: u64,
    got: u64,
    /// What goes out after the messages at hand are read.
    acks: Vec<u8>,
}

/// `--how pull|push`, `--ack none|explicit|all`, `--readers K`, each with a consumer of its
/// own or (`--shared`) all on one. `--fill N` makes the stream first and removes it after.
pub fn consume(a: &Args) {
    let t = Target::from(a);
    let name = a.str("stream", "BENCH").to_string();
    let mut c = t.connect();
    let fill = a.u64("fill", 0);
    if fill > 0 {
        create_stream(a, &mut c, &name);
        let addr = place(a, &t, &name);
        let subjects = subjects_of(a, &format!("{name}.s"));
        fill_with(&t, addr, fill, subjects, a.usize("size", 128));
        thread::sleep(Duration::from_secs_f64(a.f64("settle", 0.5)));
    }
    let plan = Plan {
        msgs: stream_info(&mut c, &name)["state"]["messages"]
            .as_u64()
            .unwrap_or(0),
        stream: name.clone(),
        pull: a.str("how", "pull") != "push",
        acking: a.str("ack", "none") != "none",
        batch: a.u64("batch", 500).max(2),
        shared: a.flag("shared"),
    };
    let addr = place(a, &t, &name);
    let mut readers: Vec<Reader> = (0..a.usize("readers", 1).max(1))
        .map(|i| subscribe(&t, addr, i, plan.shared))
        .collect();
    let mut consumers: Vec<String> = readers.iter().map(|r| r.consumer.clone()).collect();
    consumers.dedup();
    for consumer in &consumers {
        api(
            &mut c,
            &format!("CONSUMER.DELETE.{name}.{consumer}"),
            &Value::Null,
        );
    }
    let want = plan.msgs * consumers.len() as u64;
    let (acking, msgs) = (plan.acking, plan.msgs);
    let ctl = Ctl::new(1, 1);
    let start = Snap::take(&t.pids);
    for (consumer, reader) in consumers.iter().zip(&readers) {
        create_consumer(a, &mut c, &plan, consumer, &reader.inbox);
    }
    let h = {
        let ctl = ctl.clone();
        thread::spawn(move || {
            tight_timers();
            if let Err(e) = read_all(&mut readers, &plan, &ctl) {
                ctl.error(&e.to_string());
            }
        })
    };
    let mut asked = Instant::now();
    let mut v = until(a, &t, &ctl, &start, || {
        if ctl.errors.load(Relaxed) > 0 {
            return true;
        }
        if ctl.recv() < want || (acking && asked.elapsed() < ASK_EVERY) {
            return false;
        }
        asked = Instant::now();
        !acking || consumers.iter().all(|k| all_acked(&mut c, &name, k))
    });
    let _ = h.join();
    v["wanted"] = json!(want);
    if ctl.recv() != want {
        flaw(&mut v, &format!("wanted {want}, received {}", ctl.recv()));
    }
    for consumer in &consumers {
        check_consumer(&mut c, &name, consumer, msgs, &mut v);
    }
    if fill > 0 {
        delete_stream(&mut c, &name);
    }
    emit(a, v);
}

/// A connection with an inbox for one reader.
fn subscribe(t: &Target, addr: SocketAddr, i: usize, shared: bool) -> Reader {
    let mut c = t.connect_to(addr);
    let inbox = format!("_INBOX.c{}x{i}", std::process::id());
    c.out
        .extend_from_slice(format!("SUB {inbox} 1\r\n").as_bytes());
    c.sync().unwrap_or_else(|e| die(&format!("subscribe: {e}")));
    Reader {
        c,
        consumer: if shared {
            "lgshared".into()
        } else {
            format!("lg{i}")
        },
        inbox,
        credit: 0,
        got: 0,
        acks: Vec::new(),
    }
}

fn create_consumer(a: &Args, c: &mut Conn, plan: &Plan, consumer: &str, inbox: &str) {
    let mut cfg = json!({
        "name": consumer, "durable_name": consumer, "ack_policy": a.str("ack", "none"),
        "deliver_policy": "all", "replay_policy": "instant",
        "max_ack_pending": a.u64("max-ack-pending", 20_000),
        "mem_storage": a.flag("mem-consumer"), "num_replicas": a.u64("consumer-replicas", 0),
    });
    if !plan.acking {
        cfg["max_ack_pending"] = json!(-1);
    }
    if plan.pull {
        cfg["max_waiting"] = json!(512);
    } else {
        cfg["deliver_subject"] = json!(inbox);
        cfg["flow_control"] = json!(true);
        cfg["idle_heartbeat"] = json!(5_000_000_000u64);
    }
    let subject = format!("CONSUMER.CREATE.{}.{consumer}", plan.stream);
    call(
        c,
        &subject,
        &json!({"stream_name": plan.stream, "config": cfg}),
    );
}

fn consumer_info(c: &mut Conn, stream: &str, consumer: &str) -> Value {
    let subject = format!("CONSUMER.INFO.{stream}.{consumer}");
    call(c, &subject, &Value::Null)
}

fn all_acked(c: &mut Conn, stream: &str, consumer: &str) -> bool {
    let info = consumer_info(c, stream, consumer);
    info["num_ack_pending"] == 0 && info["num_pending"] == 0
}

/// Every message delivered once and none outstanding, or a flaw of the result.
fn check_consumer(c: &mut Conn, stream: &str, consumer: &str, msgs: u64, v: &mut Value) {
    let info = consumer_info(c, stream, consumer);
    let said = |path: &str| info.pointer(path).and_then(Value::as_u64);
    let expected = [
        ("/delivered/consumer_seq", msgs),
        ("/num_pending", 0),
        ("/num_ack_pending", 0),
        ("/num_redelivered", 0),
    ];
    for (path, n) in expected {
        if said(path) != Some(n) {
            let is = said(path).map_or("nothing".into(), |n| n.to_string());
            flaw(v, &format!("{consumer}: {path} is {is}, not {n}"));
        }
    }
}

/// Reads until told to stop.
fn read_all(readers: &mut [Reader], plan: &Plan, ctl: &Arc<Ctl>) -> io::Result<()> {
    let mut poll = Poll::new()?;
    for (i, r) in readers.iter().enumerate() {
        r.c.sock.set_nonblocking(true)?;
        poll.add(&r.c.sock, i)?;
    }
    let mut ready = Vec::new();
    let mut blocked = vec![false; readers.len()];
    while !ctl.stopped() {
        for (i, r) in readers.iter_mut().enumerate() {
            if plan.pull && (plan.shared || r.got < plan.msgs) {
                r.ask(plan);
            }
            let done = r.c.flush()?;
            if done == blocked[i] {
                blocked[i] = !done;
                poll.want_write(&r.c.sock, i, !done)?;
            }
        }
        poll.wait(Duration::from_millis(100), &mut ready)?;
        for &(i, readable, _) in &ready {
            if readable {
                let got = readers[i].read(plan, ctl)?;
                ctl.recv[0].0.fetch_add(got, Relaxed);
            }
        }
    }
    Ok(())
}

impl Reader {
    /// Asks for more when half of what was asked for has come: one pull request is always
    /// under way while another is being answered.
    fn ask(&mut self, plan: &Plan) {
        while self.credit <= plan.batch / 2 {
            let n = if self.credit == 0 {
                plan.batch
            } else {
                plan.batch - plan.batch / 2
            };
            let body = format!("{{\"batch\":{n},\"expires\":30000000000}}");
            let subject = format!(
                "$JS.API.CONSUMER.MSG.NEXT.{}.{}",
                plan.stream, self.consumer
            );
            put_pub(
                &mut self.c.out,
                subject.as_bytes(),
                self.inbox.as_bytes(),
                body.as_bytes(),
            );
            self.credit += n;
        }
    }

    /// Reads once; returns how many messages came. Acknowledgements are queued.
    fn read(&mut self, plan: &Plan, ctl: &Ctl) -> io::Result<u64> {
        match self.c.fill() {
            Ok(0) => return Err(other("connection closed by the server")),
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(e) => return Err(e),
        }
        let mut got = 0;
        while let Some(frame) = self.c.next()? {
            match frame {
                Frame::Msg {
                    hdr, reply, body, ..
                } => {
                    let bytes = self.c.slice(&body);
                    match bytes.strip_prefix(b"NATS/1.0 ") {
                        // Flow control wants an answer, a heartbeat none.
                        Some(status) if hdr > 0 && status.starts_with(b"100") => {
                            if !reply.is_empty() {
                                put_pub(&mut self.acks, self.c.slice(&reply), b"", b"");
                            }
                        }
                        // A pull request that ended early: nothing here should end one.
                        Some(status) if hdr > 0 => {
                            ctl.error(&format!("status {}", String::from_utf8_lossy(status)));
                            self.credit = 0;
                        }
                        _ => {
                            if plan.acking {
                                put_pub(&mut self.acks, self.c.slice(&reply), b"", b"+ACK");
                            }
                            self.credit = self.credit.saturating_sub(1);
                            got += 1;
                        }
                    }
                }
                Frame::Ping => self.acks.extend_from_slice(b"PONG\r\n"),
                Frame::Err(text) => ctl.error(&String::from_utf8_lossy(self.c.slice(&text))),
                _ => {}
            }
        }
        self.got += got;
        self.c.out.extend_from_slice(&self.acks);
        self.acks.clear();
        Ok(got)
    }
}
