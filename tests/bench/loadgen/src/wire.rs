//! The client protocol, reduced to what a load generator needs: connect, frames,
//! encoding, one request at a time.

use crate::cost::now_ns;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

pub const RBUF: usize = 256 * 1024;

/// An error of our own.
pub fn other(msg: impl Into<String>) -> io::Error {
    io::Error::other(msg.into())
}

/// How to connect.
pub struct ConnOpts {
    pub echo: bool,
    pub user: Option<(String, String)>,
    pub rbuf: usize,
    /// Loopback source address to bind, for very many connections.
    pub source: Option<Ipv4Addr>,
    /// Size of the kernel's receive buffer, for consumers that are to be slow soon.
    pub recv_buffer: Option<usize>,
}

impl Default for ConnOpts {
    fn default() -> Self {
        ConnOpts {
            echo: true,
            user: None,
            rbuf: RBUF,
            source: None,
            recv_buffer: None,
        }
    }
}

/// Indices into the connection's read buffer; see [`Conn::slice`].
#[derive(Clone, Debug)]
pub enum Frame {
    Msg {
        subject: Range<usize>,
        reply: Range<usize>,
        hdr: usize,
        body: Range<usize>,
    },
    Ping,
    Pong,
    Info(Range<usize>),
    Ok,
    Err(Range<usize>),
}

/// A connection: the socket, what was read and what is to be written.
pub struct Conn {
    pub sock: TcpStream,
    pub info: serde_json::Value,
    rbuf: Vec<u8>,
    rs: usize,
    re: usize,
    pub out: Vec<u8>,
    out_pos: usize,
}

/// A socket that is bound to a source address or a small buffer before it connects.
fn tcp(addr: SocketAddr, o: &ConnOpts) -> io::Result<TcpStream> {
    if o.source.is_none() && o.recv_buffer.is_none() {
        return TcpStream::connect(addr);
    }
    let sock = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    if let Some(bytes) = o.recv_buffer {
        set_socket_recv_buffer_size(&sock, bytes)?;
    }
    if let Some(source) = o.source {
        bind(&sock, &SocketAddr::from((source, 0)))?;
    }
    connect(&sock, &addr)?;
    Ok(TcpStream::from(sock))
}

impl Conn {
    /// Connects, greets and waits until the server has answered.
    pub fn connect(addr: SocketAddr, o: &ConnOpts) -> io::Result<Conn> {
        let sock = tcp(addr, o)?;
        sock.set_nodelay(true)?;
        sock.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut c = Conn {
            sock,
            info: serde_json::Value::Null,
            rbuf: vec![0; o.rbuf],
            rs: 0,
            re: 0,
            out: Vec::new(),
            out_pos: 0,
        };
        match c.frame()? {
            Frame::Info(r) => {
                c.info =
                    serde_json::from_slice(c.slice(&r)).map_err(|e| other(format!("INFO: {e}")))?
            }
            f => return Err(other(format!("expected INFO, got {f:?}"))),
        }
        let mut connect = serde_json::json!({
            "verbose": false, "pedantic": false, "lang": "loadgen", "version": "0",
            "protocol": 1, "echo": o.echo, "headers": true, "no_responders": true,
        });
        if let Some((u, p)) = &o.user {
            connect["user"] = u.as_str().into();
            connect["pass"] = p.as_str().into();
        }
        c.sock
            .write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes())?;
        c.expect_pong()?;
        Ok(c)
    }

    /// The bytes of a range of the last frame.
    pub fn slice(&self, r: &Range<usize>) -> &[u8] {
        &self.rbuf[r.clone()]
    }

    /// Read once. `Ok(0)` means the peer closed; `WouldBlock` is passed on.
    pub fn fill(&mut self) -> io::Result<usize> {
        if self.rs == self.re {
            self.rs = 0;
            self.re = 0;
        } else if self.rbuf.len() - self.re < self.rbuf.len() / 4 {
            self.rbuf.copy_within(self.rs..self.re, 0);
            self.re -= self.rs;
            self.rs = 0;
            if self.re == self.rbuf.len() {
                let n = self.rbuf.len() * 2;
                self.rbuf.resize(n, 0);
            }
        }
        let n = self.sock.read(&mut self.rbuf[self.re..])?;
        self.re += n;
        Ok(n)
    }

    /// The next complete frame in the buffer, if any. Its ranges stay valid until `fill`.
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        let buf = &self.rbuf[self.rs..self.re];
        let Some(nl) = memchr::memchr(b'\n', buf) else {
            return Ok(None);
        };
        let base = self.rs;
        let line = buf[..nl].strip_suffix(b"\r").unwrap_or(&buf[..nl]);
        let after = nl + 1;
        let (frame, used) = match line.first() {
            Some(b'M') | Some(b'H') => {
                let with_hdr = line[0] == b'H';
                let start = if with_hdr { 5 } else { 4 };
                let mut tok: [Range<usize>; 6] = Default::default();
                let mut n = 0;
                let mut at = start;
                while at < line.len() {
                    let end = memchr::memchr(b' ', &line[at..]).map_or(line.len(), |i| at + i);
                    if end > at {
                        if n == 6 {
                            return Err(other("too many tokens"));
                        }
                        tok[n] = at..end;
                        n += 1;
                    }
                    at = end + 1;
                }
                let num = |r: &Range<usize>| digits(&line[r.clone()]);
                let lens = if with_hdr { 2 } else { 1 };
                if n < 2 + lens {
                    return Err(other(format!(
                        "bad line {:?}",
                        String::from_utf8_lossy(line)
                    )));
                }
                let total = num(&tok[n - 1]) as usize;
                let hdr = if with_hdr {
                    num(&tok[n - 2]) as usize
                } else {
                    0
                };
                if buf.len() < after + total + 2 {
                    return Ok(None);
                }
                let shift = |r: &Range<usize>| base + r.start..base + r.end;
                let reply = if n == 3 + lens { shift(&tok[2]) } else { 0..0 };
                let body = base + after..base + after + total;
                (
                    Frame::Msg {
                        subject: shift(&tok[0]),
                        reply,
                        hdr,
                        body,
                    },
                    after + total + 2,
                )
            }
            Some(b'P') if line.eq_ignore_ascii_case(b"PING") => (Frame::Ping, after),
            Some(b'P') => (Frame::Pong, after),
            Some(b'I') => (Frame::Info(base + 5..base + line.len()), after),
            Some(b'+') => (Frame::Ok, after),
            Some(b'-') => (
                Frame::Err(base + 5.min(line.len())..base + line.len()),
                after,
            ),
            _ => {
                return Err(other(format!(
                    "unknown line {:?}",
                    String::from_utf8_lossy(line)
                )));
            }
        };
        self.rs += used;
        Ok(Some(frame))
    }

    /// Blocking: the next frame that is not routine; answers PING, fails on -ERR.
    pub fn frame(&mut self) -> io::Result<Frame> {
        loop {
            while let Some(f) = self.next()? {
                match f {
                    Frame::Ping => self.sock.write_all(b"PONG\r\n")?,
                    Frame::Err(r) => {
                        return Err(other(format!(
                            "-ERR {}",
                            String::from_utf8_lossy(self.slice(&r))
                        )));
                    }
                    Frame::Ok => {}
                    f => return Ok(f),
                }
            }
            if self.fill()? == 0 {
                return Err(other("connection closed by the server"));
            }
        }
    }

    /// Blocking: reads until a PONG.
    pub fn expect_pong(&mut self) -> io::Result<()> {
        loop {
            if let Frame::Pong = self.frame()? {
                return Ok(());
            }
        }
    }

    /// Blocking: the answer to one request, headers and body. Other messages that arrive
    /// meanwhile are dropped.
    pub fn request(&mut self, subject: &str, body: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let inbox = format!("_INBOX.lg.{}.{}", std::process::id(), now_ns());
        let mut lines = format!("SUB {inbox} 9\r\nUNSUB 9 1\r\n").into_bytes();
        put_pub(&mut lines, subject.as_bytes(), inbox.as_bytes(), body);
        self.sock.write_all(&lines)?;
        loop {
            if let Frame::Msg {
                subject, hdr, body, ..
            } = self.frame()?
                && self.slice(&subject) == inbox.as_bytes()
            {
                let bytes = self.slice(&body);
                return Ok((bytes[..hdr].to_vec(), bytes[hdr..].to_vec()));
            }
        }
    }

    /// Send everything queued, then wait until the server has seen it.
    pub fn sync(&mut self) -> io::Result<()> {
        self.out.extend_from_slice(b"PING\r\n");
        let out = std::mem::take(&mut self.out);
        self.sock.write_all(&out[self.out_pos..])?;
        self.out_pos = 0;
        self.expect_pong()
    }

    /// Non-blocking write of the queued bytes; true when nothing is left.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.out_pos < self.out.len() {
            match self.sock.write(&self.out[self.out_pos..]) {
                Ok(0) => return Err(other("write returned 0")),
                Ok(n) => self.out_pos += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.out.clear();
        self.out_pos = 0;
        Ok(true)
    }
}

/// The number that decimal digits spell.
pub fn digits(b: &[u8]) -> u64 {
    b.iter()
        .fold(0, |n, c| n * 10 + u64::from(c.wrapping_sub(b'0')))
}

/// Appends a number in decimal digits.
pub fn put_num(out: &mut Vec<u8>, mut v: u64) {
    let mut tmp = [0u8; 20];
    let mut i = 20;
    loop {
        i -= 1;
        tmp[i] = b'0' + (v % 10) as u8;
        v /= 10;
        if v == 0 {
            break;
        }
    }
    out.extend_from_slice(&tmp[i..]);
}

/// Appends a PUB; an empty reply is left out.
pub fn put_pub(out: &mut Vec<u8>, subject: &[u8], reply: &[u8], body: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(subject);
    if !reply.is_empty() {
        out.push(b' ');
        out.extend_from_slice(reply);
    }
    out.push(b' ');
    put_num(out, body.len() as u64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let mut v = Vec::new();
        for n in [0u64, 7, 10, 999, 1_000_000, u64::MAX] {
            v.clear();
            put_num(&mut v, n);
            assert_eq!(v, n.to_string().as_bytes());
            assert_eq!(digits(&v), n);
        }
    }
}
