//! Distinguished names: `CN=nats,OU=ops,DC=example` part by part.
//!
//! Separate from `tls_map` because both ends of the comparison need it: the subject of a
//! certificate and the name of a configured user, written as RFC 2253 says.
//!
//! Attribute types compare without regard to case, values exactly. Absent: no
//! normalisation of values.

/// A distinguished name; the most specific RDN first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DistinguishedName(Vec<Rdn>);

/// A relative distinguished name: one or more attributes, kept sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rdn(Vec<(String, String)>);

impl Rdn {
    /// An RDN of pairs of attribute type and value.
    pub fn new(attributes: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut attributes: Vec<_> = attributes
            .into_iter()
            .map(|(kind, value)| (kind.to_ascii_uppercase(), value))
            .collect();
        attributes.sort();
        Rdn(attributes)
    }
}

impl DistinguishedName {
    /// A name of RDNs, the most specific first.
    pub fn new(rdns: impl IntoIterator<Item = Rdn>) -> Self {
        DistinguishedName(rdns.into_iter().collect())
    }

    /// Reads a name; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut rdns = Vec::new();
        loop {
            let mut attributes = Vec::new();
            let after = loop {
                let (kind, after) = rest.split_once('=')?;
                let kind = kind.trim();
                let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
                if kind.is_empty() || !kind.bytes().all(legal) {
                    return None;
                }
                let (value, end, after) = read_value(after)?;
                attributes.push((kind.to_owned(), value));
                rest = after;
                if end != Some('+') {
                    break end;
                }
            };
            rdns.push(Rdn::new(attributes));
            if after.is_none() {
                return Some(DistinguishedName(rdns));
            }
        }
    }

    /// There is no RDN.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same RDNs, in any order.
    pub fn has_same_rdns(&self, other: &Self) -> bool {
        let sorted = |name: &Self| {
            let mut rdns = name.0.clone();
            rdns.sort();
            rdns
        };
        self.0.len() == other.0.len() && sorted(self) == sorted(other)
    }
}

/// Reads a value up to a separator, which is returned with what follows it.
fn read_value(text: &str) -> Option<(String, Option<char>, &str)> {
    let mut value: Vec<u8> = Vec::new();
    // The length up to the last character that is not an unescaped trailing space.
    let mut kept = 0;
    let mut chars = text.char_indices();
    let mut end = (None, "");
    while let Some((index, c)) = chars.next() {
        match c {
            ',' | ';' | '+' => {
                end = (Some(c), &text[index + 1..]);
                break;
            }
            '\\' => {
                push_escaped(&mut value, &mut chars)?;
                kept = value.len();
            }
            '"' => return None,
            ' ' if value.is_empty() => {}
            ' ' => value.push(b' '),
            _ => {
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    Some((String::from_utf8(value).ok()?, end.0, end.1))
}

/// Reads what follows a backslash: two hexadecimal digits or a special character.
fn push_escaped(value: &mut Vec<u8>, chars: &mut std::str::CharIndices<'_>) -> Option<()> {
    let (_, first) = chars.next()?;
    if let Some(high) = first.to_digit(16) {
        let (_, second) = chars.next()?;
        let byte = high * 16 + second.to_digit(16)?;
        value.push(u8::try_from(byte).ok()?);
    } else if matches!(
        first,
        ' ' | '"' | '#' | '+' | ',' | ';' | '<' | '=' | '>' | '\\'
    ) {
        value.push(u8::try_from(first).ok()?);
    } else {
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap()
    }

    #[test]
    fn order_of_rdns_matters_to_equality_only() {
        let name = dn("CN=nats,OU=ops,DC=example,DC=com");
        assert_eq!(name, dn("cn=nats, ou=ops; DC=example ,dc=com"));
        assert_ne!(name, dn("DC=com,DC=example,OU=ops,CN=nats"));
        assert!(name.has_same_rdns(&dn("DC=com,DC=example,OU=ops,CN=nats")));
        assert!(!name.has_same_rdns(&dn("DC=com,DC=com,OU=ops,CN=nats")));
        assert!(!name.has_same_rdns(&dn("CN=Nats,OU=ops,DC=example,DC=com")));
    }

    #[test]
    fn attributes_of_one_rdn_have_no_order() {
        assert_eq!(dn("CN=a+OU=b,O=c"), dn("OU=b+CN=a,O=c"));
        assert_ne!(dn("CN=a+OU=b"), dn("CN=a,OU=b"));
    }

    #[test]
    fn escapes_are_undone() {
        let check = |text, value: &str| {
            let expected = Rdn::new([("CN".to_owned(), value.to_owned())]);
            assert_eq!(dn(text), DistinguishedName::new([expected]), "{text}");
        };
        check(r"CN=a\,b\+c", "a,b+c");
        check(r"CN=\20a\ ", " a ");
        check(r"CN=\c3\a9", "é");
        check("CN= a b  ", "a b");
        check("CN=", "");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "", "alice", "=x", "CN=a,", "CN=a,b", "C N=a", r"CN=\zz", r"CN=a\", "CN=\"a\"",
        ] {
            assert_eq!(DistinguishedName::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}", near in "[CN=,+\\\\ a2f\"é]{0,12}") {
            let _ = DistinguishedName::parse(&text);
            let _ = DistinguishedName::parse(&near);
        }
    }
}
