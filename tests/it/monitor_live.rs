//! What figures do while a server works: bounds, order, caches, many links, TLS, lame duck.

use std::time::{Duration, Instant};

use natter::net::Wire;
use natter::net::tls::connector::Connector;
use natter::net::tls::{Pem, TlsSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::monitor_world::{Answer, BUSY, Client, PATIENCE, PLAIN, World, eventually};

fn named(world: &World, name: &str) -> Client {
    world.client(&json!({"name": name}))
}

/// The names of the connections that `path` shows, in its order.
fn names(world: &World, path: &str) -> Vec<String> {
    let answer = world.json(path);
    let connections = answer["connections"].as_array().expect("a list");
    let name = |connection: &Value| connection["name"].as_str().unwrap_or_default().to_owned();
    connections.iter().map(name).collect()
}

#[test]
fn connections_are_sorted_and_shown_by_pages() {
    let world = World::start(PLAIN);
    let mut clients: Vec<Client> = ["a", "b", "c"].map(|name| named(&world, name)).into();
    clients[1].send("SUB x 1\r\nSUB y 2\r\n");
    clients[1].flush();
    clients[2].send("SUB z 1\r\nPUB x 3\r\nhey\r\n");
    clients[2].flush();
    clients[1].flush();
    let check = |path: &str, expected: &[&str]| assert_eq!(names(&world, path), expected, "{path}");
    check("/connz", &["a", "b", "c"]);
    check("/connz?sort=subs", &["b", "c", "a"]);
    check("/connz?sort=subs&limit=1", &["b"]);
    check("/connz?sort=subs&limit=1&offset=1", &["c"]);
    check("/connz?offset=3", &[]);
    check("/connz?sort=msgs_to&limit=1", &["b"]);
    check("/connz?sort=bytes_from&limit=1", &["c"]);
    check("/connz?sort=start", &["a", "b", "c"]);
    check(&format!("/connz?cid={}", clients[2].cid()), &["c"]);
    let detail = world.json(&format!("/connz?cid={}&subs=detail", clients[1].cid()));
    let connection = &detail["connections"][0];
    assert_eq!(
        (&connection["out_msgs"], &connection["out_bytes"]),
        (&json!(1), &json!(3))
    );
    let list = connection["subscriptions_list_detail"]
        .as_array()
        .expect("a list");
    let x = list.iter().find(|sub| sub["subject"] == "x").expect("x");
    assert_eq!((&x["sid"], &x["msgs"]), (&json!("1"), &json!(1)));
    let total = |path: &str| world.json(path)["total"].clone();
    assert_eq!(total("/subsz?subs=1&acc=$G&test=y"), 1);
    assert_eq!(total("/subsz?subs=1&acc=$G&test=nothing"), 0);
}

#[test]
fn no_more_closed_connections_are_remembered_than_configured() {
    let world = World::start(&format!("{PLAIN}\nmax_closed_clients: 2\n"));
    for name in ["one", "two", "three"] {
        drop(named(&world, name));
        eventually("its end", || {
            let closed = names(&world, "/connz?state=closed");
            closed.iter().any(|known| known == name).then_some(())
        });
    }
    assert_eq!(
        names(&world, "/connz?state=closed&sort=stop"),
        ["three", "two"]
    );
    let closed = world.json("/connz?state=closed");
    for connection in closed["connections"].as_array().expect("a list") {
        assert_eq!(connection["reason"], "Client Closed");
        assert_eq!(connection["idle"], "0s");
        assert!(connection["stop"].as_str() >= connection["last_activity"].as_str());
    }
}

#[test]
fn activity_is_seen() {
    let world = World::start(PLAIN);
    let mut client = named(&world, "a");
    let activity = || world.json("/connz")["connections"][0]["last_activity"].clone();
    let before = activity();
    client.send("PUB a 2\r\nhi\r\n");
    client.flush();
    let after = activity();
    assert!(after.as_str() > before.as_str(), "{before} {after}");
    assert_eq!(activity(), after, "asking is no activity");
}

/// The server counts subscriptions of its own, as the incumbent does: those that answer
/// system requests. They are in the sum, and an account shows which are whose.
#[test]
fn caches_tell_lookups_hits_and_fan_out() {
    let world = World::start(PLAIN);
    let mut listeners = [named(&world, "a"), named(&world, "b")];
    for listener in &mut listeners {
        listener.send("SUB x 1\r\nSUB x workers 2\r\n");
        listener.flush();
    }
    let before = world.json("/subsz?acc=$G");
    let mut speaker = named(&world, "c");
    for _ in 0..10 {
        speaker.send("PUB x 2\r\nhi\r\n");
    }
    speaker.flush();
    let after = world.json("/subsz?acc=$G");
    let more = |key: &str| after[key].as_u64().unwrap() - before[key].as_u64().unwrap();
    assert_eq!(more("num_matches"), 10);
    assert_eq!(more("num_cache"), 1);
    assert_eq!(after["max_fanout"], 3, "two plain ones and one group");
    assert_eq!(after["avg_fanout"], 3);
    assert_eq!(
        after["cache_hit_rate"], 0.8,
        "the first two walk, the second is kept"
    );
    drop(speaker);
    eventually("its cache is gone, what it did is not", || {
        let figures = world.json("/subsz?acc=$G");
        (figures["num_cache"] == 0 && figures["num_matches"] == after["num_matches"]).then_some(())
    });
}

#[test]
fn two_thousand_links_are_shown_quickly() {
    let world = World::start(&format!("{PLAIN}\nmax_connections: 3000\n"));
    let clients: Vec<Client> = (0..2000).map(|_| world.client(&json!({}))).collect();
    for path in ["/varz", "/healthz", "/metrics", "/connz?limit=2000&subs=1"] {
        let began = Instant::now();
        assert_eq!(world.get(path).status, 200);
        let took = began.elapsed();
        println!("{path}: {took:?}");
        assert!(took < Duration::from_secs(5), "{path} took {took:?}");
    }
    assert_eq!(world.json("/varz")["connections"], clients.len());
}

#[test]
fn lame_duck_is_announced() {
    let world = World::start(&format!(
        "{BUSY}\nlame_duck_duration: '30s'\nlame_duck_grace_period: '1s'\n"
    ));
    let mut watcher = world.user("sys");
    watcher.send("SUB $SYS.SERVER.*.LAMEDUCK 1\r\n");
    watcher.flush();
    let server = std::sync::Arc::clone(&world.server);
    world.runtime.spawn(async move { server.lame_duck().await });
    let told = watcher.message();
    assert_eq!(
        told.subject,
        format!("$SYS.SERVER.{}.LAMEDUCK", watcher.server_id())
    );
    assert_eq!(told.json()["name"], "golden");
}

/// Asks over TLS, trusting `certificate`.
async fn https(address: std::net::SocketAddr, certificate: &str, path: &str) -> Answer {
    let settings = TlsSettings {
        authorities: Some(Pem {
            label: "ca".to_owned(),
            bytes: certificate.as_bytes().to_vec(),
        }),
        timeout: PATIENCE,
        ..TlsSettings::default()
    };
    let connector = Connector::new(&settings, false).expect("a connector");
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a port");
    let wire = connector
        .connect(stream, "localhost")
        .await
        .expect("a handshake")
        .0;
    let Wire::Owned(mut wire) = wire else {
        panic!("a tls wire is owned")
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    wire.write_all(request.as_bytes()).await.expect("sent");
    wire.flush().await.expect("flushed");
    let mut text = Vec::new();
    // The end of TLS may be missing; what came counts.
    let _ = wire.read_to_end(&mut text).await;
    Answer::parse(&String::from_utf8_lossy(&text))
}

#[test]
fn https_asks_no_client_for_a_certificate() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    std::fs::write(path("s.pem"), signed.cert.pem()).unwrap();
    std::fs::write(path("s.key"), signed.signing_key.serialize_pem()).unwrap();
    let world = World::start(&format!(
        "listen: '127.0.0.1:-1'\nhttps: '127.0.0.1:-1'\nhttp_base_path: base\n\
         tls {{ cert_file: '{0}', key_file: '{1}', ca_file: '{0}', verify: true }}\n",
        path("s.pem"),
        path("s.key")
    ));
    let certificate = signed.cert.pem();
    let get = |path: &str| {
        let asking = https(world.monitoring(), &certificate, path);
        world.runtime.block_on(asking)
    };
    let varz: Value = serde_json::from_str(&get("/base/varz").body).expect("JSON");
    assert_eq!(
        (&varz["https_port"], &varz["http_port"]),
        (&json!(-1), &json!(0))
    );
    assert_eq!(varz["tls_verify"], true);
    assert!(varz["tls_cert_not_after"].is_string(), "{varz}");
    assert_eq!(get("/varz").status, 404);
}
