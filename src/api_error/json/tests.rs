//! What requests may say, and the words about what they may not, as the peers have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    #[default]
    Red,
    Blue,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Inner {
    name: String,
    #[serde(deserialize_with = "field::duration")]
    wait: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Outer {
    name: String,
    #[serde(deserialize_with = "field::int")]
    count: i64,
    big: i64,
    small: i32,
    unsigned: u64,
    on: bool,
    color: Color,
    list: Vec<String>,
    #[serde(deserialize_with = "field::durations")]
    waits: Vec<i64>,
    inner: Inner,
    maybe: Option<Inner>,
    many: Vec<Inner>,
    map: BTreeMap<String, String>,
    #[serde(deserialize_with = "field::time")]
    time: Option<String>,
}

fn accepted(text: &str, expected: Outer) {
    assert_eq!(parse(text.as_bytes(), "Req", true), Ok(expected), "{text}");
}

fn refused(text: &str, expected: &str) {
    let error = parse::<Outer>(text.as_bytes(), "Req", true).expect_err(text);
    assert_eq!((error.code, error.err_code), (400, 10025));
    assert_eq!(
        error.description,
        format!("invalid JSON: {expected}"),
        "{text}"
    );
}

#[test]
fn nothing_said_is_the_default() {
    for text in [
        "",
        " \n",
        "{}",
        "null",
        " { } ",
        r#"{"name":null,"on":null,"list":null}"#,
    ] {
        accepted(text, Outer::default());
    }
    accepted(
        r#"{"inner":null,"maybe":null,"map":null,"time":null,"count":null}"#,
        Outer::default(),
    );
}

#[test]
fn fields_are_found_without_case_and_the_last_counts() {
    let named = |name: &str| Outer {
        name: name.to_owned(),
        ..Outer::default()
    };
    accepted(r#"{"NAME":"x"}"#, named("x"));
    accepted(r#"{"name":"x","Name":"y"}"#, named("y"));
    accepted(r#"{"name":"x"}{"name":"z"}"#, named("z"));
    accepted(
        r#"{"name":"\ud83d\ude00\u00e9\n\ud800\/"}"#,
        named("😀é\n\u{fffd}/"),
    );
}

#[test]
fn every_kind_of_value_is_read() {
    accepted(
        r#"{"count":-1,"big":9223372036854775807,"small":2147483647,"unsigned":18446744073709551615,
            "on":true,"color":"blue","list":["a",null],"waits":[1,2],"inner":{"name":"i","wait":5},
            "maybe":{},"many":[{"name":"m"},null],"map":{"k":"v","l":null},
            "time":"2024-01-02T03:04:05.120+02:00"}"#,
        Outer {
            name: String::new(),
            count: -1,
            big: i64::MAX,
            small: i32::MAX,
            unsigned: u64::MAX,
            on: true,
            color: Color::Blue,
            list: vec!["a".to_owned(), String::new()],
            waits: vec![1, 2],
            inner: Inner {
                name: "i".to_owned(),
                wait: 5,
            },
            maybe: Some(Inner::default()),
            many: vec![
                Inner {
                    name: "m".to_owned(),
                    wait: 0,
                },
                Inner::default(),
            ],
            map: BTreeMap::from([
                ("k".to_owned(), "v".to_owned()),
                ("l".to_owned(), String::new()),
            ]),
            time: Some("2024-01-02T03:04:05.12+02:00".to_owned()),
        },
    );
}

#[test]
fn the_wrong_type_is_said_with_its_place() {
    let cases = [
        (
            r#"{"big":"1"}"#,
            "string into Go struct field Req.big of type int64",
        ),
        (
            r#"{"big":1.5}"#,
            "number 1.5 into Go struct field Req.big of type int64",
        ),
        (
            r#"{"big":1e3}"#,
            "number 1e3 into Go struct field Req.big of type int64",
        ),
        (
            r#"{"big":true}"#,
            "bool into Go struct field Req.big of type int64",
        ),
        (
            r#"{"small":3000000000}"#,
            "number 3000000000 into Go struct field Req.small of type int32",
        ),
        (
            r#"{"unsigned":-1}"#,
            "number -1 into Go struct field Req.unsigned of type uint64",
        ),
        (
            r#"{"count":"1"}"#,
            "string into Go struct field Req.count of type int",
        ),
        (
            r#"{"name":1}"#,
            "number into Go struct field Req.name of type string",
        ),
        (
            r#"{"name":{"a":[1]}}"#,
            "object into Go struct field Req.name of type string",
        ),
        (
            r#"{"on":1}"#,
            "number into Go struct field Req.on of type bool",
        ),
        (
            r#"{"list":"a"}"#,
            "string into Go struct field Req.list of type []string",
        ),
        (
            r#"{"list":["a", 1]}"#,
            "number into Req.list.1 of type string",
        ),
        (
            r#"{"waits":["1"]}"#,
            "string into Req.waits.0 of type time.Duration",
        ),
        (
            r#"{"inner":{"wait":"1s"}}"#,
            "string into Go struct field Req.inner.wait of type time.Duration",
        ),
        (
            r#"{"inner":5}"#,
            "number into Go struct field Req.inner of type server.Inner",
        ),
        (
            r#"{"maybe":5}"#,
            "number into Go struct field Req.maybe of type server.Inner",
        ),
        (
            r#"{"many":[{"name":1}]}"#,
            "number into Go struct field Req.many.0.name of type string",
        ),
        (
            r#"{"many":["x"]}"#,
            "string into Req.many.0 of type server.Inner",
        ),
        (
            r#"{"map":[]}"#,
            "array into Go struct field Req.map of type map[string]string",
        ),
        (
            r#"{"map":{"a":1}}"#,
            "number into Go struct field Req.map.a of type string",
        ),
        (
            r#"{"time":5}"#,
            "number into Go struct field Req.time of type time.Time",
        ),
        ("[]", "array into Go value of type server.Req"),
        ("5", "number into Go value of type server.Req"),
    ];
    for (text, expected) in cases {
        refused(text, &format!("json: cannot unmarshal {expected}"));
    }
}

#[test]
fn unknown_words_are_refused() {
    refused(r#"{"x":1}"#, r#"json: unknown field "x""#);
    refused(r#"{"inner":{"y\"":1}}"#, r#"json: unknown field "y\"""#);
    refused(r#"{"color":"Red"}"#, r#"can not unmarshal "\"Red\"""#);
    refused(r#"{"color":null}"#, r#"can not unmarshal "null""#);
    refused(r#"{"color":[1, 2]}"#, r#"can not unmarshal "[1, 2]""#);
    let lenient: Outer = parse(br#"{"x":1,"inner":{"y":{}},"name":"n"}"#, "Req", false).unwrap();
    assert_eq!(lenient.name, "n");
}

#[test]
fn broken_text_is_said_with_its_offset() {
    for text in [
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "nul",
        "[1",
        "-",
        "{\"name\":tru",
    ] {
        refused(text, "unexpected EOF");
    }
    refused(
        "foo",
        "invalid character 'o' in literal false (expecting 'a') at offset 2",
    );
    refused(
        "{x",
        "invalid character 'x' looking for beginning of object key string at offset 2",
    );
    refused(
        r#"{"name"x"#,
        "invalid character 'x' after object key at offset 8",
    );
    refused(
        r#"{"name":"D",}"#,
        "invalid character '}' looking for beginning of object key string at offset 13",
    );
    refused(
        r#"{"name":"D"} x"#,
        "invalid character 'x' looking for beginning of value at offset 14",
    );
    refused(
        "{\"name\":\"\u{1}\"}",
        r"invalid character '\x01' in string at offset 10",
    );
    refused(
        r#"{"name":"\x"}"#,
        r"invalid escape sequence `\x` in string at offset 11",
    );
    refused(
        r#"{"name":"\u12x"}"#,
        "invalid escape sequence `\\u12x\"` in string at offset 15",
    );
    refused(
        r#"{"name":01}"#,
        "invalid character '1' after object key:value pair at offset 10",
    );
    refused(
        r#"{"name":-}"#,
        "invalid character '}' in numeric literal at offset 10",
    );
    refused(
        r#"{"name":1ex}"#,
        "invalid character 'x' in numeric literal at offset 11",
    );
    refused(
        r#"{"name":[1 2]}"#,
        "invalid character '2' after array element at offset 12",
    );
    refused(
        "{'a'}",
        r"invalid character '\'' looking for beginning of object key string at offset 2",
    );
    refused(
        "\u{a0}",
        r"invalid character '\u00a0' looking for beginning of value at offset 2",
    );
    refused(
        r#"{"name":é}"#,
        "invalid character 'é' looking for beginning of value at offset 10",
    );
    refused(&"[".repeat(100_000), "exceeded max depth");
}

#[test]
fn a_switch_beside_the_struct_is_taken_out() {
    let read = |text: &str| parse_with_switch::<Inner>(text.as_bytes(), "Req", "loud", true);
    assert_eq!(read("{}").unwrap(), (Inner::default(), false));
    assert!(read(r#"{"LOUD":true}"#).unwrap().1);
    assert_eq!(
        read(r#"{"loud":5}"#).unwrap_err().description,
        "invalid JSON: json: cannot unmarshal number into Go struct field Req.loud of type bool"
    );
}

#[test]
fn answers_are_escaped_as_the_peers_do() {
    assert_eq!(
        text("a<b>&\u{2028}é\n"),
        r#""a\u003cb\u003e\u0026\u2028é\n""#
    );
    assert_eq!(text(&[1, 2]), "[1,2]");
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read_again(name in ".*", big: i64, on: bool, list: Vec<String>, map: BTreeMap<String, String>) {
        let outer = Outer { name, big, on, list, map, ..Outer::default() };
        let text = serde_json::to_vec(&outer).unwrap();
        proptest::prop_assert_eq!(parse::<Outer>(&text, "Req", true).unwrap(), outer);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, text in r#"[{}\[\]":,a-z0-9.eu\\ -]{0,60}"#) {
        let _ = parse::<Outer>(&bytes, "Req", false);
        let _ = parse::<Outer>(text.as_bytes(), "Req", false);
        let _ = parse::<Outer>(format!(r#"{{"map":{{"a":"{text}"}}}}"#).as_bytes(), "Req", false);
    }

    #[test]
    fn syntax_agrees_with_serde_json(text in r#"[{}\[\]":,a-z0-9.eu\\ -]{0,20}"#) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        let ours = syntax::skip_value(text.as_bytes(), syntax::skip_space(text.as_bytes(), 0), 0);
        if theirs.is_ok() {
            proptest::prop_assert!(ours.is_ok(), "{}", text);
        }
    }
}
