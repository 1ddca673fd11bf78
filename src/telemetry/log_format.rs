//! One log line: `[pid] 2006/01/02 15:04:05.000000 [INF] message`.
//!
//! Separate from the layer because the format is a contract with everybody's log
//! pipelines and is tested as text. It is that of nats-server, colours included.
//!
//! Invariants: what is appended has exactly one newline, at its end; control characters
//! of messages arrive escaped, so nobody on the wire forges a line or moves a cursor.

use std::fmt::Write;

use jiff::civil::DateTime;

/// The label of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Lifecycle an operator expects.
    Info,
    /// Decisions.
    Debug,
    /// Degraded, but coping.
    Warn,
    /// A person should look.
    Error,
    /// The server ends, or a task panicked.
    Fatal,
    /// A protocol line.
    Trace,
}

impl Label {
    /// The three letters, and the parameters of their colour.
    fn text_and_colour(self) -> (&'static str, &'static str) {
        match self {
            Label::Info => ("INF", "32"),
            Label::Debug => ("DBG", "36"),
            Label::Warn => ("WRN", "0;93"),
            Label::Error => ("ERR", "31"),
            Label::Fatal => ("FTL", "31"),
            Label::Trace => ("TRC", "33"),
        }
    }
}

/// What stands before the message.
#[derive(Clone, Copy, Debug)]
pub struct Prefix {
    /// This process.
    pub pid: u32,
    /// The time, in the zone it is printed in; `None` prints none.
    pub time: Option<DateTime>,
    /// The label.
    pub label: Label,
    /// Colour the label.
    pub colour: bool,
}

/// Appends a whole line to `out`.
pub fn append_line(out: &mut String, prefix: Prefix, message: &str) {
    append_prefix(out, prefix);
    append_escaped(out, message);
    out.push('\n');
}

fn append_prefix(out: &mut String, prefix: Prefix) {
    // Writing to a String does not fail.
    let _ = write!(out, "[{}] ", prefix.pid);
    if let Some(time) = prefix.time {
        let (date, micros) = (time.date(), time.subsec_nanosecond() / 1000);
        let _ = write!(
            out,
            "{:04}/{:02}/{:02} {:02}:{:02}:{:02}.{micros:06} ",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
        );
    }
    let (text, colour) = prefix.label.text_and_colour();
    let _ = match prefix.colour {
        true => write!(out, "[\x1b[{colour}m{text}\x1b[0m] "),
        false => write!(out, "[{text}] "),
    };
}

/// Appends text with its control characters, but for tabs, written as escapes.
fn append_escaped(out: &mut String, text: &str) {
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if c == '\t' || !c.is_control() {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + c.len_utf8();
        let _ = match c {
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{:04x}", u32::from(c)),
        };
    }
    out.push_str(&text[plain_from..]);
}

/// The time that marks a file set aside: `2006.01.02.15.04.05.000000000`.
pub fn backup_suffix(time: DateTime) -> String {
    let date = time.date();
    format!(
        "{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.subsec_nanosecond(),
    )
}

/// Whether `text` may be a [`backup_suffix`].
pub fn is_backup_suffix(text: &str) -> bool {
    let lengths = text.split('.').map(str::len);
    lengths.eq([4, 2, 2, 2, 2, 2, 9]) && text.bytes().all(|b| b == b'.' || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;
    use proptest::prelude::*;

    fn prefix(label: Label) -> Prefix {
        Prefix {
            pid: 71,
            time: None,
            label,
            colour: false,
        }
    }

    fn check(prefix: Prefix, message: &str, expected: &str) {
        let mut out = String::new();
        append_line(&mut out, prefix, message);
        assert_eq!(out, expected);
    }

    #[test]
    fn lines_have_the_format_of_nats_server() {
        let time = Some(datetime(2026, 1, 2, 3, 4, 5, 6_789_999));
        let timed = Prefix {
            time,
            ..prefix(Label::Info)
        };
        check(
            timed,
            "  Version:  1",
            "[71] 2026/01/02 03:04:05.006789 [INF]   Version:  1\n",
        );
        check(prefix(Label::Info), "a\tb é", "[71] [INF] a\tb é\n");
    }

    #[test]
    fn labels_have_their_colours() {
        for (label, text, coloured) in [
            (Label::Info, "INF", "\x1b[32mINF\x1b[0m"),
            (Label::Debug, "DBG", "\x1b[36mDBG\x1b[0m"),
            (Label::Warn, "WRN", "\x1b[0;93mWRN\x1b[0m"),
            (Label::Error, "ERR", "\x1b[31mERR\x1b[0m"),
            (Label::Fatal, "FTL", "\x1b[31mFTL\x1b[0m"),
            (Label::Trace, "TRC", "\x1b[33mTRC\x1b[0m"),
        ] {
            check(prefix(label), "m", &format!("[71] [{text}] m\n"));
            let colour = Prefix {
                colour: true,
                ..prefix(label)
            };
            check(colour, "m", &format!("[71] [{coloured}] m\n"));
        }
    }

    #[test]
    fn a_message_cannot_break_the_line() {
        check(
            prefix(Label::Warn),
            "a\r\n[1] [FTL] b\x1b[31m\x00\u{85}",
            "[71] [WRN] a\\r\\n[1] [FTL] b\\x1b[31m\\x00\\u0085\n",
        );
    }

    #[test]
    fn backups_are_told_from_other_files() {
        let suffix = backup_suffix(datetime(2026, 11, 21, 9, 0, 44, 578_201_762));
        assert_eq!(suffix, "2026.11.21.09.00.44.578201762");
        assert!(is_backup_suffix(&suffix));
        for other in [
            "",
            "1",
            "gz",
            "2026.11.21.09.00.44.57820176",
            "2026.11.21.09.00.44.578201762.gz",
            "2026.11.21.09.00.4x.578201762",
        ] {
            assert!(!is_backup_suffix(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_message_is_one_line(message in any::<String>()) {
            let mut out = String::new();
            append_line(&mut out, prefix(Label::Info), &message);
            prop_assert_eq!(out.find(|c: char| c != '\t' && c.is_control()), Some(out.len() - 1));
        }
    }
}
