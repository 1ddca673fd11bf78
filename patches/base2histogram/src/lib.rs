//! What openraft uses of the crate `base2histogram`, in place of it (`[patch]` in the
//! project's `Cargo.toml`).
//!
//! openraft keeps sixteen histograms for each Raft group, whether anybody looks at them or
//! not. With the published crate (0.2.3) the first of them fills 26 MB of tables, for scales
//! that openraft does not use, and takes 15 ms and more; each one holds 2 KiB more. These have a
//! bucket for each power of two, from when something that large was recorded.
//!
//! To be dropped when the published crate makes its tables one scale at a time.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::fmt;
use std::marker::PhantomData;

/// How often values of each magnitude were recorded.
///
/// `T` is what the published crate lets one attach to periods of time; openraft does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    /// Values of so many bits.
    buckets: Vec<u64>,
    periods: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Histogram::new()
    }
}

impl<T> Histogram<T> {
    /// An empty one; allocates nothing.
    pub const fn new() -> Self {
        Histogram {
            buckets: Vec::new(),
            periods: PhantomData,
        }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value so many times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        let bucket = (u64::BITS - value.leading_zeros()) as usize;
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += count;
    }

    /// How many values were recorded.
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The smallest value of the magnitude that this share (0 to 1) of all values does not
    /// exceed; 0 if there are none.
    pub fn percentile(&self, share: f64) -> u64 {
        let rank = (self.total() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        match bucket {
            None | Some(0) => 0,
            Some(bits) => 1 << (bits - 1),
        }
    }

    /// The usual shares.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Percentiles of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names say it: p99_9 is the 99.9th percentile"
)]
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples, median {}, 99 % {}",
            self.samples, self.p50, self.p99
        )
    }
}

/// Several histograms, shown together.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    rows: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// An empty one.
    pub const fn new() -> Self {
        AsciiChart { rows: Vec::new() }
    }

    /// With one more.
    #[must_use]
    pub fn add(mut self, name: &str, histogram: Histogram) -> Self {
        self.rows
            .push((name.to_owned(), histogram.percentile_stats()));
        self
    }

    /// A line for each.
    pub const fn detailed(&self) -> &Self {
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, stats) in &self.rows {
            writeln!(f, "{name}: {stats}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_right_magnitude() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p99, 0);
        histogram.record_n(5, 98);
        histogram.record(1000);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        let told = (stats.samples, stats.p0_1, stats.p50, stats.p99, stats.p99_9);
        assert_eq!(told, (100, 4, 4, 512, 1 << 63));
        histogram.record_n(0, 1000);
        assert_eq!(histogram.percentile(0.5), 0);
    }

    #[test]
    fn a_chart_has_a_line_for_each() {
        let mut histogram = Histogram::new();
        histogram.record(8);
        let chart = AsciiChart::new()
            .add("a", histogram)
            .add("b", Histogram::new());
        let lines = "a: 1 samples, median 8, 99 % 8\nb: 0 samples, median 0, 99 % 0\n";
        assert_eq!(chart.detailed().to_string(), lines);
    }
}
