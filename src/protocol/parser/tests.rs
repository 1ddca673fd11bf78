use proptest::prelude::*;

use super::*;

fn parse_all(mut buf: &[u8]) -> Result<Vec<String>, ParseError> {
    let mut ops = Vec::new();
    while !buf.is_empty() {
        match parse(buf, &Limits::default())? {
            Step::Op(op, taken) => {
                ops.push(format!("{op:?}"));
                buf = &buf[taken..];
            }
            Step::Incomplete(_) => break,
        }
    }
    Ok(ops)
}

fn one(text: &str) -> Op<'_> {
    match parse(text.as_bytes(), &Limits::default()) {
        Ok(Step::Op(op, taken)) => {
            assert_eq!(taken, text.len());
            op
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn every_verb_in_any_case() {
    assert_eq!(one("ping\r\n"), Op::Ping);
    assert_eq!(one("PING anything\r\n"), Op::Ping);
    assert_eq!(one("PONG\n"), Op::Pong);
    assert_eq!(one("+OK\r\n"), Op::Ok);
    assert_eq!(one("CONNECT {}\r\n"), Op::Connect(b"{}"));
    assert_eq!(one("connect{}\r\n"), Op::Connect(b"{}"));
    assert_eq!(one("INFO {}\r\n"), Op::Info(b"{}"));
    assert_eq!(one("-ERR 'x'\r\n"), Op::Error(b"'x'"));
    assert_eq!(one("UNSUB 1 5\r\n"), Op::Unsubscribe { sid: b"1", max: 5 });
    let message = Publish {
        subject: b"a",
        reply: b"",
        header_len: None,
        body: b"hi",
    };
    assert_eq!(one("PUB a 2\r\nhi\r\n"), Op::Publish(message));
    assert_eq!(one("pub\ta\t2\nhi\r\n"), Op::Publish(message));
    let headed = Publish {
        subject: b"a",
        reply: b"r",
        header_len: Some(1),
        body: b"hi",
    };
    assert_eq!(one("HPUB a r 1 2\r\nhi\r\n"), Op::Publish(headed));
}

#[test]
fn refusals() {
    let check = |text: &str, error: ParseError| {
        assert_eq!(parse_all(text.as_bytes()), Err(error), "{text:?}");
    };
    check("G", ParseError::UnknownOperation);
    check("PUX", ParseError::UnknownOperation);
    check("PUBX", ParseError::UnknownOperation);
    check("\r\n", ParseError::UnknownOperation);
    check("MSG a 1 2\r\nhi\r\n", ParseError::UnknownOperation);
    check("PUB a 2\r\nhi!", ParseError::UnknownOperation);
    check("PUB a 2\r\nhi\n\n", ParseError::UnknownOperation);
    check(
        "PUB a\r\n",
        ParseError::Arguments(ArgumentError { verb: "PUB" }),
    );
    check(
        "PUB a -1\r\n",
        ParseError::Arguments(ArgumentError { verb: "PUB" }),
    );
    check(
        "SUB a\r\n",
        ParseError::Arguments(ArgumentError { verb: "SUB" }),
    );
    check("PUB a 1048577\r\n", ParseError::Payload(1_048_577));
}

#[test]
fn control_line_limit_counts_arguments() {
    let line = |n: usize, end: &str| format!("SUB {}{end}", "a".repeat(n - 2));
    let fits = format!("SUB {} 1\r\n", "a".repeat(4094));
    assert!(matches!(one(&fits), Op::Subscribe(_)));
    let over = format!("SUB {} 1\r\n", "a".repeat(4095));
    assert_eq!(parse_all(over.as_bytes()), Err(ParseError::ControlLine));
    // Refused before the line has ended.
    assert_eq!(
        parse_all(line(5000, "").as_bytes()),
        Err(ParseError::ControlLine)
    );
    assert_eq!(parse_all(line(4000, "").as_bytes()), Ok(vec![]));
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let op = prop_oneof![
        "PUB [a-z.]{1,9} [0-9]{1,2}\r\n".prop_map(|line| {
            let len: usize = line
                .trim_end()
                .rsplit(' ')
                .next()
                .map_or(0, |n| n.parse().unwrap());
            let mut bytes = line.into_bytes();
            bytes.extend((0..len).map(|i| i as u8));
            bytes.extend(b"\r\n");
            bytes
        }),
        "SUB [a-z.*>]{1,9} [a-z]{0,2} [0-9]{1,3}\r\n".prop_map(String::into_bytes),
        Just(b"PING\r\n".to_vec()),
        Just(b"CONNECT {\"verbose\":false}\r\n".to_vec()),
    ];
    prop::collection::vec(op, 0..8).prop_map(|ops| ops.concat())
}

/// What is nearly a usual publication, and limits of about its size.
fn nearly_usual() -> impl Strategy<Value = (Vec<u8>, Limits)> {
    let limits = (4usize..16, 4usize..10).prop_map(|(line, payload)| Limits {
        control_line_max: line,
        payload_max: payload,
        headers: true,
    });
    let end =
        prop_oneof![4 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r\r\n"), 1 => Just(" \r\n")];
    let body = ("[x\r\n]{0,10}", prop_oneof![4 => Just(0), 1 => Just(1)]);
    (
        "PUB [a-c.\t\r]{1,4} {1,2}([a-c]{1,4} {1,2})?",
        end,
        body,
        limits,
    )
        .prop_map(|(args, end, (body, more), limits)| {
            let len = body.len() + more;
            (format!("{args}{len}{end}{body}\r\n").into_bytes(), limits)
        })
}

#[test]
fn a_usual_publication_is_read_in_one_pass() {
    let check = |text: &str, reply: &str| {
        let (publish, len) = usual::publish(text.as_bytes(), &Limits::default()).expect(text);
        assert_eq!((len, publish.body), (text.len(), &b"hi"[..]));
        assert_eq!(
            (publish.subject, publish.reply),
            (&b"a.b"[..], reply.as_bytes())
        );
    };
    check("PUB a.b 2\r\nhi\r\n", "");
    check("PUB a.b r.1 2\r\nhi\r\n", "r.1");
}

proptest! {
    #[test]
    fn one_pass_says_the_same((bytes, limits) in nearly_usual()) {
        if let Some((publish, len)) = usual::publish(&bytes, &limits) {
            let op = Step::Op(Op::Publish(publish), len);
            prop_assert_eq!(parse_any(&bytes, &limits), Ok(op));
        }
    }

    #[test]
    fn splitting_changes_nothing(stream in stream(), cuts in prop::collection::vec(0usize..400, 0..6)) {
        let whole = parse_all(&stream).expect("valid");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let (mut ops, mut held, mut from) = (Vec::new(), Vec::new(), 0);
        for cut in cuts {
            held.extend_from_slice(&stream[from..cut]);
            from = cut;
            while !held.is_empty() {
                match parse(&held, &Limits::default()).expect("valid") {
                    Step::Op(op, taken) => {
                        ops.push(format!("{op:?}"));
                        held.drain(..taken);
                    }
                    Step::Incomplete(need) => {
                        prop_assert!(need > held.len());
                        break;
                    }
                }
            }
        }
        prop_assert_eq!(whole, ops);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let _ = parse_all(&bytes);
        let mut publish = b"HPUB ".to_vec();
        publish.extend(bytes);
        let _ = parse_all(&publish);
    }
}
