//! What the server costs: CPU time, memory, context switches, system calls, disk
//! bytes of one or several processes, plus this process and the whole machine.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Instant;

/// Counters of one process since it began.
#[derive(Clone, Copy, Default, Debug)]
pub struct Proc {
    pub cpu_ns: u64,
    pub user_ticks: u64,
    pub sys_ticks: u64,
    pub rss_kb: u64,
    pub hwm_kb: u64,
    pub anon_kb: u64,
    pub csw: u64,
    pub syscr: u64,
    pub syscw: u64,
    pub write_bytes: u64,
    pub read_bytes: u64,
    pub threads: u64,
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|l| l.strip_prefix(name))
        .and_then(|r| r.trim_start_matches(':').split_whitespace().next())
        .and_then(|v| v.parse().ok())
        .unwrap_or(0)
}

/// CPU time of one thread in nanoseconds, as the scheduler accounts it.
fn thread_cpu_ns(task: &Path) -> u64 {
    fs::read_to_string(task.join("schedstat"))
        .ok()
        .and_then(|text| {
            text.split_whitespace()
                .next()
                .and_then(|ns| ns.parse().ok())
        })
        .unwrap_or(0)
}

/// CPU time of the kernel's own threads in nanoseconds: they write out what the servers
/// stored, so they are neither a server nor somebody else.
fn kernel_threads_ns() -> u64 {
    let Ok(all) = fs::read_dir("/proc") else {
        return 0;
    };
    all.flatten()
        .filter(|p| p.file_name().as_encoded_bytes()[0].is_ascii_digit())
        .filter(|p| {
            let stat = fs::read_to_string(p.path().join("stat")).unwrap_or_default();
            // After the name in brackets: state and parent; 2 is the parent of them all.
            stat.rfind(')')
                .map(|i| &stat[i + 1..])
                .is_some_and(|rest| rest.split(' ').nth(2) == Some("2"))
        })
        .map(|p| thread_cpu_ns(&p.path()))
        .sum()
}

fn tick_ns() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

impl Proc {
    /// What the process has used up to now; zeros if it is gone.
    pub fn sample(pid: i32) -> Proc {
        let base = format!("/proc/{pid}");
        let stat = fs::read_to_string(format!("{base}/stat")).unwrap_or_default();
        let mut p = Proc::default();
        if let Some(rest) = stat.rfind(')').map(|i| &stat[i + 1..]) {
            let f: Vec<&str> = rest.split_whitespace().collect();
            if f.len() > 13 {
                p.user_ticks = f[11].parse().unwrap_or(0);
                p.sys_ticks = f[12].parse().unwrap_or(0);
            }
        }
        let status = fs::read_to_string(format!("{base}/status")).unwrap_or_default();
        p.rss_kb = field(&status, "VmRSS");
        p.hwm_kb = field(&status, "VmHWM");
        p.anon_kb = field(&status, "RssAnon");
        p.threads = field(&status, "Threads");
        let io = fs::read_to_string(format!("{base}/io")).unwrap_or_default();
        p.syscr = field(&io, "syscr");
        p.syscw = field(&io, "syscw");
        p.read_bytes = field(&io, "read_bytes");
        p.write_bytes = field(&io, "write_bytes");
        let mut live_ns = 0;
        if let Ok(dir) = fs::read_dir(format!("{base}/task")) {
            for t in dir.flatten() {
                let s = fs::read_to_string(t.path().join("status")).unwrap_or_default();
                p.csw +=
                    field(&s, "voluntary_ctxt_switches") + field(&s, "nonvoluntary_ctxt_switches");
                live_ns += thread_cpu_ns(&t.path());
            }
        }
        // Threads that ended are in the ticks only, fractions of a tick in the threads only.
        p.cpu_ns = live_ns.max((p.user_ticks + p.sys_ticks) * tick_ns());
        p
    }
}

/// A snapshot of everything at one moment.
#[derive(Clone)]
pub struct Snap {
    pub at: Instant,
    pub procs: Vec<Proc>,
    /// Nanoseconds of a fixed piece of work just now; tells a slow phase of the machine.
    yardstick: (f64, f64),
    self_cpu_ns: u64,
    machine_busy_ns: u64,
    machine_steal_ns: u64,
    kernel_ns: u64,
}

fn machine() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let unit = tick_ns();
    let f: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(1)
        .map(|v| v.parse().unwrap_or(0))
        .collect();
    if f.len() < 8 {
        return (0, 0);
    }
    // user nice system idle iowait irq softirq steal
    ((f[0] + f[1] + f[2] + f[5] + f[6]) * unit, f[7] * unit)
}

/// (one 256-byte hash plus table walk, one system call), each the best of three rounds.
fn yardstick() -> (f64, f64) {
    let table: Vec<u32> = (0..4096u32)
        .map(|i| i.wrapping_mul(2_654_435_761))
        .collect();
    let data = [7u8; 256];
    let (mut work, mut call) = (f64::MAX, f64::MAX);
    let mut x = 1u64;
    for _ in 0..3 {
        let t = Instant::now();
        for _ in 0..1000 {
            for byte in std::hint::black_box(&data) {
                x = (x ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            }
            for k in 0..8 {
                x = x.rotate_left(7) ^ table[((x >> k) & 4095) as usize] as u64;
            }
        }
        work = work.min(t.elapsed().as_nanos() as f64 / 1000.0);
        let t = Instant::now();
        for _ in 0..300 {
            x ^= rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u64);
        }
        call = call.min(t.elapsed().as_nanos() as f64 / 300.0);
    }
    std::hint::black_box(x);
    (work, call)
}

impl Snap {
    /// Samples the processes, this process and the machine.
    pub fn take(pids: &[i32]) -> Snap {
        let ts = clock_gettime(ClockId::ProcessCPUTime);
        let yardstick = yardstick();
        let kernel_ns = kernel_threads_ns();
        let (busy, steal) = machine();
        Snap {
            at: Instant::now(),
            yardstick,
            procs: pids.iter().map(|p| Proc::sample(*p)).collect(),
            self_cpu_ns: ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64,
            machine_busy_ns: busy,
            machine_steal_ns: steal,
            kernel_ns,
        }
    }

    fn sum(&self, f: impl Fn(&Proc) -> u64) -> u64 {
        self.procs.iter().map(f).sum()
    }

    /// CPU time of all processes together.
    pub fn cpu_ns(&self) -> u64 {
        self.sum(|p| p.cpu_ns)
    }

    /// Resident memory of all processes together.
    pub fn rss_kb(&self) -> u64 {
        self.sum(|p| p.rss_kb)
    }

    /// Cost between two snapshots, spread over `units` messages (0: no per-unit figures).
    pub fn cost(a: &Snap, b: &Snap, units: u64) -> Value {
        let secs = b.at.duration_since(a.at).as_secs_f64();
        let d = |f: fn(&Proc) -> u64| b.sum(f).saturating_sub(a.sum(f));
        let cpu = d(|p| p.cpu_ns);
        let (ut, st) = (d(|p| p.user_ticks), d(|p| p.sys_ticks));
        let sys_share = if ut + st > 0 {
            st as f64 / (ut + st) as f64
        } else {
            0.0
        };
        let self_cpu = b.self_cpu_ns - a.self_cpu_ns;
        let busy = b.machine_busy_ns.saturating_sub(a.machine_busy_ns);
        let kernel = b.kernel_ns.saturating_sub(a.kernel_ns);
        let other = busy.saturating_sub(cpu + self_cpu + kernel);
        let pct = |ns: u64| r2(ns as f64 / 1e7 / secs);
        let mut server = json!({
            "cpu_pct": pct(cpu),
            "sys_share": r2(sys_share),
            "rss_mb": r2(b.sum(|p| p.rss_kb) as f64 / 1024.0),
            "rss_delta_mb": r2((b.sum(|p| p.rss_kb) as f64 - a.sum(|p| p.rss_kb) as f64) / 1024.0),
            "hwm_mb": r2(b.sum(|p| p.hwm_kb) as f64 / 1024.0),
            "threads": b.sum(|p| p.threads),
            "csw_per_s": r2(d(|p| p.csw) as f64 / secs),
            "disk_write_mb": r2(d(|p| p.write_bytes) as f64 / 1e6),
            "disk_read_mb": r2(d(|p| p.read_bytes) as f64 / 1e6),
        });
        let mut client = json!({ "cpu_pct": pct(self_cpu) });
        if units > 0 {
            let per = |v: u64| r4(v as f64 / units as f64);
            server["cpu_us_per_msg"] = json!(r4(cpu as f64 / 1e3 / units as f64));
            server["csw_per_msg"] = json!(per(d(|p| p.csw)));
            server["reads_per_msg"] = json!(per(d(|p| p.syscr)));
            server["writes_per_msg"] = json!(per(d(|p| p.syscw)));
            client["cpu_us_per_msg"] = json!(r4(self_cpu as f64 / 1e3 / units as f64));
        }
        if b.procs.len() > 1 {
            let each: Vec<f64> = a
                .procs
                .iter()
                .zip(&b.procs)
                .map(|(x, y)| pct(y.cpu_ns.saturating_sub(x.cpu_ns)))
                .collect();
            server["cpu_pct_each"] = json!(each);
        }
        json!({
            "secs": r4(secs),
            "server": server,
            "client": client,
            "machine": {
                "other_cpu_pct": pct(other),
                "kernel_cpu_pct": pct(kernel),
                "steal_pct": pct(b.machine_steal_ns.saturating_sub(a.machine_steal_ns)),
                "work_ns": r2((a.yardstick.0 + b.yardstick.0) / 2.0),
                "syscall_ns": r2((a.yardstick.1 + b.yardstick.1) / 2.0),
            },
        })
    }
}

/// Two decimals.
pub fn r2(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}

/// Four decimals.
pub fn r4(v: f64) -> f64 {
    (v * 10_000.0).round() / 10_000.0
}

/// The monotonic clock in nanoseconds, comparable between threads.
pub fn now_ns() -> u64 {
    let ts = clock_gettime(ClockId::Monotonic);
    ts.tv_sec as u64 * 1_000_000_000 + ts.tv_nsec as u64
}

/// Lifts the file descriptor limit as far as the kernel allows.
pub fn raise_nofile() {
    let want = fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|s| s.trim().parse::<u64>().ok());
    let all = Rlimit {
        current: want,
        maximum: want,
    };
    if want.is_none() || setrlimit(Resource::Nofile, all).is_err() {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        );
    }
}

/// Makes short sleeps short: the default timer slack is 50 us.
pub fn tight_timers() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1_000));
}

/// Small fast generator (xorshift64*), good enough for picking subjects.
pub struct Rng(u64);

impl Rng {
    /// A generator with a sequence fixed by `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    /// A number in `0..n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }
    /// Random bytes.
    pub fn fill(&mut self, b: &mut [u8]) {
        for c in b.chunks_mut(8) {
            let v = self.next().to_le_bytes();
            c.copy_from_slice(&v[..c.len()]);
        }
    }
}
