//! Parameters of a URL, with the error texts that scripts match.
//!
//! Separate because the texts are a contract: a wrong boolean, number or state is refused
//! with the words of Go's `strconv`.
//!
//! Invariants: the first value of a name counts; an empty value is the default; a pair
//! with a broken escape or a `;` is dropped, as Go drops it.

use super::connz::ConnectionState;
use super::go_format::quoted;

/// A parameter that could not be read; the body of a 400.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadParameter(String);

/// The decoded parameters.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`.
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter_map(|pair| {
            if pair.is_empty() || pair.contains(';') {
                return None;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescaped(name)?, unescaped(value)?))
        });
        Query(pairs.collect())
    }

    /// The text of that name; empty when absent.
    pub fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// A boolean in any of Go's spellings; false when absent.
    pub fn boolean(&self, name: &str) -> Result<bool, BadParameter> {
        match self.text(name) {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            other => Err(BadParameter(format!(
                "Error decoding boolean for '{name}': strconv.ParseBool: parsing {}: invalid syntax",
                quoted(other)
            ))),
        }
    }

    /// A signed number; 0 when absent.
    pub fn integer(&self, name: &str) -> Result<i64, BadParameter> {
        let text = self.text(name);
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        Self::number(name, text, digits, "int", "Atoi")
    }

    /// An unsigned number; 0 when absent.
    pub fn unsigned(&self, name: &str) -> Result<u64, BadParameter> {
        let text = self.text(name);
        Self::number(name, text, text, "uint64", "ParseUint")
    }

    fn number<N: std::str::FromStr + Default>(
        name: &str,
        text: &str,
        digits: &str,
        kind: &str,
        function: &str,
    ) -> Result<N, BadParameter> {
        if text.is_empty() {
            return Ok(N::default());
        }
        let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let problem = match text.parse() {
            Ok(number) if well_formed => return Ok(number),
            _ if well_formed => "value out of range",
            _ => "invalid syntax",
        };
        Err(BadParameter(format!(
            "Error decoding {kind} for '{name}': strconv.{function}: parsing {}: {problem}",
            quoted(text)
        )))
    }

    /// The state of connections; open when absent.
    pub fn state(&self) -> Result<ConnectionState, BadParameter> {
        let text = self.text("state");
        ConnectionState::parse(text)
            .ok_or_else(|| BadParameter(format!("Error decoding state for {text}")))
    }

    /// `subs`: subjects, and whether in detail.
    pub fn subscriptions(&self) -> Result<(bool, bool), BadParameter> {
        if self.text("subs").eq_ignore_ascii_case("detail") {
            return Ok((false, true));
        }
        Ok((self.boolean("subs")?, false))
    }
}

/// Undoes `+` and `%xx`; nothing if an escape is broken. Bytes that are no UTF-8 are replaced.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => bytes.push(other),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unescaped() {
        let query = Query::parse("a=x+y&b=%22%3C&a=second&c=%zz&d&e=1;f=2&g=%e2%82%ac&h=%4");
        let check = |name, expected: &str| assert_eq!(query.text(name), expected, "{name}");
        check("a", "x y");
        check("b", "\"<");
        check("c", "");
        check("d", "");
        check("e", "");
        check("g", "€");
        check("h", "");
    }

    #[test]
    fn numbers_and_booleans_as_go_reads_them() {
        let boolean = |value: &str| Query::parse(&format!("x={value}")).boolean("x").ok();
        for value in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(boolean(value), Some(true), "{value}");
        }
        for value in ["", "0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(boolean(value), Some(false), "{value}");
        }
        for value in ["x", "2", "tRUE", "yes", "on"] {
            assert_eq!(boolean(value), None, "{value}");
        }
        let integer = |value: &str| Query::parse(&format!("x={value}")).integer("x").ok();
        assert_eq!(integer("%2B5"), Some(5));
        assert_eq!(integer("-5"), Some(-5));
        assert_eq!(integer(""), Some(0));
        assert_eq!(integer("-"), None);
        assert_eq!(integer("1_000"), None);
        assert_eq!(Query::parse("x=%2B5").unsigned("x").ok(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_panic(raw in ".*") {
            let query = Query::parse(&raw);
            let _ = (query.boolean("a"), query.integer("a"), query.unsigned("a"), query.state());
        }
    }
}
