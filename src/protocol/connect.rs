//! `CONNECT`: what a client says of itself (spec core §1.4).
//!
//! Read as Go reads JSON, since clients were written against that: keys without regard to
//! case, the last of equal keys counts, `null` and what is missing change nothing, text
//! that is no UTF-8 is repaired.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

/// The options of a `CONNECT`. What no `CONNECT` has set has the protocol's defaults, which
/// are `verbose` and `pedantic` **on**.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// Answer `+OK` to every operation.
    pub verbose: bool,
    /// Check published subjects.
    pub pedantic: bool,
    /// Deliver own messages back; on unless told otherwise.
    pub echo: bool,
    /// The client insists on TLS; informational.
    pub tls_required: bool,
    /// A public user key.
    pub nkey: String,
    /// The nonce, signed.
    pub sig: String,
    /// A user JWT.
    pub jwt: String,
    /// A token.
    pub auth_token: String,
    /// A user name.
    pub user: String,
    /// Its password.
    pub pass: String,
    /// The client's name for itself.
    pub name: String,
    /// The library's language.
    pub lang: String,
    /// The library's version.
    pub version: String,
    /// 0, or 1 for a client that understands asynchronous `INFO`.
    pub protocol: i64,
    /// The client understands `HMSG`.
    pub headers: bool,
    /// The client wants a 503 when nobody listens.
    pub no_responders: bool,
    /// Legacy account choice; refused.
    pub account: String,
    /// Legacy account choice; refused.
    pub new_account: bool,
    /// A trusted proxy's signature of the nonce.
    pub proxy_sig: String,
}

impl Default for Connect {
    fn default() -> Self {
        Connect {
            verbose: true,
            pedantic: true,
            echo: true,
            tls_required: false,
            nkey: String::new(),
            sig: String::new(),
            jwt: String::new(),
            auth_token: String::new(),
            user: String::new(),
            pass: String::new(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            headers: false,
            no_responders: false,
            account: String::new(),
            new_account: false,
            proxy_sig: String::new(),
        }
    }
}

impl Connect {
    /// Takes over what the JSON after the verb says.
    ///
    /// # Errors
    /// What is wrong with the JSON; some of it may have been taken over.
    pub fn update(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        if json == b"null" {
            return Ok(());
        }
        let mut json = serde_json::Deserializer::from_slice(json);
        json.deserialize_map(Fields(self))?;
        json.end()
    }
}

/// Writes the fields of an object where they belong.
struct Fields<'a>(&'a mut Connect);

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let to = self.0;
        while let Some(Text(mut key)) = map.next_key()? {
            key.make_ascii_lowercase();
            match key.as_str() {
                "verbose" => set(&mut map, &mut to.verbose)?,
                "pedantic" => set(&mut map, &mut to.pedantic)?,
                "echo" => set(&mut map, &mut to.echo)?,
                "tls_required" => set(&mut map, &mut to.tls_required)?,
                "nkey" => set_text(&mut map, &mut to.nkey)?,
                "sig" => set_text(&mut map, &mut to.sig)?,
                "jwt" => set_text(&mut map, &mut to.jwt)?,
                "auth_token" => set_text(&mut map, &mut to.auth_token)?,
                "user" => set_text(&mut map, &mut to.user)?,
                "pass" => set_text(&mut map, &mut to.pass)?,
                "name" => set_text(&mut map, &mut to.name)?,
                "lang" => set_text(&mut map, &mut to.lang)?,
                "version" => set_text(&mut map, &mut to.version)?,
                "protocol" => set(&mut map, &mut to.protocol)?,
                "headers" => set(&mut map, &mut to.headers)?,
                "no_responders" => set(&mut map, &mut to.no_responders)?,
                "account" => set_text(&mut map, &mut to.account)?,
                "new_account" => set(&mut map, &mut to.new_account)?,
                "proxy_sig" => set_text(&mut map, &mut to.proxy_sig)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

fn set<'de, A, T>(map: &mut A, to: &mut T) -> Result<(), A::Error>
where
    A: MapAccess<'de>,
    T: Deserialize<'de>,
{
    if let Some(value) = map.next_value::<Option<T>>()? {
        *to = value;
    }
    Ok(())
}

fn set_text<'de, A: MapAccess<'de>>(map: &mut A, to: &mut String) -> Result<(), A::Error> {
    if let Some(Text(value)) = map.next_value()? {
        *to = value;
    }
    Ok(())
}

/// A text with what is no UTF-8 replaced.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &[u8]) -> Result<Connect, serde_json::Error> {
        let mut connect = Connect::default();
        connect.update(json).map(|()| connect)
    }

    #[test]
    fn verbose_pedantic_and_echo_default_to_on() {
        let check = |json: &str, expected| {
            let c = parse(json.as_bytes()).expect("valid");
            assert_eq!((c.verbose, c.pedantic, c.echo), expected, "{json}");
        };
        check("{}", (true, true, true));
        check("null", (true, true, true));
        check(r#"{"verbose":null,"echo":false}"#, (true, true, false));
        check(
            r#"{"verbose":false,"pedantic":false,"unknown":[{"a":1}]}"#,
            (false, false, true),
        );
        check(r#"{"VERBOSE":true,"Verbose":false}"#, (false, true, true));
    }

    #[test]
    fn what_is_not_said_again_stays() {
        let mut connect = parse(br#"{"user":"u","headers":true}"#).expect("valid");
        connect
            .update(br#"{"user":null,"verbose":false}"#)
            .expect("valid");
        assert_eq!((connect.user.as_str(), connect.headers), ("u", true));
        assert!(!connect.verbose);
    }

    #[test]
    fn text_is_repaired() {
        let check = |json: &[u8], expected: &str| {
            assert_eq!(parse(json).expect("valid").name, expected);
        };
        check(b"{\"name\":\"a\xff\",\"\xfe\":1}", "a\u{fffd}");
        check(br#"{"name":"\u00e9\ud83d\ude00"}"#, "é😀");
        let lone = parse(br#"{"name":"\ud800x"}"#).expect("valid").name;
        assert!(lone.ends_with("\u{fffd}x"), "{lone}");
    }

    #[test]
    fn wrong_types_are_refused() {
        for json in [
            r#"{"verbose":"yes"}"#,
            r#"{"protocol":1.0}"#,
            r#"{"name":1}"#,
            r#"{"name":[97]}"#,
            "{} x",
            "[]",
            "1",
            "",
        ] {
            assert!(parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let json = br#"{"user":"u","pass":"secret1","auth_token":"secret2","jwt":"secret3"}"#;
        let debug = format!("{:?}", parse(json).expect("valid"));
        assert!(!debug.contains("secret"), "{debug}");
    }
}
