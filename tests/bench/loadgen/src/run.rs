//! Shared control of a measured run: counters, warm-up, measuring window, output.

use crate::args::{Args, die};
use crate::cost::{Snap, r2};
use crate::hist::Hist;
use crate::wire::{Conn, ConnOpts};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::time::Duration;

/// A counter on a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
pub struct Cell(pub AtomicU64);

/// What the worker threads share with the thread that measures.
pub struct Ctl {
    pub stop: AtomicBool,
    pub measuring: AtomicBool,
    pub sent: Vec<Cell>,
    pub recv: Vec<Cell>,
    pub errors: AtomicU64,
}

impl Ctl {
    /// Counters for so many threads.
    pub fn new(senders: usize, receivers: usize) -> Arc<Ctl> {
        let cells = |n: usize| (0..n.max(1)).map(|_| Cell::default()).collect();
        Arc::new(Ctl {
            stop: AtomicBool::new(false),
            measuring: AtomicBool::new(false),
            sent: cells(senders),
            recv: cells(receivers),
            errors: AtomicU64::new(0),
        })
    }
    /// Whether workers are to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
    /// Messages sent by all threads.
    pub fn sent(&self) -> u64 {
        self.sent.iter().map(|c| c.0.load(Relaxed)).sum()
    }
    /// Messages received by all threads.
    pub fn recv(&self) -> u64 {
        self.recv.iter().map(|c| c.0.load(Relaxed)).sum()
    }
    /// Counts an error and shows the first few.
    pub fn error(&self, what: &str) {
        if self.errors.fetch_add(1, Relaxed) < 5 {
            eprintln!("loadgen: {what}");
        }
    }
}

/// The servers under load: where they listen, who they are.
pub struct Target {
    pub servers: Vec<SocketAddr>,
    pub pids: Vec<i32>,
    pub user: Option<(String, String)>,
}

impl Target {
    /// From `--servers`, `--pid`, `--user` and `--pass`.
    pub fn from(a: &Args) -> Target {
        let list = a.str("servers", "127.0.0.1:4222");
        let servers = list
            .split(',')
            .map(|s| {
                s.to_socket_addrs()
                    .ok()
                    .and_then(|mut i| i.next())
                    .unwrap_or_else(|| die(&format!("bad server address {s:?}")))
            })
            .collect::<Vec<_>>();
        if !a.flag("allow-remote") && servers.iter().any(|s: &SocketAddr| !s.ip().is_loopback()) {
            die("only loopback addresses, unless --allow-remote is given");
        }
        let pids = a
            .str("pid", "")
            .split(',')
            .filter(|p| !p.is_empty())
            .map(|p| p.parse().unwrap_or_else(|_| die("bad --pid")))
            .collect();
        let user = a
            .opt("user")
            .map(|u| (u.to_string(), a.str("pass", "").to_string()));
        Target {
            servers,
            pids,
            user,
        }
    }

    /// Connection options with the credentials.
    pub fn opts(&self) -> ConnOpts {
        ConnOpts {
            user: self.user.clone(),
            ..Default::default()
        }
    }

    /// A connection to the first server.
    pub fn connect(&self) -> Conn {
        self.connect_to(self.servers[0])
    }

    /// The address of the server that names itself so.
    pub fn by_name(&self, name: &str) -> Option<SocketAddr> {
        self.servers
            .iter()
            .copied()
            .find(|s| self.connect_to(*s).info["server_name"] == name)
    }

    /// A connection to one of the servers.
    pub fn connect_to(&self, addr: SocketAddr) -> Conn {
        Conn::connect(addr, &self.opts()).unwrap_or_else(|e| die(&format!("connect {addr}: {e}")))
    }
}

/// Optional system call count of the servers through `perf stat`, over the window.
pub struct Perf(Option<(std::process::Child, std::path::PathBuf)>);

impl Perf {
    /// Starts counting if `--perf` was given.
    pub fn start(a: &Args, t: &Target) -> Perf {
        if !a.flag("perf") || t.pids.is_empty() {
            return Perf(None);
        }
        let list = t
            .pids
            .iter()
            .map(i32::to_string)
            .collect::<Vec<_>>()
            .join(",");
        let file = std::env::temp_dir().join(format!("loadgen-perf-{}", std::process::id()));
        let child = std::process::Command::new("perf")
            .args([
                "stat",
                "-x",
                ",",
                "-e",
                "raw_syscalls:sys_enter,context-switches",
                "-p",
                &list,
                "-o",
            ])
            .arg(&file)
            .stderr(std::process::Stdio::null())
            .spawn()
            .ok();
        std::thread::sleep(Duration::from_millis(200));
        Perf(child.map(|c| (c, file)))
    }

    /// Stops counting; figures per unit, or null.
    pub fn stop(self, units: u64) -> Value {
        let Some((mut child, file)) = self.0 else {
            return Value::Null;
        };
        if let Some(pid) = rustix::process::Pid::from_raw(child.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = child.wait();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(&file);
        let get = |ev: &str| {
            text.lines()
                .find(|l| l.contains(ev))
                .and_then(|l| l.split(',').next())
                .and_then(|v| v.parse::<f64>().ok())
        };
        let n = units.max(1) as f64;
        let per = |v: Option<f64>| v.map(|v| crate::cost::r4(v / n));
        json!({
            "syscalls_per_msg": per(get("sys_enter")),
            "switches_per_msg": per(get("context-switches")),
        })
    }
}

/// Warm up, measure, stop. The workers must already run. `units` chooses the message
/// count that costs are divided by (default: sent).
pub fn timed(a: &Args, t: &Target, ctl: &Ctl, per_recv: bool) -> Value {
    let warm = Duration::from_secs_f64(a.f64("warm", 1.0));
    let secs = Duration::from_secs_f64(a.f64("secs", 5.0));
    std::thread::sleep(warm);
    // A snapshot takes milliseconds of a core: latency is counted between the two, not during.
    let (s0, r0, a0) = (ctl.sent(), ctl.recv(), Snap::take(&t.pids));
    ctl.measuring.store(true, SeqCst);
    std::thread::sleep(secs);
    ctl.measuring.store(false, SeqCst);
    let (s1, r1, a1) = (ctl.sent(), ctl.recv(), Snap::take(&t.pids));
    let (sent, recv) = (s1 - s0, r1 - r0);
    let units = if per_recv { recv } else { sent };
    // System calls are counted in a window of their own: tracing makes each one dearer.
    let count = || if per_recv { ctl.recv() } else { ctl.sent() };
    let perf = Perf::start(a, t);
    let c0 = count();
    let sys = if perf.0.is_some() {
        std::thread::sleep(Duration::from_secs(1));
        perf.stop(count() - c0)
    } else {
        Value::Null
    };
    ctl.stop.store(true, SeqCst);
    let dt = a1.at.duration_since(a0.at).as_secs_f64();
    let mut v = Snap::cost(&a0, &a1, units);
    v["sent"] = json!(sent);
    v["received"] = json!(recv);
    v["sent_per_s"] = json!(r2(sent as f64 / dt));
    v["received_per_s"] = json!(r2(recv as f64 / dt));
    v["errors"] = json!(ctl.errors.load(Relaxed));
    if !sys.is_null() {
        v["perf"] = sys;
    }
    v
}

/// Measures from `start` until `done` says so or `--limit` has passed, which is an error;
/// costs per received message.
pub fn until(
    a: &Args,
    t: &Target,
    ctl: &Ctl,
    start: &Snap,
    mut done: impl FnMut() -> bool,
) -> Value {
    let limit = Duration::from_secs_f64(a.f64("limit", 300.0));
    while !done() {
        if start.at.elapsed() > limit {
            ctl.error(&format!("not done after {} s", limit.as_secs()));
            break;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let end = Snap::take(&t.pids);
    ctl.stop.store(true, SeqCst);
    let n = ctl.recv();
    let mut v = Snap::cost(start, &end, n);
    let dt = end.at.duration_since(start.at).as_secs_f64();
    v["received"] = json!(n);
    v["received_per_s"] = json!(r2(n as f64 / dt));
    v["errors"] = json!(ctl.errors.load(Relaxed));
    v
}

/// Counts one more error in a result, and says which.
pub fn flaw(result: &mut Value, what: &str) {
    eprintln!("loadgen: {what}");
    result["errors"] = json!(result["errors"].as_u64().unwrap_or(0) + 1);
}

/// Waits until the server has been quiet for a second: what closed is cleaned up by then.
pub fn settle(t: &Target, limit: Duration) {
    let deadline = std::time::Instant::now() + limit;
    let mut last = Snap::take(&t.pids).cpu_ns();
    let mut quiet = 0;
    while quiet < 5 && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        let now = Snap::take(&t.pids).cpu_ns();
        quiet = if now - last < 10_000_000 {
            quiet + 1
        } else {
            0
        };
        last = now;
    }
}

/// One histogram of many.
pub fn merge_hists(hs: impl IntoIterator<Item = Hist>) -> Hist {
    let mut all = Hist::default();
    for h in hs {
        all.merge(&h);
    }
    all
}

/// One JSON line, on standard output or appended to `--out`.
pub fn emit(a: &Args, mut result: Value) {
    for common in [
        "out",
        "tag",
        "note",
        "pid",
        "secs",
        "warm",
        "limit",
        "perf",
        "allow-remote",
        "user",
        "pass",
    ] {
        a.opt(common);
    }
    let unused = a.unused();
    if !unused.is_empty() {
        eprintln!(
            "loadgen: options not used by this mode: {}",
            unused.join(", ")
        );
    }
    let mut line = json!({ "mode": a.mode, "params": a.to_json() });
    for key in ["tag", "note"] {
        if let Some(v) = a.opt(key) {
            line[key] = json!(v);
        }
    }
    if let (Some(l), Some(r)) = (line.as_object_mut(), result.as_object_mut()) {
        l.append(r);
    }
    let text = format!("{line}\n");
    match a.opt("out") {
        Some(p) => std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(p)
            .and_then(|mut f| f.write_all(text.as_bytes()))
            .unwrap_or_else(|e| die(&format!("{p}: {e}"))),
        None => print!("{text}"),
    }
}
