//! JetStream of a process: flags, log lines, and what a reload changes.

use std::fs;
use std::process::{Command, Stdio};

use super::link::Link;
use super::{Process, wait_until};

#[test]
fn flags_turn_jetstream_on_and_the_log_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let log = at("log");
    let child = Command::new(env!("CARGO_BIN_EXE_natter"))
        .args(["server", "-a", "127.0.0.1", "-p", "-1", "-js"])
        .args(["-sd", &at("data"), "-l", &log])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let read = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("the start", || read().contains("Server is ready"));
    let text = read();
    let mut rest = text.as_str();
    for line in [
        "Starting natter",
        "Starting JetStream",
        "Max Memory:",
        "Store Directory: \"",
        "to start JetStream",
        "Server is ready",
    ] {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line}: {text}"));
        rest = &rest[at..];
    }
    assert!(text.contains(&at("data/natter")), "{text}");
    child.0.kill().unwrap();
}

/// A process that ends with its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn limits_follow_a_reload_and_turning_off_is_refused() {
    let config = |server: &str, account: &str| {
        format!(
            "jetstream {{ store_dir: 'DIR/data', max_mem: 1MB, max_file: 1MB, {server} }}\n\
             accounts {{ A {{ {account} users: [{{user: a, password: a}}] }}\n\
             B {{ jetstream: enabled, users: [{{user: b, password: b}}] }} }}"
        )
    };
    let small = "jetstream { max_file: 1KB },";
    let process = Process::start(&config("limits { max_ack_pending: 5 }", small));
    let shown = |path: &str| process.get(path);
    let reserved = || shown("/jsz?acc=A")["account_details"][0]["reserved_storage"].clone();
    assert_eq!(shown("/jsz")["limits"]["max_ack_pending"], 5);
    assert_eq!(reserved(), 1024);

    let large = "jetstream { max_file: 2KB },";
    let lines = process.reload(&config("limits { max_ack_pending: 6 }", large));
    assert!(
        lines.last().unwrap().contains("Reloaded server"),
        "{lines:?}"
    );
    assert_eq!(shown("/jsz")["limits"]["max_ack_pending"], 6);
    assert_eq!(reserved(), 2048);

    let more = config("limits { max_ack_pending: 6 }", large)
        .replace("accounts {", "accounts { C { jetstream: enabled },");
    let lines = process.reload(&more);
    assert!(
        lines.last().unwrap().contains("Reloaded server"),
        "{lines:?}"
    );
    assert_eq!(shown("/jsz")["total"], 3);
    assert_eq!(
        shown("/accountz?acc=C")["account_detail"]["jetstream_enabled"],
        true
    );

    for (change, sentence) in [
        (
            config("limits { max_ack_pending: 6 }", ""),
            "JetStream of account \"A\"",
        ),
        (
            "jetstream: false".to_owned(),
            "turning it on or off needs a restart",
        ),
    ] {
        let lines = process.reload(&change);
        let last = lines.last().unwrap();
        assert!(
            last.contains("Failed to reload") && last.contains(sentence),
            "{lines:?}"
        );
    }
    assert_eq!(reserved(), 2048);
}

#[test]
fn room_made_by_one_stream_is_there_for_another() {
    let process = Process::start("jetstream { store_dir: 'DIR/data', max_file: 1MB }");
    let mut link = Link::connect(&process.address("nats")).unwrap();
    for name in ["A", "B"] {
        let config = format!("{{\"name\":\"{name}\",\"subjects\":[\"{name}\"]}}");
        let made = link.api(&format!("STREAM.CREATE.{name}"), &config).unwrap();
        assert!(made["error"].is_null(), "{made}");
    }
    let payload = "x".repeat(100_000);
    let publish = |link: &mut Link, name: &str| link.ask(name, &payload).unwrap().json();
    for _ in 0..6 {
        assert!(publish(&mut link, "A")["error"].is_null());
    }
    let mut refused = None;
    for _ in 0..12 {
        let answer = publish(&mut link, "B");
        if !answer["error"].is_null() {
            refused = Some(answer["error"]["err_code"].clone());
            break;
        }
    }
    assert_eq!(refused, Some(10023.into()));
    assert_eq!(link.api("STREAM.PURGE.A", "").unwrap()["success"], true);
    wait_until("room", || publish(&mut link, "B")["error"].is_null());
}
