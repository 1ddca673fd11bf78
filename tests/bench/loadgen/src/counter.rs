//! Counts messages in a byte stream, for rates at which frames would cost too much.

/// Counts messages in a byte stream without keeping their payload.
#[derive(Default)]
pub struct Counter {
    skip: usize,
    line: Vec<u8>,
}

#[derive(Default, Debug, Clone, Copy)]
pub struct Counted {
    pub msgs: u64,
    pub pings: u64,
    pub errs: u64,
}

impl Counter {
    /// `stamp` gets the first payload bytes of each message that begins inside `buf`.
    pub fn feed(&mut self, mut buf: &[u8], mut stamp: impl FnMut(&[u8])) -> Counted {
        let mut c = Counted::default();
        loop {
            if self.skip > 0 {
                let n = self.skip.min(buf.len());
                self.skip -= n;
                buf = &buf[n..];
                if self.skip > 0 || buf.is_empty() {
                    return c;
                }
            }
            let Some(nl) = memchr::memchr(b'\n', buf) else {
                self.line.extend_from_slice(buf);
                return c;
            };
            let (head, rest) = buf.split_at(nl + 1);
            buf = rest;
            let size = if self.line.is_empty() {
                Self::line(&head[..nl], &mut c)
            } else {
                self.line.extend_from_slice(&head[..nl]);
                let n = Self::line(&self.line, &mut c);
                self.line.clear();
                n
            };
            if let Some(n) = size {
                stamp(&buf[..n.min(buf.len())]);
                self.skip = n + 2;
            }
        }
    }

    fn line(line: &[u8], c: &mut Counted) -> Option<usize> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            Some(b'M') | Some(b'H') => {
                c.msgs += 1;
                let mut i = line.len();
                let mut n = 0usize;
                let mut m = 1usize;
                while i > 0 && line[i - 1] != b' ' {
                    i -= 1;
                    n += (line[i] - b'0') as usize * m;
                    m *= 10;
                }
                Some(n)
            }
            Some(b'P') => {
                c.pings += u64::from(line.starts_with(b"PING"));
                None
            }
            Some(b'-') => {
                eprintln!("loadgen: server says {}", String::from_utf8_lossy(line));
                c.errs += 1;
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_handles_any_split() {
        let mut wire = Vec::new();
        for i in 0..50 {
            wire.extend_from_slice(format!("MSG a.b 1 {}\r\n", i).as_bytes());
            wire.extend(std::iter::repeat_n(b'\n', i));
            wire.extend_from_slice(b"\r\nPING\r\n");
            wire.extend_from_slice(b"HMSG a.b 1 rep 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
        }
        for step in 1..40 {
            let mut c = Counter::default();
            let (mut msgs, mut pings) = (0, 0);
            for part in wire.chunks(step) {
                let r = c.feed(part, |_| {});
                msgs += r.msgs;
                pings += r.pings;
            }
            assert_eq!((msgs, pings), (100, 50), "step {step}");
        }
    }
}
