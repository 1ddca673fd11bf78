//! The server as a process: its files, its signals, its log, its exit code.
//!
//! Everything here runs the built binary in a directory of its own, on a free port, and
//! talks to it as operators and clients do: signals by pid file, the log, monitoring, raw
//! protocol lines. Nothing sleeps: every wait is for a condition, with a deadline.

mod command_line;
mod damage;
mod failing_disk;
mod files;
mod idle;
mod kill;
mod lame_duck;
mod link;
mod reload;
mod reload_users;
mod streams;
mod unbuilt;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of its own directory; killed when the test ends before it does.
struct Process {
    dir: tempfile::TempDir,
    child: Child,
    /// What starts the server: nothing, or another program and its arguments.
    launcher: Vec<String>,
}

/// The binary that is tested.
fn binary() -> String {
    let other = std::env::var("NATTER_SERVER");
    other.unwrap_or_else(|_| env!("CARGO_BIN_EXE_natter").to_owned())
}

fn natter(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natter"));
    command.args(args).output().expect("the binary is there")
}

impl Process {
    /// Starts a server that logs to `log`, and waits until it listens.
    fn start(config: &str) -> Process {
        Process::start_in(tempfile::tempdir().unwrap(), config, Vec::new())
    }

    /// Starts a server in a directory, by another program if there is a `launcher`.
    fn start_in(dir: tempfile::TempDir, config: &str, launcher: Vec<String>) -> Process {
        let text = with_log(dir.path(), config);
        fs::write(dir.path().join("natter.conf"), text).unwrap();
        let child = Process::spawn(dir.path(), &launcher);
        let process = Process {
            dir,
            child,
            launcher,
        };
        process.wait_for("log", "Server is ready");
        process
    }

    fn spawn(dir: &Path, launcher: &[String]) -> Child {
        let at = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let mut words = launcher.to_vec();
        words.push(binary());
        Command::new(&words[0])
            .args(&words[1..])
            .args(["server", "-a", "127.0.0.1", "-p", "-1", "-m", "-1"])
            .args(["-c", &at("natter.conf"), "-P", &at("pid")])
            .args(["--ports_file_dir", &at("")])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Kills it as the system does when memory runs out.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again in the same directory, with a new log; waits until it listens.
    fn start_again(&mut self) {
        let _ = fs::remove_file(self.path("log"));
        self.child = Process::spawn(self.dir.path(), &self.launcher);
        // What is in the log is applied again first.
        let deadline = Instant::now() + 6 * PATIENCE;
        while !self.read("log").contains("Server is ready") {
            let log = self.read("log");
            assert!(Instant::now() < deadline, "it does not start: {log}");
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {log}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn ports_file(&self) -> PathBuf {
        let binary = PathBuf::from(binary());
        let name = binary.file_name().unwrap().to_str().unwrap();
        self.path(&format!("{name}_{}.ports", self.child.id()))
    }

    /// `host:port` of the first URL of that kind in the ports file.
    fn address(&self, kind: &str) -> String {
        let ports = fs::read_to_string(self.ports_file()).unwrap();
        let ports: serde_json::Value = serde_json::from_str(&ports).unwrap();
        let url = ports[kind][0].as_str().unwrap();
        url.split_once("://").unwrap().1.to_owned()
    }

    /// What monitoring answers.
    fn get(&self, path: &str) -> serde_json::Value {
        let mut stream = TcpStream::connect(self.address("monitoring")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
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

    /// Reloads with another configuration; gives what the log says of it, without times.
    fn reload(&self, config: &str) -> Vec<String> {
        let before = self.read("log").len();
        let text = with_log(self.dir.path(), config);
        fs::write(self.path("natter.conf"), text).unwrap();
        self.signal("reload");
        let mut lines = Vec::new();
        wait_until("the end of the reload", || {
            lines = messages(&self.read("log")[before..]);
            let ends = ["Reloaded server configuration", "Failed to reload"];
            let is_end = |line: &String| ends.iter().any(|end| line.contains(end));
            lines.iter().any(is_end)
        });
        lines
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

    /// A client that says nothing of itself.
    fn client(&self) -> Client {
        self.client_as("")
    }

    /// A client with these fields in its CONNECT, such as `"user":"a","pass":"b"`.
    fn client_as(&self, fields: &str) -> Client {
        let mut client = Client::connect(&self.address("nats"));
        let comma = if fields.is_empty() { "" } else { "," };
        client.send(&format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1{comma}{fields}}}"
        ));
        assert_eq!(client.until_pong(), [""; 0]);
        // The answer to the first PING comes with an INFO about the account.
        assert!(client.line().starts_with("INFO "));
        client
    }

    /// Waits until connections are remembered as closed for these reasons, in order of ids.
    fn wait_for_closed(&self, expected: &[&str]) {
        wait_until(&format!("{expected:?}"), || {
            let closed = self.get("/connz?state=closed&sort=cid");
            let closed = closed["connections"].as_array().unwrap().iter();
            closed
                .map(|it| it["reason"].as_str().unwrap())
                .eq(expected.iter().copied())
        });
    }
}

/// The binary with the configuration in its directory.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_log(dir: &Path, config: &str) -> String {
    match config.contains("logfile:") {
        true => config.replace("DIR", dir.to_str().unwrap()),
        false => format!(
            "logfile: '{0}/log'\n{1}",
            dir.display(),
            config.replace("DIR", dir.to_str().unwrap())
        ),
    }
}

/// Log lines from their level on; a line that is not whole yet is left out.
fn messages(log: &str) -> Vec<String> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let lines = whole.lines().filter_map(|line| line.split_once("] "));
    lines
        .map(|(_, rest)| rest[rest.find('[').unwrap_or(0)..].to_owned())
        .collect()
}

/// A raw connection.
struct Client {
    stream: BufReader<TcpStream>,
    /// The first line.
    info: serde_json::Value,
}

impl Client {
    fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client {
            stream: BufReader::new(stream),
            info: serde_json::Value::Null,
        };
        let info = client.line();
        client.info = serde_json::from_str(info.strip_prefix("INFO ").unwrap()).unwrap();
        client
    }

    /// Sends lines, separated by `\n`.
    fn send(&mut self, lines: &str) {
        let text = lines.replace('\n', "\r\n") + "\r\n";
        self.stream.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(_) => line.trim_end().to_owned(),
            // The server had not read everything when it hung up.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("waiting for a line: {error}"),
        }
    }

    /// Sends a PING; gives what comes before its answer.
    fn until_pong(&mut self) -> Vec<String> {
        self.send("PING");
        let mut lines = Vec::new();
        loop {
            match self.line().as_str() {
                "PONG" => return lines,
                "" => panic!("closed after {lines:?}"),
                // The server's own.
                "PING" => self.send("PONG"),
                line => lines.push(line.to_owned()),
            }
        }
    }

    /// Everything up to the end of the connection.
    fn until_end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.line().as_str() {
                "" => return lines,
                "PING" => {}
                line => lines.push(line.to_owned()),
            }
        }
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
