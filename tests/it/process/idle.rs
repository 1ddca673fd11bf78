//! Streams that nobody uses: they give back their files, and answer as before.

use std::fs;

use super::{Client, Process, exists, wait_until};

/// Enough for a checkpoint when the stream goes to rest.
const LARGE: usize = 100_000;

struct Streams {
    process: Process,
    client: Client,
}

impl Streams {
    /// A stream `S` of three large messages, with a pull and a push consumer.
    fn start() -> Streams {
        let process = Process::start("jetstream { store_dir: 'DIR/data' }");
        let client = process.client();
        let mut streams = Streams { process, client };
        streams.client.send("SUB answer 1\nSUB pushed 2");
        streams.ask(
            "$JS.API.STREAM.CREATE.S",
            r#"{"name":"S","subjects":["s.>"]}"#,
        );
        for seq in 1..=3 {
            let ack = streams.ask("s.large", &"x".repeat(LARGE));
            assert_eq!(ack, format!(r#"{{"stream":"S","seq":{seq}}}"#));
        }
        for (name, field) in [
            ("pull", r#""ack_policy":"explicit""#),
            (
                "push",
                r#""deliver_policy":"new","deliver_subject":"pushed""#,
            ),
        ] {
            let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.S.{name}");
            let config = format!(r#"{{"durable_name":"{name}",{field}}}"#);
            let body = format!(r#"{{"stream_name":"S","config":{config}}}"#);
            let answer = streams.ask(&subject, &body);
            assert!(!answer.contains("error"), "{answer}");
        }
        streams
    }

    /// The body of the next message, which is for that subscription.
    fn receive(&mut self, sid: &str) -> String {
        let mut line = self.client.line();
        while line == "PING" {
            self.client.send("PONG");
            line = self.client.line();
        }
        assert_eq!(line.split(' ').nth(2), Some(sid), "{line}");
        self.client.line()
    }

    fn ask(&mut self, subject: &str, body: &str) -> String {
        self.client
            .send(&format!("PUB {subject} answer {}\n{body}", body.len()));
        self.receive("1")
    }

    /// Waits until the stream has made a checkpoint and closed its files.
    fn wait_for_rest(&self) {
        let groups = self.process.path("data/natter/groups");
        let has_manifest = || {
            let mut groups = fs::read_dir(&groups).unwrap();
            groups.any(|group| exists(&group.unwrap().path().join("manifest-0000000000000001")))
        };
        wait_until("a checkpoint", has_manifest);
        let files = format!("/proc/{}/fd", self.process.child.id());
        let is_block = |file: fs::DirEntry| {
            let target = fs::read_link(file.path()).unwrap_or_default();
            target.to_string_lossy().contains("/block-")
        };
        wait_until("closed files", || {
            let mut files = fs::read_dir(&files).unwrap();
            !files.any(|file| is_block(file.unwrap()))
        });
    }
}

#[test]
fn an_idle_stream_closes_its_files_and_answers_as_before() {
    let mut streams = Streams::start();
    streams.wait_for_rest();
    let info = streams.ask("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(r#""messages":3"#), "{info}");
    let pulled = streams.ask("$JS.API.CONSUMER.MSG.NEXT.S.pull", "");
    assert_eq!(pulled.len(), LARGE);

    streams.wait_for_rest();
    streams.client.send("PUB s.small 5\nhello");
    assert_eq!(streams.receive("2"), "hello");
    let info = streams.ask("$JS.API.STREAM.INFO.S", "");
    assert!(info.contains(r#""messages":4"#), "{info}");
}
