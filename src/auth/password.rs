//! Passwords: comparing what a peer sent with what is configured.
//!
//! Separate because both ways of comparing have a cost that must not tell anything: plain
//! text is compared in a time that depends on the presented text alone, and bcrypt is slow
//! on purpose, so `decision` never calls it and hands the work out instead.
//!
//! Absent: no thread, no hashing of new passwords.

use std::hint::black_box;

/// The configured value is a bcrypt hash: `$2a$`, `$2b$`, `$2x$` or `$2y$`, two digits, `$`.
pub fn is_bcrypt(configured: &str) -> bool {
    matches!(
        configured.as_bytes(),
        [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, units, b'$', ..]
            if tens.is_ascii_digit() && units.is_ascii_digit()
    )
}

/// Compares plain texts; the time depends on the length of `presented` only.
pub fn equal(configured: &str, presented: &str) -> bool {
    let configured = configured.as_bytes();
    let mut difference = configured.len() ^ presented.len();
    for (index, byte) in presented.bytes().enumerate() {
        let expected = configured.get(index).copied().unwrap_or(0);
        difference |= usize::from(black_box(byte ^ expected));
    }
    black_box(difference) == 0
}

/// Checks a password against a bcrypt hash. Slow: MUST NOT run on a connection's thread.
///
/// A hash that cannot be read matches nothing. As everywhere with bcrypt, only the first 72
/// bytes of the password count.
pub fn verify_bcrypt(hash: &str, password: &str) -> bool {
    bcrypt::verify(password, hash).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bcrypt_is_known_by_its_prefix() {
        let check = |text, expected| assert_eq!(is_bcrypt(text), expected, "{text}");
        check("$2a$11$", true);
        check("$2b$04$abc", true);
        check("$2x$04$abc", true);
        check("$2y$04$abc", true);
        check("$2$04$abc", false);
        check("$2c$04$abc", false);
        check("$2a$4$abc", false);
        check("$2a$0x$abc", false);
        check("$2a$11", false);
        check(" $2a$11$", false);
        check("", false);
    }

    #[test]
    fn every_bcrypt_variant_verifies() {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        let rest = &hash[4..];
        for version in ["$2a$", "$2b$", "$2x$", "$2y$"] {
            let hash = format!("{version}{rest}");
            assert!(verify_bcrypt(&hash, "s3cret"), "{version}");
            assert!(!verify_bcrypt(&hash, "s3cre"), "{version}");
        }
    }

    #[test]
    fn unreadable_hash_matches_nothing() {
        for hash in ["", "$2a$04$", "$2a$99$aaaa", "$2a$04$\u{e9}\u{e9}\u{e9}"] {
            assert!(!verify_bcrypt(hash, ""), "{hash}");
        }
    }

    #[test]
    fn passwords_beyond_72_bytes_are_cut() {
        let long = "x".repeat(72);
        let hash = bcrypt::hash(&long, 4).unwrap();
        assert!(verify_bcrypt(&hash, &format!("{long}tail")));
    }

    proptest! {
        #[test]
        fn equal_is_equality(a in "[ab\\x00]{0,4}", b in "[ab\\x00]{0,4}") {
            prop_assert_eq!(equal(&a, &b), a == b);
        }
    }
}
