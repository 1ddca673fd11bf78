//! Digest: one short name for what a configuration says, however it is written.
//!
//! Separate because operators compare it across servers, and with the digest
//! nats-server prints for the same file: `-t`, `varz.config_digest` and the reload
//! log line show it. It is SHA-256 over the tree as JSON: keys sorted by bytes and
//! spelled as written, variables and includes already resolved, no white space, a
//! new line at the end; comments, layout and the order of keys do not count.

use ring::digest;

use super::units;
use super::value::{Entry, Map, Value};

/// `sha256:` and the lowercase hexadecimal digest of the tree.
pub fn digest(map: &Map) -> String {
    let mut json = canonical_json(map);
    json.push('\n');
    let sum = digest::digest(&digest::SHA256, json.as_bytes());
    format!("sha256:{}", data_encoding::HEXLOWER.encode(sum.as_ref()))
}

/// The tree as the JSON the digest is made of, without its last new line.
pub fn canonical_json(map: &Map) -> String {
    let mut out = String::new();
    push_map(&mut out, map);
    out
}

fn push_map(out: &mut String, map: &Map) {
    let mut entries: Vec<&Entry> = map.entries.iter().collect();
    entries.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
    out.push('{');
    for (nth, entry) in entries.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        push_string(out, &entry.key);
        out.push(':');
        push_value(out, &entry.node.value);
    }
    out.push('}');
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_string(out, text),
        Value::Integer(number) => out.push_str(itoa::Buffer::new().format(*number)),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Datetime(nanoseconds) => {
            push_string(out, &units::format_datetime(*nanoseconds));
        }
        Value::Array(nodes) => {
            out.push('[');
            for (nth, node) in nodes.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                push_value(out, &node.value);
            }
            out.push(']');
        }
        Value::Map(map) => push_map(out, map),
    }
}

/// A string as Go's `encoding/json` writes it, which is wary of HTML.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A float as Go's `encoding/json` writes it: plain unless very small or large.
fn float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        return match text.split_once('e') {
            Some((mantissa, power)) if !power.starts_with('-') => format!("{mantissa}e+{power}"),
            _ => text,
        };
    }
    format!("{number}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::include::NoFiles;
    use crate::config::parser::parse;

    #[test]
    fn digests_are_those_nats_server_prints() {
        for (text, expected) in [
            (
                "v = 0.0000001\nport = $v\nport = 4222\n",
                "a0a330b98f2d995cc2d8bec3f737c8b292b30b69117b43d28f999044dc823280",
            ),
            (
                "v = 123456789012345678901234567890.5\nport = $v\nport = 4222\n",
                "d4c01790aedb6cd84612105ebe13c46de561739bd354723fe4960915ac852383",
            ),
            (
                "v = -0.0\nport = $v\nport = 4222\n",
                "66d70482df3905142175eeae4b396d7de346dfb96b57c5c8d2896f3abeace8e6",
            ),
            (
                "v = 2006-01-02T15:04:05Z\nport = $v\nport = 4222\n",
                "87354026b4ec2b729de8dc0e1fb4587c588e75fb1e9ec2da14ffba9c13408bda",
            ),
            (
                "v = \"\\x01\\x1f\\x7f\\x08\\x0c\"\nport = $v\nport = 4222\n",
                "46c23a03e086bdd6b9424ee54b1aa97ab8954e7b670ca4124c1e9cea16c00018",
            ),
            (
                "v = \"<a&b>\"\nport = $v\nport = 4222\n",
                "1ed5429594bf14642ba659e34b69a2c6171c4bad6ccc38cf1ab055f49c076efa",
            ),
            (
                "v = \" é 🦀\"\nport = $v\nport = 4222\n",
                "c98bc7a53c7c9040d92daaa9cdf2086e93367d8b49a271e2b64621614f50efca",
            ),
            (
                "v = []\nport = $v\nport = 4222\n",
                "8f1897981aed71ed1e74aa9781125104007b49c894022f2510095e884c9b94a2",
            ),
            (
                "v = {}\nport = $v\nport = 4222\n",
                "652d793088af0fbf0f5c96b030651ecab9131faf40f8c8ae0f8327c702906469",
            ),
            (
                "v = {\"\": 1}\nport = $v\nport = 4222\n",
                "61aa18f6dab85ea3be9cc0cc31adc384be7cb400bed34c7e6406d0358e72438a",
            ),
            (
                "port: 4222",
                "797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e",
            ),
            (
                "{\"port\": 4222, \"debug\": true}",
                "8d697893eada17225f028a97ac0a0cfbd85dfb1fe0f606aa6f327a81bf911795",
            ),
            (
                "PORT: 4222",
                "dde4b222a1cee88b54ca76f25166f02b4b07c1b718ee74d5263e70d5f83612e1",
            ),
            (
                "port: 1\nPORT: 4222",
                "346edf9dccd07f00b7c4a6077fbd559703bfa5fe1ae8d785e22de905740f68f3",
            ),
            (
                "a = {x: [1 ,2 ]}\nb = [$a, $a]\nport = $b\nport = 4222",
                "81dadad11a8a68149739b9e14031556d6090b16dc71d5b91d4936cbe669c3fb8",
            ),
        ] {
            let map = parse(text, "-", &|_| None, &NoFiles).expect(text);
            assert_eq!(digest(&map), format!("sha256:{expected}"), "{text:?}");
        }
    }
}
