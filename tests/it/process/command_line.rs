//! What a command line says and ends with when no server comes of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::natter;

/// What a process printed and ended with.
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

/// Runs the binary by another name in a directory with some configurations.
fn run_as(name: &str, line: &str) -> Said {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join(name);
    symlink(env!("CARGO_BIN_EXE_natter"), &link).unwrap();
    for (file, text) in [
        ("ok.conf", "port: -1\n"),
        ("bad.conf", "port: -1\nfoo: 1\n  bar: 2\n"),
        ("doubtful.conf", "ping_interval: 5\n"),
        (
            "grace.conf",
            "lame_duck_duration: '30s'\nlame_duck_grace_period: '40s'\n",
        ),
        ("short.conf", "lame_duck_duration: '10s'\n"),
        (
            "tls.conf",
            "port: -1\ntls { cert_file: 'no.pem', key_file: 'no.key' }\n",
        ),
        ("pid.conf", "listen: '127.0.0.1:-1'\npid_file: 'no/pid'\n"),
    ] {
        fs::write(dir.path().join(file), text).unwrap();
    }
    let output = Command::new(&link)
        .args(line.split_whitespace())
        .current_dir(dir.path())
        .output()
        .unwrap();
    Said {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}

// Texts and codes are those of nats-server 2.15.1 where its name is used; errors may say
// more than it does about the place.
#[test]
fn called_nats_server_it_says_what_that_says() {
    let check = |line: &str, out: &str, err: &str, code: i32| {
        let said = run_as("nats-server", line);
        assert!(said.out.contains(out), "{line}: {}", said.out);
        assert_eq!(out.is_empty(), said.out.is_empty(), "{line}: {}", said.out);
        assert_eq!((said.err.as_str(), said.code), (err, Some(code)), "{line}");
    };
    for line in ["-v", "--version", "version"] {
        check(line, "nats-server: v2.", "", 0);
    }
    for line in ["-h", "--help", "help"] {
        check(line, "Usage: nats-server [options]", "", 0);
    }
    check(
        "-t -c ok.conf",
        "",
        "nats-server: configuration file ok.conf is valid (sha256:7ea4cc5c6864139d814ce940a40ee6546b7ac5285eec3c390a4ce11e34dc1102)\n",
        0,
    );
    for line in ["-t -c bad.conf", "-c bad.conf"] {
        check(
            line,
            "",
            "nats-server: bad.conf:2:1: unknown field \"foo\"\nbad.conf:3:3: unknown field \"bar\"\n",
            1,
        );
    }
    check(
        "-t",
        "",
        "nats-server: must specify [-c, --config] option to check configuration file syntax\n",
        1,
    );
    for line in ["-t -c no.conf", "-c no.conf"] {
        check(
            line,
            "",
            "nats-server: open no.conf: no such file or directory\n",
            1,
        );
    }
    check(
        "-c grace.conf",
        "",
        "nats-server: grace.conf:2:1: lame duck grace period (40s) should be strictly lower than lame duck duration (30s)\n",
        1,
    );
    check(
        "--signal reload=99999999",
        "",
        "nats-server: \nsignal \"reload\" 99999999: no such process\n",
        1,
    );
    check("--signal ldm=no", "", "nats-server: invalid pid: no\n", 1);
    check("bar", "", "nats-server: unrecognized command: \"bar\"\n", 1);
    check(
        "-foo",
        "Usage: nats-server [options]",
        "flag provided but not defined: -foo\n",
        0,
    );
}

#[test]
fn what_is_doubtful_fails_a_check() {
    for (line, expected) in [
        ("-t -c doubtful.conf", "ping_interval"),
        ("-t -c short.conf", "minimum is 30 seconds"),
    ] {
        let said = run_as("nats-server", line);
        assert!(said.err.contains(expected), "{}", said.err);
        assert_eq!(said.code, Some(1), "{line}");
    }
}

#[test]
fn a_start_that_fails_says_why_in_one_fatal_line() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    for (line, expected) in [
        (
            format!("-a 127.0.0.1 -p {port}"),
            format!("127.0.0.1:{port}: "),
        ),
        (
            format!("-a 127.0.0.1 -p -1 -m {port}"),
            format!("127.0.0.1:{port}: "),
        ),
        ("-c pid.conf".into(), "no/pid".into()),
        ("-c tls.conf".into(), "no.pem".into()),
    ] {
        let said = run_as("nats-server", &line);
        assert_eq!(said.code, Some(1), "{line}");
        let fatal: Vec<_> = said.err.lines().filter(|l| l.contains("[FTL]")).collect();
        let is_fatal = matches!(fatal[..], [only] if only.contains(&expected));
        assert!(is_fatal, "{line}: {}", said.err);
        assert!(said.err.trim_end().ends_with(fatal[0]), "{}", said.err);
    }
}

#[test]
fn a_log_that_cannot_be_written_keeps_it_from_starting() {
    let said = run_as("nats-server", "-p -1 -l no/log");
    assert!(
        said.err
            .starts_with("nats-server: open no/log: no such file")
    );
    assert_eq!(said.code, Some(1));
}

#[test]
fn what_is_not_in_this_release_ends_with_2() {
    for (args, expected) in [
        (
            &["operator"][..],
            "operator: the operator is not in this release",
        ),
        (
            &["cli", "pub"],
            "cli: the command line client is not in this release",
        ),
        (
            &["admin"],
            "admin: cluster administration is not in this release",
        ),
        (
            &["crds"],
            "crds: resource definitions are not in this release",
        ),
        (&["serve"], "natter: unknown command \"serve\""),
    ] {
        let output = natter(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with(expected), "{text}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    for name in ["nats", "nats-streaming-server"] {
        let said = run_as(name, "");
        assert!(said.err.contains("is not in this release"), "{}", said.err);
        assert_eq!(said.code, Some(2));
    }
}
