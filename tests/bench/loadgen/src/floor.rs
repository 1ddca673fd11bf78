//! The least a broker can do: one thread, epoll, no features. It answers the question
//! "how cheap could this workload be on this machine?" and shows that the generator is
//! not the bottleneck. Publish/subscribe with literal subjects and a trailing `*`, and
//! queue groups; no accounts, permissions, headers or monitoring.

use crate::args::{Args, die};
use crate::poll::Poll;
use crate::wire::{digits, put_num};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const LISTEN: usize = usize::MAX;
const INFO: &str = concat!(
    "INFO {\"server_id\":\"FLOOR\",\"server_name\":\"floor\",\"version\":\"0.0.0\",\"proto\":1,",
    "\"headers\":true,\"max_payload\":8388608}\r\n"
);

struct Client {
    sock: TcpStream,
    buf: Vec<u8>,
    s: usize,
    e: usize,
    out: Vec<u8>,
    out_pos: usize,
    dirty: bool,
    waiting: bool,
}

#[derive(Clone)]
struct Sub {
    client: usize,
    sid: Vec<u8>,
    queue: Vec<u8>,
}

#[derive(Default)]
struct Topic {
    plain: Vec<Sub>,
    groups: Vec<(Vec<u8>, Vec<Sub>, usize)>,
}

/// Literal subjects as they are; `a.b.*` under the key `a.b.`.
#[derive(Default)]
struct Router {
    topics: HashMap<Vec<u8>, Topic>,
    dirty: Vec<usize>,
}

fn key(subject: &[u8]) -> &[u8] {
    match subject.strip_suffix(b"*") {
        Some(p) => p,
        None => subject,
    }
}

fn put_msg(c: &mut Client, subject: &[u8], sid: &[u8], reply: &[u8], body: &[u8]) {
    let o = &mut c.out;
    o.extend_from_slice(b"MSG ");
    o.extend_from_slice(subject);
    o.push(b' ');
    o.extend_from_slice(sid);
    o.push(b' ');
    if !reply.is_empty() {
        o.extend_from_slice(reply);
        o.push(b' ');
    }
    put_num(o, body.len() as u64);
    o.extend_from_slice(b"\r\n");
    o.extend_from_slice(body);
    o.extend_from_slice(b"\r\n");
}

impl Router {
    fn subscribe(&mut self, subject: &[u8], sub: Sub) {
        let t = self.topics.entry(key(subject).to_vec()).or_default();
        if sub.queue.is_empty() {
            t.plain.push(sub);
        } else if let Some(g) = t.groups.iter_mut().find(|g| g.0 == sub.queue) {
            g.1.push(sub);
        } else {
            t.groups.push((sub.queue.clone(), vec![sub], 0));
        }
    }

    fn drop_client(&mut self, id: usize) {
        for t in self.topics.values_mut() {
            t.plain.retain(|s| s.client != id);
            for g in &mut t.groups {
                g.1.retain(|s| s.client != id);
            }
        }
    }

    fn deliver(
        &mut self,
        clients: &mut [Option<Client>],
        subject: &[u8],
        reply: &[u8],
        body: &[u8],
    ) {
        let stem = memchr::memrchr(b'.', subject).map_or(&b""[..], |i| &subject[..i + 1]);
        for k in [subject, stem] {
            let Some(t) = self.topics.get_mut(k) else {
                continue;
            };
            let picks = t.groups.iter_mut().filter(|g| !g.1.is_empty()).map(|g| {
                g.2 = (g.2 + 1) % g.1.len();
                &g.1[g.2]
            });
            for s in t.plain.iter().chain(picks) {
                let Some(c) = clients[s.client].as_mut() else {
                    continue;
                };
                put_msg(c, subject, &s.sid, reply, body);
                if !c.dirty {
                    c.dirty = true;
                    self.dirty.push(s.client);
                }
            }
        }
    }
}

/// Serves until it is ended.
pub fn serve(a: &Args) {
    let addr = a.str("listen", "127.0.0.1:4222");
    let l = TcpListener::bind(addr).unwrap_or_else(|e| die(&format!("{addr}: {e}")));
    l.set_nonblocking(true).expect("nonblocking");
    let mut poll = Poll::new().expect("epoll");
    poll.add(&l, LISTEN).expect("add listener");
    let mut router = Router::default();
    let mut clients: Vec<Option<Client>> = Vec::new();
    let mut ready = Vec::new();
    loop {
        poll.wait(Duration::from_secs(1), &mut ready)
            .expect("epoll wait");
        for &(tok, r, w) in &ready {
            if tok == LISTEN {
                while let Ok((sock, _)) = l.accept() {
                    sock.set_nonblocking(true).expect("nonblocking");
                    let _ = sock.set_nodelay(true);
                    let id = clients
                        .iter()
                        .position(Option::is_none)
                        .unwrap_or(clients.len());
                    poll.add(&sock, id).expect("add");
                    let c = Client {
                        sock,
                        buf: vec![0; 128 * 1024],
                        s: 0,
                        e: 0,
                        out: INFO.as_bytes().to_vec(),
                        out_pos: 0,
                        dirty: true,
                        waiting: false,
                    };
                    router.dirty.push(id);
                    if id == clients.len() {
                        clients.push(Some(c));
                    } else {
                        clients[id] = Some(c);
                    }
                }
            } else {
                if w {
                    router.dirty.push(tok);
                }
                if r && !input(tok, &mut clients, &mut router) {
                    clients[tok] = None;
                    router.drop_client(tok);
                }
            }
        }
        for id in std::mem::take(&mut router.dirty) {
            if let Some(c) = clients[id].as_mut() {
                output(c, id, &poll);
            }
        }
    }
}

fn output(c: &mut Client, id: usize, poll: &Poll) {
    c.dirty = false;
    while c.out_pos < c.out.len() {
        match c.sock.write(&c.out[c.out_pos..]) {
            Ok(n) => c.out_pos += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {
                c.out_pos = c.out.len();
            }
        }
    }
    let left = c.out_pos < c.out.len();
    if !left {
        c.out.clear();
        c.out_pos = 0;
    }
    if left != c.waiting {
        c.waiting = left;
        let _ = poll.want_write(&c.sock, id, left);
    }
}

/// Read once and handle every complete line; false when the connection is gone.
fn input(id: usize, clients: &mut [Option<Client>], router: &mut Router) -> bool {
    let Some(c) = clients[id].as_mut() else {
        return true;
    };
    if c.s > 0 {
        c.buf.copy_within(c.s..c.e, 0);
        c.e -= c.s;
        c.s = 0;
    }
    if c.buf.len() - c.e < 32 * 1024 {
        let n = c.buf.len() * 2;
        c.buf.resize(n, 0);
    }
    match c.sock.read(&mut c.buf[c.e..]) {
        Ok(0) => return false,
        Ok(n) => c.e += n,
        Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
        Err(_) => return false,
    }
    // Work on the buffer outside of the table, so that delivery may borrow any client.
    let buf = std::mem::take(&mut c.buf);
    let (mut s, e) = (c.s, c.e);
    while let Some(nl) = memchr::memchr(b'\n', &buf[s..e]) {
        let line = &buf[s..s + nl];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let after = s + nl + 1;
        match line.first() {
            Some(b'P') if line.starts_with(b"PUB ") => {
                let mut tok = line[4..].split(|b| *b == b' ').filter(|t| !t.is_empty());
                let (a, b, c) = (
                    tok.next().unwrap_or(b""),
                    tok.next().unwrap_or(b""),
                    tok.next(),
                );
                let (reply, len) = match c {
                    Some(len) => (b, digits(len) as usize),
                    None => (&b""[..], digits(b) as usize),
                };
                if after + len + 2 > e {
                    break;
                }
                let body = &buf[after..after + len];
                router.deliver(clients, a, reply, body);
                s = after + len + 2;
                continue;
            }
            Some(b'P') if line == b"PING" => {
                if let Some(c) = clients[id].as_mut() {
                    c.out.extend_from_slice(b"PONG\r\n");
                    if !c.dirty {
                        c.dirty = true;
                        router.dirty.push(id);
                    }
                }
            }
            Some(b'S') => {
                let t: Vec<&[u8]> = line[4..]
                    .split(|b| *b == b' ')
                    .filter(|t| !t.is_empty())
                    .collect();
                if t.len() >= 2 {
                    let queue = if t.len() == 3 {
                        t[1].to_vec()
                    } else {
                        Vec::new()
                    };
                    router.subscribe(
                        t[0],
                        Sub {
                            client: id,
                            sid: t[t.len() - 1].to_vec(),
                            queue,
                        },
                    );
                }
            }
            _ => {}
        }
        s = after;
    }
    if let Some(c) = clients[id].as_mut() {
        c.buf = buf;
        c.s = s;
    }
    true
}
