//! NATS unique identifiers: 22 base-62 characters, cheap to make, safe in a subject.
//!
//! A `Nuid` is a random prefix of 12 characters and a 10-character sequence that
//! advances by a random step; the prefix is renewed when the sequence is used up.

use crate::entropy::Random;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_LEN: usize = 12;
const SEQUENCE_LEN: usize = 10;
const SEQUENCE_END: u64 = 62u64.pow(SEQUENCE_LEN as u32);
const STEP_MIN: u64 = 33;
const STEP_MAX: u64 = 333;

/// A generator of identifiers.
#[derive(Debug)]
pub struct Nuid {
    random: Random,
    prefix: [u8; PREFIX_LEN],
    sequence: u64,
    step: u64,
}

impl Nuid {
    /// A generator that takes its randomness from `random`.
    pub fn new(random: Random) -> Self {
        let mut nuid = Nuid {
            random,
            prefix: [0; PREFIX_LEN],
            sequence: 0,
            step: 0,
        };
        nuid.renew();
        nuid
    }

    /// The next identifier: 22 characters out of `0-9A-Za-z`.
    pub fn next_id(&mut self) -> String {
        self.sequence += self.step;
        if self.sequence >= SEQUENCE_END {
            self.renew();
        }
        let mut id = String::with_capacity(PREFIX_LEN + SEQUENCE_LEN);
        id.extend(self.prefix.iter().map(|b| char::from(*b)));
        push_base62(&mut id, self.sequence, SEQUENCE_LEN);
        id
    }

    fn renew(&mut self) {
        for byte in &mut self.prefix {
            *byte = DIGITS[self.random.below(62) as usize];
        }
        self.sequence = self.random.below(SEQUENCE_END / 2);
        self.step = STEP_MIN + self.random.below(STEP_MAX - STEP_MIN);
    }
}

/// The base-62 character that a byte stands for in hashes.
pub fn digit(byte: u8) -> char {
    char::from(DIGITS[usize::from(byte) % DIGITS.len()])
}

/// A random token of `len` base-62 characters, as reply subjects use them.
pub fn token(random: &mut Random, len: usize) -> String {
    (0..len)
        .map(|_| char::from(DIGITS[random.below(62) as usize]))
        .collect()
}

fn push_base62(out: &mut String, mut value: u64, len: usize) {
    let mut digits = [b'0'; SEQUENCE_LEN];
    for digit in digits[..len].iter_mut().rev() {
        *digit = DIGITS[(value % 62) as usize];
        value /= 62;
    }
    out.extend(digits[..len].iter().map(|b| char::from(*b)));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_well_formed() {
        let mut nuid = Nuid::new(Random::seeded(3));
        let ids: HashSet<String> = (0..10_000).map(|_| nuid.next_id()).collect();
        assert_eq!(ids.len(), 10_000);
        let well_formed =
            |id: &String| id.len() == 22 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(ids.iter().all(well_formed));
    }
}
