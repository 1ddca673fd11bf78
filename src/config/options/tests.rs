//! Tests of reading: which keys there are, what is refused, what is warned about.

use std::collections::BTreeSet;

use proptest::prelude::{Strategy, any, prop_assert, prop_oneof, proptest};

use super::key::Key;
use super::reader::Reader;
use super::reference::sections;
use super::*;
use crate::config::include::NoFiles;
use crate::config::parser;
use crate::config::value::{Node, Position, Value};

fn tree(text: &str) -> Map {
    parser::parse(text, "c.conf", &|_| None, &NoFiles).unwrap_or_else(|e| panic!("{text}: {e:?}"))
}

fn read(text: &str) -> Result<(Options, Vec<ConfigError>), Vec<ConfigError>> {
    Options::from_map(&tree(text))
}

fn options(text: &str) -> Options {
    read(text).unwrap_or_else(|e| panic!("{text}: {e:?}")).0
}

fn texts(errors: &[ConfigError]) -> Vec<String> {
    errors.iter().map(ConfigError::to_string).collect()
}

/// Every key of the published reference, block by block. Independent of the tables on
/// purpose: a row that is lost, or an alias, is missed here.
const PUBLISHED: &[(&str, &str)] = &[
    (
        "",
        "listen host net port server_name client_advertise server_tags server_metadata debug trace \
         trace_verbose trace_headers logtime logtime_utc logfile log_file syslog remote_syslog \
         logfile_size_limit log_size_limit logfile_max_num log_max_num max_traced_msg_len pidfile \
         pid_file ports_file_dir http https http_port monitor_port https_port http_base_path \
         prof_port prof_block_rate max_connections max_conn max_control_line max_payload \
         max_pending max_pending_total max_subscriptions max_subs max_sub_tokens \
         max_subscription_tokens max_closed_clients ping_interval ping_max write_deadline \
         write_timeout no_fast_producer_stall disable_sublist_cache no_sublist_cache \
         lame_duck_duration lame_duck_grace_period connect_error_reports reconnect_error_reports \
         no_header_support proxy_protocol proxies tls allow_non_tls ocsp ocsp_cache authorization \
         no_auth_user accounts mappings maps system_account system no_system_account no_system \
         no_sys_acc operator operators roots root root_operators root_operator trusted \
         trusted_keys resolver_pinned_accounts resolver account_resolver accounts_resolver \
         resolver_tls resolver_preload default_sentinel default_js_domain cluster gateway leaf \
         leafnodes websocket ws mqtt jetstream store_dir storedir feature_flags streaming",
    ),
    (
        "authorization",
        "user username pass password token timeout users default_permission default_permissions \
         permissions auth_callout auth_hook proxy_required",
    ),
    (
        "authorization.auth_callout",
        "issuer account auth_users xkey allowed_accounts",
    ),
    (
        "users[]",
        "nkey user username pass password permission permissions authorization \
         allowed_connection_types connection_types clients proxy_required",
    ),
    (
        "permissions",
        "pub publish import sub subscribe export publish_allow_responses allow_responses",
    ),
    (
        "allow_responses",
        "max max_msgs max_messages max_responses expires expiration ttl",
    ),
    (
        "tls",
        "cert_file key_file ca_file insecure verify verify_and_map \
         verify_cert_and_check_known_urls cipher_suites allow_insecure_cipher_suites \
         curve_preferences min_version timeout connection_rate_limit pinned_certs handshake_first \
         first immediate ocsp_peer certs certificates cert_store cert_match_by cert_match \
         ca_certs_match cert_match_skip_invalid",
    ),
    ("tls.certs[]", "cert_file key_file"),
    (
        "tls.ocsp_peer",
        "verify ca_timeout allowed_clockskew warn_only unknown_is_good allow_when_ca_unreachable \
         cache_ttl_when_next_update_unset",
    ),
    (
        "accounts.NAME",
        "nkey users imports exports jetstream default_permissions mappings maps limits msg_trace \
         trace_dest",
    ),
    (
        "accounts.NAME.limits",
        "max_connections max_conn max_subscriptions max_subs max_payload max_pay max_leafnodes \
         max_leafs",
    ),
    (
        "accounts.NAME.jetstream",
        "max_mem max_file max_streams max_consumers max_bytes_required mem_max_stream_bytes \
         disk_max_stream_bytes max_ack_pending cluster_traffic",
    ),
    ("accounts.NAME.msg_trace", "dest sampling"),
    (
        "accounts.NAME.exports[]",
        "stream service accounts response response_type threshold response_threshold \
         response_max_time response_time latency account_token_position allow_trace",
    ),
    ("accounts.NAME.exports[].latency", "sampling subject"),
    (
        "accounts.NAME.imports[]",
        "stream service to prefix share allow_trace",
    ),
    ("accounts.NAME.imports[].stream|service", "account subject"),
    ("mappings.SUBJECT[]", "destination dest weight cluster"),
    (
        "cluster",
        "name listen host net port authorization routes tls cluster_advertise advertise \
         no_advertise connect_retries connect_backoff permissions pool_size accounts compression \
         ping_interval ping_max write_deadline write_timeout",
    ),
    ("compression", "mode rtt_thresholds thresholds rtts rtt"),
    (
        "gateway",
        "name listen host net port authorization tls advertise connect_retries connect_backoff \
         gateways reject_unknown reject_unknown_cluster write_deadline write_timeout",
    ),
    ("gateway.gateways[]", "name url urls tls"),
    (
        "leafnodes",
        "listen host net port authorization remotes reconnect reconnect_delay reconnect_interval \
         dial_timeout tls leafnode_advertise advertise no_advertise min_version minimum_version \
         compression isolate_leafnode_interest isolate write_deadline write_timeout",
    ),
    (
        "leafnodes.authorization",
        "user pass nkey timeout account proxy_required users",
    ),
    (
        "leafnodes.authorization.users[]",
        "user pass account proxy_required",
    ),
    (
        "leafnodes.remotes[]",
        "url urls account local creds credentials nkey seed tls hub deny_imports deny_import \
         deny_exports deny_export no_randomize dont_randomize ws_compress ws_compression \
         websocket_compress websocket_compression ws_no_masking websocket_no_masking \
         jetstream_cluster_migrate js_cluster_migrate isolate_leafnode_interest isolate \
         request_isolation compression first_info_timeout dial_timeout disabled \
         ignore_discovered_servers proxy",
    ),
    (
        "leafnodes.remotes[].jetstream_cluster_migrate",
        "leader_migrate_delay",
    ),
    ("leafnodes.remotes[].proxy", "url username password timeout"),
    (
        "websocket",
        "listen host net port advertise tls no_tls same_origin allowed_origin allowed_origins \
         handshake_timeout compress compression authorization authentication no_auth_user \
         jwt_cookie user_cookie pass_cookie token_cookie headers ping_interval",
    ),
    ("websocket|mqtt.authorization", "user pass token timeout"),
    (
        "mqtt",
        "listen host net port tls authorization authentication no_auth_user ack_wait ackwait \
         js_api_timeout api_timeout max_ack_pending max_pending max_inflight js_domain \
         stream_replicas consumer_replicas consumer_memory_storage consumer_inactive_threshold \
         consumer_auto_cleanup reject_qos2_publish downgrade_qos2_subscribe",
    ),
    (
        "jetstream",
        "enabled store_dir max_mem max_memory_store max_file max_file_store sync_interval sync \
         domain unique_tag extension_hint strict key prev_key cipher tpm limits max_buffered_msgs \
         max_buffered_size max_outstanding_catchup request_queue_limit info_queue_limit \
         meta_compact meta_compact_size meta_compact_sync max_concurrent_io",
    ),
    (
        "jetstream.limits",
        "max_ack_pending max_ha_assets max_request_batch duplicate_window batch",
    ),
    ("ocsp", "mode url urls"),
    (
        "ocsp_cache",
        "type local_store preserve_revoked save_interval",
    ),
    ("proxies", "trusted"),
    ("proxies.trusted[]", "key"),
    (
        "resolver",
        "type dir allow_delete hard_delete interval limit ttl timeout",
    ),
];

#[test]
fn every_key_is_known() {
    let sections = sections();
    for (place, names) in PUBLISHED {
        let known: BTreeSet<&str> = sections
            .iter()
            .filter(|section| section.place == *place)
            .flat_map(|section| section.rows.iter())
            .flat_map(|row| row.names.split('|'))
            .collect();
        for name in names.split_ascii_whitespace() {
            assert!(known.contains(name), "{place:?} has no key {name:?}");
        }
    }
}

#[test]
fn no_key_stands_twice_in_a_block() {
    let mut seen = BTreeSet::new();
    for section in sections() {
        for name in section.rows.iter().flat_map(|row| row.names.split('|')) {
            assert!(
                seen.insert((section.place, name)),
                "{:?} {name}",
                section.place
            );
        }
    }
}

/// Each alias of each key, with its example, is read without an error and changes the block.
fn check_examples<T: Clone + Default + PartialEq>(keys: &[Key<T>]) {
    check_examples_from(keys, &T::default());
}

fn check_examples_from<T: Clone + PartialEq>(keys: &[Key<T>], before: &T) {
    for key in keys {
        for name in key.names.split('|') {
            let map = tree(&format!("{name}: {}", key.example));
            let mut block = before.clone();
            let mut reader = Reader::default();
            reader.map(&map, &mut block, keys);
            assert_eq!(texts(&reader.errors), [""; 0], "{name}: {}", key.example);
            assert!(block != *before, "{name}: {} changes nothing", key.example);
        }
    }
}

#[test]
fn every_example_changes_its_block() {
    check_examples(TOP_KEYS);
    check_examples(listen::KEYS);
    check_examples(limits::KEYS);
    check_examples(logging::KEYS);
    check_examples(monitoring::KEYS);
    check_examples(authorization::TOP_KEYS);
    check_examples(authorization::KEYS);
    check_examples(authorization::CALLOUT_KEYS);
    check_examples(authorization::LINK_KEYS);
    check_examples(users::USER_KEYS);
    check_examples(users::PERMISSION_KEYS);
    check_examples(users::RESPONSE_KEYS);
    check_examples(tls::KEYS);
    check_examples(tls::CERT_KEYS);
    check_examples(ocsp::STAPLING_KEYS);
    check_examples(ocsp::CACHE_KEYS);
    check_examples(ocsp::PEER_KEYS);
    check_examples(accounts::TOP_KEYS);
    check_examples(accounts::KEYS);
    check_examples(accounts::LIMIT_KEYS);
    check_examples(accounts::JETSTREAM_KEYS);
    let trace = crate::account::TraceSpec {
        dest: String::new(),
        sampling: 100,
    };
    check_examples_from(accounts::TRACE_KEYS, &trace);
    check_examples(exports::EXPORT_KEYS);
    check_examples(exports::IMPORT_KEYS);
    check_examples(exports::SOURCE_KEYS);
    let latency = crate::account::export::LatencySpec {
        subject: String::new(),
        sampling: 100,
    };
    check_examples_from(exports::LATENCY_KEYS, &latency);
    check_examples(mappings::DESTINATION_KEYS);
    check_examples(jetstream::TOP_KEYS);
    check_examples(jetstream::KEYS);
    check_examples(jetstream::TPM_KEYS);
    check_examples(jetstream::LIMIT_KEYS);
    check_examples(jetstream::BATCH_KEYS);
    check_examples(cluster::KEYS);
    check_examples_from(compression::KEYS, &compression::Compression::accept());
    check_examples(gateway::KEYS);
    check_examples(gateway::REMOTE_KEYS);
    check_examples(leafnodes::KEYS);
    check_examples(leafnodes::AUTHORIZATION_KEYS);
    check_examples(leafnodes::USER_KEYS);
    check_examples(leafnodes::REMOTE_KEYS);
    check_examples(leafnodes::MIGRATE_KEYS);
    check_examples(leafnodes::PROXY_KEYS);
    check_examples(websocket::KEYS);
    check_examples(mqtt::KEYS);
    check_examples(operator::KEYS);
    check_examples(operator::RESOLVER_KEYS);
    check_examples(proxies::KEYS);
    check_examples(proxies::TRUSTED_KEYS);
    check_examples(streaming::KEYS);
    check_examples(streaming::TLS_KEYS);
    check_examples(streaming::LIMIT_KEYS);
}

#[test]
fn an_empty_file_gives_the_defaults() {
    let options = options("");
    assert_eq!(options, Options::default());
    assert_eq!(options.limits.max_connections, 65536);
    assert_eq!(options.limits.max_pending, 64 << 20);
    assert_eq!(
        options
            .listen
            .endpoint
            .port_or(listen::CLIENT_PORT)
            .to_bind(),
        4222
    );
    assert_eq!(options.listen.endpoint.host_or(listen::ANY_HOST), "0.0.0.0");
    assert_eq!(options.validate(), []);
    assert_eq!(options.refuse_unbuilt(), []);
    assert_eq!(options.start_warnings(), []);
}

#[test]
fn options_are_equal_wherever_their_keys_stand() {
    assert_eq!(options("port: 1"), options("\n\n  port: 1"));
}

/// What is refused while reading: file text, and the whole error.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("foo: 1", "unknown field \"foo\""),
    ("tls { foo: 1 }", "unknown field \"foo\""),
    ("port: x", "\"port\": expected an integer, got a string"),
    ("port: 70000", "port must be from -1 to 65535"),
    ("listen: \"a:b\"", "could not parse port \"b\""),
    ("listen: abc", "could not parse address string \"abc\""),
    ("debug: 1", "\"debug\": expected true or false, got an integer"),
    ("server_name: \"a b\"", "server name cannot contain spaces"),
    ("max_payload: 9GB", "max_payload value is too big"),
    ("max_payload: -1", "max_payload value can not be negative"),
    ("max_sub_tokens: 256", "max_sub_tokens value is too big"),
    ("max_sub_tokens: -1", "max_sub_tokens value can not be negative"),
    ("write_timeout: foo", "write_timeout must be 'default', 'close' or 'retry'"),
    ("write_deadline: \"x\"", "error parsing write_deadline: time: invalid duration \"x\""),
    ("lame_duck_duration: 10s", "invalid lame_duck_duration of 10s, minimum is 30 seconds"),
    ("lame_duck_duration: 60", "\"lame_duck_duration\": expected a duration such as \"2m\", got an integer"),
    ("lame_duck_grace_period: \"-1s\"", "invalid lame_duck_grace_period, needs to be positive"),
    ("tls { cert_file: a }", "missing 'key_file' in TLS configuration"),
    ("tls { cipher_suites: [FOO] }", "unrecognized cipher FOO"),
    ("tls { cipher_suites: [TLS_RSA_WITH_RC4_128_SHA] }",
        "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: TLS_RSA_WITH_RC4_128_SHA"),
    ("tls { min_version: \"1.1\" }", "error parsing tls config: unsupported TLS version: TLS 1.1"),
    ("tls { handshake_first: foo }", "field \"handshake_first\"'s value \"foo\" is invalid"),
    ("tls { verify_cert_and_check_known_urls: true }",
        "verify_cert_and_check_known_urls not supported in this context"),
    ("authorization { user: a, users: [{user: b, password: c}] }",
        "Can not have a single user/pass and a users array"),
    ("authorization { token: a, users: [{user: b, password: c}] }", "Can not have a token and a users array"),
    ("authorization { token: a, user: b, password: c }", "Cannot have a user/pass and token"),
    ("authorization { users: [{user: b, password: c}, {user: b, password: d}] }",
        "Duplicate user \"b\" detected"),
    ("accounts { A: {users: [{user: a, password: b}]} }\nauthorization {users: [{user: a, password: b}]}",
        "Duplicate user \"a\" detected"),
    ("authorization { users: [{password: b}] }", "User entry requires a user"),
    ("authorization { users: [{nkey: b}] }", "Not a valid public nkey for a user"),
    ("authorization { users: [{user: b, connection_types: [FOO]}] }", "invalid connection types [\"FOO\"]"),
    ("authorization { users: [{user: b, permissions: {publish: \"foo..bar\"}}] }",
        "subject \"foo..bar\" is not a valid subject"),
    ("authorization { users: [{user: b, permissions: {publish: \"a b\"}}] }",
        "subject \"a b\" is not a valid subject"),
    ("authorization { users: [{user: b, permissions: {publish: {foo: a}}}] }",
        "Unknown field name \"foo\" parsing subject permissions, only 'allow' or 'deny' are permitted"),
    ("authorization { users: [{user: b, permissions: {allow_responses: {expires: 5}}}] }",
        "error parsing expires, not a duration string"),
    ("accounts { \"$G\": {} }", "\"$G\" is a Reserved Account"),
    ("accounts: [A, A]", "Duplicate Account Entry: A"),
    ("accounts { A: 5 }", "Expected map entries for accounts"),
    ("accounts { A: {exports: [{stream: a, service: b}]} }",
        "Detected service \"b\" but already saw a stream"),
    ("accounts { A: {exports: [{stream: a, response: stream}]} }", "Detected response directive on non-service"),
    ("accounts { A: {exports: [{service: a, response: foo}]} }", "Unknown response type: \"foo\""),
    ("accounts { A: {exports: [{service: a, latency: {sampling: 150, subject: b}}]} }",
        "bad sampling percentage, should be 1-100"),
    ("accounts { A: {imports: [{service: {account: B, subject: b}, allow_trace: true}]} }",
        "Detected allow_trace directive on a non-stream"),
    ("accounts { A: {imports: [{stream: {account: B, subject: b}, prefix: x, to: y}]} }",
        "Stream import can not have a 'prefix' and a 'to' property"),
    ("accounts { A: {imports: [{service: {account: B, subject: b}}, {service: {account: C, subject: c}, to: b}]} }",
        "Duplicate service import subject \"b\", previously used in import for account \"B\", subject \"b\""),
    ("accounts { A: {mappings: {a: {dest: b}}} }", "Missing weight for mapping destination \"b\""),
    ("accounts { A: {mappings: {a: {dest: b, weight: 150}}} }", "Invalid weight 150 for mapping destination"),
    ("mappings: {a: [{dest: b, weight: 60}, {dest: c, weight: 60}]}",
        "Error adding mapping for \"a\" : total weight needs to be <= 100"),
    ("cluster: 5", "\"cluster\": expected a map, got an integer"),
    ("cluster { name: \"a b\" }", "cluster name cannot contain spaces"),
    ("cluster { authorization { token: a } }", "Cluster authorization does not support tokens"),
    ("cluster { compression: foo }", "unsupported compression mode \"foo\""),
    ("cluster { routes: [\"nats://h:p\"] }", "error parsing route url: invalid port"),
    ("gateway { authorization { users: [{user: a, password: b}] } }",
        "Gateway authorization does not allow multiple users"),
    ("leafnodes { min_version: \"2.7.0\" }", "the minimum version should be at least 2.8.0"),
    ("leafnodes { remotes: [{url: \"nats://h\"}, {url: \"nats://h\"}] }",
        "duplicate remote urls=[\"nats://h\"], account=\"$G\""),
    ("leafnodes { remotes: [{url: \"ws://h\", proxy: {url: \"ftp://p:1\"}}] }",
        "proxy URL scheme must be http or https, got: ftp"),
    ("mqtt { max_ack_pending: 70000 }", "invalid value 70000, should in [0..65535] range"),
    ("jetstream: foo", "Expected 'enabled' or 'disabled' for string value, got 'foo'"),
    ("jetstream { max_concurrent_io: 3 }",
        "Expected an absolute size for \"max_concurrent_io\" between 4 and 8192, got 3"),
    ("jetstream { cipher: foo }", "Unknown cipher type: \"foo\""),
    ("jetstream { store_dir: a }\nstore_dir: b", "Duplicate 'store_dir' configuration"),
    ("trusted: foo", "trust key \"foo\" required to be a valid public operator nkey"),
    ("resolver: {type: full, dir: x, ttl: 5s}", "FULL does not accept ttl"),
    ("proxies: {trusted: [{key: x}]}", "invalid proxy key \"x\""),
    ("ocsp: {mode: foo}", "error parsing ocsp config: unsupported ocsp mode foo"),
    ("streaming { hb_interval: 5 }", "\"hb_interval\": expected a duration such as \"2m\", got an integer"),
];

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (text, expected) in REFUSED {
        let errors = read(text).expect_err(text);
        let texts = texts(&errors);
        assert!(
            texts.len() == 1 && texts[0].ends_with(&format!(": {expected}")),
            "{text}\n{texts:#?}"
        );
        assert!(texts[0].starts_with("c.conf:"), "{text}\n{texts:#?}");
    }
}

#[test]
fn every_error_is_told_with_its_place() {
    let text = "port: x\ntls {\n  foo: 1\n  timeout: \"x\"\n}\nbar: 2\n";
    let errors = read(text).expect_err(text);
    assert_eq!(
        texts(&errors),
        [
            "c.conf:1:1: \"port\": expected an integer, got a string",
            "c.conf:3:3: unknown field \"foo\"",
            "c.conf:4:3: error parsing timeout: time: invalid duration \"x\"",
            "c.conf:6:1: unknown field \"bar\"",
        ]
    );
}

#[test]
fn zero_seconds_mean_the_default() {
    let text =
        "authorization {timeout: 0}\ntls {timeout: 0.0}\nwrite_deadline: \"0s\"\nmax_payload: 0";
    let options = options(text);
    assert_eq!(options.authorization.timeout, None);
    assert_eq!(options.tls.expect("tls").timeout, tls::HANDSHAKE_TIMEOUT);
    assert_eq!(options.limits, limits::Limits::default());
}

#[test]
fn a_user_that_occurs_twice_is_told_with_its_place() {
    let text = "accounts {\n  A {users: [{user: a}]}\n  B.c {users: [{user: b},\n {user: a}]}\n}\n\
                authorization {users: [\n{user: b}]}";
    let errors = read(text).expect_err(text);
    assert_eq!(
        texts(&errors),
        [
            "c.conf:4:2: Duplicate user \"a\" detected",
            "c.conf:7:1: Duplicate user \"b\" detected",
        ]
    );
}

#[test]
fn a_variable_among_accounts_is_no_account() {
    let options = options("accounts { PASS: x, A: {users: [{user: a, password: $PASS}]} }");
    assert_eq!(options.accounts.accounts.len(), 1);
}

#[test]
fn a_key_that_serves_as_a_variable_may_be_unknown() {
    let options = options("MINE: 4333\nport: $MINE\n");
    assert_eq!(
        options.listen.endpoint.port,
        Some(endpoint::Port::Fixed(4333))
    );
}

#[test]
fn a_number_of_seconds_is_taken_with_a_warning() {
    let (options, warnings) = read("write_deadline: 5").expect("valid");
    assert_eq!(options.limits.write_deadline.as_secs(), 5);
    assert_eq!(
        texts(&warnings),
        [
            "c.conf:1:1: invalid use of field \"write_deadline\": write_deadline should be converted \
          to a duration"
        ]
    );
}

/// What is refused between sections.
#[rustfmt::skip]
const INVALID: &[(&str, &str)] = &[
    ("lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"40s\"",
        "lame duck grace period (40s) should be strictly lower than lame duck duration (30s)"),
    ("max_payload: 8MB\nmax_pending: 1MB", "max_payload (8388608) cannot be higher than max_pending (1048576)"),
    ("http: -1\nhttps: 8443\ntls {cert_file: a, key_file: b}",
        "can't specify both HTTP (-1) and HTTPs (8443) ports"),
    ("https: 8443", "TLS cert and key required for HTTPS"),
    ("client_advertise: \"x:y\"", "client_advertise value of \"x:y\" is no host[:port]"),
    ("tls {}", "tls has no certificate: 'cert_file' and 'key_file', or 'certs', are required"),
    ("tls {cert_file: a, key_file: b, curve_preferences: [CurveP521]}",
        "this server speaks none of the curve_preferences"),
    ("tls {cert_file: a, key_file: b, cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]}",
        "this server speaks none of the cipher_suites"),
    ("no_auth_user: foo", "no_auth_user: \"foo\" present, but users/nkeys are not defined"),
    ("no_auth_user: foo\nauthorization {users: [{user: b, password: c}]}",
        "no_auth_user: \"foo\" not present as user or nkey in authorization block or account configuration"),
    ("system_account: FOO", "error resolving system account: account missing"),
    ("default_js_domain: {A: x}", "in non operator mode, `default_js_domain` references non existing account \"A\""),
    ("default_sentinel: x", "default sentinel requires operators and accounts"),
    ("resolver: {type: full, dir: x}", "no operator key found"),
    ("operator: x", "operators require an account resolver to be configured"),
    ("operator: x\nresolver: MEMORY\naccounts {A {}}", "operators do not allow Accounts to be configured directly"),
    ("operator: x\nresolver: MEMORY\nauthorization {users: [{user: b, password: c}]}",
        "operators do not allow users to be configured directly"),
    ("operator: x\nresolver: {type: full, dir: x}",
        "using nats based account resolver - the system account needs to be specified in configuration or the operator jwt"),
    ("cluster {name: A, port: 6222, pool_size: -1, accounts: [A]}",
        "pool_size cannot be negative if pinned accounts are specified"),
    ("cluster {port: 6222}\njetstream: enabled\nserver_name: a", "jetstream cluster requires `cluster.name` to be set"),
    ("jetstream {domain: \"a.b\"}", "invalid domain name: may not contain ., * or >"),
    ("jetstream {domain: \"a b\"}", "invalid domain name: derived \"$JS.a b.API.>\" is not a valid subject"),
    ("jetstream {key: a, tpm {keys_file: a}}", "JetStream encryption key may not be used with TPM options"),
    ("accounts {\"$SYS\" {jetstream: enabled}}", "Not allowed to enable JetStream on the system account"),
    ("gateway {port: 7222}", "gateway has no name"),
    ("gateway {name: A}", "gateway \"A\" has no port specified (select -1 for random port)"),
    ("gateway {name: A, port: 1}\ncluster {name: B}",
        "cluster name conflicts between cluster and gateway definitions"),
    ("gateway {name: A, port: 1, gateways: [{name: B}]}", "gateway \"B\" has no URL"),
    ("leafnodes {remotes: [{url: \"nats://h\", account: X}]}",
        "cannot find local account \"X\" specified in leafnode remote"),
    ("leafnodes {remotes: [{urls: [\"nats://h\", \"ws://h\"]}]}",
        "remote leaf node configuration cannot have a mix of websocket and non-websocket urls"),
    ("leafnodes {port: 1}\ngateway {name: A, port: 1}\nno_system_account: true",
        "leaf nodes and gateways (both being defined) require a system account to also be configured"),
    ("websocket {port: 1}", "websocket requires TLS configuration"),
    ("websocket {port: 1, no_tls: true, headers: {Host: a}}", "websocket: invalid header \"Host\" not allowed"),
    ("websocket {port: 1, no_tls: true, authorization {user: a, password: b}}\nauthorization {users: [{user: b, password: c}]}",
        "websocket authentication username not compatible with presence of users/nkeys"),
    ("mqtt {port: 1}", "mqtt requires JetStream to be enabled if running in standalone mode"),
    ("mqtt {port: 1}\ncluster {name: A, port: 1}", "mqtt requires server name to be explicitly set"),
];

#[test]
fn what_is_wrong_between_sections_is_refused() {
    for (text, expected) in INVALID {
        let errors = options(text).validate();
        let messages: Vec<&str> = errors.iter().map(|e| e.message.as_str()).collect();
        assert_eq!(messages, [*expected], "{text}");
        assert!(errors[0].position.is_some(), "{text}");
    }
}

/// What is read and checked, but refused at start: file text, where, and a word of it.
#[rustfmt::skip]
const UNBUILT: &[(&str, &[&str], &str)] = &[
    ("default_js_domain {A: x}", &["1:1"], "domains"),
    ("jetstream {domain: hub}", &["1:12"], "domains"),
    ("jetstream {extension_hint: will_extend}", &["1:12"], "extension_hint"),
    ("jetstream {key: a}", &["1:12"], "encryption"),
    ("jetstream {prev_key: a\n cipher: aes}", &["1:12", "2:2"], "encryption"),
    ("jetstream {tpm {keys_file: k, encryption_password: p}}", &["1:12"], "encryption"),
    ("cluster {}", &["1:1"], "cluster"),
    ("gateway {}", &["1:1"], "gateway"),
    ("leaf {}", &["1:1"], "leafnodes"),
    ("ws {}", &["1:1"], "websocket"),
    ("mqtt {}", &["1:1"], "mqtt"),
    ("streaming {}", &["1:1"], "streaming"),
    ("operator: x", &["1:1"], "operator mode"),
    ("resolver: MEM", &["1:1"], "resolvers"),
    ("default_sentinel: x", &["1:1"], "operator mode"),
    ("authorization {proxy_required: true}", &["1:16"], "proxy_required"),
    ("authorization {users: [{user: a, proxy_required: true}]}", &["1:34"], "proxy_required"),
    ("tls {ocsp_peer: true}", &["1:6"], "ocsp_peer"),
    ("tls {cert_store: x}", &["1:6"], "Windows"),
    ("ocsp: true", &["1:1"], "ocsp"),
    ("ocsp_cache: true", &["1:1"], "ocsp_cache"),
    ("proxy_protocol: true", &["1:1"], "proxy_protocol"),
    ("syslog: true", &["1:1"], "syslog"),
    ("remote_syslog: x", &["1:1"], "remote_syslog"),
    ("prof_port: 1", &["1:1"], "profiler"),
    ("accounts {A {exports: [{service: a}, {service: b, latency: c}]}}", &["1:51"], "latency"),
    ("accounts {A {exports: [{service: a, allow_trace: true}]}}", &["1:37"], "tracing"),
    ("accounts {A {msg_trace: t}}", &["1:14"], "tracing"),
];

#[test]
fn what_is_not_built_is_refused_at_start_with_its_place() {
    for (text, places, word) in UNBUILT {
        let errors = options(text).refuse_unbuilt();
        let actual = texts(&errors);
        assert_eq!(actual.len(), places.len(), "{text}\n{actual:#?}");
        for (error, place) in actual.iter().zip(*places) {
            assert!(
                error.starts_with(&format!("c.conf:{place}: ")) && error.contains(word),
                "{text}\n{error}"
            );
        }
    }
}

#[test]
fn what_is_switched_off_is_not_refused() {
    let text = "jetstream: disabled\nocsp: false\nocsp_cache: false\nproxy_protocol: no\n\
                syslog: false\nprof_port: 0\ntls {ocsp_peer: false, cert_file: a, key_file: b}\n\
                accounts {A {jetstream: false}}";
    assert_eq!(options(text).refuse_unbuilt(), []);
}

#[test]
fn what_belongs_to_streams_is_accepted() {
    let text = "jetstream {max_mem: 1GB, max_file: 1GB, sync_interval: always, strict: false\n\
                unique_tag: 'az:', limits {max_ack_pending: 10}}\nstore_dir: x\n\
                accounts {A {jetstream: enabled}, B {jetstream {max_mem: 1MB}}}";
    assert_eq!(options(text).refuse_unbuilt(), []);
}

#[test]
fn what_a_flag_asks_for_is_refused_without_a_place() {
    let mut options = Options::default();
    options.listen.proxy_protocol = true;
    assert_eq!(
        texts(&options.refuse_unbuilt()),
        ["proxy_protocol is not part of this release"]
    );
}

#[test]
fn keys_without_effect_are_warned_about() {
    let options = options(
        "disable_sublist_cache: true\nfeature_flags {x: true}\nmax_payload: 9MB\n\
         max_connections: -1\nauthorization {password: p, user: u}",
    );
    let warnings = texts(&options.start_warnings());
    for word in [
        "disable_sublist_cache",
        "feature_flags",
        "8.00 MB",
        "max_connections",
        "Plaintext",
    ] {
        assert!(
            warnings.iter().any(|w| w.contains(word)),
            "{word}: {warnings:#?}"
        );
    }
    assert_eq!(warnings.len(), 5, "{warnings:#?}");
}

#[test]
fn debug_shows_no_secret() {
    let text = "authorization {user: u, password: hush}\n\
                accounts {A {users: [{user: a, password: hush}]}}\n\
                cluster {routes: [\"nats://u:hush@h:1\"], authorization {user: a, password: hush}}\n\
                websocket {authorization {token: hush}}\n\
                leafnodes {remotes: [{url: \"nats://hush@h\"}], authorization {user: x, password: hush}}\n\
                jetstream {key: hush, tpm {keys_file: k, srk_password: hush}}\n\
                streaming {password: hush, ns: \"nats://u:hush@h\", sql {source: hush}}\n\
                default_sentinel: hush";
    let shown = format!("{:?}", options(text));
    assert!(!shown.contains("hush"), "{shown}");
}

#[test]
fn a_typical_file_is_read() {
    let options = options(
        r#"
        listen: 127.0.0.1:-1
        http: 8222
        server_tags: ["AZ:1", " disk:ssd ", "az:1"]
        accounts {
          A {
            users [ { user: a, password: "$2a$10$abcdefghijklmnopqrstuv" , permissions {
              publish: { allow: ["a.>"], deny: "a.b" }
              subscribe: ["x", "y q*"]
              allow_responses: { max: 5, expires: "1m" }
            } } ]
            exports [ { service: "s.*", response: stream, threshold: "5s", accounts: [B] } ]
            mappings { "m.*": [ { dest: "n.$1", weight: "30%" }, { dest: o, weight: 70 } ] }
            limits { max_conn: -1, max_subs: 5 }
          }
          B { imports [ { service: { account: A, subject: "s.x" }, to: t } ] }
        }
        "#,
    );
    let a = options.accounts.get("A").expect("A");
    assert_eq!(options.listen.endpoint.port, Some(endpoint::Port::Random));
    assert_eq!(
        options.monitoring.http.port,
        Some(endpoint::Port::Fixed(8222))
    );
    assert_eq!(options.listen.server_tags, ["az:1", "disk:ssd"]);
    assert_eq!(a.users[0].account, "A");
    let permissions = a.users[0].permissions.as_ref().expect("permissions");
    assert_eq!(permissions.publish.as_ref().expect("publish").deny, ["a.b"]);
    assert_eq!(permissions.allow_responses.expect("responses").max_msgs, 5);
    assert_eq!(a.mappings[0].destinations[0].weight, 30);
    assert_eq!(a.limits.connections_max, None);
    assert_eq!(a.limits.subscriptions_max, Some(5));
    assert_eq!(options.start_warnings(), []);
}

/// Any tree, mostly of keys that exist somewhere.
fn any_map() -> impl Strategy<Value = Map> {
    let names: Vec<&'static str> = sections()
        .iter()
        .flat_map(|section| section.rows.iter())
        .flat_map(|row| row.names.split('|'))
        .collect();
    let name = prop_oneof![
        9 => proptest::sample::select(names).prop_map(str::to_owned),
        1 => ".*",
    ];
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        (-2_i64..3).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Datetime),
        ".{0,20}".prop_map(Value::String),
        "[a-z0-9.:*>/%@ -]{0,12}".prop_map(Value::String),
    ];
    let value = leaf.prop_recursive(4, 64, 8, move |inner| {
        let entry = (name.clone(), inner.clone(), any::<bool>());
        prop_oneof![
            proptest::collection::vec(inner, 0..5)
                .prop_map(|values| Value::Array(values.into_iter().map(node).collect())),
            proptest::collection::vec(entry, 0..8).prop_map(|entries| {
                let entries = entries
                    .into_iter()
                    .map(|(key, value, used_as_variable)| Entry {
                        key,
                        position: node(Value::Bool(true)).position,
                        node: node(value),
                        used_as_variable,
                    });
                Value::Map(Map {
                    entries: entries.collect(),
                })
            }),
        ]
    });
    value.prop_map(|value| match value {
        Value::Map(map) => map,
        _ => Map::default(),
    })
}

fn node(value: Value) -> Node {
    let position = Position {
        file: "-".into(),
        line: 1,
        column: 1,
    };
    Node { value, position }
}

proptest! {
    #[test]
    fn any_tree_gives_options_or_errors(map in any_map()) {
        match Options::from_map(&map) {
            Ok((options, _)) => {
                options.validate();
                options.refuse_unbuilt();
                options.start_warnings();
            }
            Err(errors) => prop_assert!(!errors.is_empty()),
        }
    }
}
