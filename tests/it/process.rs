//! The server as a process: its files, its signals, its log, its exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own directory; killed when the test ends before it does.
struct Process {
    dir: tempfile::TempDir,
    child: Child,
}

fn natter(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natter"));
    command.args(args).output().expect("the binary is there")
}

impl Process {
    /// Starts a server that logs to `log`, and waits until it listens.
    fn start(config: &str) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let config = format!("logfile: '{}'\n{config}", at("log"));
        fs::write(at("natter.conf"), config).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_natter"))
            .args(["server", "-a", "127.0.0.1", "-p", "-1"])
            .args(["-c", &at("natter.conf"), "-P", &at("pid")])
            .args(["--ports_file_dir", &at("")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Process { dir, child };
        process.wait_for("log", "Server is ready");
        process
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn ports_file(&self) -> PathBuf {
        self.path(&format!("natter_{}.ports", self.child.id()))
    }

    /// Waits until a file contains a text.
    fn wait_for(&self, file: &str, text: &str) {
        let what = format!("{text:?} in {file}");
        wait_until(&what, || self.read(file).contains(text));
    }

    /// Sends a signal as an operator does, by pid file.
    fn signal(&self, command: &str) {
        let what = format!("{command}={}", self.path("pid").display());
        let output = natter(&["server", "--signal", &what]);
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits for its end; gives the exit code.
    fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn exists(path: &Path) -> bool {
    path.try_exists().unwrap()
}

#[test]
fn it_shows_itself_by_files_and_ends_in_order() {
    for signal in ["quit", "term"] {
        let mut process = Process::start("");
        let id = process.child.id();
        wait_until("the ports file", || exists(&process.ports_file()));
        assert_eq!(process.read("pid"), id.to_string());
        let ports = fs::read_to_string(process.ports_file()).unwrap();
        let ports: serde_json::Value = serde_json::from_str(&ports).unwrap();
        let url = ports["nats"][0].as_str().unwrap();
        let address = url.strip_prefix("nats://").unwrap();
        std::net::TcpStream::connect(address).unwrap();
        let line = format!("Listening for client connections on {address}\n");
        assert!(process.read("log").contains(&line));

        process.signal(signal);
        assert_eq!(process.exit_code(), Some(0));
        assert!(!exists(&process.ports_file()));
        assert!(process.read("log").ends_with("[INF] Server Exiting..\n"));
    }
}

#[test]
fn its_log_follows_reopen_and_reload() {
    let process = Process::start("");
    fs::rename(process.path("log"), process.path("log.old")).unwrap();
    process.signal("reopen");
    process.wait_for("log", "[INF] File log re-opened\n");
    process.wait_for("log.old", "Trapped \"user defined signal 1\" signal\n");

    let elsewhere = process.path("log2");
    let config = format!("logfile: '{}'\nlogtime: false", elsewhere.display());
    fs::write(process.path("natter.conf"), config).unwrap();
    process.signal("reload");
    process.wait_for("log2", "Reloaded server configuration");
    let prefix = format!("[{}] [INF] ", process.child.id());
    assert!(
        process
            .read("log2")
            .lines()
            .all(|line| line.starts_with(&prefix))
    );
}

#[test]
fn what_is_not_in_this_release_ends_with_2() {
    for (args, expected) in [
        (
            &["operator"][..],
            "operator: the operator is not in this release",
        ),
        (
            &["cli", "pub"],
            "cli: the command line client is not in this release",
        ),
        (&["serve"], "natter: unknown command \"serve\""),
    ] {
        let output = natter(args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.starts_with(expected), "{text}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
}
