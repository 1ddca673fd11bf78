//! Durations as the texts of errors have them.

use std::time::Duration;

/// `1m0s`, `1.5s`, `100ms`, `10µs`, `5ns`.
pub fn text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let in_unit = |unit: u128, name: &str| {
        let (whole, rest) = (nanos / unit, nanos % unit);
        let width = unit.ilog10() as usize;
        let fraction = match rest {
            0 => String::new(),
            _ => format!(".{}", format!("{rest:0width$}").trim_end_matches('0')),
        };
        format!("{whole}{fraction}{name}")
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => in_unit(1, "ns"),
        1_000..1_000_000 => in_unit(1_000, "µs"),
        1_000_000..1_000_000_000 => in_unit(1_000_000, "ms"),
        _ => {
            let seconds = text_of_seconds(nanos % 60_000_000_000);
            let minutes = nanos / 60_000_000_000;
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

fn text_of_seconds(nanos: u128) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match rest {
        0 => format!("{whole}s"),
        _ => format!("{whole}.{}s", format!("{rest:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_in_their_unit() {
        let check = |nanos, expected: &str| assert_eq!(text(Duration::from_nanos(nanos)), expected);
        check(0, "0s");
        check(5, "5ns");
        check(10_500, "10.5µs");
        check(100_000_000, "100ms");
        check(1_500_000_000, "1.5s");
        check(60_000_000_000, "1m0s");
        check(3_600_000_000_000, "1h0m0s");
        check(5_400_000_000_001, "1h30m0.000000001s");
    }
}
