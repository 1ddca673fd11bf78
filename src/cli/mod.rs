//! Command lines: what a process does, by the name it is called by and its first word.
//!
//! One binary serves every purpose, so that one image does. As `nats-server` it is the
//! server with its flags; as `natter` the first word decides.
//!
//! ```text
//! argv ─► dispatch (pure) ─► Call ─► server_flags::run, or one text and an exit code
//! ```
//!
//! Invariant: a part that is not in this release says so in one sentence, with what to
//! use instead, and ends with [`UNBUILT_EXIT`]; nothing pretends to have worked.

pub mod server_flags;
pub mod signal;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::cli::server_flags::Program;
use crate::server::version::VERSION;

/// The exit code of a part that is not in this release, and of a line not understood.
pub const UNBUILT_EXIT: u8 = 2;

const HELP: &str = "
Usage: natter <command> [options]

Commands:
    server      Run a message broker; takes the flags of nats-server
    version     Show the version
    help        Show this text

Not in this release: operator, cli, admin, crds.
Called by the name nats-server, natter is `natter server`.
Flags of the server: natter server --help
";

/// What a command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call<'a> {
    /// Run a server, or one of the things its flags ask for.
    Server(Program, &'a [String]),
    Version,
    Help,
    /// A part that is not in this release: its name, and the sentence about it.
    Unbuilt(&'a str, &'static str),
    /// No command at all.
    Nothing,
    /// A word that is no command.
    Unknown(&'a str),
}

/// Parts that are not in this release, by first word or by the name of the process.
const UNBUILT: [(&str, &str); 6] = [
    (
        "operator",
        "the operator is not in this release; run `natter server` in a StatefulSet with its configuration in a ConfigMap",
    ),
    (
        "cli",
        "the command line client is not in this release; the stock `nats` client works with this server",
    ),
    (
        "admin",
        "cluster administration is not in this release, where a server runs alone; use `natter server --signal` and the monitoring port (`-m`)",
    ),
    (
        "crds",
        "resource definitions are not in this release; they come with the operator",
    ),
    (
        "nats",
        "the command line client is not in this release; use the stock `nats` client, which works with this server",
    ),
    (
        "nats-streaming-server",
        "the streaming protocol is not in this release; stay with nats-streaming-server, or move to core NATS and run `natter server`",
    ),
];

/// Does what the command line says and gives the exit code. The first argument is the
/// name of the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<String> = args
        .into_iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    match dispatch(&args) {
        Call::Server(program, flags) => server_flags::run(program, flags),
        Call::Version => say(&format!("natter: v{VERSION}\n"), "", 0),
        Call::Help => say(HELP, "", 0),
        Call::Unbuilt(name, sentence) => refuse(&format!("{name}: {sentence}")),
        Call::Nothing => refuse(HELP),
        Call::Unknown(word) => refuse(&format!(
            "natter: unknown command {word:?}; `natter help` lists them, `natter server` runs a server"
        )),
    }
}

fn refuse(text: &str) -> ExitCode {
    say("", &format!("{text}\n"), UNBUILT_EXIT)
}

/// Writes to standard output and error. Whoever reads them may be gone (`| head`): that
/// is no reason to fail.
fn say(out: &str, err: &str, code: u8) -> ExitCode {
    let _ = io::stdout().write_all(out.as_bytes());
    let _ = io::stdout().flush();
    let _ = io::stderr().write_all(err.as_bytes());
    ExitCode::from(code)
}

fn dispatch(args: &[String]) -> Call<'_> {
    let (called, rest) = match args.split_first() {
        Some((called, rest)) => (called.as_str(), rest),
        None => return Call::Nothing,
    };
    let name = Path::new(called).file_name().and_then(|name| name.to_str());
    match name.unwrap_or_default() {
        "nats-server" => return Call::Server(Program::NatsServer, rest),
        name @ ("nats" | "nats-streaming-server") => return unbuilt(name),
        _ => {}
    }
    let Some((word, rest)) = rest.split_first() else {
        return Call::Nothing;
    };
    match word.as_str() {
        "server" => Call::Server(Program::Natter, rest),
        "version" | "-v" | "-version" | "--version" => Call::Version,
        "help" | "-h" | "-help" | "--help" => Call::Help,
        word @ ("operator" | "cli" | "admin" | "crds") => unbuilt(word),
        word => Call::Unknown(word),
    }
}

fn unbuilt(name: &str) -> Call<'_> {
    match UNBUILT.iter().find(|(known, _)| *known == name) {
        Some((_, sentence)) => Call::Unbuilt(name, sentence),
        None => Call::Unknown(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Call<'_>) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(dispatch(&args), expected, "{line}");
    }

    #[test]
    fn name_and_first_word_decide() {
        let flags = ["-p".to_owned(), "1".to_owned()];
        for (line, program) in [
            ("natter server -p 1", Program::Natter),
            ("/usr/bin/natter server -p 1", Program::Natter),
            ("nats-server -p 1", Program::NatsServer),
            ("./nats-server -p 1", Program::NatsServer),
        ] {
            check(line, Call::Server(program, &flags));
        }
        check("nats-server", Call::Server(Program::NatsServer, &[]));
        for line in ["natter version", "natter --version", "other -v"] {
            check(line, Call::Version);
        }
        for line in ["natter help", "natter --help", "natter -h x"] {
            check(line, Call::Help);
        }
        check("", Call::Nothing);
        check("natter", Call::Nothing);
        check("natter serve", Call::Unknown("serve"));
        check("natter -c x", Call::Unknown("-c"));
    }

    #[test]
    fn parts_that_are_not_built_say_so() {
        for (line, name) in [
            ("natter operator", "operator"),
            ("natter cli pub a", "cli"),
            ("natter admin", "admin"),
            ("natter crds", "crds"),
            ("/bin/nats pub a b", "nats"),
            ("nats-streaming-server -p 1", "nats-streaming-server"),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match dispatch(&args) {
                Call::Unbuilt(found, sentence) => {
                    assert_eq!(found, name);
                    assert!(sentence.contains("not in this release"), "{line}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
