//! What nats-server 2.15.1 makes of these texts: its digest of each accepted one
//! is the digest of the JSON given here, and each refused one it refuses.

use std::collections::HashMap;
use std::io;

use super::*;
use crate::config::digest::canonical_json;
use proptest::prelude::*;

const REFUSED: &str = "refused";

/// Files by path.
struct Files(HashMap<String, String>);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Files(files.iter().map(owned).collect())
    }
}

impl Loader for Files {
    fn load(&self, path: &str) -> io::Result<String> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file or directory");
        self.0.get(path).cloned().ok_or_else(missing)
    }
}

fn files() -> Files {
    Files::new(&[
        ("inc.conf", "port: 4333\nv: included\n"),
        ("incmap.conf", "x: 1\ny: {z: \"q\"}\n"),
        ("sub/a.conf", "include b.conf\n"),
        ("sub/b.conf", "port: 4334\n"),
        ("bad.conf", "port: [\n"),
        ("usesvar.conf", "port: $outer\n"),
        ("self.conf", "a: 1\ninclude self.conf\n"),
        ("ping.conf", "include pong.conf\n"),
        ("pong.conf", "include ping.conf\n"),
    ])
}

fn env(name: &str) -> Option<String> {
    let text = match name {
        "PORTNUM" => "4555",
        "QSTR" => "\"x y\"",
        "BARE" => "foo",
        "MAPV" => "{a: 1, b: [x,y]}",
        "CHAIN" => "$PORTNUM",
        "CYC" => "$CYC",
        "EMPTY" => "",
        "BADV" => "[1",
        "TWO" => "1\nb: 2",
        "SIZE" => "1k",
        "DUR" => "10s",
        _ => return None,
    };
    Some(text.to_owned())
}

fn read(text: &str) -> Result<Map, Vec<ConfigError>> {
    parse(text, "test.conf", &env, &files())
}

/// The canonical JSON of the tree, or that the text is refused.
fn json(text: &str) -> String {
    match read(text) {
        Ok(map) => canonical_json(&map),
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason: {text:?}");
            REFUSED.to_owned()
        }
    }
}

fn check_errors(text: &str, expected: &[&str]) {
    let errors = read(text).expect_err(text);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, expected, "{text:?}");
}

#[test]
fn values_mean_what_nats_server_reads() {
    for (value, expected) in [
        ("12", "12"),
        ("-12", "-12"),
        ("[12]", REFUSED),
        ("[12 ]", "[12]"),
        ("[12, 13 ]", "[12,13]"),
        ("[12, 13]", REFUSED),
        ("[1k]", r#"["1k"]"#),
        ("[1k ]", "[1000]"),
        ("[1, 2, 'bar']", r#"[1,2,"bar"]"#),
        ("[-1]", "[-1]"),
        ("[1.5]", "[1.5]"),
        ("[1.2.3.4]", r#"["1.2.3.4"]"#),
        ("1m30s", r#""1m30s""#),
        ("1h30m", r#""1h30m""#),
        ("10s", r#""10s""#),
        ("500ms", r#""500ms""#),
        ("2m", "2000000"),
        ("1k", "1000"),
        ("1K", "1000"),
        ("1kb", "1024"),
        ("1KiB", "1024"),
        ("1kib", "1024"),
        ("1Ki", "1024"),
        ("1m", "1000000"),
        ("1mb", "1048576"),
        ("1g", "1000000000"),
        ("1gib", "1073741824"),
        ("1t", "1000000000000"),
        ("1tib", "1099511627776"),
        ("1p", "1000000000000000"),
        ("1pb", "1125899906842624"),
        ("1e", "1000000000000000000"),
        ("1eb", "1152921504606846976"),
        ("7eb", "8070450532247928832"),
        ("-1k", "-1000"),
        ("-1kb", "-1024"),
        ("1kbb", REFUSED),
        ("1bk", r#""1bk""#),
        ("1k5", r#""1k5""#),
        ("1e5", r#""1e5""#),
        ("1mx", r#""1mx""#),
        ("1.5", "1.5"),
        ("-1.5", "-1.5"),
        ("1.5s", REFUSED),
        ("-1s", REFUSED),
        ("1.", REFUSED),
        (".5", REFUSED),
        ("0.000001", "0.000001"),
        ("0.0000001", "1e-7"),
        ("123456789012345678901234567890.5", "1.2345678901234568e+29"),
        ("1.0", "1"),
        ("100.0", "100"),
        ("0.1", "0.1"),
        ("-0.0", "-0"),
        ("3.14.15", r#""3.14.15""#),
        ("127.0.0.1:4222", r#""127.0.0.1:4222""#),
        ("127.0.0.1", r#""127.0.0.1""#),
        ("10.0.0.0/8", REFUSED),
        ("0.0.0.0:-1", r#""0.0.0.0:-1""#),
        ("4222:foo", r#""4222:foo""#),
        ("12ab", r#""12ab""#),
        ("12-ab", REFUSED),
        ("1234-ab", REFUSED),
        ("2006-01-02T15:04:05Z", r#""2006-01-02T15:04:05Z""#),
        ("2006-02-30T15:04:05Z", REFUSED),
        ("2006-01-02T25:04:05Z", REFUSED),
        ("2006-01-02T15:04:60Z", REFUSED),
        ("2006-01-02", REFUSED),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", REFUSED),
        ("-9223372036854775808", "-9223372036854775808"),
        ("true", "true"),
        ("TRUE", "true"),
        ("Yes", "true"),
        ("no", "false"),
        ("on", "true"),
        ("OFF", "false"),
        ("off;", "false"),
        ("truely", r#""truely""#),
        ("foo", r#""foo""#),
        ("foo'", r#""foo""#),
        ("true'", r#""true""#),
        ("it's", REFUSED),
        (r#"foo"bar""#, "\"foo\\\"bar\\\"\""),
        ("foo#bar", r#""foo#bar""#),
        ("foo//bar", r#""foo//bar""#),
        ("foo{", r#""foo{""#),
        ("foo(", r#""foo(""#),
        ("foo[a]", REFUSED),
        ("$G", REFUSED),
        ("$G'", r#""$G""#),
        ("$", REFUSED),
        (r#""$G""#, r#""$G""#),
        ("'$G'", r#""$G""#),
        ("$2a$11$abc", r#""$2a$11$abc""#),
        ("$2b$11$abc", REFUSED),
        ("$2y$abc", REFUSED),
        ("$PORTNUM", "4555"),
        ("$portnum", REFUSED),
        ("$QSTR", r#""x y""#),
        ("$BARE", r#""foo""#),
        ("$MAPV", r#"{"a":1,"b":["x","y"]}"#),
        ("$CHAIN", "4555"),
        ("$CYC", REFUSED),
        ("$EMPTY", r#""""#),
        ("$BADV", REFUSED),
        ("$TWO", "1"),
        ("$SIZE", "1000"),
        ("$DUR", r#""10s""#),
        ("\"a\\tb\\n\\r\\\"\\\\\"", "\"a\\tb\\n\\r\\\"\\\\\""),
        ("\"\\x41\\x42\"", r#""AB""#),
        ("\"\\x4\"", REFUSED),
        ("\"\\xzz\"", REFUSED),
        ("\"\\q\"", REFUSED),
        ("\"caf\\xc3\\xa9\"", r#""café""#),
        (
            "\"\\x01\\x1f\\x7f\\x08\\x0c\"",
            "\"\\u0001\\u001f\u{7f}\\b\\f\"",
        ),
        (r#""<a&b>""#, "\"\\u003ca\\u0026b\\u003e\""),
        (r#"" é 🦀""#, r#"" é 🦀""#),
        ("foo\\tbar", "\"foo\\tbar\""),
        ("\\tfoo", "\"\\tfoo\""),
        ("foo\\\"", "\"foo\\\"\""),
        ("foo\\qbar", REFUSED),
        ("12\\n3", "\"12\\\\n3\""),
        ("'a\\nb'", "\"a\\\\nb\""),
        (r#"'a"b'"#, "\"a\\\"b\""),
        (r#""a'b""#, r#""a'b""#),
        ("\"two\nlines\"", "\"two\\nlines\""),
        ("(\nblock\n)", "\"\\nblock\\n\""),
        ("(block)", REFUSED),
        ("(\na\n)b\n)", "\"\\na\\n)b\\n\""),
        ("( x\ny\n)", "\" x\\ny\\n\""),
        ("(\n  indented\n  )\n)", "\"\\n  indented\\n  )\\n\""),
        ("[]", "[]"),
        ("[a, b]", r#"["a","b"]"#),
        ("[a b]", REFUSED),
        ("[a,,b]", REFUSED),
        ("[,]", REFUSED),
        ("[a,]", r#"["a"]"#),
        ("[a\nb\nc]", r#"["a","b","c"]"#),
        ("[a / b]", r#"["a","b"]"#),
        ("[a # c\nb]", r#"["a","b"]"#),
        ("[a // c\n,b]", REFUSED),
        ("[{a: 1}, {b: 2}]", r#"[{"a":1},{"b":2}]"#),
        ("[{a: 1}\n{b: 2}]", r#"[{"a":1},{"b":2}]"#),
        ("[{a: 1} {b: 2}]", REFUSED),
        ("[[1, 2 ], [a]]", r#"[[1,2],["a"]]"#),
        ("[a;b]", REFUSED),
        (r#"[ "a" "b" ]"#, REFUSED),
        (r#"["a","b"]"#, r#"["a","b"]"#),
        ("[a}", REFUSED),
        ("{}", "{}"),
        ("{a: 1}", r#"{"a":1}"#),
        ("{a: 1, b: 2}", r#"{"a":1,"b":2}"#),
        ("{a: 1; b: 2}", r#"{"a":1,"b":2}"#),
        ("{a: 1\nb: 2}", r#"{"a":1,"b":2}"#),
        ("{a 1, b 2}", r#"{"a":1,"b":2}"#),
        ("{a=1,b=2}", r#"{"a":1,"b":2}"#),
        ("{a = 1 b = 2}", REFUSED),
        (r#"{"a": "b", 'c': 'd'}"#, r#"{"a":"b","c":"d"}"#),
        ("{a: {b: {c: [1 , x]}}}", r#"{"a":{"b":{"c":[1,"x"]}}}"#),
        ("{a: }", REFUSED),
        ("{a}", REFUSED),
        ("{a, b}", r#"{"a,":"b"}"#),
        ("{ a: 1,, b: 2 }", REFUSED),
        ("{ a: , b: 2}", REFUSED),
        ("{ a:\n 1 }", r#"{"a":1}"#),
        ("{ a\n1 }", r#"{"a":1}"#),
        ("{ a # c\n: 1}", REFUSED),
        ("{ //a: 1\nb: 2 }", r#"{"b":2}"#),
        ("{ # c\nb: 2 }", r#"{"b":2}"#),
        ("{ b: 2 # c\n}", r#"{"b":2}"#),
        ("{ b: 2 / }", r#"{"b":2}"#),
        ("{ : 1 }", REFUSED),
        ("{ = 1 }", REFUSED),
        ("{ ] }", REFUSED),
        ("{ a: 1 ]", REFUSED),
        ("{ a: ] }", REFUSED),
        ("{a: 1} x", REFUSED),
        ("{a.b: 1}", r#"{"a.b":1}"#),
        ("{a: $b}", REFUSED),
        ("{b: 3, a: $b}", r#"{"a":3,"b":3}"#),
        ("{b: 3, c: {a: $b}}", r#"{"b":3,"c":{"a":3}}"#),
        (r#"{Include: "x"}"#, r#"{"Include":"x"}"#),
        (r#"{include "incmap.conf"}"#, r#"{"x":1,"y":{"z":"q"}}"#),
        ("{include incmap.conf}", r#"{"x":1,"y":{"z":"q"}}"#),
        ("{include 'incmap.conf'}", r#"{"x":1,"y":{"z":"q"}}"#),
        ("{include incmap.conf }", r#"{"x":1,"y":{"z":"q"}}"#),
        (
            "{a: 1, include incmap.conf; b: 2}",
            r#"{"a":1,"b":2,"x":1,"y":{"z":"q"}}"#,
        ),
        ("{ include incmap.conf, b: 2}", REFUSED),
        ("{include missing.conf }", REFUSED),
        (
            r#"{"include" "incmap.conf"}"#,
            r#"{"include":"incmap.conf"}"#,
        ),
        ("{A: 1, a: 2}", r#"{"A":1,"a":2}"#),
        ("{a: 1, a: 2}", r#"{"a":2}"#),
        (r#"{"a b": 1}"#, r#"{"a b":1}"#),
        ("{é: 1}", r#"{"é":1}"#),
        (r#"{"": 1}"#, r#"{"":1}"#),
        ("{a: 1\n\"b\": 2\n}", r#"{"a":1,"b":2}"#),
        ("{a {b 1} c {d 2}}", REFUSED),
        ("{a {b 1}, c {d 2}}", r#"{"a":{"b":1},"c":{"d":2}}"#),
        ("=", r#""=""#),
        ("= 1", REFUSED),
        (":", r#"":""#),
        (":x", r#"":x""#),
        ("/x", r#""/x""#),
        ("#x", "\"#x\""),
        (",", r#""""#),
        (";", r#""""#),
        ("}", r#""""#),
        ("]", REFUSED),
        ("x ; y", REFUSED),
        ("x, y", REFUSED),
        ("x # c", r#""x""#),
        ("x // c", r#""x""#),
        ("x / ", r#""x""#),
        ("x /c", REFUSED),
        ("x#c", r#""x#c""#),
        ("a:b", r#""a:b""#),
        ("nats://u:p@h:4222", r#""nats://u:p@h:4222""#),
        (
            r#"[nats://u:p@h:4222, "x"]"#,
            r#"["nats://u:p@h:4222","x"]"#,
        ),
        ("1,2", REFUSED),
        ("1;", "1"),
        ("1}", "1"),
        (r#""a"b"#, REFUSED),
        (r#""a" b"#, REFUSED),
        ("'a'b", REFUSED),
        ("[a]b", REFUSED),
        ("-", REFUSED),
        ("-x", REFUSED),
        ("-.5", REFUSED),
        ("--1", REFUSED),
        ("1-", REFUSED),
        ("12345-1", REFUSED),
        ("1234-", REFUSED),
        ("1_000", r#""1_000""#),
        ("0x10", r#""0x10""#),
        ("007", "7"),
        ("+5", r#""+5""#),
        ("1k]", REFUSED),
        ("1Kb;", "1024"),
        ("1KBI", REFUSED),
        ("1mib", "1048576"),
        ("1 k", REFUSED),
    ] {
        let expected = match expected {
            REFUSED => REFUSED.to_owned(),
            json => format!("{{\"v\":{json}}}"),
        };
        assert_eq!(json(&format!("v = {value}\n")), expected, "{value:?}");
    }
}

#[test]
fn texts_mean_what_nats_server_reads() {
    for (text, expected) in [
        ("port: 4222", r#"{"port":4222}"#),
        ("port 4222", r#"{"port":4222}"#),
        ("port=4222", r#"{"port":4222}"#),
        ("port:4222", r#"{"port":4222}"#),
        ("port:4222;", r#"{"port":4222}"#),
        ("port:4222,debug:true", r#"{"debug":true,"port":4222}"#),
        ("port:4222 debug:true", REFUSED),
        ("port:4222;debug:true\n", r#"{"debug":true,"port":4222}"#),
        ("{port: 4222}", r#"{"port":4222}"#),
        ("{port: 4222", REFUSED),
        ("{port: 4222\n", r#"{"port":4222}"#),
        (
            "{\nport: 4222\ndebug: true\n}\n",
            r#"{"debug":true,"port":4222}"#,
        ),
        (
            r#"{"port": 4222, "debug": true}"#,
            r#"{"debug":true,"port":4222}"#,
        ),
        ("{{port: 4222}}", r#"{"port":4222}"#),
        ("{{port: 4222}\ndebug: true}", REFUSED),
        (
            "{{port: 4222},debug: true}",
            r#"{"debug":true,"port":4222}"#,
        ),
        ("{port: 4222} debug: true", r#"{"debug":true,"port":4222}"#),
        (
            "{port: 4222}\n{debug: true}\n",
            r#"{"debug":true,"port":4222}"#,
        ),
        ("/ c", REFUSED),
        ("port: 4222 # c", r#"{"port":4222}"#),
        ("port: 4222 // c", r#"{"port":4222}"#),
        ("port: 4222 / c", REFUSED),
        ("port: 4222 /\n", r#"{"port":4222}"#),
        ("port: 4222}\n", r#"{"port":4222}"#),
        ("port: 4222\n}", r#"{"port":4222}"#),
        ("port: 4222\n}\n\n", r#"{"port":4222}"#),
        ("port: 4222\n}}", REFUSED),
        ("port: 4222\n} # c", REFUSED),
        ("port", REFUSED),
        ("port: \n4222", REFUSED),
        ("port\n4222", r#"{"port":4222}"#),
        ("port\n:4222", r#"{"port":4222}"#),
        ("port =\n4222", REFUSED),
        (r#""port": 4222"#, r#"{"port":4222}"#),
        ("'port': 4222", r#"{"port":4222}"#),
        (r#""port" 4222"#, r#"{"port":4222}"#),
        ("PORT: 4222", r#"{"PORT":4222}"#),
        ("Port: 4222", r#"{"Port":4222}"#),
        ("port: 1\nport: 4222", r#"{"port":4222}"#),
        ("port: 1\nPORT: 4222", r#"{"PORT":4222,"port":1}"#),
        ("= 1", REFUSED),
        (": 1", REFUSED),
        (" port : 4222 ", r#"{"port":4222}"#),
        ("\tport\t4222\t", r#"{"port":4222}"#),
        (
            "port: 4222\r\ndebug: true\r\n",
            r#"{"debug":true,"port":4222}"#,
        ),
        ("include sub/a.conf", r#"{"port":4334}"#),
        (r#"include "inc.conf" port: 4222"#, REFUSED),
        ("include = inc.conf", REFUSED),
        ("include", REFUSED),
        ("include ", REFUSED),
        ("include\ninc.conf", REFUSED),
        ("include missing.conf", REFUSED),
        ("include bad.conf", REFUSED),
        ("outer=1\ninclude usesvar.conf", REFUSED),
        ("include [inc.conf]", REFUSED),
        ("include 1.conf", REFUSED),
        ("include -x", REFUSED),
        ("include \\x", REFUSED),
        (r#"include "inc.conf"#, REFUSED),
        ("include inc.conf, port: 1", REFUSED),
        ("port: $PORTNUM", r#"{"port":4555}"#),
        ("port: $NOPE", REFUSED),
        ("a = 1\nport = $a", r#"{"a":1,"port":1}"#),
        ("port = $a\na = 1", REFUSED),
        ("a = $a", REFUSED),
        ("a = 1\na = $a\nport = $a", r#"{"a":1,"port":1}"#),
        ("cluster { port: }", REFUSED),
        ("x{ port: 1}", REFUSED),
        (r#"port: ""#, REFUSED),
        (
            "port: 4222\n\u{b}debug: true",
            r#"{"debug":true,"port":4222}"#,
        ),
        ("port\u{a0}: 4222", r#"{"port":4222}"#),
        ("server_name: \"a\u{0}b\"", REFUSED),
        (
            "a { b = 5, c = $b }\nport = $a\nport = 4222",
            r#"{"a":{"b":5,"c":5},"port":4222}"#,
        ),
        (
            "b = 5\na { c = $b, b = 7 }\nport = $a\nport = 4222",
            r#"{"a":{"b":7,"c":5},"b":5,"port":4222}"#,
        ),
        (
            "a = {x: [1 ,2 ]}\nb = [$a, $a]\nport = $b\nport = 4222",
            r#"{"a":{"x":[1,2]},"b":[{"x":[1,2]},{"x":[1,2]}],"port":4222}"#,
        ),
        (
            "a=(\nfoo\n)\nport=$a\nport=4222",
            "{\"a\":\"\\nfoo\\n\",\"port\":4222}",
        ),
        ("server_name: (\nfoo\n)", "{\"server_name\":\"\\nfoo\\n)\"}"),
        // What nats-server reads so and then refuses for its meaning.
        ("", "{}"),
        ("# c", "{}"),
        ("port:", r#"{"port":""}"#),
        ("include inc.conf", r#"{"port":4333,"v":"included"}"#),
        (r#"include "inc.conf""#, r#"{"port":4333,"v":"included"}"#),
        ("include 'inc.conf'", r#"{"port":4333,"v":"included"}"#),
        (
            "include inc.conf;port: 4222",
            r#"{"port":4222,"v":"included"}"#,
        ),
        (
            "include inc.conf\nport: $v",
            r#"{"port":"included","v":"included"}"#,
        ),
        ("INCLUDE inc.conf\nport:1", r#"{"port":1,"v":"included"}"#),
        ("include: inc.conf", r#"{"include":"inc.conf"}"#),
        // What nats-server accepts by losing what was written.
        ("cluster { port: }", REFUSED),
        ("port: 4222\n\"", REFUSED),
        ("port: 4222\n'", REFUSED),
        ("port: 4222\u{0}", REFUSED),
        ("v=1kbb\nport=1", REFUSED),
        ("v=8eb", REFUSED),
        ("v=\"\\xff\"", REFUSED),
    ] {
        assert_eq!(json(text), expected, "{text:?}");
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, expected) in [
        (
            "a: 1\nport: $NOPE\n",
            "test.conf:2:7: variable reference for 'NOPE' on line 2 can not be found",
        ),
        (
            "a: $CYC",
            "$CYC:1:7: variable reference for 'CYC' on line 1 could not be parsed: \
             variable reference cycle for 'CYC'",
        ),
        (
            "a {\n  é: 99999999999999999999\n}",
            "test.conf:2:6: integer '99999999999999999999' is out of the range",
        ),
        (
            "a: [1 ,\n2",
            "test.conf:2:2: expected a new line, ',' or ']' after a value but the file ends",
        ),
        (
            "x: 1\ninclude missing.conf",
            "test.conf:2:9: error parsing include file 'missing.conf', open missing.conf: \
             no such file or directory",
        ),
        (
            "include bad.conf",
            "bad.conf:2:1: unexpected end of file in an array",
        ),
        (
            "include self.conf",
            "self.conf:2:9: include cycle: file 'self.conf' includes itself",
        ),
        (
            "include ping.conf",
            "pong.conf:1:9: include cycle: file 'ping.conf' includes itself",
        ),
    ] {
        check_errors(text, &[expected]);
    }
}

#[test]
fn errors_of_meaning_are_collected() {
    check_errors(
        "a: $A\nb { c: $B }\nd: 99999999999g\ninclude missing.conf\ne: [",
        &[
            "test.conf:1:4: variable reference for 'A' on line 1 can not be found",
            "test.conf:2:8: variable reference for 'B' on line 2 can not be found",
            "test.conf:3:4: integer '99999999999g' is out of the range",
            "test.conf:4:9: error parsing include file 'missing.conf', open missing.conf: \
             no such file or directory",
            "test.conf:5:5: unexpected end of file in an array",
        ],
    );
    let many = "a: $NOPE\n".repeat(1000);
    assert_eq!(read(&many).expect_err("many errors").len(), ERRORS_MAX);
}

#[test]
fn positions_are_those_of_the_file_that_says_it() {
    let map = read("# c\ninclude inc.conf\n  \"q\": [ x ]\n").expect("parses");
    let places: Vec<String> = map
        .entries
        .iter()
        .map(|e| format!("{} {}", e.position, e.node.position))
        .collect();
    let expected = [
        "inc.conf:1:1 inc.conf:1:7",
        "inc.conf:2:1 inc.conf:2:4",
        "test.conf:3:3 test.conf:3:8",
    ];
    assert_eq!(places, expected);
}

#[test]
fn a_key_knows_that_a_variable_refers_to_it() {
    let used = |text: &str| -> Vec<bool> {
        let map = read(text).expect("parses");
        map.entries.iter().map(|e| e.used_as_variable).collect()
    };
    assert_eq!(used("a = 1\nb = $a"), [true, false]);
    assert_eq!(used("a = 1\nb = $a\na = 2"), [false, false]);
    assert_eq!(used("a = 1\nb { c = $a }"), [true, false]);
    assert_eq!(used("b = 5\na { b = 6, c = $b }"), [false, false]);
}

#[test]
fn a_repeated_key_has_its_last_value_and_position() {
    let map = read("a: 1\nb: 2\na: 3").expect("parses");
    let entry = map.get("A").expect("present");
    assert_eq!(entry.node.value, Value::Integer(3));
    assert_eq!(entry.position.line, 3);
    assert_eq!(map.entries.len(), 2);
}

#[test]
fn hostile_texts_are_refused_and_not_followed() {
    let deep = |open: &str, close: &str, levels| {
        format!("a: {}x{}", open.repeat(levels), close.repeat(levels))
    };
    assert!(read(&deep("[", "]", NEST_MAX)).is_ok());
    assert!(read(&deep("[", "]", NEST_MAX + 1)).is_err());
    assert!(read(&deep("{b: ", "}", 1_000_000)).is_err());
    assert!(read(&"{".repeat(1_000_000)).is_err());

    // Each line doubles what the one before it says.
    let mut doubling = String::from("v0: [x, x]\n");
    for n in 1..64 {
        doubling += &format!("v{n}: [$v{}, $v{}]\n", n - 1, n - 1);
    }
    check_errors(
        &doubling,
        &["test.conf:18:7: variables make the configuration too large"],
    );
}

#[test]
fn sources_within_sources_are_bounded() {
    let chain: Vec<(String, String)> = (0..40)
        .map(|n| (format!("{n}.conf"), format!("include 'f{}.conf'", n + 1)))
        .map(|(path, text)| (format!("f{path}"), text))
        .collect();
    let files = Files(chain.into_iter().collect());
    assert!(parse("include f0.conf", "-", &env, &files).is_err());
    assert!(parse("include f30.conf", "-", &env, &files).is_err());

    let tree: HashMap<String, String> = (0..12)
        .map(|n| {
            (
                format!("f{n}.conf"),
                format!("include f{}.conf\n", n + 1).repeat(10),
            )
        })
        .chain([("f12.conf".to_owned(), String::new())])
        .collect();
    assert!(parse("include f0.conf", "-", &env, &Files(tree)).is_err());

    let endless = |name: &str| Some(format!("$x{name}"));
    assert!(parse("a: $x", "-", &endless, &files).is_err());
}

/// Texts made of what the language is made of.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b",
        "port",
        "include",
        " ",
        "\n",
        "\r",
        "\t",
        "=",
        ":",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\n)",
        "\"",
        "'",
        "\\",
        "\\x41",
        "\\x",
        "$",
        "$a",
        "$PORTNUM",
        "$CHAIN",
        "#",
        "/",
        "//",
        ",",
        ";",
        "1",
        "12",
        "-",
        ".",
        "k",
        "kb",
        "2006-01-02T15:04:05Z",
        "1.2.3",
        "é",
        "\0",
        "🦀",
        "inc.conf",
        "self.conf",
        "true",
        "off",
        "\u{a0}",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = json(&text);
    }

    #[test]
    fn any_words_are_read_or_refused(text in texts()) {
        let _ = json(&text);
    }
}
