//! `--signal command[=pid]`: tell a running server something.
//!
//! The target is a process id, a file that holds one, a prefix of ids (`ldm=12*`), or,
//! with none, the one server that runs. Servers are found through `/proc` by the name
//! they go by, so `natter server` never signals a nats-server it finds, nor another part
//! of `natter`.
//!
//! Invariants: no target matches more than what it names; process 0, which would be the
//! caller's whole group, is never signalled; this process itself never is.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::cli::server_flags::Program;
use crate::vfs::Vfs;

/// How long a pid file may be, and a file of `/proc`.
const PID_FILE_BYTES_MAX: u64 = 4096;
const PROC_FILE_BYTES_MAX: u64 = 1 << 20;

/// Commands and their signals.
const COMMANDS: [(&str, Signal); 6] = [
    ("stop", Signal::KILL),
    ("quit", Signal::INT),
    ("term", Signal::TERM),
    ("reopen", Signal::USR1),
    ("reload", Signal::HUP),
    ("ldm", Signal::USR2),
];

/// Why no signal was sent, or not to all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignalError {
    /// There is no such command.
    #[error("unknown signal {0:?}")]
    UnknownCommand(String),
    /// Neither a process id nor a file that holds one.
    #[error("invalid pid: {0}")]
    InvalidPid(String),
    /// No server runs, or none with such an id.
    #[error("no {0} processes running")]
    NoneRunning(&'static str),
    /// Which of them is meant?
    #[error("multiple {program} processes running:{}", list(pids))]
    Several {
        /// What they are called.
        program: &'static str,
        /// Those that run.
        pids: Vec<i32>,
    },
    /// The system refuses, with a line for each.
    #[error("{0}")]
    Refused(String),
}

// One id per line, each behind a new line.
fn list(pids: &[i32]) -> String {
    pids.iter().map(|pid| format!("\n{pid}")).collect()
}

/// Sends what `command[=pid]` says.
///
/// # Errors
/// [`SignalError`].
pub fn send(vfs: &dyn Vfs, program: Program, what: &str) -> Result<(), SignalError> {
    let (command, target) = what.split_once('=').unwrap_or((what, ""));
    let signal = signal_of(command)?;
    let pids = pids(&target_of(vfs, target)?, program, || running(vfs, program))?;
    let mut refused = String::new();
    for pid in pids {
        let sent = Pid::from_raw(pid).map_or(Ok(()), |pid| kill_process(pid, signal));
        if let Err(errno) = sent {
            let cause = crate::vfs::cause_text(&errno.into());
            refused += &format!("\nsignal {command:?} {pid}: {cause}");
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(SignalError::Refused(refused)),
    }
}

fn signal_of(command: &str) -> Result<Signal, SignalError> {
    let found = COMMANDS.iter().find(|(name, _)| *name == command);
    let unknown = || SignalError::UnknownCommand(command.to_owned());
    found.map(|(_, signal)| *signal).ok_or_else(unknown)
}

/// Who is meant.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// The one server that runs.
    Only,
    /// This process.
    Pid(i32),
    /// Servers whose id begins so.
    Prefix(String),
}

fn target_of(vfs: &dyn Vfs, text: &str) -> Result<Target, SignalError> {
    let invalid = |text: &str| SignalError::InvalidPid(text.to_owned());
    let file = |path| vfs.read_text(Path::new(path), PID_FILE_BYTES_MAX).ok();
    match text.strip_suffix('*') {
        _ if text.is_empty() => Ok(Target::Only),
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Target::Prefix(prefix.to_owned()))
        }
        Some(prefix) => Err(invalid(prefix)),
        None => {
            // A file wins over a number, should one have such a name.
            let number = file(text).unwrap_or_else(|| text.to_owned());
            let pid = number.trim().parse().ok().filter(|pid| *pid > 0);
            pid.map(Target::Pid).ok_or_else(|| invalid(number.trim()))
        }
    }
}

/// The processes to signal; asks for those that run only where it matters.
fn pids(
    target: &Target,
    program: Program,
    running: impl FnOnce() -> Vec<i32>,
) -> Result<Vec<i32>, SignalError> {
    let pids = match target {
        Target::Pid(pid) => vec![*pid],
        Target::Only => running(),
        Target::Prefix(prefix) => {
            let mut pids = running();
            pids.retain(|pid| pid.to_string().starts_with(prefix));
            pids
        }
    };
    match pids[..] {
        [] => Err(SignalError::NoneRunning(program.name())),
        [_, _, ..] if *target == Target::Only => Err(SignalError::Several {
            program: program.name(),
            pids,
        }),
        _ => Ok(pids),
    }
}

/// The servers that run under this name, but for this process.
fn running(vfs: &dyn Vfs, program: Program) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let names = vfs.list(Path::new("/proc")).unwrap_or_default();
    let mut pids: Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    pids.retain(|pid| *pid != own && is_server(vfs, *pid, program));
    pids.sort_unstable();
    pids
}

/// Whether a process is a server; one that ends meanwhile is none.
fn is_server(vfs: &dyn Vfs, pid: i32, program: Program) -> bool {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        let content = vfs.read(Path::new(&path), PROC_FILE_BYTES_MAX);
        content.unwrap_or_default()
    };
    read("comm").trim_ascii_end() == program.name().as_bytes()
        && is_server_line(program, &read("cmdline"))
}

/// Whether a command line, its words ended by zeros, is that of a server. A process
/// that has ended but was not waited for has none.
fn is_server_line(program: Program, line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0);
    let called = words.next().unwrap_or_default();
    !called.is_empty()
        && match program {
            Program::NatsServer => true,
            Program::Natter => words.next() == Some(b"server"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MODE_PRIVATE;
    use crate::vfs::real::RealVfs;

    fn check_pids(target: Target, running: &[i32], expected: Result<Vec<i32>, &str>) {
        let found = pids(&target, Program::NatsServer, || running.to_vec());
        let found = found.map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{target:?}");
    }

    #[test]
    fn without_a_target_one_server_must_run() {
        check_pids(Target::Only, &[12], Ok(vec![12]));
        check_pids(Target::Only, &[], Err("no nats-server processes running"));
        check_pids(
            Target::Only,
            &[12, 127],
            Err("multiple nats-server processes running:\n12\n127"),
        );
    }

    #[test]
    fn a_prefix_takes_all_that_begin_so() {
        let prefix = |text: &str| Target::Prefix(text.to_owned());
        check_pids(prefix("12"), &[12, 127, 21], Ok(vec![12, 127]));
        check_pids(prefix(""), &[12, 21], Ok(vec![12, 21]));
        let none = Err("no nats-server processes running");
        check_pids(prefix("3"), &[12, 21], none);
    }

    #[test]
    fn a_given_process_need_not_be_found() {
        check_pids(Target::Pid(3), &[12, 21], Ok(vec![3]));
    }

    #[test]
    fn targets_are_ids_files_and_prefixes() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for (name, text) in [("pid", "71"), ("line", "72\n"), ("other", "x\n")] {
            let path = path(name);
            RealVfs
                .write_atomically(Path::new(&path), text.as_bytes(), MODE_PRIVATE)
                .unwrap();
        }
        let check = |text: &str, expected: Result<Target, &str>| {
            let found = target_of(&RealVfs, text).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        };
        check("", Ok(Target::Only));
        check("12", Ok(Target::Pid(12)));
        check("12*", Ok(Target::Prefix("12".into())));
        check("*", Ok(Target::Prefix(String::new())));
        check(&path("pid"), Ok(Target::Pid(71)));
        check(&path("line"), Ok(Target::Pid(72)));
        check(&path("other"), Err("invalid pid: x"));
        for text in ["0", "-5", "abc", "/nonexist", "99999999999"] {
            check(text, Err(&format!("invalid pid: {text}")));
        }
        check("*x", Err("invalid pid: *x"));
        check("a*", Err("invalid pid: a"));
    }

    #[test]
    fn commands_are_known_before_anything_is_sent() {
        let error = send(&RealVfs, Program::Natter, "foo=1").expect_err("no such command");
        assert_eq!(error.to_string(), "unknown signal \"foo\"");
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        // Larger than any id that Linux gives out.
        let error = send(&RealVfs, Program::Natter, "ldm=4194305").expect_err("gone");
        let expected = "\nsignal \"ldm\" 4194305: no such process";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn only_servers_of_the_name_are_found() {
        for (program, line, expected) in [
            (Program::NatsServer, &b"nats-server\0-p\0"[..], true),
            (Program::NatsServer, b"nats-server\0", true),
            (Program::NatsServer, b"", false),
            (Program::Natter, b"/bin/natter\0server\0-p\0", true),
            (Program::Natter, b"natter\0operator\0", false),
            (Program::Natter, b"natter\0", false),
        ] {
            assert_eq!(is_server_line(program, line), expected, "{line:?}");
        }
        // The tests go by another name.
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!is_server(&RealVfs, own, Program::NatsServer));
    }
}
