//! A reload seen from outside: what changes, what is refused, what is not disturbed.

use std::fs;

use super::{Process, exists, wait_until};

#[test]
fn every_setting_that_may_change_does_and_is_named() {
    let process = Process::start("");
    let lines = process.reload(
        "client_advertise: 'far.example:88'
        debug: true
        logtime_utc: true
        max_connections: 7
        authorization { timeout: 5 }
        ping_interval: '7s'
        ping_max: 5
        max_control_line: 200
        max_payload: 999
        no_fast_producer_stall: true
        write_deadline: '3s'
        max_traced_msg_len: 7
        connect_error_reports: 3
        reconnect_error_reports: 4
        server_tags: [a, 'b:c']
        server_metadata { k: v }
        ",
    );
    let digest = process.get("/varz")["config_digest"].clone();
    let expected = [
        "Trapped \"hangup\" signal",
        "Reload: client_advertise = far.example:88",
        "Reloaded: debug = true",
        "Reloaded: logtime_utc = true",
        "Reloaded: max_connections = 7",
        "Reloaded: ping_interval = 7s",
        "Reloaded: ping_max = 5",
        "Reloaded: authorization timeout = 5",
        "Reloaded: max_control_line = 200",
        "Reloaded: max_payload = 999",
        "Reloaded: fast producers will not be stalled",
        "Reloaded: write_deadline = 3s",
        "Reloaded: max_traced_msg_len = 7",
        "Reloaded: connect_error_reports = 3",
        "Reloaded: reconnect_error_reports = 4",
        "Reloaded: tags",
        "Reloaded: metadata",
        &format!(
            "Reloaded server configuration ({})",
            digest.as_str().unwrap()
        ),
    ]
    .map(|text| format!("[INF] {text}"));
    assert_eq!(lines, expected);

    let varz = process.get("/varz");
    for (key, expected) in [
        ("host", serde_json::json!("far.example")),
        ("port", 88.into()),
        ("max_connections", 7.into()),
        ("ping_interval", 7_000_000_000_u64.into()),
        ("ping_max", 5.into()),
        ("auth_timeout", 5.into()),
        ("max_control_line", 200.into()),
        ("max_payload", 999.into()),
        ("write_deadline", 3_000_000_000_u64.into()),
        ("tags", serde_json::json!(["a", "b:c"])),
        ("metadata", serde_json::json!({"k": "v"})),
    ] {
        assert_eq!(varz[key], expected, "{key}");
    }
    let mut client = process.client();
    assert_eq!(
        (&client.info["host"], &client.info["port"]),
        (&"far.example".into(), &88.into())
    );
    process.wait_for("log", "[DBG]");
    client.send(&format!("SUB {} 1", "x".repeat(300)));
    assert_eq!(client.until_end(), ["-ERR 'maximum control line exceeded'"]);
}

#[test]
fn a_lower_limit_of_connections_closes_those_that_came_last() {
    let process = Process::start("");
    let mut clients: Vec<_> = (0..4).map(|_| process.client()).collect();
    let lines = process.reload("max_connections: 2");
    assert!(lines.contains(&"[INF] Closed 2 connections to fall within max_connections".into()));
    for client in &mut clients.split_off(2) {
        assert_eq!(client.until_end(), ["-ERR 'maximum connections exceeded'"]);
    }
    for client in &mut clients {
        assert_eq!(client.until_pong(), [""; 0]);
    }
    let mut refused = super::Client::connect(&process.address("nats"));
    assert_eq!(refused.until_end(), ["-ERR 'maximum connections exceeded'"]);
}

#[test]
fn a_new_payload_limit_is_told_and_enforced() {
    let process = Process::start("");
    let mut client = process.client();
    process.reload("max_payload: 10");
    let line = client.line();
    assert!(
        line.starts_with("INFO ") && line.contains("\"max_payload\":10,"),
        "{line}"
    );
    client.send("PUB x 10\n0123456789");
    assert_eq!(client.until_pong(), [""; 0]);
    client.send("PUB x 11\n01234567890");
    assert_eq!(client.until_end(), ["-ERR 'Maximum Payload Violation'"]);
}

#[test]
fn a_new_ping_interval_holds_for_clients_that_are_there() {
    let process = Process::start("");
    let mut client = process.client();
    process.reload("ping_interval: '50ms'\nping_max: 1");
    assert_eq!(client.until_end(), ["-ERR 'Stale Connection'"]);
}

#[test]
fn pid_and_ports_files_move() {
    let process = Process::start("");
    // The flags of this process name both; they win over the file, also now.
    fs::create_dir(process.path("other")).unwrap();
    process.reload("pid_file: 'DIR/pid2'\nports_file_dir: 'DIR/other'");
    assert!(!exists(&process.path("pid2")) && exists(&process.ports_file()));
}

#[test]
fn what_needs_a_restart_is_refused_and_changes_nothing() {
    let process = Process::start("max_payload: 5000");
    let before = process.get("/varz");
    for (change, expected) in [
        (
            "max_pending: 100000000",
            "config reload not supported for MaxPending: old=67108864, new=100000000",
        ),
        (
            "server_name: x",
            "config reload not supported for ServerName: old=, new=x",
        ),
        (
            "max_subscriptions: 5",
            "config reload not supported for MaxSubs: old=0, new=5",
        ),
        (
            "max_sub_tokens: 5",
            "config reload not supported for MaxSubTokens: old=0, new=5",
        ),
        (
            "max_closed_clients: 5",
            "config reload not supported for MaxClosedClients: old=10000, new=5",
        ),
        (
            "lame_duck_duration: '40s'",
            "config reload not supported for LameDuckDuration: old=2m0s, new=40s",
        ),
        (
            "lame_duck_grace_period: '4s'",
            "config reload not supported for LameDuckGracePeriod: old=10s, new=4s",
        ),
        (
            "write_timeout: retry",
            "config reload not supported for WriteTimeout: old=, new=retry",
        ),
        (
            "no_header_support: true",
            "config reload not supported for NoHeaderSupport: old=false, new=true",
        ),
        (
            "logfile_size_limit: 5",
            "config reload not supported for LogSizeLimit: old=0, new=5",
        ),
        (
            "system_account: A\naccounts { A {} }",
            "config reload not supported for SystemAccount: old=$SYS, new=A",
        ),
        (
            "no_system_account: true",
            "config reload not supported for NoSystemAccount: old=false, new=true",
        ),
        (
            "http_base_path: 'x'",
            "config reload not supported for HTTPBasePath: old=, new=x",
        ),
        ("foo: 1", "natter.conf:3:1: unknown field \"foo\""),
        (
            "client_advertise: 'h:x'",
            "natter.conf:3:1: client_advertise value of \"h:x\" is no host[:port]",
        ),
        (
            "tls { cert_file: no.pem, key_file: no.key }",
            "no.pem: no such file or directory",
        ),
        (
            "jetstream: true",
            "config reload not supported for JetStream: turning it on or off needs a restart",
        ),
        (
            "no_auth_user: x\nauthorization { users: [ {user: x, password: y} ] }",
            "config reload not supported for NoAuthUser: old=, new=x",
        ),
        (
            "accounts { A { imports: [ {stream: {account: B, subject: x}} ] } }",
            "account not defined for stream import",
        ),
    ] {
        // The other change would be fine, but not on its own.
        let lines = process.reload(&format!("max_payload: 77\n{change}"));
        let last = lines.last().unwrap();
        assert!(
            last.starts_with("[ERR] Failed to reload server configuration: "),
            "{change}: {lines:?}"
        );
        assert!(last.ends_with(expected), "{change}: {last}");
        let mut after = process.get("/varz");
        for key in [
            "max_payload",
            "config_digest",
            "server_name",
            "system_account",
            "host",
            "auth_required",
            "config_load_time",
        ] {
            assert_eq!(after[key].take(), before[key], "{change}: {key}");
        }
    }
    drop(process.client());
}

#[test]
fn mappings_change_for_subscriptions_that_are_there() {
    let process = Process::start("");
    let mut client = process.client();
    client.send("SUB to 1");
    client.until_pong();
    process.reload("mappings { from: to }");
    client.send("PUB from 1\na");
    assert_eq!(client.until_pong(), ["MSG to 1 1", "a"]);
    process.reload("");
    client.send("PUB from 1\nb");
    assert_eq!(client.until_pong(), [""; 0]);
}

#[test]
fn imports_and_exports_change_for_subscriptions_that_are_there() {
    let config = |exports: &str, imports: &str| {
        format!(
            "accounts {{
                X {{ users: [ {{user: x, password: x}} ], exports: [ {exports} ] }}
                Y {{ users: [ {{user: y, password: y}} ], imports: [ {imports} ] }}
            }}"
        )
    };
    let process = Process::start(&config("", ""));
    let mut x = process.client_as(r#""user":"x","pass":"x""#);
    let mut y = process.client_as(r#""user":"y","pass":"y""#);
    y.send("SUB in.news 1\nSUB answers 2");
    y.until_pong();
    x.send("SUB svc 1");
    x.until_pong();
    process.reload(&config(
        "{stream: news}, {service: svc}",
        "{stream: {account: X, subject: news}, prefix: in}, {service: {account: X, subject: svc}}",
    ));
    x.send("PUB news 1\na");
    x.until_pong();
    assert_eq!(y.until_pong(), ["MSG in.news 1 1", "a"]);
    y.send("PUB svc answers 1\nq");
    y.until_pong();
    let request = x.until_pong();
    let reply = request[0].split(' ').nth(3).unwrap();
    assert_eq!(request[1], "q");
    x.send(&format!("PUB {reply} 1\na"));
    x.until_pong();
    assert_eq!(y.until_pong(), ["MSG answers 2 1", "a"]);

    process.reload(&config("", ""));
    x.send("PUB news 1\na");
    x.until_pong();
    y.send("PUB svc answers 1\nq");
    assert_eq!(y.until_pong(), [""; 0]);
    assert_eq!(x.until_pong(), [""; 0]);
}

#[test]
fn clients_that_nothing_concerns_miss_nothing() {
    const MESSAGES: usize = 20_000;
    let config = |n: usize| {
        format!(
            "accounts {{
                X {{ users: [ {{user: x, password: x}} ], exports: [ {{stream: 'news.>'}} ] }}
                Y {{ users: [ {{user: y, password: y}} ], imports: [ {{stream: {{account: X, subject: 'news.>'}}}} ] }}
                Z {{ users: [ {{user: z{n}, password: z}} ], mappings: {{ a: b{n} }} }}
            }}
            max_payload: {}",
            1000 + n
        )
    };
    let process = Process::start(&config(0));
    let mut publisher = process.client_as(r#""user":"x","pass":"x""#);
    let mut near = process.client_as(r#""user":"x","pass":"x""#);
    let mut far = process.client_as(r#""user":"y","pass":"y""#);
    for client in [&mut near, &mut far] {
        client.send("SUB news.a 1");
        client.until_pong();
    }
    let count = |mut client: super::Client| {
        std::thread::spawn(move || {
            let mut expected = 0;
            while expected < MESSAGES {
                let line = client.line();
                match line.split_once(' ').map_or(line.as_str(), |(verb, _)| verb) {
                    "INFO" | "MSG" => {}
                    "PING" => client.send("PONG"),
                    "" => panic!("closed after {expected}"),
                    number => {
                        assert_eq!(number, expected.to_string());
                        expected += 1;
                    }
                }
            }
        })
    };
    let readers = [count(near), count(far)];
    let sending = std::thread::spawn(move || {
        for n in 0..MESSAGES {
            let body = n.to_string();
            publisher.send(&format!("PUB news.a {}\n{body}", body.len()));
        }
        publisher
    });
    let mut n = 0;
    while n < 10 || !sending.is_finished() {
        n += 1;
        process.reload(&config(n));
    }
    for reader in readers {
        reader.join().unwrap();
    }
    drop(sending.join().unwrap());
    wait_until("the last limit", || {
        process.get("/varz")["max_payload"] == 1000 + n
    });
}
