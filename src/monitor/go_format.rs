//! Values as Go prints them: durations, uptimes, times, numbers and JSON text.
//!
//! Separate because dashboards and exporters parse these texts, and each of them is a
//! small table of its own. The newtypes ([`Time`], [`Nanos`], [`Float`]) are used as field
//! types of the answers, so that no field can be printed the wrong way by accident.
//!
//! Invariants: JSON text escapes `<`, `>` and `&` as Go does; a float that is a whole
//! number has no `.0`; a duration is exact to the nanosecond.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use crate::clock::Timestamp;

/// A time that serializes as RFC 3339 with nanoseconds, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339())
    }
}

/// A duration that serializes as a number of nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub Duration);

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A float that serializes without `.0` when it is a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Float(pub f64);

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Below 2^53 every whole number is exact, and the cast keeps it.
        if self.0.fract() == 0.0 && self.0.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Whether a field holds its zero value, which `omitempty` leaves out.
pub fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The time a server or a connection has been up: `1y2d3h4m5s`, whole seconds.
pub fn uptime(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let mut text = String::new();
    if years > 0 {
        let _ = write!(text, "{years}y");
    }
    if days > 0 {
        let _ = write!(text, "{}d", days % 365);
    }
    if hours > 0 {
        let _ = write!(text, "{}h", hours % 24);
    }
    if minutes > 0 {
        let _ = write!(text, "{}m", minutes % 60);
    }
    let _ = write!(text, "{}s", seconds % 60);
    text
}

/// A duration as Go's `Duration.String`: `0s`, `397µs`, `2.115739ms`, `1m0.5s`.
pub fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let with_fraction = |unit: u128| {
        let (whole, rest) = (nanos / unit, nanos % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        format!("{whole}.{}", fraction.trim_end_matches('0'))
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", with_fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", with_fraction(1_000_000)),
        _ => {
            let minutes = duration.as_secs() / 60;
            let rest = nanos - u128::from(minutes) * 60_000_000_000;
            let fraction = rest % 1_000_000_000;
            let mut seconds = (rest / 1_000_000_000).to_string();
            if fraction != 0 {
                let digits = format!("{fraction:09}");
                let _ = write!(seconds, ".{}", digits.trim_end_matches('0'));
            }
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// A round trip time as monitoring shows it: whole microseconds below a millisecond.
pub fn round_trip(rtt: Duration) -> String {
    duration(shown_round_trip(rtt))
}

/// The round trip time with the precision in which it is shown.
pub fn shown_round_trip(rtt: Duration) -> Duration {
    let range = Duration::from_micros(1)..Duration::from_millis(1);
    if rtt > range.start && rtt < range.end {
        Duration::from_micros(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX))
    } else {
        rtt
    }
}

/// A text in double quotes with escapes, as Go's `%q` and `strconv` errors print it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            control if control.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(control));
            }
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// JSON on one line.
pub fn compact<T: Serialize + ?Sized>(value: &T) -> String {
    written(value, Escaped(CompactFormatter))
}

/// JSON on many lines, each level set in by `indent`.
pub fn indented<T: Serialize + ?Sized>(value: &T, indent: &str) -> String {
    written(
        value,
        Escaped(PrettyFormatter::with_indent(indent.as_bytes())),
    )
}

fn written<T: Serialize + ?Sized, F: Formatter>(value: &T, formatter: F) -> String {
    let mut text = Vec::with_capacity(1024);
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // The answer types have string keys only and write to memory: both reasons to fail are absent.
    value
        .serialize(&mut serializer)
        .expect("answers serialize to memory");
    String::from_utf8(text).expect("serde_json writes UTF-8")
}

/// Forwards to a formatter, but escapes what Go escapes so that JSON may stand in HTML.
struct Escaped<F>(F);

impl<F: Formatter> Formatter for Escaped<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let Some(character) = from.chars().next() else {
                break;
            };
            write!(writer, "\\u{:04x}", u32::from(character))?;
            rest = &from[character.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_starts_at_its_largest_unit() {
        let check = |seconds, text: &str| {
            assert_eq!(uptime(Duration::from_secs(seconds)), text);
        };
        check(0, "0s");
        check(59, "59s");
        check(60, "1m0s");
        check(3_600, "1h0m0s");
        check(86_400, "1d0h0m0s");
        check(365 * 86_400, "1y0d0h0m0s");
        check((365 + 2) * 86_400 + 3 * 3_600 + 4 * 60 + 5, "1y2d3h4m5s");
    }

    #[test]
    fn duration_is_printed_in_its_unit() {
        let check = |nanos, text: &str| assert_eq!(duration(Duration::from_nanos(nanos)), text);
        check(0, "0s");
        check(1, "1ns");
        check(999, "999ns");
        check(1_000, "1µs");
        check(1_100, "1.1µs");
        check(2_115_739, "2.115739ms");
        check(2_200_000, "2.2ms");
        check(1_000_000_000, "1s");
        check(5_146_340_925, "5.146340925s");
        check(60_000_000_000, "1m0s");
        check(61_500_000_000, "1m1.5s");
        check(3_600_000_000_000, "1h0m0s");
        check(3_661_000_000_001, "1h1m1.000000001s");
    }

    #[test]
    fn round_trip_below_a_millisecond_is_whole_microseconds() {
        let check = |nanos, text: &str| assert_eq!(round_trip(Duration::from_nanos(nanos)), text);
        check(0, "0s");
        check(999, "999ns");
        check(1_000, "1µs");
        check(397_999, "397µs");
        check(2_115_739, "2.115739ms");
    }

    #[test]
    fn json_is_safe_to_stand_in_html() {
        assert_eq!(
            compact("a<b>&\u{2028}é"),
            r#""a\u003cb\u003e\u0026\u2028é""#
        );
        assert_eq!(compact("<"), r#""\u003c""#);
    }

    #[test]
    fn indentation_follows_the_levels() {
        let value = serde_json::json!({"a": [1, {}], "b": []});
        assert_eq!(
            indented(&value, "  "),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
        );
    }

    #[test]
    fn whole_floats_have_no_fraction() {
        let check = |float, text: &str| assert_eq!(compact(&Float(float)), text);
        check(0.0, "0");
        check(2.0, "2");
        check(0.2, "0.2");
        check(0.185_185_185_185_185_17, "0.18518518518518517");
    }

    #[test]
    fn quotes_escape_what_does_not_print() {
        let check = |text, expected: &str| assert_eq!(quoted(text), expected);
        check("x", "\"x\"");
        check("x\"y<", "\"x\\\"y<\"");
        check("a\n\u{1}é", "\"a\\n\\x01é\"");
    }
}
