//! Times in requests: RFC 3339 as the peers read it, which is a little wider.
//!
//! Separate because three things need the same answer: what a request may say, in which
//! form it is kept and shown (as many fractional digits as needed, the zone as given), and
//! which moment it is.
//!
//! Invariant: what [`parse`] returns as text, it parses to the same moment and text again.
//! Moments that nanoseconds in 64 bits cannot hold are the nearest ones that they can.

use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::quote::quoted;
use crate::clock::Timestamp;

const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

const NEVER: &str = "0001-01-01T00:00:00Z";

/// A time as answers have it, in UTC; none is the year 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Option<Timestamp>);

impl From<Timestamp> for Time {
    fn from(moment: Timestamp) -> Self {
        Time(Some(moment))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(moment) => serializer.serialize_str(&moment.to_rfc3339()),
            None => serializer.serialize_str(NEVER),
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Option<String> = super::field::called(deserializer, "time.Time")?;
        match text.as_deref() {
            None | Some(NEVER) => Ok(Time(None)),
            Some(text) => match parse(text) {
                Ok((_, moment)) => Ok(Time(Some(moment))),
                Err(error) => Err(serde::de::Error::custom(error)),
            },
        }
    }
}

/// The moment a text in normal form stands for; none if it is no time.
pub fn moment(text: &str) -> Option<Timestamp> {
    parse(text).ok().map(|(_, moment)| moment)
}

/// A time's normal form and its moment.
///
/// # Errors
/// What is wrong, in words.
pub fn parse(text: &str) -> Result<(String, Timestamp), String> {
    let mut reader = Reader { text, rest: text };
    let year = reader.digits(4, 4, "2006")?;
    reader.literal("-")?;
    let month = reader.ranged(2, "01", 1..=12, "month")?;
    reader.literal("-")?;
    let day = reader.digits(2, 2, "02")?;
    reader.literal("T")?;
    let hour = reader.ranged(1, "15", 0..=23, "hour")?;
    reader.literal(":")?;
    let minute = reader.ranged(2, "04", 0..=59, "minute")?;
    reader.literal(":")?;
    let second = reader.ranged(2, "05", 0..=59, "second")?;
    let nanos = reader.fraction();
    let offset_minutes = reader.zone()?;
    if !reader.rest.is_empty() {
        let extra = quoted(reader.rest);
        return Err(format!(
            "parsing time {}: extra text: {extra}",
            quoted(text)
        ));
    }
    if day < 1 || day > days_in(month, year) {
        return Err(reader.out_of_range("day"));
    }
    let mut normal = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos != 0 {
        let digits = format!("{nanos:09}");
        let _ = write!(normal, ".{}", digits.trim_end_matches('0'));
    }
    if offset_minutes == 0 {
        normal.push('Z');
    } else {
        let (sign, offset) = (
            if offset_minutes < 0 { '-' } else { '+' },
            offset_minutes.abs(),
        );
        let _ = write!(normal, "{sign}{:02}:{:02}", offset / 60, offset % 60);
    }
    let minutes = (days_since_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    let since_epoch = i128::from(minutes * 60 + second) * 1_000_000_000 + i128::from(nanos);
    let nearest = since_epoch.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    let moment = i64::try_from(nearest).unwrap_or(i64::MAX);
    Ok((normal, Timestamp::from_unix_nanos(moment)))
}

fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn cannot(&self, element: &str) -> String {
        format!(
            "parsing time {} as {LAYOUT:?}: cannot parse {} as {element:?}",
            quoted(self.text),
            quoted(self.rest)
        )
    }

    fn out_of_range(&self, what: &str) -> String {
        format!("parsing time {}: {what} out of range", quoted(self.text))
    }

    fn literal(&mut self, literal: &str) -> Result<(), String> {
        self.rest = self
            .rest
            .strip_prefix(literal)
            .ok_or_else(|| self.cannot(literal))?;
        Ok(())
    }

    /// Up to `max` digits, at least `min`.
    fn digits(&mut self, min: usize, max: usize, element: &str) -> Result<i64, String> {
        let there = self
            .rest
            .bytes()
            .take(max)
            .take_while(u8::is_ascii_digit)
            .count();
        if there < min {
            return Err(self.cannot(element));
        }
        let (number, rest) = self.rest.split_at(there);
        let number = number.parse().map_err(|_| self.cannot(element))?;
        self.rest = rest;
        Ok(number)
    }

    fn ranged(
        &mut self,
        min: usize,
        element: &str,
        range: std::ops::RangeInclusive<i64>,
        what: &str,
    ) -> Result<i64, String> {
        let number = self.digits(min, 2, element)?;
        if !range.contains(&number) {
            return Err(self.out_of_range(what));
        }
        Ok(number)
    }

    /// Nanoseconds after a dot or comma; further digits are cut off.
    fn fraction(&mut self) -> i64 {
        let Some(digits) = self.rest.strip_prefix(['.', ',']) else {
            return 0;
        };
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return 0;
        }
        let nanos = (0..9).fold(0, |nanos, at| {
            let digit = digits.as_bytes()[..count]
                .get(at)
                .map_or(0, |digit| digit - b'0');
            nanos * 10 + i64::from(digit)
        });
        self.rest = &digits[count..];
        nanos
    }

    /// Minutes east of UTC.
    fn zone(&mut self) -> Result<i64, String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let bytes = self.rest.as_bytes();
        let sign = match bytes.first() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(self.cannot("Z07:00")),
        };
        let (Some(&[a, b, b':', c, d]), true) = (
            bytes.get(1..6).and_then(|zone| zone.first_chunk::<5>()),
            self.rest.is_char_boundary(6.min(self.rest.len())),
        ) else {
            return Err(self.cannot("Z07:00"));
        };
        if ![a, b, c, d].iter().all(u8::is_ascii_digit) {
            return Err(self.cannot("Z07:00"));
        }
        let two = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
        let (hours, minutes) = (two(a, b), two(c, d));
        if hours > 24 {
            return Err(self.out_of_range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(self.out_of_range("time zone offset minute"));
        }
        self.rest = &self.rest[6..];
        Ok(sign * (hours * 60 + minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_in_their_normal_form() {
        let check = |text: &str, normal: &str, moment: i64| {
            let expected = (normal.to_owned(), Timestamp::from_unix_nanos(moment));
            assert_eq!(parse(text), Ok(expected.clone()), "{text}");
            assert_eq!(parse(normal), Ok(expected), "{normal} again");
        };
        check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z", 0);
        check(
            "1970-01-01T00:00:01.500Z",
            "1970-01-01T00:00:01.5Z",
            1_500_000_000,
        );
        check(
            "1970-01-01T00:00:00,5Z",
            "1970-01-01T00:00:00.5Z",
            500_000_000,
        );
        check(
            "1970-01-01T5:00:00-00:00",
            "1970-01-01T05:00:00Z",
            18_000_000_000_000,
        );
        check("1970-01-01T02:00:00+02:00", "1970-01-01T02:00:00+02:00", 0);
        check("1969-12-31T23:30:00-00:30", "1969-12-31T23:30:00-00:30", 0);
        check(
            "2024-02-29T00:00:00.1234567899Z",
            "2024-02-29T00:00:00.123456789Z",
            1_709_164_800_123_456_789,
        );
        check("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", i64::MIN);
        check("2999-01-01T00:00:00Z", "2999-01-01T00:00:00Z", i64::MAX);
    }

    #[test]
    fn what_is_no_time_is_said_in_words() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        };
        let layout = r#"as "2006-01-02T15:04:05Z07:00": cannot parse"#;
        check("x", &format!(r#"parsing time "x" {layout} "x" as "2006""#));
        check(
            "2024-01-02",
            &format!(r#"parsing time "2024-01-02" {layout} "" as "T""#),
        );
        check(
            "2020-01-01T00:00:00",
            &format!(r#"parsing time "2020-01-01T00:00:00" {layout} "" as "Z07:00""#),
        );
        check(
            "2020-13-01T00:00:00Z",
            r#"parsing time "2020-13-01T00:00:00Z": month out of range"#,
        );
        check(
            "2020-02-30T00:00:00Z",
            r#"parsing time "2020-02-30T00:00:00Z": day out of range"#,
        );
        check(
            "2020-02-01T25:00:00Z",
            r#"parsing time "2020-02-01T25:00:00Z": hour out of range"#,
        );
        check(
            "2020-02-01T05:00:60Z",
            r#"parsing time "2020-02-01T05:00:60Z": second out of range"#,
        );
        check(
            "2020-02-01T05:00:00+99:00",
            r#"parsing time "2020-02-01T05:00:00+99:00": time zone offset hour out of range"#,
        );
        check(
            "2020-02-01 05:00:00Z",
            &format!(r#"parsing time "2020-02-01 05:00:00Z" {layout} " 05:00:00Z" as "T""#),
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", tail in "[0-9TZ:.,+-]{0,12}é?") {
            let _ = parse(&text);
            let _ = parse(&format!("2020-02-01T05:00:00{tail}"));
        }
    }
}
