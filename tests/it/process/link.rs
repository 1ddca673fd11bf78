//! A connection of the tests that deal with streams: publishes, asks, hears.
//!
//! Separate from [`super::Client`] because payloads are bytes, and because the server may be
//! killed at any moment: every call says so by an error instead of failing the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::PATIENCE;

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// What is left of the subject behind the inbox.
    pub subject: String,
    pub reply: String,
    pub headers: String,
    pub payload: Vec<u8>,
}

impl Message {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The status in the first line of the headers.
    pub fn status(&self) -> &str {
        let line = self.headers.lines().next().unwrap_or_default();
        line.strip_prefix("NATS/1.0").unwrap_or_default().trim()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// A connection with an inbox of its own.
pub struct Link {
    reader: BufReader<TcpStream>,
    out: Vec<u8>,
    inbox: String,
    asked: u64,
}

impl Link {
    /// Connects and subscribes to the inbox.
    pub fn connect(address: &str) -> io::Result<Link> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let inbox = format!("_INBOX.{}", stream.local_addr()?.port());
        let mut link = Link {
            reader: BufReader::new(stream),
            out: Vec::new(),
            inbox,
            asked: 0,
        };
        let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n";
        link.out.extend_from_slice(hello.as_bytes());
        let subscribe = format!("SUB {}.> 1\r\nPING\r\n", link.inbox);
        link.out.extend_from_slice(subscribe.as_bytes());
        link.flush()?;
        while link.line()? != "PONG" {}
        Ok(link)
    }

    /// How long a message is waited for.
    pub fn set_patience(&self, patience: Duration) {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// Where an answer with this name is to go.
    pub fn inbox(&self, name: impl std::fmt::Display) -> String {
        format!("{}.{name}", self.inbox)
    }

    /// Adds a message to what is sent with the next flush.
    pub fn publish(&mut self, subject: &str, reply: &str, headers: &str, payload: &[u8]) {
        let len = payload.len();
        let head = match headers.is_empty() {
            true => format!("PUB {subject} {reply} {len}\r\n"),
            false => {
                let block = format!("NATS/1.0\r\n{headers}\r\n\r\n");
                let total = block.len() + len;
                format!("HPUB {subject} {reply} {} {total}\r\n{block}", block.len())
            }
        };
        self.out.extend_from_slice(head.as_bytes());
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
    }

    pub fn flush(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.reader.get_mut().write_all(&out)
    }

    /// The next message.
    pub fn next(&mut self) -> io::Result<Message> {
        loop {
            let line = self.line()?;
            let mut words = line.split(' ');
            let kind = words.next().unwrap_or_default();
            match kind {
                "MSG" | "HMSG" => {
                    let words: Vec<&str> = words.collect();
                    return self.body(kind == "HMSG", &words);
                }
                "PING" => {
                    self.out.extend_from_slice(b"PONG\r\n");
                    self.flush()?;
                }
                "-ERR" => panic!("{line}"),
                _ => {}
            }
        }
    }

    fn body(&mut self, with_headers: bool, words: &[&str]) -> io::Result<Message> {
        let numbers = if with_headers { 2 } else { 1 };
        let number = |back: usize| words[words.len() - back].parse::<usize>().unwrap();
        let total = number(1);
        let headers_len = if with_headers { number(2) } else { 0 };
        let has_reply = words.len() == 3 + numbers;
        let mut bytes = vec![0; total + 2];
        self.reader.read_exact(&mut bytes)?;
        bytes.truncate(total);
        let payload = bytes.split_off(headers_len);
        let subject = words[0].strip_prefix(&self.inbox).unwrap_or(words[0]);
        Ok(Message {
            subject: subject.trim_start_matches('.').to_owned(),
            reply: if has_reply {
                words[2].to_owned()
            } else {
                String::new()
            },
            headers: String::from_utf8_lossy(&bytes).into_owned(),
            payload,
        })
    }

    /// Asks one question; other messages must not be under way.
    pub fn ask(&mut self, subject: &str, body: &str) -> io::Result<Message> {
        self.asked += 1;
        let name = format!("q{}", self.asked);
        let reply = self.inbox(&name);
        self.publish(subject, &reply, "", body.as_bytes());
        self.flush()?;
        loop {
            let message = self.next()?;
            if message.subject == name {
                return Ok(message);
            }
        }
    }

    /// Asks the API; an error is its answer.
    pub fn api(&mut self, what: &str, body: &str) -> io::Result<Value> {
        Ok(self.ask(&format!("$JS.API.{what}"), body)?.json())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
