//! Arguments of control lines: `PUB`, `HPUB`, `SUB`, `UNSUB`.
//!
//! Separators are runs of space or tab. A wrong count or a number that is none is an
//! [`ArgumentError`], which closes a connection without an `-ERR` of its own (spec core §1.1).

use super::op::Subscribe;

/// The verb whose arguments make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} Parse Error", self.name())]
pub struct ArgumentError {
    /// `PUB`, `HPUB`, `SUB` or `UNSUB`.
    pub verb: &'static str,
}

impl ArgumentError {
    /// What the incumbent's log calls it.
    fn name(&self) -> &'static str {
        match self.verb {
            "PUB" => "processPub",
            "HPUB" => "processHeaderPub",
            "SUB" => "processSub",
            _ => "processUnsub",
        }
    }
}

/// Arguments of `PUB` or `HPUB`, before the body is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishArgs<'a> {
    /// The subject.
    pub subject: &'a [u8],
    /// The reply subject or empty.
    pub reply: &'a [u8],
    /// Header bytes for `HPUB`; none at all counts as no headers.
    pub header_len: Option<usize>,
    /// Bytes of the body, headers included.
    pub total_len: usize,
}

const ARGS_MAX: usize = 4;

/// Splits into at most four arguments; `None` if there are more.
fn split<'a>(line: &'a [u8], args: &mut [&'a [u8]; ARGS_MAX]) -> Option<usize> {
    let mut count = 0;
    let mut start = None;
    for (at, byte) in line.iter().enumerate() {
        let separator = matches!(byte, b' ' | b'\t');
        match start {
            None if !separator => start = Some(at),
            Some(from) if separator => {
                *args.get_mut(count)? = &line[from..at];
                count += 1;
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        *args.get_mut(count)? = &line[from..];
        count += 1;
    }
    Some(count)
}

/// A decimal number of 1 to 9 digits, as sizes are written.
#[inline]
pub fn size(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 9 {
        return None;
    }
    digits.iter().try_fold(0usize, |value, byte| {
        byte.is_ascii_digit()
            .then(|| value * 10 + usize::from(byte - b'0'))
    })
}

/// `PUB <subject> [reply] <#bytes>`.
///
/// # Errors
/// [`ArgumentError`] for another number of arguments or a bad size.
pub fn publish(line: &[u8]) -> Result<PublishArgs<'_>, ArgumentError> {
    let error = ArgumentError { verb: "PUB" };
    let mut args = [&line[..0]; ARGS_MAX];
    let (reply, len) = match split(line, &mut args) {
        Some(2) => (&line[..0], args[1]),
        Some(3) => (args[1], args[2]),
        _ => return Err(error),
    };
    Ok(PublishArgs {
        subject: args[0],
        reply,
        header_len: None,
        total_len: size(len).ok_or(error)?,
    })
}

/// `HPUB <subject> [reply] <#header> <#total>`.
///
/// # Errors
/// [`ArgumentError`] for another number of arguments, a bad size, or more header than total.
pub fn header_publish(line: &[u8]) -> Result<PublishArgs<'_>, ArgumentError> {
    let error = ArgumentError { verb: "HPUB" };
    let mut args = [&line[..0]; ARGS_MAX];
    let (reply, header, total) = match split(line, &mut args) {
        Some(3) => (&line[..0], args[1], args[2]),
        Some(4) => (args[1], args[2], args[3]),
        _ => return Err(error),
    };
    let header_len = size(header).ok_or(error)?;
    let total_len = size(total).ok_or(error)?;
    if header_len > total_len {
        return Err(error);
    }
    Ok(PublishArgs {
        subject: args[0],
        reply,
        header_len: (header_len > 0).then_some(header_len),
        total_len,
    })
}

/// `SUB <subject> [queue] <sid>`.
///
/// # Errors
/// [`ArgumentError`] for another number of arguments.
pub fn subscribe(line: &[u8]) -> Result<Subscribe<'_>, ArgumentError> {
    let mut args = [&line[..0]; ARGS_MAX];
    let (queue, sid) = match split(line, &mut args) {
        Some(2) => (None, args[1]),
        Some(3) => (Some(args[1]), args[2]),
        _ => return Err(ArgumentError { verb: "SUB" }),
    };
    Ok(Subscribe {
        subject: args[0],
        queue,
        sid,
    })
}

/// `UNSUB <sid> [max]` as `(sid, max)`; a `max` that is no number counts as 0.
///
/// # Errors
/// [`ArgumentError`] for another number of arguments.
pub fn unsubscribe(line: &[u8]) -> Result<(&[u8], u64), ArgumentError> {
    let mut args = [&line[..0]; ARGS_MAX];
    match split(line, &mut args) {
        Some(1) => Ok((args[0], 0)),
        Some(2) => Ok((args[0], size(args[1]).unwrap_or(0) as u64)),
        _ => Err(ArgumentError { verb: "UNSUB" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_up_to_nine_digits() {
        let check = |text: &str, expected| assert_eq!(size(text.as_bytes()), expected, "{text}");
        check("0", Some(0));
        check("007", Some(7));
        check("999999999", Some(999_999_999));
        check("1000000000", None);
        check("", None);
        check("-1", None);
        check("1k", None);
    }

    #[test]
    fn arguments_are_separated_by_runs_of_blanks() {
        let args = publish(b" \tfoo \t bar  5 ").expect("valid");
        assert_eq!(
            (args.subject, args.reply, args.total_len),
            (&b"foo"[..], &b"bar"[..], 5)
        );
        assert!(publish(b"foo").is_err());
        assert!(publish(b"a b c 5").is_err());
        assert!(publish(b"a b c d 5").is_err());
        assert!(header_publish(b"foo 12 5").is_err());
        assert_eq!(
            header_publish(b"foo 5 12").expect("valid").header_len,
            Some(5)
        );
        assert_eq!(header_publish(b"foo 0 12").expect("valid").header_len, None);
        assert_eq!(subscribe(b"foo q 1").expect("valid").queue, Some(&b"q"[..]));
        assert!(subscribe(b"foo").is_err());
        assert_eq!(unsubscribe(b"1 x"), Ok((&b"1"[..], 0)));
        assert!(unsubscribe(b"").is_err());
    }
}
