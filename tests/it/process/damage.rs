//! A file that rots under a stopped server: what operators and clients see.

use std::fs;

use super::{Client, Process};

/// Sends a request; gives the answer's body.
fn request(client: &mut Client, subject: &str, body: &str) -> serde_json::Value {
    client.send(&format!("PUB {subject} inbox {}\n{body}", body.len()));
    let head = client.line();
    assert!(head.starts_with("MSG inbox "), "{head}");
    serde_json::from_str(&client.line()).unwrap()
}

fn client(process: &Process) -> Client {
    let mut client = process.client();
    client.send("SUB inbox 1");
    client
}

#[test]
fn a_rotten_log_is_told_of_and_serves_what_is_whole() {
    let mut process = Process::start("jetstream { store_dir: 'DIR/data' }");
    let mut publisher = client(&process);
    for name in ["A", "B"] {
        let config = format!(r#"{{"name":"{name}","subjects":["{name}"]}}"#);
        let create = format!("$JS.API.STREAM.CREATE.{name}");
        let made = request(&mut publisher, &create, &config);
        assert!(made["error"].is_null(), "{made}");
    }
    for seq in 1..=5 {
        for name in ["A", "B"] {
            let text = format!("message {seq} of {name}");
            let stored = request(&mut publisher, name, &text);
            assert_eq!(stored["seq"], seq, "{stored}");
        }
    }
    assert_eq!(process.get("/healthz")["status"], "ok");
    process.kill();

    let wal = process.path("data/natter/wal");
    let mut flipped = 0;
    for entry in fs::read_dir(wal).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let wanted = b"message 3 of A";
        if let Some(at) = bytes.windows(wanted.len()).position(|some| some == wanted) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);

    process.start_again();
    let health = process.get("/healthz");
    assert_eq!(health["status"], "unavailable");
    let error = health["error"].as_str().unwrap();
    assert!(error.contains("'$G > A' is damaged"), "{error}");
    assert_eq!(process.get("/healthz?js-server-only=true")["status"], "ok");
    assert_eq!(process.get("/jsz")["problems"][0]["stream"], "A");
    assert!(process.read("log").contains("[ERR]"));

    let mut client = client(&process);
    let refused = request(&mut client, "A", "another");
    assert_eq!(refused["error"]["err_code"], 10077, "{refused}");
    let stored = request(&mut client, "B", "another");
    assert_eq!(stored["seq"], 6, "{stored}");
    for (seq, is_there) in [(1, true), (2, true), (3, false)] {
        let body = format!(r#"{{"seq":{seq}}}"#);
        let got = request(&mut client, "$JS.API.STREAM.MSG.GET.A", &body);
        assert_eq!(got["message"].is_object(), is_there, "{got}");
    }
}
