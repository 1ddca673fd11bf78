//! What parses but is not in this release keeps a server from starting, with the place and
//! a sentence.

use std::fs;

use super::natter;

fn check(config: &str, line: usize, sentence: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.conf");
    let file = file.to_str().unwrap();
    fs::write(file, format!("listen: '127.0.0.1:-1'\n{config}\n")).unwrap();
    let output = natter(&["server", "-c", file]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{config}: {text}");
    let is_said = |said: &str| {
        said.contains("[FTL]")
            && said.contains(&format!("{file}:{line}:"))
            && said.ends_with(sentence)
    };
    assert!(text.lines().any(is_said), "{config}: {text}");
}

#[test]
fn parts_that_are_not_built_are_refused_by_place_and_sentence() {
    for (config, line, sentence) in [
        (
            "default_js_domain { $G: d }",
            2,
            "default_js_domain is not part of this release: JetStream has no domains",
        ),
        (
            "jetstream { domain: hub }",
            2,
            "jetstream domains are not part of this release",
        ),
        (
            "jetstream { key: s3cr3t }",
            2,
            "encryption of streams is not part of this release: encrypt the disk",
        ),
        (
            "\ncluster { port: -1 }",
            3,
            "cluster is not part of this release: a server runs alone",
        ),
        (
            "gateway { name: a, port: -1 }",
            2,
            "gateway is not part of this release",
        ),
        (
            "leafnodes { port: -1 }",
            2,
            "leafnodes are not part of this release",
        ),
        (
            "websocket { port: -1, no_tls: true }",
            2,
            "websocket is not part of this release",
        ),
        (
            "proxy_protocol: true",
            2,
            "proxy_protocol is not part of this release",
        ),
        (
            "syslog: true",
            2,
            "syslog is not part of this release: log to standard error or a file",
        ),
        (
            "remote_syslog: 'udp://127.0.0.1:1'",
            2,
            "remote_syslog is not part of this release: log to standard error or a file",
        ),
        (
            "prof_port: 1",
            2,
            "the profiler is not part of this release",
        ),
        ("ocsp: true", 2, "ocsp is not part of this release"),
        (
            "authorization { users [ {user: a, password: b, proxy_required: true} ] }",
            2,
            "proxy_required is not part of this release",
        ),
        (
            "accounts { A { exports [ {service: s, latency: l} ] } }",
            2,
            "service latency is not part of this release",
        ),
        (
            "accounts { A { msg_trace: t } }",
            2,
            "message tracing is not part of this release",
        ),
        (
            "streaming { cluster_id: c }",
            2,
            "streaming is not part of this release",
        ),
        (
            "resolver: MEMORY",
            2,
            "account resolvers are not part of this release: configure accounts instead",
        ),
        (
            "resolver_pinned_accounts: [ADQ4BYM5KICR5OXDSP3S3WVJ5CYEORGQKT72SVRF2ZDVA7LTFKMCIPGY]",
            2,
            "operator mode is not part of this release: configure accounts instead",
        ),
        (
            "authorization { auth_callout { issuer: ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA, users: [u] }, users: [ {user: u, password: p} ] }",
            2,
            "auth_callout is not part of this release",
        ),
        (
            "ocsp_cache: true",
            2,
            "ocsp_cache is not part of this release",
        ),
        (
            "authorization { token: t, proxy_required: true }",
            2,
            "proxy_required is not part of this release",
        ),
        (
            "prof_block_rate: 1",
            2,
            "the profiler is not part of this release",
        ),
        (
            "accounts { A { exports [ {service: s, allow_trace: true} ] } }",
            2,
            "message tracing is not part of this release",
        ),
        (
            "accounts { B { exports [ {stream: s} ] }, A { imports [ {stream: {account: B, subject: s}, allow_trace: true} ] } }",
            2,
            "message tracing is not part of this release",
        ),
    ] {
        check(config, line, sentence);
    }
}

#[test]
fn flags_that_ask_for_such_a_part_are_refused_too() {
    let args = [
        "server",
        "-a",
        "127.0.0.1",
        "-p",
        "-1",
        "--cluster",
        "nats://127.0.0.1:-1",
    ];
    let output = natter(&args);
    let text = String::from_utf8(output.stderr).unwrap();
    let sentence = "cluster is not part of this release: a server runs alone";
    assert!(text.contains(sentence), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
