//! Minimal command line parsing: `mode --key value --flag`.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The mode and its options.
pub struct Args {
    pub mode: String,
    map: BTreeMap<String, String>,
    seen: RefCell<BTreeSet<String>>,
}

impl Args {
    /// Reads the command line of this process.
    pub fn parse() -> Result<Args, String> {
        let mut it = std::env::args().skip(1).peekable();
        let mode = it.next().ok_or("no mode given")?;
        let mut map = BTreeMap::new();
        while let Some(a) = it.next() {
            let key = a
                .strip_prefix("--")
                .ok_or_else(|| format!("unexpected argument {a:?}"))?
                .to_string();
            let val = it
                .next_if(|v| !v.starts_with("--"))
                .unwrap_or_else(|| "true".to_string());
            map.insert(key, val);
        }
        Ok(Args {
            mode,
            map,
            seen: RefCell::new(BTreeSet::new()),
        })
    }

    /// The text of an option, if it was given.
    pub fn opt(&self, key: &str) -> Option<&str> {
        self.seen.borrow_mut().insert(key.to_string());
        self.map.get(key).map(String::as_str)
    }

    /// The text of an option.
    pub fn str<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.opt(key).unwrap_or(default)
    }

    /// Whether an option was given and not switched off.
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.opt(key), Some(v) if v != "false" && v != "0")
    }

    /// Unsigned number with an optional `k`, `m` or `g` suffix (powers of 1000,
    /// or of 1024 when the suffix is upper case).
    pub fn u64(&self, key: &str, default: u64) -> u64 {
        match self.opt(key) {
            None => default,
            Some(v) => parse_num(v).unwrap_or_else(|| die(&format!("--{key}: bad number {v:?}"))),
        }
    }

    /// As [`Args::u64`], for counts.
    pub fn usize(&self, key: &str, default: usize) -> usize {
        self.u64(key, default as u64) as usize
    }

    /// A number with a fraction, or with a suffix as in [`Args::u64`].
    pub fn f64(&self, key: &str, default: f64) -> f64 {
        match self.opt(key) {
            None => default,
            Some(v) => match v.parse::<f64>() {
                Ok(f) => f,
                Err(_) => parse_num(v)
                    .map(|n| n as f64)
                    .unwrap_or_else(|| die(&format!("--{key}: bad number {v:?}"))),
            },
        }
    }

    /// Options that no mode asked for: almost always a typing mistake.
    pub fn unused(&self) -> Vec<String> {
        let seen = self.seen.borrow();
        self.map
            .keys()
            .filter(|k| !seen.contains(*k))
            .cloned()
            .collect()
    }

    /// The options as they go into the result.
    pub fn to_json(&self) -> serde_json::Value {
        let skip = ["pid", "out", "tag", "note"];
        let m = self
            .map
            .iter()
            .filter(|(k, _)| !skip.contains(&k.as_str()))
            .map(|(k, v)| (k.clone(), serde_json::Value::from(v.as_str())))
            .collect();
        serde_json::Value::Object(m)
    }
}

/// A number with a suffix, or `None`.
pub fn parse_num(v: &str) -> Option<u64> {
    let (digits, mult) = match v.as_bytes().last()? {
        b'k' => (&v[..v.len() - 1], 1_000),
        b'm' => (&v[..v.len() - 1], 1_000_000),
        b'g' => (&v[..v.len() - 1], 1_000_000_000),
        b'K' => (&v[..v.len() - 1], 1 << 10),
        b'M' => (&v[..v.len() - 1], 1 << 20),
        b'G' => (&v[..v.len() - 1], 1 << 30),
        _ => (v, 1),
    };
    digits.parse::<u64>().ok().map(|n| n * mult)
}

/// Says what is wrong and ends the process.
pub fn die(msg: &str) -> ! {
    eprintln!("loadgen: {msg}");
    std::process::exit(2)
}
