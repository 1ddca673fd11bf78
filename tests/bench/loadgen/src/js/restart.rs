//! How long a server is away: from the start of its program until a stream is back.

use super::ack_ok;
use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::run::{Target, emit, flaw};
use crate::wire::Conn;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long one question is given: a server that is just starting may drop it.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How long a server may take to end when told to.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Starts a server (`--cmd`) and times it until it greets; with `--stream`, until that
/// stream answers with its state (with `--msgs N`, with N messages) and stores one more
/// message at `--publish SUBJECT`. Then ends the server: `--end term|kill|leave`.
#[allow(clippy::zombie_processes)] // with `leave` it shall outlive this process
pub fn start(a: &Args) {
    let cmd = a.opt("cmd").unwrap_or_else(|| die("--cmd is needed"));
    let t = Target::from(a);
    let (stream, subject) = (a.opt("stream"), a.opt("publish"));
    let msgs = a.opt("msgs").map(|_| a.u64("msgs", 0));
    let limit = Duration::from_secs_f64(a.f64("limit", 300.0));
    let before = Snap::take(&[]);
    let began = Instant::now();
    let mut child = Command::new("/bin/sh")
        .args(["-c", &format!("exec {cmd}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| die(&format!("spawn: {e}")));
    let pid = child.id() as i32;
    let mut v = json!({ "errors": 0, "server_pid": pid });
    let mut wait = Wait {
        t: &t,
        child: &mut child,
        c: None,
        began,
        limit,
    };
    let back = wait.back(stream, msgs, subject, &mut v);
    let used = Snap::take(&[pid]);
    v["cpu_ms"] = json!(r2(used.cpu_ns() as f64 / 1e6));
    v["rss_mb"] = json!(r2(used.rss_kb() as f64 / 1024.0));
    v["machine"] = Snap::cost(&before, &used, 0)["machine"].clone();
    let how = a.str("end", "term");
    if how != "leave" || back.is_err() {
        let signal = if how == "kill" || back.is_err() {
            Signal::KILL
        } else {
            Signal::TERM
        };
        let asked = Instant::now();
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, signal);
        }
        while matches!(child.try_wait(), Ok(None)) && asked.elapsed() < STOP_MAX {
            thread::sleep(Duration::from_millis(1));
        }
        if matches!(child.try_wait(), Ok(None)) {
            let _ = child.kill();
            let _ = child.wait();
            flaw(&mut v, "the server had to be killed");
        }
        v["stop_ms"] = json!(ms(asked));
    }
    if let Err(e) = back {
        die(&format!("{e}; so far {v}"));
    }
    emit(a, v);
}

fn ms(since: Instant) -> f64 {
    r2(since.elapsed().as_secs_f64() * 1e3)
}

/// A server that is expected to come up.
struct Wait<'a> {
    t: &'a Target,
    child: &'a mut Child,
    c: Option<Conn>,
    began: Instant,
    limit: Duration,
}

impl Wait<'_> {
    fn back(
        &mut self,
        stream: Option<&str>,
        msgs: Option<u64>,
        subject: Option<&str>,
        v: &mut Value,
    ) -> Result<(), String> {
        self.ask("connect", |_| Some(()))?;
        v["connect_ms"] = json!(ms(self.began));
        if let Some(name) = stream {
            let info = format!("$JS.API.STREAM.INFO.{name}");
            let mut last = Value::Null;
            let there = self.ask("stream", |c| {
                let (_, body) = c.request(&info, b"").ok()?;
                last = serde_json::from_slice(&body).ok()?;
                let there = last["state"]["messages"].as_u64()?;
                msgs.is_none_or(|n| n == there).then_some(there)
            });
            v["stream_messages"] = json!(there.map_err(|e| format!("{e}: {last}"))?);
            v["stream_ms"] = json!(ms(self.began));
        }
        if let Some(subject) = subject {
            self.ask("publish", |c| {
                let (hdr, body) = c.request(subject, b"back").ok()?;
                ack_ok(&hdr, &body).then_some(())
            })?;
        }
        v["ready_ms"] = json!(ms(self.began));
        Ok(())
    }

    /// Asks until there is an answer, on a new connection where the last one failed.
    fn ask<T>(
        &mut self,
        what: &str,
        mut question: impl FnMut(&mut Conn) -> Option<T>,
    ) -> Result<T, String> {
        loop {
            if self.c.is_none() {
                self.c = Conn::connect(self.t.servers[0], &self.t.opts()).ok();
                if let Some(c) = &self.c {
                    let _ = c.sock.set_read_timeout(Some(ANSWER_MAX));
                }
            }
            if let Some(c) = &mut self.c {
                let asked = Instant::now();
                if let Some(answer) = question(c) {
                    return Ok(answer);
                }
                if asked.elapsed() >= ANSWER_MAX {
                    self.c = None;
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended: {status}"));
            }
            if self.began.elapsed() > self.limit {
                return Err(format!(
                    "{what}: not there after {} s",
                    self.limit.as_secs()
                ));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}
