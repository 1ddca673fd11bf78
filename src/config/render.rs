//! Render: a value tree to configuration text that says the same.
//!
//! Separate because the operator writes configuration with it and must never
//! write what the server reads otherwise: every string is quoted, so no `$`,
//! `on` or `10m` in it means more than its letters.
//!
//! Invariant: what [`render`] returns, `parser::parse` reads back as the same tree,
//! positions apart, provided no map has two keys spelled alike. A tree that no
//! text can say is an error. Absent: comments, variables, includes.

use super::lexer::NEST_MAX;
use super::units;
use super::value::{Map, Node, Value};

/// Why a tree cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Keys have no escapes, so some texts cannot be keys.
    #[error("no way to write the key {0:?}")]
    Key(String),
    /// The language knows only finite numbers.
    #[error("{0:?}: not a finite number")]
    NotFinite(String),
    /// The language knows dates to the second.
    #[error("{0:?}: not a whole second")]
    NotWholeSecond(String),
    /// The reader would refuse it.
    #[error("nested deeper than {NEST_MAX} levels")]
    TooDeep,
}

/// Arrays whose text stays below this many bytes are written on one line.
const LINE_BYTES_MAX: usize = 72;
const INDENT: &str = "  ";

/// The configuration text of a tree, one key a line.
pub fn render(map: &Map) -> Result<String, RenderError> {
    let mut out = String::new();
    push_entries(&mut out, map, 0)?;
    Ok(out)
}

fn push_entries(out: &mut String, map: &Map, depth: usize) -> Result<(), RenderError> {
    for entry in &map.entries {
        push_indent(out, depth);
        push_key(out, &entry.key)?;
        out.push_str(match entry.node.value {
            Value::Map(_) => " ",
            _ => ": ",
        });
        push_value(out, &entry.key, &entry.node.value, depth)?;
        out.push('\n');
    }
    Ok(())
}

fn push_value(out: &mut String, key: &str, value: &Value, depth: usize) -> Result<(), RenderError> {
    if depth > NEST_MAX {
        return Err(RenderError::TooDeep);
    }
    match value {
        Value::String(text) => push_string(out, text),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) if number.is_finite() => {
            let text = number.to_string();
            out.push_str(&text);
            if !text.contains('.') {
                out.push_str(".0");
            }
        }
        Value::Float(_) => return Err(RenderError::NotFinite(key.into())),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Datetime(nanoseconds) => {
            if nanoseconds % 1_000_000_000 != 0 {
                return Err(RenderError::NotWholeSecond(key.into()));
            }
            out.push_str(&units::format_datetime(*nanoseconds));
        }
        Value::Array(nodes) => push_array(out, key, nodes, depth)?,
        Value::Map(map) => {
            if depth >= NEST_MAX {
                return Err(RenderError::TooDeep);
            }
            out.push('{');
            if !map.entries.is_empty() {
                out.push('\n');
                push_entries(out, map, depth + 1)?;
                push_indent(out, depth);
            }
            out.push('}');
        }
    }
    Ok(())
}

fn push_array(
    out: &mut String,
    key: &str,
    nodes: &[Node],
    depth: usize,
) -> Result<(), RenderError> {
    if depth >= NEST_MAX {
        return Err(RenderError::TooDeep);
    }
    let plain = |node: &Node| !matches!(node.value, Value::Array(_) | Value::Map(_));
    if nodes.iter().all(plain) {
        let mut line = String::new();
        for node in nodes {
            line.push_str(if line.is_empty() { "[ " } else { ", " });
            push_value(&mut line, key, &node.value, depth + 1)?;
        }
        // The space keeps a number from taking the bracket into itself.
        line.push_str(if line.is_empty() { "[]" } else { " ]" });
        if line.len() <= LINE_BYTES_MAX {
            out.push_str(&line);
            return Ok(());
        }
    }
    out.push_str("[\n");
    for node in nodes {
        push_indent(out, depth + 1);
        push_value(out, key, &node.value, depth + 1)?;
        out.push('\n');
    }
    push_indent(out, depth);
    out.push(']');
    Ok(())
}

fn push_key(out: &mut String, key: &str) -> Result<(), RenderError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let bare = !key.is_empty() && key.chars().all(is_plain) && !key.eq_ignore_ascii_case("include");
    let quote = match (key.contains('"'), key.contains('\'')) {
        _ if bare => "",
        _ if key.contains('\0') => return Err(RenderError::Key(key.into())),
        (false, _) => "\"",
        (true, false) => "'",
        (true, true) => return Err(RenderError::Key(key.into())),
    };
    out.push_str(quote);
    out.push_str(key);
    out.push_str(quote);
    Ok(())
}

fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' | '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn push_indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::digest::canonical_json;
    use crate::config::include::NoFiles;
    use crate::config::parser::parse;
    use proptest::prelude::*;

    fn read(text: &str) -> Map {
        parse(text, "-", &|_| None, &NoFiles).expect(text)
    }

    /// The tree without its positions.
    fn bare(map: &Map) -> Map {
        let mut out = Map::default();
        for entry in &map.entries {
            out.set(entry.key.clone(), bare_value(&entry.node.value));
        }
        out
    }

    fn bare_value(value: &Value) -> Value {
        match value {
            Value::Array(nodes) => {
                Value::Array(nodes.iter().map(|n| node(bare_value(&n.value))).collect())
            }
            Value::Map(map) => Value::Map(bare(map)),
            plain => plain.clone(),
        }
    }

    fn node(value: Value) -> Node {
        Node {
            value,
            position: crate::config::value::Position::nowhere(),
        }
    }

    #[test]
    fn a_tree_is_written_for_people_to_read() {
        let text = r#"
            port: 4222, server_name: $2a$x
            "include": 'on', routes = [nats://a:1, "b c"]
            accounts { A { users [{user: "a", password: "$x\n"}] }, "b c" {} }
            numbers: [1, -2, 0.5, 1e, 2006-01-02T15:04:05Z
            ], none []
        "#;
        let expected = r#"port: 4222
server_name: "$2a$x"
"include": "on"
routes: [ "nats://a:1", "b c" ]
accounts {
  A {
    users: [
      {
        user: "a"
        password: "$x\n"
      }
    ]
  }
  "b c" {}
}
numbers: [ 1, -2, 0.5, 1000000000000000000, 2006-01-02T15:04:05Z ]
none: []
"#;
        assert_eq!(render(&read(text)).as_deref(), Ok(expected));
    }

    #[test]
    fn what_no_text_can_say_is_an_error() {
        let check = |key: &str, value: Value, expected: RenderError| {
            let mut map = Map::default();
            map.set(key, value);
            assert_eq!(render(&map), Err(expected));
        };
        let both = "it's \"it\"";
        check(both, Value::Bool(true), RenderError::Key(both.into()));
        check("a\0", Value::Bool(true), RenderError::Key("a\0".into()));
        check(
            "a",
            Value::Float(f64::NAN),
            RenderError::NotFinite("a".into()),
        );
        check(
            "a",
            Value::Datetime(1),
            RenderError::NotWholeSecond("a".into()),
        );
        let mut deep = Value::Bool(true);
        for _ in 0..=NEST_MAX {
            deep = Value::Array(vec![node(deep)]);
        }
        check("a", deep, RenderError::TooDeep);
    }

    #[test]
    fn the_deepest_tree_is_read_back() {
        let mut deep = Value::Integer(1);
        for n in 0..NEST_MAX {
            deep = if n % 2 == 0 {
                Value::Array(vec![node(deep)])
            } else {
                let mut map = Map::default();
                map.set("k", deep);
                Value::Map(map)
            };
        }
        let mut map = Map::default();
        map.set("a", deep);
        assert_eq!(bare(&read(&render(&map).expect("renders"))), map);
    }

    fn keys() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-zA-Z_.-]{1,8}",
            Just("include".to_owned()),
            Just("}".to_owned()),
            "[^\"\0]{0,8}",
            "[^'\0]{0,8}",
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        let plain = prop_oneof![
            any::<String>().prop_map(Value::String),
            "[$a-z0-9.'\"\\\\ #/(){}\\[\\]\n-]{0,12}".prop_map(Value::String),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>()
                .prop_filter("finite", |f| f.is_finite())
                .prop_map(Value::Float),
            any::<bool>().prop_map(Value::Bool),
            (-9_223_372_036_i64..9_223_372_036).prop_map(|s| Value::Datetime(s * 1_000_000_000)),
        ];
        plain.prop_recursive(4, 24, 6, |inner| {
            let entries = prop::collection::vec((keys(), inner.clone()), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6)
                    .prop_map(|values| Value::Array(values.into_iter().map(node).collect())),
                entries.prop_map(|entries| Value::Map(map_of(entries))),
            ]
        })
    }

    fn map_of(entries: Vec<(String, Value)>) -> Map {
        let mut map = Map::default();
        for (key, value) in entries {
            map.set(key, value);
        }
        map
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in prop::collection::vec((keys(), values()), 0..6)) {
            let map = map_of(entries);
            let text = render(&map).expect("every key and value here can be written");
            let back = bare(&read(&text));
            prop_assert_eq!(canonical_json(&back), canonical_json(&map));
            prop_assert_eq!(back, map, "{}", text);
        }
    }
}
