//! `natter server`: what its flags ask for, which need not be a server.
//!
//! The order is that of nats-server: a text, then a signal, then the check of a
//! configuration, then the server. Texts on standard output and error are a contract,
//! as are the exit codes: scripts read `configuration file X is valid (sha256:…)`.
//!
//! Absent: the meaning of flags, which is `config`'s.

use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::{UNBUILT_EXIT, say, signal};
use crate::config::flags::{self, Flags, Show};
use crate::server::run::{Ended, start_blocking};
use crate::server::source::{Loaded, Source, lines};
use crate::server::version;
use crate::vfs::Vfs;
use crate::vfs::real::RealVfs;

/// The name under which the server was called. It decides what the server calls itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// By its own name, `natter server`.
    Natter,
    /// In place of a nats-server.
    NatsServer,
}

impl Program {
    /// Its name, before every text.
    pub fn name(self) -> &'static str {
        match self {
            Program::Natter => "natter",
            Program::NatsServer => "nats-server",
        }
    }

    /// The version that goes with the name: scripts compare that of nats-server.
    pub fn version(self) -> &'static str {
        match self {
            Program::Natter => version::VERSION,
            Program::NatsServer => version::COMPATIBILITY,
        }
    }

    /// How its usage names it.
    fn usage(self) -> &'static str {
        match self {
            Program::Natter => "natter server",
            Program::NatsServer => "nats-server",
        }
    }
}

/// What a command line comes to, before a server runs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    out: String,
    err: String,
    code: u8,
}

impl Said {
    fn out(text: String) -> Said {
        Said {
            out: text,
            ..Said::default()
        }
    }

    /// Refused, with the program's name before the reason.
    fn refused(program: Program, reason: impl std::fmt::Display) -> Said {
        Said {
            err: format!("{}: {reason}\n", program.name()),
            code: 1,
            ..Said::default()
        }
    }
}

/// Does what the flags ask for.
pub fn run(program: Program, args: &[String]) -> ExitCode {
    let (loaded, source) = match prepare(program, args, Arc::new(RealVfs)) {
        Ok(ready) => ready,
        Err(said) => return say(&said.out, &said.err, said.code),
    };
    match start_blocking(program.name(), program.version(), loaded, source) {
        Ok(Ended::InOrder) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::FAILURE,
        Err(error) => say("", &format!("{}: {error}\n", program.name()), 1),
    }
}

/// Everything up to the server: its options and where they come from, or what is said
/// instead.
fn prepare(program: Program, args: &[String], vfs: Arc<dyn Vfs>) -> Result<(Loaded, Source), Said> {
    let flags = flags::parse_flags(args).map_err(|error| match error.shows_usage() {
        true => Said {
            out: flags::usage(program.usage()),
            err: format!("{error}\n"),
            // nats-server ends with 0 here, and so do we in its place.
            code: match program {
                Program::NatsServer => 0,
                Program::Natter => UNBUILT_EXIT,
            },
        },
        false => Said::refused(program, error),
    })?;
    if let Some(show) = flags.show {
        return Err(Said::out(shown(program, show)));
    }
    if let Some(what) = flags.signal.as_deref() {
        return Err(match signal::send(&*vfs, program, what) {
            Ok(()) => Said::default(),
            Err(error) => Said::refused(program, error),
        });
    }
    load(program, flags, vfs)
}

fn shown(program: Program, show: Show) -> String {
    match show {
        Show::Version => format!("{}: v{}\n", program.name(), program.version()),
        Show::Help => flags::usage(program.usage()),
        Show::TlsHelp => flags::TLS_HELP.to_owned(),
    }
}

fn load(program: Program, flags: Flags, vfs: Arc<dyn Vfs>) -> Result<(Loaded, Source), Said> {
    let test_config = flags.test_config;
    let source = Source::new(flags, vfs);
    let loaded = source
        .load()
        .map_err(|error| Said::refused(program, error))?;
    if !test_config {
        return Ok((loaded, source));
    }
    // A check is strict: what is doubtful fails it.
    Err(
        match (&loaded.warnings[..], source.file(), &loaded.digest) {
            ([], Some(file), Some(digest)) => Said {
                err: format!(
                    "{}: configuration file {file} is valid ({digest})\n",
                    program.name()
                ),
                ..Said::default()
            },
            (warnings, ..) => Said::refused(program, lines(warnings)),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MODE_PRIVATE;
    use std::path::Path;

    /// The texts with the directory of the test called DIR.
    fn prepared(program: Program, line: &str, dir: &Path) -> Result<(Loaded, Source), Said> {
        let dir = dir.to_str().unwrap();
        let args: Vec<String> = line
            .split_whitespace()
            .map(|arg| arg.replace("DIR", dir))
            .collect();
        prepare(program, &args, Arc::new(RealVfs)).map_err(|said| Said {
            err: said.err.replace(dir, "DIR"),
            ..said
        })
    }

    fn check(program: Program, line: &str, out: &str, err: &str, code: u8) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("ok.conf", "port: 4222"),
            ("bad.conf", "foo: 1"),
            ("doubtful.conf", "ping_interval: 5"),
        ] {
            let path = dir.path().join(name);
            RealVfs
                .write_atomically(&path, text.as_bytes(), MODE_PRIVATE)
                .unwrap();
        }
        let said = prepared(program, line, dir.path()).err().expect(line);
        assert!(said.out.contains(out), "{line}: {said:?}");
        assert!(out.is_empty() == said.out.is_empty(), "{line}: {said:?}");
        assert_eq!((said.err.as_str(), said.code), (err, code), "{line}");
    }

    // Texts and codes are those of nats-server 2.15.1.

    #[test]
    fn as_nats_server_texts_and_codes_are_the_same() {
        let check = |line, out, err, code| check(Program::NatsServer, line, out, err, code);
        check("--version", "nats-server: v2.10.29\n", "", 0);
        check("version", "nats-server: v2.10.29\n", "", 0);
        check("--help", "Usage: nats-server [options]", "", 0);
        check("--help_tls", "cert_file", "", 0);
        check(
            "-p abc",
            "Usage: nats-server [options]",
            "invalid value \"abc\" for flag -p: parse error\n",
            0,
        );
        check("foo", "", "nats-server: unrecognized command: \"foo\"\n", 1);
        check(
            "-c DIR/nope.conf",
            "",
            "nats-server: open DIR/nope.conf: no such file or directory\n",
            1,
        );
        check(
            "-t -c DIR/ok.conf",
            "",
            "nats-server: configuration file DIR/ok.conf is valid (sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e)\n",
            0,
        );
        check(
            "-t -c DIR/bad.conf",
            "",
            "nats-server: DIR/bad.conf:1:1: unknown field \"foo\"\n",
            1,
        );
        check("--signal ldm=x", "", "nats-server: invalid pid: x\n", 1);
    }

    #[test]
    fn as_natter_the_name_is_its_own() {
        let version = format!("natter: v{}\n", version::VERSION);
        check(Program::Natter, "--version", &version, "", 0);
        check(
            Program::Natter,
            "--nope",
            "Usage: natter server [options]",
            "flag provided but not defined: -nope\n",
            2,
        );
    }

    #[test]
    fn a_check_fails_on_what_a_start_only_warns_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conf");
        RealVfs
            .write_atomically(&path, b"ping_interval: 5", MODE_PRIVATE)
            .unwrap();
        let started = prepared(Program::Natter, "-c DIR/a.conf", dir.path());
        let (loaded, source) = started.map_err(|said| said.err).unwrap();
        assert_eq!(loaded.warnings.len(), 1);
        assert_eq!(source.file(), path.to_str());
        let said = prepared(Program::Natter, "-t -c DIR/a.conf", dir.path()).err();
        let said = said.expect("strict");
        assert!(said.err.starts_with("natter: DIR/a.conf:1:"), "{said:?}");
        assert_eq!(said.code, 1);
    }
}
