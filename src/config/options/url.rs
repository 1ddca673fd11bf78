//! The URL of a peer, with the login it may carry.
//!
//! Separate because a URL in a configuration may hold a password, which `Debug` of the
//! options must not show.
//!
//! Absent: no resolution of names, no percent-decoding beyond the login.

use std::fmt;

use super::reader::{Item, Reader};
use super::secret::Secret;

/// Why a text is no URL of a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme://`.
    #[error("missing scheme")]
    Scheme,
    /// There is no host.
    #[error("missing host")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("invalid port")]
    Port,
}

/// `scheme://[user[:password]@]host[:port][/path]`.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerUrl {
    /// `nats`, `tls`, `ws`, `wss`, `http`…, in lower case.
    pub scheme: String,
    /// User name, or the token if there is no password.
    pub user: Option<Secret>,
    /// Password.
    pub password: Option<Secret>,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; `None`: that of the scheme.
    pub port: Option<u16>,
    /// Path with its slash, and query; mostly empty.
    pub path: String,
}

impl PeerUrl {
    /// Takes a URL apart.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_scheme_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if scheme.is_empty() || !scheme.bytes().all(is_scheme_byte) {
            return Err(UrlError::Scheme);
        }
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (host, port) = split_address(address)?;
        let (user, password) = match login.map(|l| l.split_once(':').ok_or(l)) {
            None => (None, None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
            Some(Err(user)) => (Some(user), None),
        };
        let secret = |text: &str| Secret::new(percent_decode(text));
        Ok(PeerUrl {
            scheme: scheme.to_ascii_lowercase(),
            user: user.map(secret),
            password: password.map(secret),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// `host:port`, with brackets where needed, given the port of the scheme.
    pub fn address(&self, default_port: u16) -> String {
        let port = self.port.unwrap_or(default_port);
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }

    /// The URL without its login, as shown to people.
    pub fn redacted(&self) -> String {
        let login = if self.user.is_some() {
            "[REDACTED]@"
        } else {
            ""
        };
        let brackets = self.host.contains(':');
        let host = if brackets {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let port = self.port.map(|p| format!(":{p}")).unwrap_or_default();
        format!("{}://{login}{host}{port}{}", self.scheme, self.path)
    }
}

impl fmt::Debug for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Reader {
    /// The URL of a peer; `what` names the kind of peer in the error.
    pub fn peer_url(&mut self, v: Item<'_>, what: &str) -> Option<PeerUrl> {
        let mut text = String::new();
        self.text(v, &mut text);
        match PeerUrl::parse(text.trim()) {
            Ok(url) => Some(url),
            Err(_) if text.is_empty() => None,
            Err(error) => {
                // The text is not shown: it may hold a password.
                self.error(v, format!("error parsing {what} url: {error}"));
                None
            }
        }
    }

    /// One URL of a peer, or several.
    pub fn peer_urls(&mut self, v: Item<'_>, what: &str, into: &mut Vec<PeerUrl>) {
        let mut all = Vec::new();
        self.one_or_more(v, |r, element| all.extend(r.peer_url(element, what)));
        *into = all;
    }
}

fn split_address(address: &str) -> Result<(&str, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(UrlError::Host)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(UrlError::Port),
        }
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(UrlError::Host);
    }
    let port = match port {
        None | Some("") => None,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(UrlError::Port),
        },
    };
    Ok((host, port))
}

/// `%41` to `A`; what is no escape stays as it is.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart() {
        for (text, user, password, address, path) in [
            ("nats://h", None, None, "h:1", ""),
            ("nats-route://h:6222", None, None, "h:6222", ""),
            (
                "nats://u:p%40q@h:6222/x",
                Some("u"),
                Some("p@q"),
                "h:6222",
                "/x",
            ),
            ("tls://tok@[::1]:7", Some("tok"), None, "[::1]:7", ""),
            ("WSS://[::1]", None, None, "[::1]:1", ""),
        ] {
            let url = PeerUrl::parse(text).expect(text);
            assert_eq!(url.user.as_ref().map(Secret::expose), user, "{text}");
            assert_eq!(
                url.password.as_ref().map(Secret::expose),
                password,
                "{text}"
            );
            assert_eq!(url.address(1), address, "{text}");
            assert_eq!(url.path, path, "{text}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for (text, expected) in [
            ("", UrlError::Scheme),
            ("host:4222", UrlError::Scheme),
            ("://h", UrlError::Scheme),
            ("nats://", UrlError::Host),
            ("nats://u@:4222", UrlError::Host),
            ("nats://h:0", UrlError::Port),
            ("nats://h:99999", UrlError::Port),
            ("nats://[::1", UrlError::Host),
        ] {
            assert_eq!(PeerUrl::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_login() {
        let url = PeerUrl::parse("nats://u:p@h:1").expect("a url");
        assert_eq!(format!("{url:?}"), "nats://[REDACTED]@h:1");
    }
}
