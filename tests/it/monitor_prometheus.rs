//! What Prometheus sees: `/metrics` scraped by a real Prometheus, and the names that the
//! exporter for NATS makes of `/varz`.
//!
//! The binaries `prometheus` and `promtool` are looked for on the PATH and among the tools
//! of the build. Without them a line `skip prometheus: …` says so, which the
//! summary of `tests/run` shows.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::monitor_world::golden::case;
use super::monitor_world::{BUSY, PLAIN, World, eventually, http, without_absent};

/// A program of that name, if there is one.
fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = root.join(target.unwrap_or_else(|| "target".into()));
    let found = std::env::split_paths(&path)
        .chain([target.join("tools/bin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        // Past the capture of the test harness: the log of the run has to show it.
        let _ = writeln!(
            std::io::stderr(),
            "skip prometheus: there is no {name} here"
        );
    }
    found
}

/// A Prometheus that scrapes `target` every second; killed with the value.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    files: tempfile::TempDir,
}

impl Prometheus {
    fn start(program: &PathBuf, target: SocketAddr) -> Prometheus {
        let files = tempfile::tempdir().expect("a folder");
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: natter, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        std::fs::write(files.path().join("prometheus.yml"), config).expect("a file");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let address = address.expect("a free port");
        let log = std::fs::File::create(files.path().join("log")).expect("a log");
        let child = Command::new(program)
            .arg(format!(
                "--config.file={}",
                files.path().join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                files.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        let mut prometheus = Prometheus {
            child,
            address,
            files,
        };
        eventually("prometheus listens", || {
            let ended = prometheus.child.try_wait().expect("a state");
            assert!(ended.is_none(), "it ended: {}", prometheus.log());
            std::net::TcpStream::connect(address).ok()
        });
        prometheus
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.files.path().join("log")).unwrap_or_default()
    }

    /// An answer of its API, once there is one.
    fn api(&self, path: &str) -> Option<Value> {
        let answer = http(self.address, path);
        (answer.status == 200).then(|| serde_json::from_str(&answer.body).expect("JSON"))
    }

    /// The value of a series without labels of its own.
    fn value(&self, series: &str) -> Option<f64> {
        let answer = self.api(&format!("/api/v1/query?query={series}"))?;
        answer["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_scrapes_and_sees_counters_move() {
    let Some(program) = tool("prometheus") else {
        return;
    };
    let world = World::start(PLAIN);
    let mut client = world.client(&json!({}));
    let prometheus = Prometheus::start(&program, world.monitoring());
    eventually("the target is up", || {
        let targets = prometheus.api("/api/v1/targets")?;
        let target = &targets["data"]["activeTargets"][0];
        assert_eq!(target["lastError"].as_str().unwrap_or_default(), "");
        (target["health"] == "up").then_some(())
    });
    let names = prometheus
        .api("/api/v1/label/__name__/values")
        .expect("names");
    let names = names["data"].as_array().expect("names");
    let ours = names
        .iter()
        .filter(|name| name.as_str().is_some_and(|n| n.starts_with("natter_")));
    assert!(ours.count() > 10, "{names:?}");
    let received = || prometheus.value("natter_received_messages_total");
    assert_eq!(eventually("a first value", received), 0.0);
    client.send("PUB a 2\r\nhi\r\nPUB a 2\r\nhi\r\nPUB a 2\r\nhi\r\n");
    client.flush();
    eventually("the counter moves", || (received()? == 3.0).then_some(()));
    assert_eq!(
        eventually("connections", || prometheus.value("natter_connections")),
        1.0
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(program) = tool("promtool") else {
        return;
    };
    let world = World::start(BUSY);
    let _client = world.user("a");
    let metrics = world.get("/metrics");
    assert_eq!(metrics.status, 200);
    let mut check = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut input = check.stdin.take().expect("a pipe");
    input.write_all(metrics.body.as_bytes()).expect("written");
    drop(input);
    let output = check.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// The names the exporter makes of an endpoint: a gauge for each number, nested keys joined.
fn exported(prefix: &str, value: &Value, names: &mut BTreeSet<String>) {
    const STRINGS: [&str; 7] = [
        "server_id",
        "server_name",
        "version",
        "domain",
        "leader",
        "name",
        "start",
    ];
    const SKIPPED: [&str; 2] = ["leaf", "trusted_operators_claim"];
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        let name = format!("{prefix}_{key}");
        match value {
            _ if SKIPPED.contains(&key.as_str()) => {}
            Value::Number(_) => drop(names.insert(name)),
            Value::String(_) if STRINGS.contains(&key.as_str()) || key == "config_load_time" => {
                names.insert(name);
            }
            Value::Object(_) => exported(&name, value, names),
            _ => {}
        }
    }
}

#[test]
fn the_exporter_for_nats_makes_the_same_metrics_of_varz() {
    let world = World::start(BUSY);
    for path in ["/connz", "/subsz"] {
        world.get(path);
    }
    let mut recorded = case("varz", "busy")["body"].clone();
    without_absent(&mut recorded);
    let names = |value: &Value| {
        let mut names = BTreeSet::new();
        exported("gnatsd_varz", value, &mut names);
        names
    };
    let (ours, theirs) = (names(&world.json("/varz")), names(&recorded));
    assert_eq!(ours, theirs);
    assert!(
        ours.contains("gnatsd_varz_in_msgs") && ours.len() > 40,
        "{ours:?}"
    );
}
