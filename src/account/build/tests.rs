//! Accounts are written in lines; the texts expected are those a running peer printed for
//! the same configuration.

use super::*;
use crate::account::export::ExportSpec;
use crate::account::is_system_alone;

/// Reads accounts out of lines:
///
/// ```text
/// B exports service foo.* [for A,C] [token 2] [stream|chunked]
/// A imports service B foo.a [to bar] [prefix p] [share]
/// A maps foo bar
/// ```
fn read(lines: &str) -> Vec<AccountSpec> {
    let mut specs: Vec<AccountSpec> = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if !specs.iter().any(|spec| spec.name == words[0]) {
            specs.push(AccountSpec {
                name: words[0].to_owned(),
                ..AccountSpec::default()
            });
        }
        let spec = specs.iter_mut().find(|spec| spec.name == words[0]).unwrap();
        match words[1..] {
            [] => {}
            ["exports", kind, subject, ref options @ ..] => {
                spec.exports.push(read_export(kind, subject, options));
            }
            ["imports", kind, account, subject, ref options @ ..] => {
                spec.imports
                    .push(read_import(kind, account, subject, options));
            }
            ["maps", source, destination] => spec.mappings.push(mapping(source, destination)),
            _ => panic!("{line}"),
        }
    }
    specs
}

fn option<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    let index = options.iter().position(|option| *option == name)?;
    options.get(index + 1).copied()
}

fn read_export(kind: &str, subject: &str, options: &[&str]) -> ExportSpec {
    let response = match options {
        [.., "stream"] => ResponseKind::Stream,
        [.., "chunked"] => ResponseKind::Chunked,
        _ => ResponseKind::Singleton,
    };
    let service = ExportKind::Service {
        response,
        response_threshold: None,
        latency: None,
        allow_trace: true,
    };
    ExportSpec {
        kind: if kind == "service" {
            service
        } else {
            ExportKind::Stream
        },
        subject: subject.to_owned(),
        accounts: option(options, "for").map(|list| list.split(',').map(str::to_owned).collect()),
        account_token_position: option(options, "token").map_or(0, |n| n.parse().unwrap()),
    }
}

fn read_import(kind: &str, account: &str, subject: &str, options: &[&str]) -> ImportSpec {
    let stream = ImportKind::Stream {
        prefix: option(options, "prefix").map(str::to_owned),
    };
    let service = ImportKind::Service {
        share: options.contains(&"share"),
    };
    ImportSpec {
        kind: if kind == "service" { service } else { stream },
        account: account.to_owned(),
        subject: subject.to_owned(),
        to: option(options, "to").map(str::to_owned),
        allow_trace: false,
    }
}

fn mapping(source: &str, destination: &str) -> MappingSpec {
    MappingSpec {
        source: source.to_owned(),
        destinations: vec![crate::account::mapping::Destination {
            subject: destination.to_owned(),
            weight: 100,
            cluster: None,
        }],
    }
}

fn built(lines: &str) -> Accounts {
    build(&read(lines), &[], Some("$SYS")).unwrap()
}

fn check_errors(lines: &str, texts: &[&str]) {
    let errors = build(&read(lines), &[], Some("$SYS"))
        .err()
        .unwrap_or_default();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors, texts, "{lines}");
}

#[test]
fn imports_that_fit_an_export_are_accepted() {
    for lines in [
        "B exports stream foo.>\n A imports stream B foo.a",
        "B exports service foo.>\n A imports service B foo.* to x.*",
        "B exports service foo.>\n A imports service B foo.*.* to x.$2.$1",
        "B exports service foo.>\n A imports service B foo.a to x.*",
        "B exports stream foo.>\n A imports stream B foo.* prefix x.y.",
        "B exports stream foo.>\n A imports stream B foo.>\n A imports stream B foo.a",
        "B exports service foo.>\n A imports service B foo.a to x\n A imports service B foo.a to y",
        "B exports service foo for A\n A imports service B foo",
        "B exports service foo.* token 2\n A imports service B foo.A",
        "B exports stream *.foo token 1\n A imports stream B A.foo",
        "B exports service foo\n B exports stream foo\n A imports service B foo\n A imports stream B foo to bar",
        "B exports service foo\n C exports service foo\n A imports service B foo\n A imports service C foo",
        "A exports service foo.>\n A imports service A foo.> to >",
        "A exports stream >\n A imports stream A > to t.>",
        "A exports service foo\n A imports service A foo to bar",
        "A exports service foo\n A imports service A foo",
        "A exports stream foo\n A imports stream A foo to bar",
    ] {
        check_errors(lines, &[]);
    }
}

#[test]
fn imports_without_an_export_are_refused() {
    let stream = "Error adding stream import \"bar\": stream import not authorized";
    let service = "Error adding service import \"bar\": service import not authorized";
    check_errors("B exports stream foo.>\n A imports stream B bar", &[stream]);
    check_errors("B exports stream bar\n A imports service B bar", &[service]);
    check_errors("B\n A imports stream B bar", &[stream]);
    check_errors(
        "B exports stream bar for B\n A imports stream B bar",
        &[stream],
    );
    check_errors("A imports stream A bar", &[stream]);
    check_errors(
        "A imports stream C foo\n A imports service C foo",
        &[
            "\"C\" account not defined for stream import",
            "\"C\" account not defined for service import",
        ],
    );
    check_errors(
        "B exports service foo for C",
        &["\"C\" account not defined for service export"],
    );
    check_errors(
        "B exports service foo.* token 2\n A imports service B foo.C\n A imports service B foo.*",
        &[
            "Error adding service import \"foo.C\": service import not authorized",
            "Error adding service import \"foo.*\": service import not authorized",
        ],
    );
}

#[test]
fn imports_that_contradict_each_other_are_refused() {
    check_errors(
        "B exports stream foo.>\n A imports stream B foo.a\n A imports stream B foo.a prefix p",
        &["Error adding stream import \"foo.a\": stream import already exists"],
    );
    check_errors(
        "B exports service foo.>\n A imports service B foo.a\n A imports service B foo.b to foo.a",
        &[
            "Duplicate service import subject \"foo.a\", previously used in import for account \"B\", subject \"foo.a\"",
        ],
    );
    check_errors(
        "B exports stream foo.>\n A imports stream B foo.* prefix x.*\n A imports stream B foo.*.a to x",
        &[
            "Error adding stream import \"foo.*\": stream import prefix can not contain wildcard tokens",
            "Error adding stream import \"foo.*.a\": failed to create mapping transform for stream import subject from \"foo.*.a\" to \"x\": invalid mapping destination: not using all of the token wildcard(s) in x",
        ],
    );
}

#[test]
fn cycles_are_refused() {
    let text = |kind: &str, subject: &str| {
        format!("Error adding {kind} import {subject:?}: import forms a cycle")
    };
    for kind in ["service", "stream"] {
        let fill = |lines: &str| lines.replace("KIND", kind);
        check_errors(
            &fill(
                "A exports KIND foo\n A imports KIND B foo
                 B exports KIND foo\n B imports KIND A foo",
            ),
            &[&text(kind, "foo")],
        );
        check_errors(
            &fill(
                "A exports KIND a\n A imports KIND B b to a
                 B exports KIND b\n B imports KIND C c to b
                 C exports KIND c\n C imports KIND A a to c",
            ),
            &[&text(kind, "a")],
        );
        check_errors(
            &fill(
                "A exports KIND foo\n A imports KIND B bar to x
                 B exports KIND bar\n B imports KIND A foo to y",
            ),
            &[],
        );
    }
    check_errors(
        "A exports stream >\n A imports stream B > prefix p
         B exports stream >\n B imports stream A > prefix q",
        &[&text("stream", ">")],
    );
}

#[test]
fn other_contradictions_are_refused() {
    check_errors(
        "A maps foo.* bar.*",
        &["Error adding mapping for \"foo.*\" to \"bar.*\" : invalid subject"],
    );
    let twice = [read("A"), read("A")].concat();
    let errors = build(&twice, &[], None).unwrap_err();
    assert_eq!(errors[0].to_string(), "Duplicate Account Entry: \"A\"");
}

#[test]
fn the_tables_say_what_was_configured() {
    let accounts = built(
        "B exports service foo.* stream
         B exports stream bar.>
         A imports service B foo.* to x.* share
         A imports stream B bar.> prefix p",
    );
    let account = accounts.get("A").unwrap();
    let service = &account.service_imports[0];
    assert_eq!((&*service.local, &*service.remote), ("x.*", "foo.*"));
    assert_eq!(
        (&*service.exporter, service.response),
        ("B", ResponseKind::Stream)
    );
    assert!(service.share && service.allow_trace);
    assert_eq!(service.response_threshold, RESPONSE_THRESHOLD);
    assert_eq!(service.map.apply(b"x.1").unwrap(), b"foo.1");
    let stream = &account.stream_imports[0];
    assert_eq!((&*stream.local, &*stream.remote), ("p.bar.>", "bar.>"));
    assert_eq!(stream.map.apply(b"bar.1").unwrap(), b"p.bar.1");
    assert_eq!(stream.shadow(b"p.bar.*").unwrap(), b"bar.*");
}

#[test]
fn importing_from_oneself_what_one_has_adds_nothing() {
    let accounts = built(
        "A exports service foo\n A exports stream foo
         A imports service A foo\n A imports stream A foo",
    );
    let account = accounts.get("A").unwrap();
    assert!(account.stream_imports.is_empty());
    assert!(
        account
            .service_imports
            .iter()
            .all(|import| import.exporter == "$SYS")
    );
}

#[test]
fn every_account_takes_services_from_the_system_account() {
    let accounts = built("A");
    for name in ["A", GLOBAL] {
        let imports = &accounts.get(name).unwrap().service_imports;
        let rows: Vec<(&str, &str)> = imports
            .iter()
            .map(|import| (import.local.as_str(), import.remote.as_str()))
            .collect();
        let connections = format!("$SYS.REQ.ACCOUNT.{name}.CONNZ");
        let statistics = format!("$SYS.REQ.ACCOUNT.{name}.STATZ");
        let user = format!("$SYS.REQ.USER.{name}.INFO");
        assert_eq!(
            rows,
            [
                ("$SYS.REQ.ACCOUNT.PING.CONNZ", &*connections),
                ("$SYS.REQ.SERVER.PING.CONNZ", &*connections),
                ("$SYS.REQ.ACCOUNT.PING.STATZ", &*statistics),
                ("$SYS.REQ.USER.INFO", &*user),
            ]
        );
        assert!(imports.iter().all(|import| import.exporter == "$SYS"));
    }
    let own = &accounts.system().unwrap().service_imports;
    let own: Vec<&str> = own.iter().map(|import| &*import.local).collect();
    assert_eq!(own, ["$SYS.REQ.USER.INFO"]);
    let without = build(&read("A"), &[], None).unwrap();
    assert!(without.system().is_none());
    assert!(
        without
            .iter()
            .all(|account| account.service_imports.is_empty())
    );
}

#[test]
fn implicit_services_stand_beside_configured_ones() {
    let accounts = built(
        "B exports service mine
         A imports service B mine to $SYS.REQ.USER.INFO",
    );
    let imports = &accounts.get("A").unwrap().service_imports;
    let user_info = imports
        .iter()
        .filter(|import| import.local == "$SYS.REQ.USER.INFO");
    let exporters: Vec<&str> = user_info.map(|import| import.exporter.as_str()).collect();
    assert_eq!(exporters, ["B", "$SYS"]);
}

#[test]
fn server_mappings_are_those_of_the_global_account() {
    let accounts = build(&read("A"), &[mapping("foo", "bar")], None).unwrap();
    assert!(!accounts.get(GLOBAL).unwrap().mappings.is_empty());
    assert!(accounts.get("A").unwrap().mappings.is_empty());
}

#[test]
fn the_system_account_is_alone_without_others() {
    let mut specs = read("$SYS");
    assert!(!is_system_alone(&specs, "$SYS"));
    specs[0].users = vec![crate::auth::users::UserSpec {
        login: crate::auth::users::Login::Password {
            user: "admin".to_owned(),
            password: "secret".to_owned(),
        },
        account: "$SYS".to_owned(),
        permissions: None,
        connection_types: None,
        proxy_required: false,
    }];
    assert!(is_system_alone(&specs, "$SYS") && !is_system_alone(&specs, "OTHER"));
    specs.extend(read("A"));
    assert!(!is_system_alone(&specs, "$SYS"));
}
