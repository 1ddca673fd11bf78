//! Units: sizes with suffixes, Go durations, dates.
//!
//! Separate because the file language, the flags and the option sections all read
//! them and must read them alike. Pure text to number; nothing is rounded and
//! nothing wraps: what does not fit is an error.

use std::time::Duration;

use super::value::Value;

/// Why a text is not the number or duration asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The number does not fit.
    #[error("integer '{0}' is out of the range")]
    OutOfRange(String),
    /// Neither digits nor digits with a size suffix.
    #[error("expected integer, but got '{0}'")]
    NotAnInteger(String),
    /// Not a Go duration.
    #[error("time: invalid duration {0:?}")]
    NotADuration(String),
    /// A number without `s`, `ms`, `m`, `h` and the like.
    #[error("time: missing unit in duration {0:?}")]
    UnitMissing(String),
    /// Letters that are no unit of time.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnitUnknown {
        /// The letters.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// Neither text nor a whole number.
    #[error("a duration must be a string such as \"2m\" or a number of seconds")]
    WrongType,
}

/// Reads an integer with an optional size suffix, in any case: `k m g t p e` are
/// powers of 1000; `kb ki kib` and so on are powers of 1024.
pub fn integer(text: &str) -> Result<i64, UnitError> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '-')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number: i64 = match number.parse() {
        Ok(number) => number,
        Err(err) => {
            use std::num::IntErrorKind::{NegOverflow, PosOverflow};
            return Err(match err.kind() {
                PosOverflow | NegOverflow => UnitError::OutOfRange(text.into()),
                _ => UnitError::NotAnInteger(text.into()),
            });
        }
    };
    let factor =
        factor(&suffix.to_ascii_lowercase()).ok_or_else(|| UnitError::NotAnInteger(text.into()))?;
    number
        .checked_mul(factor)
        .ok_or_else(|| UnitError::OutOfRange(text.into()))
}

fn factor(suffix: &str) -> Option<i64> {
    let mut letters = suffix.chars();
    let Some(letter) = letters.next() else {
        return Some(1);
    };
    let power = "kmgtpe".find(letter)? as u32 + 1;
    match letters.as_str() {
        "" => Some(1000_i64.pow(power)),
        "b" | "i" | "ib" => Some(1024_i64.pow(power)),
        _ => None,
    }
}

/// Reads a Go duration (`1h30m`, `500ms`, `1.5s`, `-1s`, `0`) into nanoseconds.
pub fn go_duration(text: &str) -> Result<i64, UnitError> {
    let invalid = || UnitError::NotADuration(text.into());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_len = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let unit = match unit {
            "" => return Err(UnitError::UnitMissing(text.into())),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000_i128,
            unit => {
                return Err(UnitError::UnitUnknown {
                    unit: unit.into(),
                    text: text.into(),
                });
            }
        };
        total += scaled(whole, fraction, unit).ok_or_else(invalid)?;
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return Err(invalid());
        }
        rest = after;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).map_err(|_| invalid())
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// `whole.fraction` units in nanoseconds, what is below one cut off. The fraction
/// goes through a float as in Go, so that a third of an hour is twenty minutes.
fn scaled(whole: &str, fraction: &str, unit: i128) -> Option<i128> {
    let whole: i128 = match whole {
        "" => 0,
        digits => i128::from(digits.parse::<u64>().ok()?),
    };
    let (mut part, mut scale) = (0_u64, 1.0);
    for digit in fraction.bytes() {
        if part > i64::MAX as u64 / 10 {
            break;
        }
        part = part * 10 + u64::from(digit - b'0');
        scale *= 10.0;
    }
    let part = (part as f64 * (unit as f64 / scale)) as i128;
    Some(whole * unit + part)
}

/// A duration as a configuration value gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueDuration {
    /// Nanoseconds; may be negative.
    pub nanoseconds: i64,
    /// Written as a bare number of seconds, which deserves a warning.
    pub bare_number: bool,
}

impl ValueDuration {
    /// The duration, a negative one as zero.
    pub fn clamped(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanoseconds).unwrap_or(0))
    }
}

/// Reads a duration: text in Go's way, or a whole number of seconds.
pub fn duration(value: &Value) -> Result<ValueDuration, UnitError> {
    match value {
        Value::String(text) => Ok(ValueDuration {
            nanoseconds: go_duration(text)?,
            bare_number: false,
        }),
        Value::Integer(seconds) => Ok(ValueDuration {
            nanoseconds: seconds
                .checked_mul(1_000_000_000)
                .ok_or_else(|| UnitError::OutOfRange(seconds.to_string()))?,
            bare_number: true,
        }),
        _ => Err(UnitError::WrongType),
    }
}

/// Writes nanoseconds as Go prints a duration: `1h30m0s`, `500ms`, `1.5s`, `0s`.
pub fn format_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.unsigned_abs();
    let below_second = [
        (1_000, 1, "ns"),
        (1_000_000, 1_000, "µs"),
        (1_000_000_000, 1_000_000, "ms"),
    ];
    if magnitude == 0 {
        return "0s".into();
    }
    for (limit, unit, name) in below_second {
        if magnitude < limit {
            return format!("{sign}{}{name}", decimal(magnitude, unit));
        }
    }
    let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000);
    let minutes = magnitude / 60_000_000_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / unit`, exactly, without trailing zeros; `unit` is a power of ten.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, part) = (value / unit, value % unit);
    if part == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{part:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// Reads `2006-01-02T15:04:05Z` into nanoseconds since the Unix epoch; `None` if
/// there is no such moment or it does not fit.
pub fn datetime(text: &str) -> Option<i64> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    // A leap second would be read as the second before it; Go refuses it.
    if text.get(17..19) == Some("60") {
        return None;
    }
    i64::try_from(moment.as_nanosecond()).ok()
}

/// Writes nanoseconds since the Unix epoch as [`datetime`] reads them.
pub fn format_datetime(nanoseconds: i64) -> String {
    let moment = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds));
    moment.map_or_else(|_| String::new(), |moment| format!("{moment:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suffixes_multiply() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-12", Some(-12)),
            ("1k", Some(1_000)),
            ("1Kb", Some(1_024)),
            ("1ki", Some(1_024)),
            ("2MiB", Some(2 << 20)),
            ("2m", Some(2_000_000)),
            ("3G", Some(3_000_000_000)),
            ("1t", Some(1_000_000_000_000)),
            ("1pb", Some(1 << 50)),
            ("7eib", Some(7 << 60)),
            ("8eb", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1kbb", None),
            ("1bk", None),
            ("1x", None),
            ("k", None),
            ("-", None),
            ("1-1", None),
            ("", None),
            ("1é", None),
        ] {
            assert_eq!(integer(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        const S: i64 = 1_000_000_000;
        for (text, expected) in [
            ("0", Ok(0)),
            ("+0", Ok(0)),
            ("1h30m", Ok(5400 * S)),
            ("500ms", Ok(S / 2)),
            ("1.5s", Ok(3 * S / 2)),
            ("-1s", Ok(-S)),
            (".5s", Ok(S / 2)),
            ("1.s", Ok(S)),
            ("1us2µs3μs4ns", Ok(6_004)),
            ("0.3333333333333333333h", Ok(1200 * S)),
            ("9007199254.740993ms", Ok(9_007_199_254_740_993)),
            ("9223372036854775807ns", Ok(i64::MAX)),
            ("-9223372036854775808ns", Ok(i64::MIN)),
            (
                "9223372036854775808ns",
                Err("time: invalid duration \"9223372036854775808ns\""),
            ),
            ("9999999h", Err("time: invalid duration \"9999999h\"")),
            ("", Err("time: invalid duration \"\"")),
            ("-", Err("time: invalid duration \"-\"")),
            (".s", Err("time: invalid duration \".s\"")),
            ("s", Err("time: invalid duration \"s\"")),
            ("10", Err("time: missing unit in duration \"10\"")),
            ("1d", Err("time: unknown unit \"d\" in duration \"1d\"")),
            ("1s ", Err("time: unknown unit \"s \" in duration \"1s \"")),
        ] {
            let read = go_duration(text).map_err(|err| err.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanoseconds, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (2_000_000, "2ms"),
            (-500_000_000, "-500ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (120_000_000_000, "2m0s"),
            (5_400_000_000_000, "1h30m0s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format_duration(nanoseconds), expected);
        }
    }

    #[test]
    fn a_whole_number_is_seconds_and_marked() {
        let read = |value| duration(&value).map(|d| (d.nanoseconds, d.bare_number));
        assert_eq!(read(Value::Integer(2)), Ok((2_000_000_000, true)));
        assert_eq!(
            read(Value::String("2m".into())),
            Ok((120_000_000_000, false))
        );
        assert_eq!(read(Value::Bool(true)), Err(UnitError::WrongType));
        assert!(read(Value::Integer(i64::MAX)).is_err());
    }

    proptest! {
        #[test]
        fn a_printed_duration_is_read_back(nanoseconds: i64) {
            prop_assert_eq!(go_duration(&format_duration(nanoseconds)), Ok(nanoseconds));
        }

        #[test]
        fn a_printed_date_is_read_back(seconds in -9_223_372_036_i64..9_223_372_036) {
            let nanoseconds = seconds * 1_000_000_000;
            prop_assert_eq!(datetime(&format_datetime(nanoseconds)), Some(nanoseconds));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = (integer(&text), go_duration(&text), datetime(&text));
        }
    }
}
