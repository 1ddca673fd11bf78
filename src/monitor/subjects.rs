//! The three questions monitoring asks of subjects.
//!
//! Invariant: plain and slow; nothing on the path of a message comes here.

/// Whether `subject` could be published to: no empty token, no wildcard, no white space.
pub fn is_literal(subject: &str) -> bool {
    !subject.is_empty()
        && subject.split('.').all(|token| {
            !token.is_empty()
                && token != "*"
                && token != ">"
                && !token.contains([' ', '\t', '\n', '\r', '\u{c}'])
        })
}

/// Whether every subject that matches `narrow` matches `wide` too.
pub fn contains(wide: &str, narrow: &str) -> bool {
    let mut narrow = narrow.split('.');
    for wide in wide.split('.') {
        match (wide, narrow.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            (_, Some(">")) => return false,
            ("*", Some(_)) => {}
            (wide, Some(narrow)) if wide == narrow => {}
            _ => return false,
        }
    }
    narrow.next().is_none()
}

/// Whether some subject matches both filters.
pub fn overlap(left: &str, right: &str) -> bool {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(left), Some(right)) if left == right => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_subjects_have_no_wildcards_or_gaps() {
        for (subject, expected) in [
            ("foo", true),
            ("foo.bar", true),
            ("foo.*x", true),
            ("", false),
            ("foo.*", false),
            ("foo.>", false),
            ("foo..bar", false),
            ("foo.", false),
            ("foo bar", false),
        ] {
            assert_eq!(is_literal(subject), expected, "{subject:?}");
        }
    }

    #[test]
    fn wider_filters_contain_narrower_ones() {
        for (wide, narrow, expected) in [
            ("foo", "foo", true),
            ("foo.*", "foo.bar", true),
            ("foo.*", "foo.*", true),
            ("foo.>", "foo.*", true),
            (">", "foo.bar", true),
            ("foo.>", "foo", false),
            ("foo.*", "foo.>", false),
            ("foo.*", "foo.bar.baz", false),
            ("foo.bar", "foo.*", false),
            ("foo.bar", "foo", false),
        ] {
            assert_eq!(contains(wide, narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn filters_overlap_when_a_subject_matches_both() {
        for (left, right, expected) in [
            ("foo", "foo", true),
            ("foo.*", "*.bar", true),
            ("foo.>", "*.bar", true),
            (">", "foo.bar", true),
            ("foo.>", "foo", false),
            ("foo.*", "foo", false),
            ("foo.bar", "foo.baz", false),
        ] {
            assert_eq!(overlap(left, right), expected, "{left} {right}");
            assert_eq!(overlap(right, left), expected, "{right} {left}");
        }
    }
}
