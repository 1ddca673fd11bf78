//! Every endpoint against what a real server answered.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;

use super::super::fake::{FakeSource, at_once};
use super::super::golden::{assert_same, case, cases};
use super::super::source::Source as _;
use super::super::streams::Problem;
use super::*;

/// Keys whose values differ from run to run.
const VARYING: &[&str] = &[
    "server_id",
    "now",
    "start",
    "stop",
    "last_activity",
    "uptime",
    "idle",
    "rtt",
    "port",
    "cpu",
    "mem",
    "cores",
    "gomaxprocs",
    "go",
    "git_commit",
    "version",
    "config_load_time",
    "config_digest",
    "tls_cert_not_after",
    "update_time",
    "spki_sha256",
    "cert_sha256",
];

fn monitor(source: FakeSource) -> Monitor {
    Monitor::new(Arc::new(source))
}

fn get(monitor: &Monitor, base: &str, target: &str) -> Reply {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    at_once(respond(monitor, base, path, query))
}

/// Compares status, headers and body with a recorded case.
fn check(source: FakeSource, golden: &Value, varying: &[&str]) {
    let base = base_path(&source.facts.http_base_path);
    let target = golden["path"].as_str().expect("a case has a path");
    check_reply(get(&monitor(source), &base, target), golden, varying);
}

fn check_reply(reply: Reply, golden: &Value, varying: &[&str]) {
    let target = golden["path"].as_str().expect("a case has a path");
    assert_eq!(u64::from(reply.status), golden["status"], "{target}");
    let headers = &golden["headers"];
    assert_eq!(reply.content_type, headers["content-type"], "{target}");
    let cors = !headers["access-control-allow-origin"].is_null();
    assert_eq!(reply.cors, cors, "{target}");
    let no_sniff = !headers["x-content-type-options"].is_null();
    assert_eq!(reply.no_sniff, no_sniff, "{target}");
    assert_eq!(
        reply.location.as_deref(),
        headers["location"].as_str(),
        "{target}"
    );
    if let Some(body) = golden.get("body") {
        assert_same(target, body, &reply.body, varying);
    } else {
        assert_eq!(
            reply.body,
            golden["text"].as_str().unwrap_or_default(),
            "{target}"
        );
    }
}

fn check_cases(file: &str, prefix: &str, source: fn() -> FakeSource, also_varying: &[&str]) {
    let varying = [VARYING, also_varying].concat();
    let mut checked = 0;
    for (name, golden) in cases(file) {
        if name.starts_with(prefix) {
            check(source(), &golden, &varying);
            checked += 1;
        }
    }
    assert!(checked > 0, "{file} has no cases for {prefix}");
}

#[test]
fn varz_has_the_published_keys() {
    let sums = &["server_name", "subscriptions", "http_req_stats"];
    check_cases("varz", "plain", FakeSource::plain, sums);
    check_cases("varz", "tls", FakeSource::tls, sums);
    let ports = &[sums, &["cluster_port"][..]].concat();
    check_cases("varz", "sections", FakeSource::sections, ports);
    let quiet = || {
        let mut source = FakeSource::busy();
        source.counters.slow_consumers = Default::default();
        source
    };
    check_cases("varz", "busy", quiet, &["http_req_stats"]);
}

#[test]
fn varz_counts_requests_by_path() {
    let monitor = monitor(FakeSource::plain());
    for path in [
        "/",
        "/varz",
        "/connz",
        "/connz?subs=x",
        "/subscriptionsz",
        "/nothing",
        "/metrics",
    ] {
        get(&monitor, "", path);
    }
    let varz: Value = serde_json::from_str(&get(&monitor, "", "/varz").body).expect("JSON");
    let expected = serde_json::json!({"/": 1, "/connz": 1, "/subsz": 1, "/varz": 2});
    assert_eq!(varz["http_req_stats"], expected);
}

#[test]
fn connz_filters_sorts_and_pages_as_published() {
    check_cases("connz", "plain", FakeSource::plain, &[]);
    check_cases("connz", "busy", FakeSource::busy, &[]);
    check_cases("connz", "tls", FakeSource::tls, &[]);
}

#[test]
fn connz_shows_uptime_and_round_trip_in_go_format() {
    let mut source = FakeSource::busy();
    source.open.retain(|connection| connection.cid == 7);
    source.open[0].start =
        Timestamp::from_unix_nanos(source.now().unix_nanos() - 3_661_000_000_000);
    source.open[0].round_trip = std::time::Duration::from_nanos(2_115_739);
    source.open[0].stalls = 3;
    source.open[0].mqtt_client = "m".to_owned();
    source.open[0].proxy_key = "P".to_owned();
    source.open[0].jwt = "token".to_owned();
    source.open[0].tags = vec!["t".to_owned()];
    let body = get(&monitor(source), "", "/connz?auth=1&subs=1").body;
    for line in [
        "      \"uptime\": \"1h1m1s\",",
        "      \"rtt\": \"2.115739ms\",",
        "      \"stalls\": 3,",
        "        \"foo.\\u003e\",",
        "      \"jwt\": \"token\",",
        "      \"name_tag\": \"A\",",
        "      \"mqtt_client\": \"m\",",
        "        \"key\": \"P\"",
    ] {
        assert!(body.lines().any(|shown| shown == line), "{line}\n{body}");
    }
}

/// Figures of match trees that depend on who asked in between, and ids of the server's own.
const MATCHES: &[&str] = &[
    "num_cache",
    "num_matches",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
];

#[test]
fn subsz_adds_up_the_accounts() {
    let varying = &[VARYING, MATCHES].concat();
    for name in ["plain", "plain alias"] {
        check(FakeSource::plain(), &case("subsz", name), varying);
    }
    for name in [
        "plain",
        "?acc=A",
        "?subs=1&acc=A&test=foo",
        "?subs=1&acc=NONE",
        "?subs=1&acc=A&offset=99",
    ] {
        check(
            FakeSource::busy(),
            &case("subsz", &format!("busy {name}")),
            varying,
        );
    }
}

#[test]
fn subsz_shows_subscriptions_page_by_page() {
    let varying = [VARYING, MATCHES, &["cid"]].concat();
    check(
        FakeSource::busy(),
        &case("subsz", "busy ?subs=1&acc=A"),
        &varying,
    );
    let golden = case("subsz", "busy ?subs=1&acc=A&limit=2&offset=1");
    let reply = get(
        &monitor(FakeSource::busy()),
        "",
        "/subsz?subs=1&acc=A&limit=2&offset=1",
    );
    // A match tree has no order: which two are on the page differs.
    let varying = [&varying[..], &["subscriptions_list"]].concat();
    check_reply(reply.clone(), &golden, &varying);
    let shown: Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(
        shown["subscriptions_list"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn accountz_shows_names_or_tables() {
    let varying = &[VARYING, MATCHES].concat();
    for (name, golden) in cases("accountz") {
        let source = match name.split(' ').next() {
            Some("plain") => FakeSource::plain(),
            _ => FakeSource::busy(),
        };
        // The tables of the system account are checked as `busy SYS`.
        if name != "plain system" {
            check(source, &golden, varying);
        }
    }
}

#[test]
fn accstatz_shows_accounts_in_use() {
    check_cases("accstatz", "plain", FakeSource::plain, &[]);
    check_cases("accstatz", "busy", FakeSource::busy, &[]);
}

#[test]
fn parts_without_content_answer_as_published() {
    for (file, names) in [
        ("routez", &["server_name"][..]),
        ("gatewayz", &[]),
        ("leafz", &[]),
        ("jsz", &[]),
        ("healthz", &[]),
    ] {
        check_cases(file, "plain", FakeSource::plain, names);
        check_cases(file, "busy", FakeSource::busy, &[]);
    }
    check(FakeSource::plain(), &case("ipqueuesz", "plain"), VARYING);
    check(
        FakeSource::plain(),
        &case("ipqueuesz", "plain queues"),
        VARYING,
    );
}

#[test]
fn healthz_is_on_one_line_and_says_why() {
    let healthy = get(&monitor(FakeSource::plain()), "", "/healthz");
    assert_eq!(healthy.body, r#"{"status":"ok"}"#);
    let check = |target, expected: &str| {
        let mut source = FakeSource::plain();
        source.not_ready = Some("not listening".to_owned());
        let reply = get(&monitor(source), "", target);
        assert_eq!((reply.status, reply.body.as_str()), (500, expected));
    };
    check("/healthz", r#"{"status":"error","error":"not listening"}"#);
    check(
        "/healthz?details=1",
        r#"{"status":"error","errors":[{"type":"CONNECTION","error":"not listening"}]}"#,
    );
}

#[test]
fn bad_parameters_are_refused_with_the_published_texts() {
    for (_, golden) in cases("errors") {
        check(FakeSource::plain(), &golden, VARYING);
    }
}

#[test]
fn paths_are_cleaned_and_unknown_ones_refused() {
    for name in ["missing", "trailing slash", "double slash", "dots"] {
        check(FakeSource::plain(), &case("index", name), &[]);
    }
    for name in ["base slash", "root", "outside"] {
        check(FakeSource::tls(), &case("index_base", name), &[]);
    }
    let monitor = monitor(FakeSource::plain());
    let location = |target| get(&monitor, "", target).location;
    assert_eq!(location("//host/../varz?a=b").as_deref(), Some("/varz?a=b"));
    assert_eq!(location("/varz/.").as_deref(), Some("/varz"));
    assert_eq!(location("/varz"), None);
}

#[test]
fn stacks_and_variables_have_their_content_types() {
    let monitor = monitor(FakeSource::plain());
    for (path, name) in [("/stacksz", "stacksz"), ("/debug/vars", "debug vars")] {
        let (reply, golden) = (get(&monitor, "", path), case("index", name));
        assert_eq!(
            reply.content_type, golden["headers"]["content-type"],
            "{path}"
        );
        let cors = !golden["headers"]["access-control-allow-origin"].is_null();
        assert_eq!(reply.cors, cors, "{path}");
    }
    let variables: Value =
        serde_json::from_str(&get(&monitor, "", "/debug/vars").body).expect("JSON");
    let keys: Vec<_> = variables.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["cmdline", "memstats"]);
}

#[test]
fn index_links_to_every_recorded_endpoint() {
    for (source, base, file, name) in [
        (FakeSource::plain(), "", "index", "root"),
        (FakeSource::tls(), "/base", "index_base", "base"),
    ] {
        let golden = case(file, name);
        let page = get(
            &monitor(source),
            base,
            if base.is_empty() { "/" } else { base },
        );
        assert_eq!(page.content_type, golden["headers"]["content-type"]);
        for link in golden["text"].as_array().expect("links") {
            let (href, text) = (
                link[0].as_str().expect("href"),
                link[1].as_str().expect("text"),
            );
            if href.starts_with('.') {
                let link = format!("<a href={href}>{text}</a>");
                assert!(page.body.contains(&link), "{link}\n{}", page.body);
            }
        }
    }
}

#[test]
fn base_path_has_one_slash_in_front() {
    for (configured, expected) in [("", ""), ("/", ""), ("base", "/base"), ("/a//b/", "/a/b")] {
        assert_eq!(base_path(configured), expected, "{configured:?}");
    }
}

/// The keys at `pointer` of the answer to `target`, in order.
fn keys(source: FakeSource, target: &str, pointer: &str) -> String {
    let body: Value = serde_json::from_str(&get(&monitor(source), "", target).body).expect("JSON");
    let object = body.pointer(pointer).and_then(Value::as_object);
    let keys: Vec<_> = object
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.join(" ")
}

/// Keys that no recording has, between the ones they stand next to.
#[test]
fn rare_keys_of_varz_have_their_places() {
    let mut source = FakeSource::tls();
    let facts = &mut source.facts;
    facts.http_base_path.clear();
    facts.tls_ocsp_peer_verify = true;
    facts.ip = "1.2.3.4".to_owned();
    facts.connect_urls = vec!["1.2.3.4:4222".to_owned()];
    facts.ws_connect_urls = vec!["1.2.3.4:80".to_owned()];
    facts.trusted_operators_jwt = vec!["e".to_owned()];
    facts.trusted_operators_claim = vec![serde_json::json!({})];
    source.counters.pinned_account_fails = 1;
    source.counters.ocsp_cache = Some(crate::monitor::varz_sections::OcspCache {
        cache_type: "local".to_owned(),
        cache_hits: 1,
        cache_misses: 2,
        cached_responses: 3,
        cached_revoked_responses: 4,
        cached_good_responses: 5,
        cached_unknown_responses: 6,
    });
    let shown = keys(source, "/varz", "");
    for expected in [
        "tls_required tls_verify tls_ocsp_peer_verify ip connect_urls ws_connect_urls max_connections",
        "feature_flags trusted_operators_jwt trusted_operators_claim system_account \
         pinned_account_fails ocsp_peer_cache slow_consumer_stats",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
}

#[test]
fn rare_keys_of_connections_have_their_places() {
    let mut source = FakeSource::tls();
    let connection = &mut source.open[0];
    connection.account = "A".to_owned();
    connection.user = "u".to_owned();
    connection.stalls = 1;
    connection.jwt = "e".to_owned();
    connection.issuer_key = "A".to_owned();
    connection.tags = vec!["t".to_owned()];
    connection.mqtt_client = "m".to_owned();
    connection.proxy_key = "P".to_owned();
    if let Some(tls) = &mut connection.tls {
        tls.first = true;
    }
    connection.subscriptions = FakeSource::busy().open[2].subscriptions.clone();
    let shown = keys(source, "/connz?auth=1&subs=1", "/connections/0");
    let expected = "out_bytes stalls subscriptions name lang version tls_version tls_cipher_suite \
                    tls_peer_certs tls_first authorized_user account subscriptions_list jwt \
                    issuer_key name_tag tags mqtt_client proxy";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn rare_keys_of_accounts_have_their_places() {
    let mut source = FakeSource::busy();
    let detail = source.details.get_mut("A").expect("an account");
    detail.jwt = "e".to_owned();
    detail.issuer_key = "O".to_owned();
    detail.tags = vec!["t".to_owned()];
    detail.claims = Some(serde_json::json!({}));
    detail.claim_issues = vec![crate::monitor::source::ClaimIssue {
        description: "d".to_owned(),
        blocking: true,
        time_check: false,
    }];
    detail.revoked_users = [("U".to_owned(), Timestamp::default())].into();
    detail.responses = [("_R_.x".to_owned(), detail.imports[0].clone())].into();
    detail.exports[0].token_req = true;
    detail.exports[0].revoked_activations = [("A".to_owned(), Default::default())].into();
    let shown = |pointer| {
        keys(
            FakeSource {
                details: source.details.clone(),
                ..FakeSource::busy()
            },
            "/accountz?acc=A",
            pointer,
        )
    };
    assert!(shown("/account_detail").ends_with(
        "mappings exports imports jwt issuer_key name_tag tags decoded_jwt \
         validation_result_jwt revoked_user sublist_stats responses"
    ));
    assert_eq!(
        shown("/account_detail/exports/0"),
        "subject type token_req response_type service_latency approved_accounts revoked_activations"
    );
    assert_eq!(
        shown("/account_detail/validation_result_jwt/0"),
        "description blocking time_check"
    );
}

/// Streams: every answer about them, but for the directory and what is told of servers.
#[test]
fn jetstream_is_shown_as_the_peer_shows_it() {
    for (name, mut golden) in cases("streams") {
        // The cases of requests have no path; subscriptions and imports are other than ours.
        if golden["path"].is_null() || name == "varz" || name.starts_with("accountz") {
            continue;
        }
        // Ours has no limit of its own.
        if let Some(Value::Object(limits)) = golden.pointer_mut("/body/limits") {
            limits.shift_remove("default_max_consumers");
        }
        let varying = [VARYING, &["store_dir", "ts"]].concat();
        check(FakeSource::streams(), &golden, &varying);
    }
}

#[test]
fn varz_has_a_section_for_jetstream() {
    let mut golden = case("streams", "varz")["body"]["jetstream"].clone();
    let limits = golden["limits"].as_object_mut().expect("limits");
    limits.shift_remove("default_max_consumers");
    let reply = get(&monitor(FakeSource::streams()), "", "/varz");
    let ours: Value = serde_json::from_str(&reply.body).expect("JSON");
    let ours = ours["jetstream"].to_string();
    assert_same("varz", &golden, &ours, &["store_dir"]);
}

#[test]
fn a_stream_that_does_not_run_is_unhealthy() {
    let check = |target: &str, expected: u16| {
        let mut source = FakeSource::streams();
        let jetstream = source.jetstream.as_mut().expect("it has JetStream");
        jetstream.problems = vec![Problem {
            account: "A".to_owned(),
            stream: "S9".to_owned(),
            error: "it does not run".to_owned(),
            is_down: true,
        }];
        assert_eq!(
            get(&monitor(source), "", target).status,
            expected,
            "{target}"
        );
    };
    check("/healthz", 503);
    check("/healthz?account=A&stream=S9", 503);
    check("/healthz?account=A&stream=S1", 200);
    check("/healthz?account=B", 200);
    check("/healthz?js-enabled-only=1", 200);
    check("/healthz?js-server-only=1", 200);
}

#[test]
fn a_full_disk_shows_and_keeps_nobody_out() {
    use crate::monitor::streams::Disk;
    use crate::vfs::space::Level;
    let check = |target: &str, level: Level, expected: Option<&str>| {
        let mut source = FakeSource::streams();
        let jetstream = source.jetstream.as_mut().expect("it has JetStream");
        jetstream.disk = Disk {
            level,
            total: 100,
            available: 5,
        };
        let reply = get(&monitor(source), "", target);
        assert_eq!(reply.status, 200, "{target}");
        let body = reply.body;
        match expected {
            Some(expected) => assert!(body.contains(expected), "{target}: {body}"),
            None => assert!(!body.contains("disk"), "{target}: {body}"),
        }
    };
    check("/healthz", Level::Warn, None);
    check("/healthz", Level::Soft, Some(r#""disk":"soft""#));
    check(
        "/healthz?js-server-only=1",
        Level::Hard,
        Some(r#""disk":"hard""#),
    );
    check("/jsz", Level::Warn, None);
    check("/jsz", Level::Soft, Some(r#""level": "soft""#));
}
