//! `INFO`: what the server says of itself (spec core §1.3).

use serde::{Deserialize, Serialize};

/// The fields of a client `INFO`. All but the first nine are left out when they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The server's public key, new at each start.
    pub server_id: String,
    /// The configured name, else the id.
    pub server_name: String,
    /// The compatibility version; clients gate features on it.
    pub version: String,
    /// 1: asynchronous `INFO` is understood.
    pub proto: i32,
    /// Revision of the source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub git_commit: String,
    /// What built the server; the field has the incumbent's name.
    pub go: String,
    /// Where clients connect to.
    pub host: String,
    /// Where clients connect to.
    pub port: u16,
    /// Headers are supported.
    pub headers: bool,
    /// Credentials are needed.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// TLS is mandatory.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// A client certificate is needed.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    /// TLS is possible.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    /// Bytes of one message, headers included.
    pub max_payload: i64,
    /// Streams are supported.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// The connection's id.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_id: u64,
    /// The peer's address as the server sees it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_ip: String,
    /// To be signed by key holders.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The cluster's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The domain of streams.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Where else to connect to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// The same over WebSocket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ws_connect_urls: Vec<String>,
    /// The server is about to leave.
    #[serde(skip_serializing_if = "is_false")]
    pub ldm: bool,
    /// This one answers the first `PING` and carries the next two.
    #[serde(skip_serializing_if = "is_false")]
    pub connect_info: bool,
    /// The account the connection is bound to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    /// That account is the system account.
    #[serde(skip_serializing_if = "is_false")]
    pub acc_is_sys: bool,
    /// The stream API level.
    #[serde(skip_serializing_if = "is_zero")]
    pub api_lvl: u64,
    /// The server's curve key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub xkey: String,
}

// serde hands predicates a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Info {
    /// The whole line. A blank stands before CRLF, as clients have always seen it.
    pub fn line(&self) -> Vec<u8> {
        let json = serde_json::to_string(self).expect("strings and numbers serialize");
        let mut line = String::with_capacity(json.len() + 16);
        line.push_str("INFO ");
        // Go escapes these, and in JSON they stand in texts only.
        for c in json.chars() {
            match c {
                '<' => line.push_str("\\u003c"),
                '>' => line.push_str("\\u003e"),
                '&' => line.push_str("\\u0026"),
                '\u{2028}' => line.push_str("\\u2028"),
                '\u{2029}' => line.push_str("\\u2029"),
                c => line.push(c),
            }
        }
        line.push_str(" \r\n");
        line.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_left_out() {
        let line = String::from_utf8(Info::default().line()).expect("text");
        assert_eq!(
            line,
            "INFO {\"server_id\":\"\",\"server_name\":\"\",\"version\":\"\",\"proto\":0,\"go\":\"\",\
             \"host\":\"\",\"port\":0,\"headers\":false,\"max_payload\":0} \r\n"
        );
    }

    #[test]
    fn names_are_escaped_as_by_go() {
        let info = Info {
            server_name: "a<b>&\u{2028}\u{2029}é".into(),
            ..Info::default()
        };
        let line = String::from_utf8(info.line()).expect("text");
        assert!(
            line.contains(r#""a\u003cb\u003e\u0026\u2028\u2029é""#),
            "{line}"
        );
    }

    #[test]
    fn every_field_survives_the_wire() {
        let info = Info {
            server_name: "<&>".into(),
            client_id: 5,
            nonce: "abc".into(),
            connect_urls: vec!["a:1".into()],
            ldm: true,
            acc_is_sys: true,
            ..Info::default()
        };
        let line = info.line();
        let json = &line[5..line.len() - 3];
        assert_eq!(serde_json::from_slice::<Info>(json).expect("json"), info);
    }
}
