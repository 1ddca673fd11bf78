//! Transforms against what a running peer made of the same mappings.

use proptest::prelude::*;

use super::*;

/// The highest number below the bound, so that tests see the bound.
fn highest(bound: u64) -> u64 {
    bound - 1
}

fn applied(transform: &Transform, subject: &str) -> Option<String> {
    let out = transform.apply(subject.as_bytes(), &mut highest)?;
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn check(source: &str, destination: &str, table: &[(&str, &str)]) {
    let transform = Transform::mapping(source, destination).expect(destination);
    for (subject, expected) in table {
        let expected = (!expected.is_empty()).then(|| (*expected).to_owned());
        assert_eq!(
            applied(&transform, subject),
            expected,
            "{source} -> {destination}: {subject}"
        );
    }
}

#[test]
fn tokens_are_carried_over() {
    check("t.*", "bar", &[("t.a", "bar"), ("u.a", "")]);
    check("t.*.*", "bar.$2.$1", &[("t.a.b", "bar.b.a"), ("t.a", "")]);
    check(
        "t.*",
        "bar.{{ Wildcard ( 1 ) }}.{{wildcard(1)}}",
        &[("t.a", "bar.a.a")],
    );
    check("t.*", "$1", &[("t.a", "a"), ("t.a*", "a*")]);
    check(
        "t.*.>",
        "bar.$1.>",
        &[("t.a.b.c", "bar.a.b.c"), ("t.a", "")],
    );
    check("t.*.>", "bar.>", &[("t.a.b.c", "bar.b.c")]);
    check(">", "bar.>", &[("a.b", "bar.a.b")]);
    check("", ">", &[("a.b", "a.b")]);
    check(
        "t.*",
        "bar.$1",
        &[("t.a..b", ""), ("t.", ""), ("t", ""), ("", "")],
    );
}

#[test]
fn wildcards_of_a_subject_are_carried_over() {
    check("t.*", "bar.$1", &[("t.*", "bar.*"), ("t.>", "")]);
    check("t.>", "bar.>", &[("t.>", "bar.>"), ("t.*.>", "bar.*.>")]);
    check("t.e", "bar", &[("t.*", ""), ("t.e", "bar")]);
}

#[test]
fn what_is_no_call_is_text() {
    for text in [
        "$1x",
        "$",
        "$x",
        "{{}}",
        "{{wildcard(1)}}x",
        "x{{wildcard(1)}}",
        "{{wildcard(1)",
    ] {
        check("t.*", text, &[("t.a", text)]);
    }
    check(
        "t.*",
        "bar.{{split(1,.)}}",
        &[("t.a-b", "bar.{{split(1,.)}}")],
    );
}

#[test]
fn numbers_below_one_mean_the_first_token() {
    check("t1.*", "bar.$0", &[("t1.a", "bar.t1")]);
    check("t2.*", "bar.$-1", &[("t2.a", "bar.t2")]);
    check("t.*", "bar.$+1.$01", &[("t.a", "bar.a.a")]);
    check("t.>", "q.{{partition(7,0)}}.>", &[("t.u.v", "q.0.u.v")]);
    check(
        "t76.*",
        "bar.{{splitfromleft(0,2)}}",
        &[("t76.abcd", "bar.t7.6")],
    );
}

#[test]
fn partitions_agree_with_the_peers() {
    let by_wildcard = [("t9.a", "bar.5"), ("t9.b", "bar.6"), ("t9.c", "bar.1")];
    check("t9.*", "bar.{{partition(7,1)}}", &by_wildcard);
    let by_subject = [("t9.a", "bar.5"), ("t9.b", "bar.3"), ("t9.c", "bar.1")];
    check("t9.*", "bar.{{partition(7)}}", &by_subject);
    let pairs = [("t.a.b", "bar.2"), ("t.b.c", "bar.2")];
    check("t.*.*", "bar.{{Partition( 7 , 1, 2)}}", &pairs);
    let swapped = [("t.a.b", "bar.6"), ("t.b.c", "bar.1")];
    check("t.*.*", "bar.{{partition(7,2,1)}}", &swapped);
    check(
        "t15.>",
        "bar.{{partition(7)}}.>",
        &[("t15.a.b", "bar.4.a.b"), ("t15.c", "bar.0.c")],
    );
    check("t7", "bar.{{partition(7,1)}}", &[("t7", "bar.3")]);
    check("g", "q.{{partition(1000000,1,2)}}", &[("g", "q.446982")]);
    check(
        "t.*",
        "bar.{{partition(-7,1)}}",
        &[("t.a", "bar.3826002220")],
    );
    check("t.*", "bar.{{partition(0,1)}}", &[("t.a", "bar.0")]);
}

#[test]
fn random_numbers_stay_below_their_bound() {
    check("t", "bar.{{random(3)}}", &[("t", "bar.2")]);
    check("t.>", "bar.{{Random(-3)}}.>", &[("t.a", "bar.2.a")]);
    check("t.*", "bar.{{random(0)}}", &[("t.a", "bar.0")]);
}

#[test]
fn cuts_agree_with_the_peers() {
    // function, size, the outcome for abcdefg, abcd and ab
    let table = [
        ("splitfromleft", 2, "ab.cdefg", "ab.cd", "ab"),
        ("splitFromLeft", 3, "abc.defg", "abc.d", "ab"),
        ("splitfromright", 2, "abcde.fg", "ab.cd", "ab"),
        ("SplitFromRight", 3, "abcd.efg", "a.bcd", "ab"),
        ("slicefromleft", 2, "ab.cd.ef.g", "ab.cd", "ab"),
        ("sliceFromleft", 3, "abc.def.g", "abc.d", "ab"),
        ("slicefromright", 2, "a.bc.de.fg", "ab.cd", "ab"),
        ("SlicefromRight", 3, "a.bcd.efg", "a.bcd", "ab"),
        ("left", 2, "ab", "ab", "ab"),
        ("Left", 3, "abc", "abc", "ab"),
        ("right", 2, "fg", "cd", "ab"),
        ("Right", 3, "efg", "bcd", "ab"),
    ];
    for (name, size, seven, four, two) in table {
        let destination = format!("{{{{{name}(1,{size})}}}}.end");
        let expected = [seven, four, two].map(|text| format!("{text}.end"));
        let subjects = ["t.abcdefg", "t.abcd", "t.ab"];
        let rows = [0, 1, 2].map(|row| (subjects[row], expected[row].as_str()));
        check("t.*", &destination, &rows);
        for whole in [-1, 0, 7, 9, i32::MAX] {
            let destination = format!("{{{{{name}(1,{whole})}}}}.end");
            check("t.*", &destination, &[("t.abcdefg", "abcdefg.end")]);
        }
    }
}

#[test]
fn splits_agree_with_the_peers() {
    let by_dash = [
        ("t.a-b-c", "bar.a.b.c.end"),
        ("t.-a-b-", "bar.a.b.end"),
        ("t.a--b", "bar.a.b.end"),
        ("t.a---b", "bar.a.b.end"),
        ("t.abc", "bar.abc.end"),
        ("t.--", "bar..end"),
        ("t.--a", "bar..a.end"),
    ];
    check("t.*", "bar.{{split(1,-)}}.end", &by_dash);
    check("t.*", "bar.{{Split(1,  -)}}.end", &by_dash);
    let by_two = [
        ("t.a-b-c", "bar.a-b-c.end"),
        ("t.--a--b--", "bar.a.b.end"),
        ("t.a---b", "bar.a.-b.end"),
        ("t.-", "bar.-.end"),
    ];
    check("t.*", "bar.{{split(1,--)}}.end", &by_two);
    let by_nothing = [("t.a--b", "bar.a.-.-.b"), ("t.äö€x", "bar.ä.ö.€.x")];
    check("t.*", "bar.{{split(1,)}}", &by_nothing);
    check("t.*", "bar.{{split(1, )}}", &by_nothing);
}

#[test]
fn errors_have_the_known_texts() {
    let problem = "invalid mapping destination: ";
    let table = [
        ("foo", "$1", "wildcard index out of range in $1"),
        (
            "foo",
            "{{left(1,2)}}",
            "wildcard index out of range in {{left(1,2)}}",
        ),
        ("foo.*", "$2", "wildcard index out of range in $2: [2]"),
        ("foo.>", "$1.>", "wildcard index out of range in $1: [1]"),
        (
            "foo.*",
            "{{partition(3,99999999999)}}",
            "wildcard index out of range in {{partition(3,99999999999)}}: [99999999999]",
        ),
        (
            "foo.*",
            "{{WILDCARD(1)}}",
            "unknown function in {{WILDCARD(1)}}",
        ),
        (
            "foo.*",
            "{{SPLITfromleft(1,2)}}",
            "unknown function in {{SPLITfromleft(1,2)}}",
        ),
        ("foo", "{{nope(1)}}", "unknown function in {{nope(1)}}"),
        ("foo.*", "{{x}}", "unknown function in {{x}}"),
        (
            "foo.*",
            "{{wildcard(1}}",
            "unknown function in {{wildcard(1}}",
        ),
        (
            "foo.*",
            "{{wild card(1)}}",
            "unknown function in {{wild card(1)}}",
        ),
        ("foo.*", "b ar", "invalid transform"),
        ("foo.*", "x{{split(1, -)}}", "invalid transform"),
        ("foo.*", "bar..a", "invalid transform"),
        ("foo.*", "", "invalid transform"),
        ("foo.>", "bar.>.x", "invalid transform in x"),
    ];
    for (source, destination, expected) in table {
        let error = Transform::mapping(source, destination).expect_err(destination);
        assert_eq!(error.to_string(), format!("{problem}{expected}"));
    }
    let not_enough = [
        "wildcard()",
        "splitfromleft(1)",
        "splitfromleft()",
        "split(1)",
        "random(3,1)",
    ];
    let too_many = [
        "wildcard(1,2)",
        "splitfromleft(1,2,3)",
        "split(1,-,x)",
        "split(1,,)",
    ];
    let invalid = [
        "wildcard(x)",
        "wildcard(\t1)",
        "wildcard(1_0)",
        "wildcard(99999999999999999999)",
        "wildcard(1)}}{{wildcard(1)",
        "partition()",
        "partition(x,1)",
        "partition(3,y)",
        "partition(3,1,)",
        "partition(,1)",
        "partition(2147483648,1)",
        "random()",
        "random(x)",
        "random(2147483648)",
        "left(1,-99999999999)",
        "splitFromLeft(1,2147483648)",
        "split(x,-)",
        "split(1,a b)",
    ];
    let groups: [(&[&str], &str); 3] = [
        (&not_enough, "not enough arguments passed to the function"),
        (&too_many, "too many arguments passed to the function"),
        (
            &invalid,
            "function argument is invalid or in the wrong format",
        ),
    ];
    for (calls, expected) in groups {
        for call in calls {
            let token = format!("{{{{{call}}}}}");
            let error = Transform::mapping("foo.*", &token).expect_err(call);
            assert_eq!(error.to_string(), format!("{problem}{expected} in {token}"));
        }
    }
}

#[test]
fn sides_that_do_not_fit_are_refused() {
    let pairs = [
        ("foo.>", "bar"),
        ("foo", "bar.>"),
        ("foo.*", "bar.*"),
        ("foo..a", "bar"),
        ("foo", "bar..a"),
        ("foo", ""),
        ("foo.>.x", "bar.>"),
    ];
    for (source, destination) in pairs {
        let error = Transform::new(source, destination);
        assert_eq!(
            error,
            Err(TransformError::InvalidSubject),
            "{source} -> {destination}"
        );
    }
    assert_eq!(
        TransformError::InvalidSubject.to_string(),
        "invalid subject"
    );
}

#[test]
fn imports_use_wildcards_only_and_all_of_them() {
    let prefix = "invalid mapping destination: ";
    let only = "the only mapping function allowed for import transforms is {{Wildcard()}}";
    let all = "not using all of the token wildcard(s)";
    let table = [
        (
            "foo.*",
            "bar.{{partition(3,1)}}",
            format!("{prefix}{only} in {{{{partition(3,1)}}}}"),
        ),
        (
            "foo.*",
            "bar.{{random(3)}}",
            format!("{prefix}{only} in {{{{random(3)}}}}"),
        ),
        ("foo.*.*", "bar.$1", format!("{prefix}{all} in bar.$1")),
        (
            "foo.*.*",
            "bar.$1.$1",
            format!("{prefix}{all} in bar.$1.$1"),
        ),
        ("foo.*", "bar", format!("{prefix}{all} in bar")),
        ("foo.*", "bar..$1", "invalid subject".to_owned()),
    ];
    for (source, destination, expected) in table {
        let error = Transform::strict(source, destination).expect_err(destination);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn strict_transforms_lead_back() {
    // source, destination, the reverse's source and destination, a subject there and back
    let table = [
        ("foo", "bar", "bar", "foo", "foo", "bar"),
        ("foo.*", "bar.$1", "bar.*", "foo.$1", "foo.a", "bar.a"),
        (
            "foo.*.*.*",
            "$2.x.$3.$1",
            "*.x.*.*",
            "foo.$3.$1.$2",
            "foo.a.b.c",
            "b.x.c.a",
        ),
        (
            "foo.*.>",
            "bar.{{wildcard(1)}}.>",
            "bar.*.>",
            "foo.$1.>",
            "foo.a.b.c",
            "bar.a.b.c",
        ),
        (
            "foo.*",
            "bar.$1.$1",
            "bar.*.*",
            "foo.$1",
            "foo.a",
            "bar.a.a",
        ),
        ("$1.*", "bar.$1", "bar.*", "$1.$1", "$1.a", "bar.a"),
        ("foo.*", "$0.$1", "foo.*", "foo.$1", "foo.a", "foo.a"),
        (">", "bar.>", "bar.>", ">", "a.b", "bar.a.b"),
        ("foo.*", "bar.$1", "bar.*", "foo.$1", "foo.*", "bar.*"),
    ];
    for (source, destination, back_source, back_destination, there, here) in table {
        let transform = Transform::strict(source, destination).expect(destination);
        let reverse = transform.reverse().expect(destination);
        assert_eq!(
            (reverse.source(), reverse.destination()),
            (back_source, back_destination)
        );
        assert_eq!(applied(&transform, there).as_deref(), Some(here));
        assert_eq!(applied(&reverse, here).as_deref(), Some(there));
    }
    let lost = Transform::new("foo.*.*", "bar.$1").expect("valid");
    assert_eq!(lost.reverse(), None);
    let cut = Transform::new("foo.*", "bar.{{left(1,2)}}").expect("valid");
    assert_eq!(cut.reverse(), None);
}

#[test]
fn wildcards_are_numbered() {
    assert_eq!(number_wildcards("foo.*.bar.*.>"), "foo.$1.bar.$2.>");
    assert_eq!(number_wildcards("foo*.bar"), "foo*.bar");
}

#[test]
fn a_refused_subject_leaves_nothing_in_the_buffer() {
    let transform = Transform::new("foo.*", "bar.$1").expect("valid");
    let mut out = b"old".to_vec();
    assert!(transform.apply_into(b"foo.x", &mut highest, &mut out));
    assert_eq!(out, b"bar.x");
    assert!(!transform.apply_into(b"x", &mut highest, &mut out));
    assert!(out.is_empty());
}

proptest! {
    /// Any text for the destination, any bytes for the subject: an answer, no panic.
    #[test]
    fn any_input_has_an_answer(
        destination in r"(\{\{)?(split|left|partition|random|sliceFromRight|wildcard)?\(?[0-9,\-> .*$é]{0,8}\)?(\}\})?",
        subject in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        for source in ["foo", "*", "*.*", "*.>", ">"] {
            let _ = Transform::mapping(source, &destination);
            let _ = Transform::strict(source, &destination);
            if let Ok(transform) = Transform::new(source, &destination) {
                let applied = transform.apply(&subject, &mut highest);
                prop_assert_eq!(applied.is_some(), transform.takes(&subject));
                let _ = transform.reverse();
            }
        }
    }
}
