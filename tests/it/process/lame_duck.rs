//! Lame duck mode of a running process.

use std::net::TcpStream;
use std::time::Instant;

use super::{Process, messages, wait_until};

const SHORT: &str = "lame_duck_duration: '30s'\nlame_duck_grace_period: '1s'";

// The lines, their order and the exit code are those of nats-server 2.15.1.
fn check_end(process: &mut Process, expected: &[&str]) {
    assert_eq!(process.exit_code(), Some(0));
    let log = messages(&process.read("log"));
    let start = log
        .iter()
        .position(|line| line.contains("Trapped"))
        .unwrap();
    let expected: Vec<String> = expected
        .iter()
        .map(|line| format!("[INF] {line}"))
        .collect();
    assert_eq!(log[start..], expected);
}

#[test]
fn clients_are_told_then_closed_and_the_process_ends() {
    let mut process = Process::start(SHORT);
    let mut clients: Vec<_> = (0..3).map(|_| process.client()).collect();
    let began = Instant::now();
    process.signal("ldm");
    for client in &mut clients {
        let line = client.line();
        let info: serde_json::Value =
            serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap();
        assert_eq!(info["ldm"], true);
        assert_eq!(info.get("connect_urls"), None);
    }
    assert!(TcpStream::connect(process.address("nats")).is_err());
    // A pod that ends gets both signals.
    process.signal("term");
    process.wait_for("log", "Trapped \"terminated\" signal");
    for client in &mut clients {
        assert_eq!(client.until_end(), [""; 0]);
    }
    assert!(
        began.elapsed().as_millis() >= 1000,
        "within the grace period"
    );
    check_end(
        &mut process,
        &[
            "Trapped \"user defined signal 2\" signal",
            "Entering lame duck mode, stop accepting new clients",
            "Trapped \"terminated\" signal",
            "Closing existing clients",
            "Initiating Shutdown...",
            "Server Exiting..",
        ],
    );
    // Three clients are spaced by a second at most.
    assert!(began.elapsed().as_secs() < 10);
}

#[test]
fn without_clients_it_ends_at_once() {
    let mut process = Process::start("");
    process.signal("ldm");
    check_end(
        &mut process,
        &[
            "Trapped \"user defined signal 2\" signal",
            "Entering lame duck mode, stop accepting new clients",
            "Initiating Shutdown...",
            "Server Exiting..",
        ],
    );
}

#[test]
fn an_interrupt_ends_it() {
    let mut process = Process::start("");
    let mut client = process.client();
    process.signal("ldm");
    assert!(client.line().contains("\"ldm\":true"));
    process.signal("quit");
    assert_eq!(client.until_end(), [""; 0]);
    check_end(
        &mut process,
        &[
            "Trapped \"user defined signal 2\" signal",
            "Entering lame duck mode, stop accepting new clients",
            "Trapped \"interrupt\" signal",
            "Initiating Shutdown...",
            "Server Exiting..",
        ],
    );
}

#[test]
fn messages_flow_in_the_grace_period() {
    let process = Process::start("");
    let (mut a, mut b) = (process.client(), process.client());
    a.send("SUB x 1");
    assert_eq!(a.until_pong(), [""; 0]);
    process.signal("ldm");
    assert!(a.line().starts_with("INFO ") && b.line().starts_with("INFO "));
    b.send("PUB x 2\nhi");
    assert_eq!((a.line().as_str(), a.line().as_str()), ("MSG x 1 2", "hi"));
}

#[test]
fn the_system_account_may_reload_and_send_one_client_away() {
    let users = "accounts { $SYS { users: [ {user: s, password: s} ] } }";
    let process = Process::start(users);
    let id = process.get("/varz")["server_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (mut other, mut client) = (process.client(), process.client());
    let mut system = process.client_as(r#""user":"s","pass":"s""#);
    let cid = client.info["client_id"].as_u64().unwrap();
    let body = format!("{{\"cid\":{cid}}}");
    system.send(&format!(
        "SUB answers 1\nPUB $SYS.REQ.SERVER.{id}.LDM answers {}\n{body}",
        body.len()
    ));
    assert!(client.line().contains("\"ldm\":true"));
    assert_eq!(other.until_pong(), [""; 0]);
    assert!(system.line().starts_with("MSG answers 1 "));

    std::fs::write(
        process.path("natter.conf"),
        super::with_log(process.dir.path(), &format!("{users}\nmax_payload: 99")),
    )
    .unwrap();
    system.send(&format!("PUB $SYS.REQ.SERVER.{id}.RELOAD answers 0\n"));
    process.wait_for("log", "Reloaded: max_payload = 99");
    wait_until("the new limit", || {
        process.get("/varz")["max_payload"] == 99
    });
}
