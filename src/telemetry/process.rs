//! Processor and memory use of this process, from `/proc`.
//!
//! Separate because the texts of the kernel are parsed here and nowhere else. Texts and
//! time come in as arguments; [`ProcessMeter`] remembers the last sample so that the share
//! of a processor is a mean over at least [`SAMPLE_MIN`], however often somebody asks.
//!
//! Invariants: a text that cannot be read leaves zero or the last figure, never a panic;
//! processor time never goes back. Absent: no clock.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Monotonic;
use crate::vfs::Vfs;
use crate::vfs::real::RealVfs;

/// The shortest distance between two samples.
pub const SAMPLE_MIN: Duration = Duration::from_secs(1);

/// Clock ticks per second in `/proc`; part of the kernel's interface on every platform.
const TICKS_PER_SECOND: u64 = 100;

/// How long a text of the kernel may be; it is a few thousand bytes.
const PROC_FILE_BYTES_MAX: u64 = 1 << 20;

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Percent of one processor over the last sample; more than 100 with several threads.
    pub cpu_percent: f64,
    /// Processor time since the process began.
    pub cpu_time: Duration,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
}

/// What was read from `/proc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessTexts {
    /// The content of `/proc/self/stat`.
    pub stat: String,
    /// The content of `/proc/self/status`.
    pub status: String,
}

/// Reads the texts of this process; empty where there is no `/proc`.
#[allow(
    clippy::disallowed_methods,
    reason = "the kernel's own figures, no data of ours; moves to `vfs` when it reads whole files"
)]
pub fn read_proc() -> ProcessTexts {
    let vfs: &dyn Vfs = &RealVfs;
    let read = |path: &str| vfs.read_text(Path::new(path), PROC_FILE_BYTES_MAX);
    let read = |path| read(path).unwrap_or_default();
    ProcessTexts {
        stat: read("/proc/self/stat"),
        status: read("/proc/self/status"),
    }
}

/// Turns samples into shares.
pub struct ProcessMeter {
    read: Box<dyn Fn() -> ProcessTexts + Send + Sync>,
    last: Mutex<Option<Sample>>,
}

/// The last sample and the share computed from it.
#[derive(Clone, Copy)]
struct Sample {
    at: Monotonic,
    cpu_time: Duration,
    cpu_percent: f64,
}

impl ProcessMeter {
    /// A meter over the texts that `read` hands out, usually [`read_proc`].
    pub fn new(read: impl Fn() -> ProcessTexts + Send + Sync + 'static) -> Self {
        ProcessMeter {
            read: Box::new(read),
            last: Mutex::new(None),
        }
    }

    /// The use as of `now`.
    pub fn usage(&self, now: Monotonic) -> Usage {
        let texts = (self.read)();
        let mut last = self.last.lock();
        let cpu_time = cpu_time(&texts.stat).or(last.map(|sample| sample.cpu_time));
        let cpu_time = cpu_time.unwrap_or_default();
        let cpu_percent = match *last {
            Some(sample) if now.since(sample.at) < SAMPLE_MIN => sample.cpu_percent,
            Some(sample) => share(
                cpu_time.saturating_sub(sample.cpu_time),
                now.since(sample.at),
            ),
            // Nothing to compare with: the mean since the process first looked at the clock.
            None => share(cpu_time, Duration::from_nanos(now.nanos())),
        };
        if last.is_none_or(|sample| now.since(sample.at) >= SAMPLE_MIN) {
            *last = Some(Sample {
                at: now,
                cpu_time,
                cpu_percent,
            });
        }
        Usage {
            cpu_percent,
            cpu_time,
            memory_bytes: memory_bytes(&texts.status).unwrap_or_default(),
        }
    }
}

/// Percent of `whole`, to a tenth; zero of less than a sample.
fn share(part: Duration, whole: Duration) -> f64 {
    if whole < SAMPLE_MIN {
        return 0.0;
    }
    (part.as_secs_f64() / whole.as_secs_f64() * 1000.0).round() / 10.0
}

/// User and system time in `/proc/self/stat`: fields 14 and 15, counted behind the name in
/// parentheses, which itself may hold spaces and parentheses.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = user.checked_add(system)?;
    Some(Duration::from_millis(
        ticks.checked_mul(1000 / TICKS_PER_SECOND)?,
    ))
}

/// `VmRSS` in `/proc/self/status`.
fn memory_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn stat(user: u64, system: u64) -> String {
        format!("77 (a ) b) S 1 77 77 0 -1 4194560 1 0 0 0 {user} {system} 0 0 20 0 4 0 9 1 2 3")
    }

    #[test]
    fn texts_of_the_kernel_are_read() {
        assert_eq!(cpu_time(&stat(150, 50)), Some(Duration::from_secs(2)));
        assert_eq!(cpu_time("1 (x) S"), None);
        assert_eq!(cpu_time(""), None);
        assert_eq!(
            memory_bytes("Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t1\n"),
            Some(1234 * 1024)
        );
        assert_eq!(memory_bytes("VmRSS:\t x kB"), None);
    }

    #[test]
    fn share_is_a_mean_over_at_least_a_second() {
        let ticks = Arc::new(Mutex::new(0));
        let texts = Arc::clone(&ticks);
        let meter = ProcessMeter::new(move || ProcessTexts {
            stat: stat(*texts.lock(), 0),
            status: "VmRSS: 1 kB".to_owned(),
        });
        let check = |millis: u64, used: u64, percent: f64| {
            *ticks.lock() = used;
            let usage = meter.usage(Monotonic::from_nanos(millis * 1_000_000));
            assert_eq!(usage.cpu_percent, percent, "at {millis} ms");
            assert_eq!(usage.memory_bytes, 1024);
        };
        check(500, 10, 0.0);
        check(1_000, 90, 0.0);
        check(1_500, 60, 50.0);
        check(2_000, 999, 50.0);
        check(3_500, 460, 200.0);
    }

    #[test]
    fn this_process_uses_memory() {
        let usage = ProcessMeter::new(read_proc).usage(crate::clock::monotonic());
        if cfg!(target_os = "linux") {
            assert!(usage.memory_bytes > 0);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in ".*") {
            let _ = (cpu_time(&text), memory_bytes(&text));
        }
    }
}
