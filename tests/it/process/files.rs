//! The files a process shows itself by, and its log.

use std::fs;

use super::{Process, exists, messages};

#[test]
fn it_shows_itself_by_files_and_ends_in_order() {
    for signal in ["quit", "term"] {
        let mut process = Process::start("");
        let id = process.child.id();
        assert_eq!(process.read("pid"), id.to_string());
        let address = process.address("nats");
        let mut client = process.client();
        let line = format!("Listening for client connections on {address}\n");
        assert!(process.read("log").contains(&line));

        process.signal(signal);
        assert_eq!(process.exit_code(), Some(0));
        // As nats-server does: no last words, and the pid file stays.
        assert_eq!(client.until_end(), [""; 0]);
        assert!(!exists(&process.ports_file()));
        assert!(exists(&process.path("pid")));
        let log = messages(&process.read("log"));
        let words = match signal {
            "quit" => "interrupt",
            _ => "terminated",
        };
        let end = [
            format!("[INF] Trapped \"{words}\" signal"),
            "[INF] Initiating Shutdown...".into(),
            "[INF] Server Exiting..".into(),
        ];
        assert_eq!(log[log.len() - 3..], end);
    }
}

#[test]
fn the_first_lines_are_those_launchers_read() {
    let process = Process::start("server_name: n");
    let id = process.get("/varz")["server_id"].clone();
    let digest = process.get("/varz")["config_digest"].clone();
    let expected = [
        "[INF] Starting natter".to_owned(),
        format!("[INF]   Version:  {}", env!("CARGO_PKG_VERSION")),
        "[INF]   Name:     n".to_owned(),
        format!("[INF]   ID:       {}", id.as_str().unwrap()),
        format!(
            "[INF] Using configuration file: {} ({})",
            process.path("natter.conf").display(),
            digest.as_str().unwrap()
        ),
        format!(
            "[INF] Starting http monitor on {}",
            process.address("monitoring")
        ),
        format!(
            "[INF] Listening for client connections on {}",
            process.address("nats")
        ),
        "[INF] Server is ready".to_owned(),
    ];
    assert_eq!(messages(&process.read("log")), expected);
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
    let log = process.read("log2");
    assert!(log.lines().all(|line| line.starts_with(&prefix)), "{log}");
}

#[test]
fn its_log_rotates_by_size_and_keeps_so_many() {
    let limits = "logfile_size_limit: 4000\nlogfile_max_num: 3\ndebug: true";
    let process = Process::start(limits);
    let logs = || {
        let names = fs::read_dir(process.dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("log")).count()
    };
    let mut most = 0;
    super::wait_until("three log files", || {
        drop(process.client());
        most = most.max(logs());
        most == 3
    });
    for _ in 0..40 {
        drop(process.client());
        assert!(logs() <= 4, "one more while it rotates");
    }
    process.wait_for("log", "Rotated log, backup saved as");
}
