//! Credentials: what a peer presented, before anybody judged it.
//!
//! Separate from `decision` so that every front (client, leafnode, WebSocket, MQTT) brings
//! its own login into one form. Empty fields and absent ones are the same, as on the wire.
//!
//! Absent: nothing is checked or decoded here but the nonce signature's base64.

use std::fmt;

use data_encoding::{BASE64, BASE64URL_NOPAD};

use super::nkey;
use super::tls_map::CertificateNames;
use super::users::ConnectionType;

/// What a peer presented.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `user` of CONNECT.
    pub user: String,
    /// `pass` of CONNECT.
    pub password: String,
    /// `auth_token` of CONNECT.
    pub token: String,
    /// `nkey` of CONNECT: a public user key.
    pub nkey: String,
    /// `sig` of CONNECT: base64 of the signature over the nonce.
    pub signature: String,
    /// `jwt` of CONNECT.
    pub jwt: String,
    /// The nonce that INFO carried, as text; empty if it carried none.
    pub nonce: String,
    /// CONNECT had `account` or `new_account`, which nobody may name.
    pub names_account: bool,
    /// The names of the verified client certificate, if there is one.
    pub certificate: Option<CertificateNames>,
    /// Where the connection comes from; written by the front.
    pub connection_type: ConnectionType,
    /// The connection came through a proxy that proved to be a trusted one.
    pub is_proxied: bool,
}

impl Credentials {
    /// No user, password or token: what `no_auth_user` is for.
    pub fn is_anonymous(&self) -> bool {
        self.user.is_empty() && self.password.is_empty() && self.token.is_empty()
    }

    /// The nonce is signed by the presented nkey. The signature is base64url without
    /// padding; standard base64 is accepted too.
    pub fn signature_is_valid(&self) -> bool {
        let text = self.signature.as_bytes();
        let Ok(signature) = BASE64URL_NOPAD
            .decode(text)
            .or_else(|_| BASE64.decode(text))
        else {
            return false;
        };
        !self.nonce.is_empty()
            && nkey::is_public(nkey::Role::User, &self.nkey)
            && nkey::verify(&self.nkey, self.nonce.as_bytes(), &signature)
    }

    /// The name to show for this peer in logs, monitoring and events: what it called
    /// itself. A token is never shown.
    pub fn shown_name(&self) -> &str {
        if !self.nkey.is_empty() {
            &self.nkey
        } else if !self.user.is_empty() {
            &self.user
        } else if !self.token.is_empty() {
            "[REDACTED]"
        } else {
            ""
        }
    }
}

/// Hides every secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.shown_name())
            .field("has_password", &!self.password.is_empty())
            .field("has_token", &!self.token.is_empty())
            .field("has_jwt", &!self.jwt.is_empty())
            .field("has_signature", &!self.signature.is_empty())
            .field("certificate", &self.certificate)
            .field("connection_type", &self.connection_type)
            .field("is_proxied", &self.is_proxied)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(encode: impl Fn(&[u8]) -> String) -> Credentials {
        let pair = nkey::KeyPair::from_random(nkey::Role::User, [9; 32]);
        Credentials {
            nkey: pair.public_key().to_owned(),
            signature: encode(&pair.sign(b"nonce")),
            nonce: "nonce".to_owned(),
            ..Credentials::default()
        }
    }

    #[test]
    fn both_base64_alphabets_are_accepted() {
        assert!(signed(|bytes| BASE64URL_NOPAD.encode(bytes)).signature_is_valid());
        assert!(signed(|bytes| BASE64.encode(bytes)).signature_is_valid());
        assert!(!signed(|_| String::new()).signature_is_valid());
        assert!(!signed(|_| "?".to_owned()).signature_is_valid());
    }

    #[test]
    fn another_nonce_is_not_signed() {
        let credentials = Credentials {
            nonce: "other".to_owned(),
            ..signed(|bytes| BASE64.encode(bytes))
        };
        assert!(!credentials.signature_is_valid());
    }

    #[test]
    fn a_signature_over_nothing_proves_nothing() {
        let pair = nkey::KeyPair::from_random(nkey::Role::User, [9; 32]);
        let credentials = Credentials {
            nkey: pair.public_key().to_owned(),
            signature: BASE64.encode(&pair.sign(b"")),
            ..Credentials::default()
        };
        assert!(!credentials.signature_is_valid());
    }

    #[test]
    fn only_user_keys_log_in() {
        let pair = nkey::KeyPair::from_random(nkey::Role::Account, [9; 32]);
        let credentials = Credentials {
            nkey: pair.public_key().to_owned(),
            signature: BASE64.encode(&pair.sign(b"nonce")),
            nonce: "nonce".to_owned(),
            ..Credentials::default()
        };
        assert!(!credentials.signature_is_valid());
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials {
            user: "alice".to_owned(),
            password: "hunter2".to_owned(),
            token: "hunter2".to_owned(),
            jwt: "hunter2".to_owned(),
            signature: "hunter2".to_owned(),
            ..Credentials::default()
        };
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("alice") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
