//! Log-linear latency histogram (about 1.6 % resolution), values in nanoseconds.

const SUB: usize = 64; // sub-buckets per power of two
const TOP: usize = 40; // largest exponent kept

/// Counts of values in buckets that widen with the value.
#[derive(Clone)]
pub struct Hist {
    counts: Vec<u64>,
    n: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Hist {
    fn default() -> Self {
        Hist {
            counts: vec![0; SUB * (TOP + 1)],
            n: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }
}

impl Hist {
    fn index(v: u64) -> usize {
        if v < SUB as u64 {
            return v as usize;
        }
        let exp = 63 - v.leading_zeros() as usize; // >= 6
        let shift = exp - 6;
        let sub = (v >> shift) as usize - SUB;
        ((exp - 5) * SUB + sub).min(SUB * (TOP + 1) - 1)
    }

    fn value(i: usize) -> u64 {
        if i < SUB {
            return i as u64;
        }
        let exp = i / SUB + 5;
        let sub = (i % SUB + SUB) as u64;
        (sub << (exp - 6)) + (1u64 << (exp - 6)) / 2
    }

    /// Counts one value.
    pub fn record(&mut self, v: u64) {
        self.counts[Self::index(v)] += 1;
        self.n += 1;
        self.sum += v as u128;
        self.min = self.min.min(v);
        self.max = self.max.max(v);
    }

    /// Adds all values of another.
    pub fn merge(&mut self, o: &Hist) {
        for (a, b) in self.counts.iter_mut().zip(&o.counts) {
            *a += b;
        }
        self.n += o.n;
        self.sum += o.sum;
        self.min = self.min.min(o.min);
        self.max = self.max.max(o.max);
    }

    /// The value below which the share `q` of all values lies.
    pub fn quantile(&self, q: f64) -> u64 {
        if self.n == 0 {
            return 0;
        }
        let want = ((self.n as f64 * q).ceil() as u64).clamp(1, self.n);
        let mut seen = 0;
        for (i, c) in self.counts.iter().enumerate() {
            seen += c;
            if seen >= want {
                return Self::value(i).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Count, mean, extremes and quantiles in microseconds.
    pub fn to_json(&self) -> serde_json::Value {
        if self.n == 0 {
            return serde_json::Value::Null;
        }
        let us = |v: u64| ((v as f64) / 10.0).round() / 100.0;
        serde_json::json!({
            "n": self.n,
            "mean": us((self.sum / self.n as u128) as u64),
            "min": us(self.min),
            "p50": us(self.quantile(0.50)),
            "p90": us(self.quantile(0.90)),
            "p99": us(self.quantile(0.99)),
            "p999": us(self.quantile(0.999)),
            "max": us(self.max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close() {
        let mut h = Hist::default();
        for v in 1..=100_000u64 {
            h.record(v * 10);
        }
        for (q, want) in [(0.5, 500_000.0), (0.9, 900_000.0), (0.99, 990_000.0)] {
            let got = h.quantile(q) as f64;
            assert!((got - want).abs() / want < 0.02, "q{q}: {got} vs {want}");
        }
        assert_eq!(h.quantile(1.0), 1_000_000);
    }

    #[test]
    fn index_and_value_agree() {
        for v in [0u64, 1, 63, 64, 65, 127, 128, 1000, 123_456, 9_876_543_210] {
            let mid = Hist::value(Hist::index(v)) as f64;
            assert!(
                (mid - v as f64).abs() <= (v as f64) * 0.016 + 1.0,
                "{v} -> {mid}"
            );
        }
    }
}
