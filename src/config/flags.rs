//! Flags: the command line, typed.
//!
//! Separate because the syntax is Go's and not that of other tools, and because
//! `--help`, the flags and their meaning stand in one table (`SECTIONS`) so that
//! none can be forgotten. [`parse_flags`] reads, `apply` puts them over the
//! options of the file, at start and again after each reload.
//!
//! Syntax: one or two dashes; `-x value` or `-x=value`; a switch takes no value or
//! `=true`, `=false` and the like; the last one wins; `--` or the first word that is
//! no flag ends them; that word may be `version` or `help`. Numbers may be written
//! as in Go: `0x10`, `0b1`, `1_000`.
//!
//! Absent: no file is opened and nothing is printed; the caller does what
//! [`Flags::show`] and the error's [`FlagError::shows_usage`] say.

pub mod apply;

/// What the command line says. `None`: not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Print this and end, whatever else is said.
    pub show: Option<Show>,
    /// `-c`: the configuration file.
    pub config: Option<String>,
    /// `-t`: check the configuration file and end.
    pub test_config: bool,
    /// `-sl`: send a signal, `command[=pid]`, and end.
    pub signal: Option<String>,
    /// `-a`: the address clients connect to.
    pub host: Option<String>,
    /// `-p`: the port clients connect to; -1 is any, 0 the default.
    pub port: Option<i64>,
    /// `-n`: the name of the server.
    pub server_name: Option<String>,
    /// `-P`: file that holds the process id.
    pub pid_file: Option<String>,
    /// `-m`: port of monitoring.
    pub http_port: Option<i64>,
    /// `-ms`: port of monitoring over TLS.
    pub https_port: Option<i64>,
    /// `--client_advertise`: the address told to clients.
    pub client_advertise: Option<String>,
    /// `--ports_file_dir`: directory that receives the ports file.
    pub ports_file_dir: Option<String>,
    /// `-l`: the log file.
    pub log_file: Option<String>,
    /// `-T`: begin log lines with the time.
    pub logtime: Option<bool>,
    /// `--logtime_utc`: that time in UTC.
    pub logtime_utc: Option<bool>,
    /// `-s`: log to the local syslog.
    pub syslog: Option<bool>,
    /// `-r`: log to the syslog at this URL.
    pub remote_syslog: Option<String>,
    /// `-D`, `-DV`, `-DVV`: log decisions.
    pub debug: Option<bool>,
    /// `-V`, `-VV`, `-DV`, `-DVV`: log protocol lines.
    pub trace: Option<bool>,
    /// `-VV`, `-DVV`: trace the system account too.
    pub trace_verbose: Option<bool>,
    /// `--log_size_limit`: bytes after which the log file is rotated.
    pub log_size_limit: Option<i64>,
    /// `--max_traced_msg_len`: bytes of a traced message that are logged.
    pub max_traced_msg_len: Option<i64>,
    /// `-js`: turn JetStream on.
    pub jetstream: Option<bool>,
    /// `-sd`: directory of streams.
    pub store_dir: Option<String>,
    /// `--user`: the single user.
    pub user: Option<String>,
    /// `--pass`: the single user's password.
    pub password: Option<String>,
    /// `--auth`: the single token.
    pub token: Option<String>,
    /// `--tls`: TLS for clients; `false` takes away that of the file.
    pub tls: Option<bool>,
    /// `--tlscert`: certificate file.
    pub tls_cert: Option<String>,
    /// `--tlskey`: key file.
    pub tls_key: Option<String>,
    /// `--tlsverify`: clients need a certificate.
    pub tls_verify: Option<bool>,
    /// `--tlscacert`: authorities that sign clients.
    pub tls_ca_cert: Option<String>,
    /// `--routes`: URLs of other servers, separated by commas.
    pub routes: Option<String>,
    /// `--cluster`, `--cluster_listen`: URL to listen on for routes.
    pub cluster_listen: Option<String>,
    /// `--cluster_name`: the name of the cluster.
    pub cluster_name: Option<String>,
    /// `--no_advertise`: tell nobody about this server.
    pub no_advertise: Option<bool>,
    /// `--cluster_advertise`: the address told to other servers.
    pub cluster_advertise: Option<String>,
    /// `--connect_retries`: attempts to reach a server learnt from others.
    pub connect_retries: Option<i64>,
    /// `--profile`: port of the profiler.
    pub profile_port: Option<i64>,
    raw: Raw,
}

/// Switches that say several things; `settle` deals them out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Raw {
    help: Option<bool>,
    version: Option<bool>,
    help_tls: Option<bool>,
    test_config: Option<bool>,
    debug_trace: Option<bool>,
    debug_verbose: Option<bool>,
    verbose: Option<bool>,
}

/// What is printed instead of running a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The version.
    Version,
    /// [`usage`].
    Help,
    /// [`TLS_HELP`].
    TlsHelp,
}

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// There is no such flag.
    #[error("flag provided but not defined: -{0}")]
    Undefined(String),
    /// Three dashes, or no name.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// The value is missing.
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(&'static str),
    /// The value of a switch is neither true nor false.
    #[error("invalid boolean value {value:?} for -{flag}: parse error")]
    NotBool {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
    },
    /// The value is no number, or too large.
    #[error("invalid value {value:?} for flag -{flag}: {reason}")]
    NotANumber {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// `parse error` or `value out of range`.
        reason: &'static str,
    },
    /// A word that is no flag and no command.
    #[error("unrecognized command: {0:?}")]
    Command(String),
    /// `-t` without a file.
    #[error("must specify [-c, --config] option to check configuration file syntax")]
    NothingToTest,
    /// The flags cannot be put over the options.
    #[error("{0}")]
    Conflict(String),
}

impl FlagError {
    /// The line is not understood: nats-server prints the error on standard error
    /// and [`usage`] on standard output, and ends with 0. Other errors it prints
    /// as `nats-server: error` and ends with 1.
    pub fn shows_usage(&self) -> bool {
        !matches!(
            self,
            FlagError::Command(_) | FlagError::NothingToTest | FlagError::Conflict(_)
        )
    }
}

/// The names of a flag, its slot, the name of its value, what it does.
type Row = (&'static [&'static str], Slot, &'static str, &'static str);

/// Where the value of a flag goes.
#[derive(Clone, Copy)]
enum Slot {
    Text(fn(&mut Flags) -> &mut Option<String>),
    Number(fn(&mut Flags) -> &mut Option<i64>),
    Switch(fn(&mut Flags) -> &mut Option<bool>),
}

use Slot::{Number, Switch, Text};

/// Every flag, by section of the help.
#[rustfmt::skip]
const SECTIONS: &[(&str, &[Row])] = &[
    ("Server", &[
        (&["a", "addr", "net"], Text(|f| &mut f.host), "host", "Address clients connect to (default: 0.0.0.0)"),
        (&["p", "port"], Number(|f| &mut f.port), "port", "Port clients connect to, -1 for any (default: 4222)"),
        (&["n", "name", "server_name"], Text(|f| &mut f.server_name), "name", "Name of this server (default: its id)"),
        (&["P", "pid"], Text(|f| &mut f.pid_file), "file", "Write the process id to this file"),
        (&["m", "http_port"], Number(|f| &mut f.http_port), "port", "Serve monitoring over HTTP on this port"),
        (&["ms", "https_port"], Number(|f| &mut f.https_port), "port", "Serve monitoring over HTTPS on this port"),
        (&["c", "config"], Text(|f| &mut f.config), "file", "Read the configuration from this file"),
        (&["t"], Switch(|f| &mut f.raw.test_config), "", "Check the configuration file and end"),
        (&["sl", "signal"], Text(|f| &mut f.signal), "signal[=pid]", "Tell a running server to ldm, stop, quit, term, reopen or reload; pid is a number or a pid file"),
        (&["client_advertise"], Text(|f| &mut f.client_advertise), "host[:port]", "Address told to clients"),
        (&["ports_file_dir"], Text(|f| &mut f.ports_file_dir), "dir", "Write a file with all ports in use to this directory"),
    ]),
    ("Logging", &[
        (&["l", "log"], Text(|f| &mut f.log_file), "file", "Log to this file"),
        (&["T", "logtime"], Switch(|f| &mut f.logtime), "", "Begin log lines with the time (default: true)"),
        (&["logtime_utc"], Switch(|f| &mut f.logtime_utc), "", "That time in UTC (default: false)"),
        (&["s", "syslog"], Switch(|f| &mut f.syslog), "", "Log to the local syslog"),
        (&["r", "remote_syslog"], Text(|f| &mut f.remote_syslog), "url", "Log to the syslog at this URL (udp://host:514)"),
        (&["D", "debug"], Switch(|f| &mut f.debug), "", "Log decisions"),
        (&["V", "trace"], Switch(|f| &mut f.trace), "", "Log protocol lines"),
        (&["VV"], Switch(|f| &mut f.raw.verbose), "", "As -V, the system account too"),
        (&["DV"], Switch(|f| &mut f.raw.debug_trace), "", "As -D -V"),
        (&["DVV"], Switch(|f| &mut f.raw.debug_verbose), "", "As -D -VV"),
        (&["log_size_limit"], Number(|f| &mut f.log_size_limit), "bytes", "Rotate the log file at this size (default: never)"),
        (&["max_traced_msg_len"], Number(|f| &mut f.max_traced_msg_len), "bytes", "Log this much of a traced message (default: all)"),
    ]),
    ("JetStream", &[
        (&["js", "jetstream"], Switch(|f| &mut f.jetstream), "", "Turn JetStream on"),
        (&["sd", "store_dir"], Text(|f| &mut f.store_dir), "dir", "Directory of streams"),
    ]),
    ("Authorization", &[
        (&["user"], Text(|f| &mut f.user), "user", "User clients have to present"),
        (&["pass"], Text(|f| &mut f.password), "password", "Password of that user"),
        (&["auth"], Text(|f| &mut f.token), "token", "Token clients have to present"),
    ]),
    ("TLS", &[
        (&["tls"], Switch(|f| &mut f.tls), "", "Use TLS, without client certificates (default: false)"),
        (&["tlscert"], Text(|f| &mut f.tls_cert), "file", "Certificate of this server"),
        (&["tlskey"], Text(|f| &mut f.tls_key), "file", "Key of that certificate"),
        (&["tlsverify"], Switch(|f| &mut f.tls_verify), "", "Use TLS and verify client certificates"),
        (&["tlscacert"], Text(|f| &mut f.tls_ca_cert), "file", "Authorities that sign clients"),
    ]),
    ("Cluster", &[
        (&["routes"], Text(|f| &mut f.routes), "url,url", "Servers to connect to"),
        (&["cluster", "cluster_listen"], Text(|f| &mut f.cluster_listen), "url", "URL to listen on for other servers"),
        (&["cluster_name"], Text(|f| &mut f.cluster_name), "name", "Name of the cluster (default: made up and agreed upon)"),
        (&["no_advertise"], Switch(|f| &mut f.no_advertise), "", "Tell nobody about this server"),
        (&["cluster_advertise"], Text(|f| &mut f.cluster_advertise), "host[:port]", "Address told to other servers"),
        (&["connect_retries"], Number(|f| &mut f.connect_retries), "number", "Attempts to reach a server learnt from others"),
    ]),
    ("Profiling", &[
        (&["profile"], Number(|f| &mut f.profile_port), "port", "Port of the profiler"),
    ]),
    ("Common", &[
        (&["h", "help"], Switch(|f| &mut f.raw.help), "", "Show this text"),
        (&["v", "version"], Switch(|f| &mut f.raw.version), "", "Show the version"),
        (&["help_tls"], Switch(|f| &mut f.raw.help_tls), "", "Show how to configure TLS"),
    ]),
];

/// Flags whose value must not be shown.
const SECRETS: &[&str] = &["user", "pass", "auth"];
/// Flags whose value is a URL, or several, with a login that must not be shown.
const URLS: &[&str] = &["routes", "cluster", "cluster_listen"];

/// Reads the command line, without the name of the program.
pub fn parse_flags(args: &[String]) -> Result<Flags, FlagError> {
    let mut flags = Flags::default();
    let mut rest = args.iter();
    let mut word = None;
    while let Some(arg) = rest.next() {
        let (name, value) = match split(arg)? {
            Argument::End => {
                word = rest.next();
                break;
            }
            Argument::Word => {
                word = Some(arg);
                break;
            }
            Argument::Flag { name, value } => (name, value),
        };
        let (flag, slot) = find(name).ok_or_else(|| FlagError::Undefined(name.into()))?;
        let value = value.map(str::to_owned);
        let mut argument = || {
            let value = value.clone().or_else(|| rest.next().cloned());
            value.ok_or(FlagError::NeedsArgument(flag))
        };
        match slot {
            Text(text) => *text(&mut flags) = Some(argument()?),
            Number(number) => *number(&mut flags) = Some(parse_number(flag, &argument()?)?),
            Switch(switch) => {
                *switch(&mut flags) = Some(match value {
                    Some(value) => parse_bool(flag, value)?,
                    None => true,
                });
            }
        }
    }
    flags.settle();
    if flags.show.is_some() {
        return Ok(flags);
    }
    match word.map(|word| word.to_lowercase()).as_deref() {
        Some("version") => flags.show = Some(Show::Version),
        Some("help") => flags.show = Some(Show::Help),
        Some(_) => return Err(FlagError::Command(word.cloned().unwrap_or_default())),
        None if flags.test_config && flags.config.is_none() && flags.signal.is_none() => {
            return Err(FlagError::NothingToTest);
        }
        None => {}
    }
    Ok(flags)
}

/// What one argument is, were it the next to be read.
enum Argument<'a> {
    /// `--`: no flags follow.
    End,
    Word,
    Flag {
        name: &'a str,
        value: Option<&'a str>,
    },
}

fn split(arg: &str) -> Result<Argument<'_>, FlagError> {
    let Some(body) = arg.strip_prefix('-').filter(|body| !body.is_empty()) else {
        return Ok(Argument::Word);
    };
    let body = body.strip_prefix('-').unwrap_or(body);
    if body.is_empty() {
        return Ok(Argument::End);
    }
    if body.starts_with(['-', '=']) {
        return Err(FlagError::Syntax(arg.to_owned()));
    }
    Ok(match body.split_once('=') {
        Some((name, value)) => Argument::Flag {
            name,
            value: Some(value),
        },
        None => Argument::Flag {
            name: body,
            value: None,
        },
    })
}

fn find(name: &str) -> Option<(&'static str, Slot)> {
    let rows = SECTIONS.iter().flat_map(|(_, rows)| rows.iter());
    rows.flat_map(|(names, slot, ..)| names.iter().map(|known| (*known, *slot)))
        .find(|(known, _)| *known == name)
}

fn parse_bool(flag: &'static str, value: String) -> Result<bool, FlagError> {
    match value.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(FlagError::NotBool { flag, value }),
    }
}

/// A number as Go's `strconv.ParseInt` reads one of unknown base.
fn parse_number(flag: &'static str, value: &str) -> Result<i64, FlagError> {
    let refuse = |reason| FlagError::NotANumber {
        flag,
        value: value.to_owned(),
        reason,
    };
    let (sign, digits) = match value.strip_prefix(['-', '+']) {
        Some(digits) if value.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", value),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, body) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some(_) if lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    // An underscore stands between digits, or between the prefix and a digit.
    let first_is_fine = base != 10 || !body.starts_with('_');
    let plain = body.replace('_', "");
    let fine = first_is_fine
        && !body.ends_with('_')
        && !body.contains("__")
        && !plain.is_empty()
        && plain.chars().all(|c| c.is_digit(base));
    if !fine {
        return Err(refuse("parse error"));
    }
    i64::from_str_radix(&format!("{sign}{plain}"), base).map_err(|_| refuse("value out of range"))
}

impl Flags {
    /// Deals out the switches that say several things, the more particular last.
    fn settle(&mut self) {
        let raw = std::mem::take(&mut self.raw);
        self.test_config = raw.test_config == Some(true);
        if let Some(on) = raw.debug_trace {
            (self.debug, self.trace) = (Some(on), Some(on));
        }
        if let Some(on) = raw.debug_verbose {
            (self.debug, self.trace, self.trace_verbose) = (Some(on), Some(on), Some(on));
        }
        if let Some(on) = raw.verbose {
            (self.trace, self.trace_verbose) = (Some(on), Some(on));
        }
        let shows = [
            (raw.version, Show::Version),
            (raw.help, Show::Help),
            (raw.help_tls, Show::TlsHelp),
        ];
        let wanted = shows.iter().find(|(wanted, _)| *wanted == Some(true));
        self.show = wanted.map(|(_, show)| *show);
    }
}

/// The text of `--help` for the program of that name.
pub fn usage(program: &str) -> String {
    let mut out = format!("\nUsage: {program} [options]\n");
    for (section, rows) in SECTIONS {
        out.push_str(&format!("\n{section} options:\n"));
        for (names, _, value, help) in *rows {
            let dashed = |name: &&str| match name.len() {
                1 | 2 => format!("-{name}"),
                _ if *name == "DVV" => format!("-{name}"),
                _ => format!("--{name}"),
            };
            let mut left: String = names.iter().map(dashed).collect::<Vec<_>>().join(", ");
            if !value.is_empty() {
                left.push_str(&format!(" <{value}>"));
            }
            out.push_str(&format!("    {left:<36} {help}\n"));
        }
    }
    out
}

/// The text of `--help_tls`.
pub const TLS_HELP: &str = r#"
TLS is configured in the `tls` block of the configuration file. Blocks of the
same form stand in `cluster`, `gateway`, `leafnodes`, `websocket` and `mqtt`.

    tls {
        cert_file: "server-cert.pem"     # this server's certificate and its chain
        key_file: "server-key.pem"       # the key of that certificate
        ca_file: "ca.pem"                # authorities that sign the other side
        verify: true                     # the other side must present a certificate
        verify_and_map: false            # ... which names the user it is
        timeout: 2                       # seconds a handshake may take
        min_version: "1.2"               # or "1.3"
        pinned_certs: []                 # SHA-256 of accepted public keys
        handshake_first: false           # true, "auto" or a duration: TLS before INFO
    }

On the command line --tls, --tlscert, --tlskey, --tlsverify and --tlscacert say
the same for clients, and take the place of the block's certificates.
"#;

/// The arguments with everything secret replaced, fit to be shown.
pub fn redact(args: &[String]) -> Vec<String> {
    let mut shown = args.to_vec();
    for at in 0..args.len() {
        let Ok(Argument::Flag { name, value }) = split(&args[at]) else {
            continue;
        };
        let hide = |text: &str| {
            if SECRETS.contains(&name) {
                "[REDACTED]".to_owned()
            } else {
                let urls: Vec<String> = text.split(',').map(redact_url).collect();
                urls.join(",")
            }
        };
        if !SECRETS.contains(&name) && !URLS.contains(&name) {
            continue;
        }
        match value {
            Some(value) => {
                let flag = &args[at][..args[at].len() - value.len()];
                shown[at] = format!("{flag}{}", hide(value));
            }
            None if at + 1 < args.len() => shown[at + 1] = hide(&args[at + 1]),
            None => {}
        }
    }
    shown
}

fn redact_url(url: &str) -> String {
    let begin = url.find("://").map_or(0, |at| at + 3);
    let end = url[begin..].find('/').map_or(url.len(), |at| begin + at);
    match url[begin..end].rfind('@') {
        Some(at) => format!("{}[REDACTED]{}", &url[..begin], &url[begin + at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Flags, FlagError> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse_flags(&args)
    }

    fn check(line: &str, set: impl Fn(&mut Flags)) {
        let mut expected = Flags::default();
        set(&mut expected);
        assert_eq!(parse(line), Ok(expected), "{line}");
    }

    #[test]
    fn the_syntax_is_that_of_go() {
        check("", |_| {});
        for line in [
            "-p 4333",
            "--p 4333",
            "-port=4333",
            "--port=0x10ed",
            "-p 1 -p 4_333",
        ] {
            check(line, |f| f.port = Some(4333));
        }
        check("-p -1", |f| f.port = Some(-1));
        check("-p 010", |f| f.port = Some(8));
        check("-n a=b", |f| f.server_name = Some("a=b".into()));
        check("--name=a=b", |f| f.server_name = Some("a=b".into()));
        check("-c=", |f| f.config = Some(String::new()));
        check("-c -t", |f| f.config = Some("-t".into()));
        check("-t -c x", |f| {
            (f.test_config, f.config) = (true, Some("x".into()));
        });
        check("-T=false", |f| f.logtime = Some(false));
        check("-js=T -sd /x", |f| {
            (f.jetstream, f.store_dir) = (Some(true), Some("/x".into()));
        });
        check("-s --", |f| f.syslog = Some(true));
    }

    #[test]
    fn joined_switches_set_what_they_name() {
        let check = |line: &str, debug, trace, trace_verbose| {
            check(line, |f| {
                (f.debug, f.trace, f.trace_verbose) = (debug, trace, trace_verbose);
            });
        };
        let (on, off) = (Some(true), Some(false));
        check("-D", on, None, None);
        check("-V", None, on, None);
        check("-VV", None, on, on);
        check("-DV", on, on, None);
        check("-DVV", on, on, on);
        check("-DVV=false", off, off, off);
        check("-DVV -D=false -V=false", on, on, on);
        check("-VV=false -DV", on, off, off);
    }

    #[test]
    fn some_flags_and_words_show_a_text() {
        for (line, expected) in [
            ("-v", Show::Version),
            ("--version", Show::Version),
            ("version", Show::Version),
            ("-p 1 Version", Show::Version),
            ("-- version", Show::Version),
            ("-h -v", Show::Version),
            ("-h foo", Show::Help),
            ("help", Show::Help),
            ("--help_tls", Show::TlsHelp),
        ] {
            let show = parse(line).map(|flags| flags.show);
            assert_eq!(show, Ok(Some(expected)), "{line}");
        }
    }

    #[test]
    fn refusals_have_the_texts_of_go() {
        for (line, expected, usage) in [
            ("-x", "flag provided but not defined: -x", true),
            ("--nope=1", "flag provided but not defined: -nope", true),
            ("-p", "flag needs an argument: -p", true),
            (
                "-p abc",
                "invalid value \"abc\" for flag -p: parse error",
                true,
            ),
            (
                "-p 0x",
                "invalid value \"0x\" for flag -p: parse error",
                true,
            ),
            (
                "-p 1__0",
                "invalid value \"1__0\" for flag -p: parse error",
                true,
            ),
            ("-p=", "invalid value \"\" for flag -p: parse error", true),
            (
                "-p 09",
                "invalid value \"09\" for flag -p: parse error",
                true,
            ),
            (
                "-p 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -p: value out of range",
                true,
            ),
            (
                "-D=maybe",
                "invalid boolean value \"maybe\" for -D: parse error",
                true,
            ),
            ("---p", "bad flag syntax: ---p", true),
            ("-=x", "bad flag syntax: -=x", true),
            ("-", "unrecognized command: \"-\"", false),
            ("foo -v", "unrecognized command: \"foo\"", false),
            ("-D true", "unrecognized command: \"true\"", false),
            (
                "-t",
                "must specify [-c, --config] option to check configuration file syntax",
                false,
            ),
        ] {
            let err = parse(line).expect_err(line);
            assert_eq!(
                (err.to_string().as_str(), err.shows_usage()),
                (expected, usage),
                "{line}"
            );
        }
    }

    #[test]
    fn the_help_names_every_flag() {
        let usage = usage("natter");
        for (names, ..) in SECTIONS.iter().flat_map(|(_, rows)| rows.iter()) {
            for name in *names {
                assert!(usage.contains(&format!("-{name}")), "{name}");
                assert_eq!(find(name).map(|(found, _)| found), Some(*name));
            }
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let args = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        for (line, expected) in [
            (
                "-user a --pass=b -auth",
                "-user [REDACTED] --pass=[REDACTED] -auth",
            ),
            ("-p 1 -n pass", "-p 1 -n pass"),
            (
                "--routes nats://u:p@h:1,nats://h:2/@ --cluster=nats://t@h:-1",
                "--routes nats://[REDACTED]@h:1,nats://h:2/@ --cluster=nats://[REDACTED]@h:-1",
            ),
        ] {
            assert_eq!(redact(&args(line)), args(expected));
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(args in prop::collection::vec("-{0,3}[a-zA-Zé=_0-9]{0,9}", 0..6)) {
            let _ = (parse_flags(&args), redact(&args));
        }
    }
}
