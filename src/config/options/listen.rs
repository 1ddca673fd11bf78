//! The client listener and what the server tells about itself.

use std::collections::BTreeMap;

use super::endpoint::Endpoint;
use super::key::{Key, Reload::*, key};
use super::reader::{Item, Reader};
use crate::config::value::Value;

/// The port of the client listener when none is configured.
pub const CLIENT_PORT: u16 = 4222;
/// The address listeners bind when none is configured.
pub const ANY_HOST: &str = "0.0.0.0";

/// The client listener and the identity of the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listen {
    /// Where clients connect. Default `0.0.0.0:4222`.
    pub endpoint: Endpoint,
    /// `host[:port]` told to clients instead of the bound address. Default: the bound address.
    pub client_advertise: Option<String>,
    /// The name of the server; no spaces. Default: the server id.
    pub server_name: Option<String>,
    /// Free tags, `key:value` by custom, in lower case. Default: none.
    pub server_tags: Vec<String>,
    /// Free facts about the server. Default: none.
    pub server_metadata: BTreeMap<String, String>,
    /// Accept clients without TLS although `tls` is configured. Default false.
    pub allow_non_tls: bool,
    /// Refuse message headers. Default false.
    pub no_header_support: bool,
    /// Expect a PROXY protocol header on client connections. Default false.
    pub proxy_protocol: bool,
    /// File that holds the process id while the server runs. Default: none.
    pub pid_file: Option<String>,
    /// Directory that receives the ports file. Default: none.
    pub ports_file_dir: Option<String>,
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key<Listen>] = &[
    key("listen", "host:port", "0.0.0.0:4222", No, "127.0.0.1:4333",
        "Where clients connect.",
        |l, v, r| r.listen(v, &mut l.endpoint)),
    key("host|net", "string", "0.0.0.0", No, "127.0.0.1",
        "The address of the client listener.",
        |l, v, r| r.text(v, &mut l.endpoint.host)),
    key("port", "integer", "4222", No, "4333",
        "The port of the client listener; -1 is any free one.",
        |l, v, r| r.port(v, &mut l.endpoint.port)),
    key("client_advertise", "host[:port]", "the bound address", Yes, "example.com:4222",
        "Told to clients instead of the bound address.",
        |l, v, r| r.text(v, &mut l.client_advertise)),
    key("server_name", "string", "the server id", No, "n1",
        "The name of the server; no spaces.",
        name),
    key("server_tags", "string or array", "none", Yes, "[\"az:1\", \"disk:ssd\"]",
        "Free tags, `key:value` by custom.",
        tags),
    key("server_metadata", "map of strings", "none", Yes, "{ rack: a1 }",
        "Free facts about the server.",
        metadata),
    key("allow_non_tls", "boolean", "false", No, "true",
        "Accept clients without TLS although `tls` is configured.",
        |l, v, r| r.flag(v, &mut l.allow_non_tls)),
    key("no_header_support", "boolean", "false", No, "true",
        "Refuse message headers.",
        |l, v, r| r.flag(v, &mut l.no_header_support)),
    key("proxy_protocol", "boolean", "false", No, "true",
        "Expect a PROXY protocol header on client connections.",
        |l, v, r| r.flag(v, &mut l.proxy_protocol)),
    key("pid_file|pidfile", "path", "none", Yes, "/run/natter.pid",
        "File that holds the process id while the server runs.",
        |l, v, r| r.text(v, &mut l.pid_file)),
    key("ports_file_dir", "path", "none", Yes, "/run",
        "Directory that receives the ports file.",
        |l, v, r| r.text(v, &mut l.ports_file_dir)),
];

fn name(listen: &mut Listen, v: Item<'_>, r: &mut Reader) {
    r.text(v, &mut listen.server_name);
    if listen.server_name.as_ref().is_some_and(|n| n.contains(' ')) {
        r.error(v, "server name cannot contain spaces");
    }
}

/// Tags are kept in lower case, each once, without white space around them.
fn tags(listen: &mut Listen, v: Item<'_>, r: &mut Reader) {
    let mut texts = Vec::new();
    r.texts(v, &mut texts);
    listen.server_tags.clear();
    for text in texts {
        let tag = text.trim().to_lowercase();
        if !tag.is_empty() && !listen.server_tags.contains(&tag) {
            listen.server_tags.push(tag);
        }
    }
}

fn metadata(listen: &mut Listen, v: Item<'_>, r: &mut Reader) {
    r.each_entry(v, |r, entry| match &entry.node.value {
        Value::String(text) => {
            let key = entry.key.to_owned();
            listen.server_metadata.insert(key, text.clone());
        }
        _ => r.expected(entry, "a string"),
    });
}
