//! Operations into a caller's buffer.

/// `+OK`.
pub const OK: &[u8] = b"+OK\r\n";
/// `PING`.
pub const PING: &[u8] = b"PING\r\n";
/// `PONG`.
pub const PONG: &[u8] = b"PONG\r\n";

/// Appends a decimal number.
pub fn number(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `-ERR '<text>'`.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

/// The two parts of a `MSG` or `HMSG` line around the `sid`, made once per message and
/// copied for each subscriber.
#[derive(Debug, Default)]
pub struct MessageLine {
    text: Vec<u8>,
    split: usize,
}

impl MessageLine {
    /// Makes the line of a message whose body is `total_len` bytes; with `header_len` an
    /// `HMSG`, else a `MSG`.
    pub fn set(
        &mut self,
        subject: &[u8],
        reply: &[u8],
        header_len: Option<usize>,
        total_len: usize,
    ) {
        let text = &mut self.text;
        text.clear();
        text.extend_from_slice(if header_len.is_some() {
            b"HMSG "
        } else {
            b"MSG "
        });
        text.extend_from_slice(subject);
        text.push(b' ');
        self.split = text.len();
        text.push(b' ');
        if !reply.is_empty() {
            text.extend_from_slice(reply);
            text.push(b' ');
        }
        if let Some(header_len) = header_len {
            number(text, header_len);
            text.push(b' ');
        }
        number(text, total_len);
        text.extend_from_slice(b"\r\n");
    }

    /// Bytes the line takes with a `sid` of that length.
    pub fn len_with(&self, sid: &[u8]) -> usize {
        self.text.len() + sid.len()
    }

    /// Appends the line for one subscriber.
    pub fn append(&self, out: &mut Vec<u8>, sid: &[u8]) {
        out.extend_from_slice(&self.text[..self.split]);
        out.extend_from_slice(sid);
        out.extend_from_slice(&self.text[self.split..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_lines() {
        let check = |reply: &str, header_len, expected: &str| {
            let mut line = MessageLine::default();
            line.set(b"a.b", reply.as_bytes(), header_len, 12);
            let mut out = Vec::new();
            line.append(&mut out, b"7");
            assert_eq!(String::from_utf8_lossy(&out), expected);
            assert_eq!(line.len_with(b"7"), expected.len());
        };
        check("", None, "MSG a.b 7 12\r\n");
        check("r", None, "MSG a.b 7 r 12\r\n");
        check("r", Some(3), "HMSG a.b 7 r 3 12\r\n");
    }
}
