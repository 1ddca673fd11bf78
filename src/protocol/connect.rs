//! `CONNECT`: what a client says of itself (spec core §1.4).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

/// The options of a `CONNECT`. Absent booleans have the protocol's defaults, which are
/// `verbose` and `pedantic` **on**.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Connect {
    /// Answer `+OK` to every operation.
    #[serde(default = "yes", deserialize_with = "or_yes")]
    pub verbose: bool,
    /// Check published subjects.
    #[serde(default = "yes", deserialize_with = "or_yes")]
    pub pedantic: bool,
    /// Deliver own messages back; on unless told otherwise.
    #[serde(default = "yes", deserialize_with = "or_yes")]
    pub echo: bool,
    /// The client insists on TLS; informational.
    #[serde(deserialize_with = "or_default")]
    pub tls_required: bool,
    /// A public user key.
    #[serde(deserialize_with = "or_default")]
    pub nkey: String,
    /// The nonce, signed.
    #[serde(deserialize_with = "or_default")]
    pub sig: String,
    /// A user JWT.
    #[serde(deserialize_with = "or_default")]
    pub jwt: String,
    /// A token.
    #[serde(deserialize_with = "or_default")]
    pub auth_token: String,
    /// A user name.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// Its password.
    #[serde(deserialize_with = "or_default")]
    pub pass: String,
    /// The client's name for itself.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// The library's language.
    #[serde(deserialize_with = "or_default")]
    pub lang: String,
    /// The library's version.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// 0, or 1 for a client that understands asynchronous `INFO`.
    #[serde(deserialize_with = "or_default")]
    pub protocol: i64,
    /// The client understands `HMSG`.
    #[serde(deserialize_with = "or_default")]
    pub headers: bool,
    /// The client wants a 503 when nobody listens.
    #[serde(deserialize_with = "or_default")]
    pub no_responders: bool,
    /// Legacy account choice; refused.
    #[serde(deserialize_with = "or_default")]
    pub account: String,
    /// Legacy account choice; refused.
    #[serde(deserialize_with = "or_default")]
    pub new_account: bool,
    /// A trusted proxy's signature of the nonce.
    #[serde(deserialize_with = "or_default")]
    pub proxy_sig: String,
}

fn yes() -> bool {
    true
}

fn or_yes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<bool>::deserialize(deserializer)?.unwrap_or(true))
}

/// `null` counts as absent, as in Go.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Connect {
    /// Parses the JSON after the verb.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn parse(json: &[u8]) -> Result<Connect, serde_json::Error> {
        if !json.starts_with(b"{") {
            return Err(serde::de::Error::custom("not an object"));
        }
        serde_json::from_slice(json)
    }
}

/// Prints everything but the secrets.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("name", &self.name)
            .field("lang", &self.lang)
            .field("version", &self.version)
            .field("user", &self.user)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

const SECRET_FIELDS: [&str; 5] = ["pass", "auth_token", "jwt", "sig", "proxy_sig"];

/// The JSON as it may be logged: secrets are replaced by `[REDACTED]`.
pub fn redacted(json: &[u8]) -> Cow<'static, str> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(json) else {
        return Cow::Borrowed("{[UNREADABLE]}");
    };
    for name in SECRET_FIELDS {
        if let Some(value) = fields.get_mut(name) {
            *value = "[REDACTED]".into();
        }
    }
    Cow::Owned(serde_json::Value::Object(fields).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbose_pedantic_and_echo_default_to_on() {
        let check = |json: &str, expected| {
            let c = Connect::parse(json.as_bytes()).expect("valid");
            assert_eq!((c.verbose, c.pedantic, c.echo), expected, "{json}");
        };
        check("{}", (true, true, true));
        check(r#"{"verbose":null,"echo":false}"#, (true, true, false));
        check(
            r#"{"verbose":false,"pedantic":false,"unknown":1}"#,
            (false, false, true),
        );
    }

    #[test]
    fn wrong_types_are_refused() {
        assert!(Connect::parse(br#"{"verbose":"yes"}"#).is_err());
        assert!(Connect::parse(b"").is_err());
        assert!(Connect::parse(b"[]").is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let json = br#"{"user":"u","pass":"secret1","auth_token":"secret2","jwt":"secret3"}"#;
        let text = redacted(json);
        assert!(
            text.contains("\"user\":\"u\"") && !text.contains("secret"),
            "{text}"
        );
        let debug = format!("{:?}", Connect::parse(json).expect("valid"));
        assert!(!debug.contains("secret"), "{debug}");
    }
}
