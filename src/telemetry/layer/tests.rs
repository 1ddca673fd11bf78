//! The layer as a program uses it: events in, lines in a file out.

use std::io;
use std::path::{Path, PathBuf};

use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::telemetry::FileSettings;
use crate::vfs::real::RealVfs;
use crate::vfs::{self, AppendFile};

struct Setup {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Setup {
    fn new() -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            logtime: false,
            file: Some(file(&dir.path().join("log"))),
            ..Settings::default()
        };
        Setup { dir, settings }
    }

    /// Runs `act` with a logger of its own.
    fn run(&self, act: impl FnOnce(&Handle)) {
        let (layer, handle) = LogLayer::new(&self.settings, Arc::new(RealVfs)).unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || act(&handle));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The lines of a file, without the process id that begins each.
    fn lines(&self, name: &str) -> Vec<String> {
        let vfs: &dyn Vfs = &RealVfs;
        let text = vfs.read_text(&self.path(name), 1 << 20).unwrap();
        let pid = format!("[{}] ", std::process::id());
        let strip = |line: &str| line.strip_prefix(&pid).unwrap_or(line).to_owned();
        text.lines().map(strip).collect()
    }
}

fn file(path: &Path) -> FileSettings {
    FileSettings {
        path: path.to_str().unwrap().into(),
        bytes_max: 0,
        files_max: 0,
    }
}

fn check(log: impl FnOnce(), expected: &[&str]) {
    let setup = Setup::new();
    setup.run(|_| log());
    assert_eq!(setup.lines("log"), expected);
}

#[test]
fn fields_follow_the_message_and_the_link_precedes_it() {
    let err = crate::vfs::Error::new("open", Path::new("x"), io::Error::other("y"));
    check(
        || {
            tracing::info!("Server is ready");
            tracing::warn!(
                conn_id = 7,
                account = "$G",
                who = "a b",
                none = "",
                "slow {}",
                1
            );
            tracing::error!(link = "127.0.0.1:4 - cid:5 - \"v1:go:x\"", seq = 1, "bad");
            tracing::error!(err = &err as &(dyn StdError + 'static), "store");
            tracing::error!(%err, kind = ?Some(1), "store");
            tracing::error!(target: FATAL, "end\n");
        },
        &[
            "[INF] Server is ready",
            "[WRN] slow 1 conn_id=7 account=$G who=\"a b\" none=\"\"",
            "[ERR] 127.0.0.1:4 - cid:5 - \"v1:go:x\" - bad seq=1",
            "[ERR] store err=\"open x: y\"",
            "[ERR] store err=open x: y kind=Some(1)",
            "[FTL] end\\n",
        ],
    );
}

#[test]
fn other_crates_are_heard_only_when_they_warn() {
    check(
        || {
            tracing::info!(target: "hyper::proto", "no");
            tracing::info!(target: "natterbox", "no");
            tracing::warn!(target: "hyper::proto", "yes");
            tracing::info!(target: "natter", "yes");
        },
        &["[WRN] yes", "[INF] yes"],
    );
}

#[test]
fn debug_and_trace_are_switched_apart() {
    for (debug, trace, expected) in [
        (false, false, vec![]),
        (true, false, vec!["[DBG] d"]),
        (false, true, vec!["[TRC] t"]),
        (true, true, vec!["[DBG] d", "[TRC] t"]),
    ] {
        let mut setup = Setup::new();
        (setup.settings.debug, setup.settings.trace) = (debug, trace);
        setup.run(|_| {
            tracing::debug!("d");
            tracing::trace!("t");
        });
        assert_eq!(setup.lines("log"), expected);
    }
}

#[test]
fn settings_change_at_run_time() {
    let setup = Setup::new();
    let log = || tracing::debug!("d");
    setup.run(|handle| {
        log();
        let debug = Settings {
            debug: true,
            ..setup.settings.clone()
        };
        handle.apply(&debug).unwrap();
        log();
        let elsewhere = Settings {
            file: Some(file(&setup.path("log2"))),
            ..debug.clone()
        };
        handle.apply(&elsewhere).unwrap();
        log();
        let nowhere = Settings {
            debug: false,
            file: Some(file(&setup.path("no/log"))),
            ..debug
        };
        let error = handle.apply(&nowhere).expect_err("there is no directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        log();
    });
    assert_eq!(setup.lines("log"), ["[DBG] d"]);
    assert_eq!(setup.lines("log2"), ["[DBG] d", "[DBG] d"]);
}

#[test]
fn lines_begin_with_the_time() {
    let mut setup = Setup::new();
    (setup.settings.logtime, setup.settings.logtime_utc) = (true, true);
    let before = log_format::backup_suffix(time_in(&TimeZone::UTC, clock::now()));
    setup.run(|_| tracing::info!("x"));
    let line = setup.lines("log").remove(0);
    let (date, rest) = line.split_at(10);
    assert_eq!(
        date.replace('/', "."),
        before[..10],
        "unless it is midnight"
    );
    let shape: String = rest
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, " 00:00:00.000000 [INF] x");
}

#[test]
fn a_moved_file_is_opened_anew() {
    let setup = Setup::new();
    setup.run(|handle| {
        tracing::info!("before");
        RealVfs
            .rename(&setup.path("log"), &setup.path("old"))
            .unwrap();
        tracing::info!("between");
        handle.reopen();
    });
    assert_eq!(setup.lines("old"), ["[INF] before", "[INF] between"]);
    assert_eq!(setup.lines("log"), ["[INF] File log re-opened"]);
}

#[test]
fn rotation_is_told_in_the_new_file() {
    let mut setup = Setup::new();
    let limited = FileSettings {
        bytes_max: 200,
        files_max: 2,
        ..file(&setup.path("log"))
    };
    setup.settings.file = Some(limited);
    setup.run(|_| {
        for n in 0..30 {
            tracing::info!(n, "some line");
        }
    });
    let names = RealVfs.list(setup.dir.path()).unwrap();
    assert_eq!(names.len(), 2, "{names:?}");
    let lines = setup.lines(&names[1]);
    let backup = lines[0].strip_prefix("[INF] Rotated log, backup saved as ");
    assert!(backup.is_some(), "{lines:?}");
    assert!(lines[1].starts_with("[INF] Purged log file "), "{lines:?}");
    assert!(lines[2].starts_with("[INF] some line n="), "{lines:?}");
}

/// A disk that takes nothing.
struct FullDisk;

impl Vfs for FullDisk {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, Error> {
        Err(full(path))
    }
    fn open_append(&self, _: &Path, _: u32) -> Result<Box<dyn AppendFile>, Error> {
        Ok(Box::new(FullDisk))
    }
    fn write_atomically(&self, path: &Path, _: &[u8], _: u32) -> Result<(), Error> {
        Err(full(path))
    }
    fn rename(&self, _: &Path, to: &Path) -> Result<(), Error> {
        Err(full(to))
    }
    fn link(&self, _: &Path, to: &Path) -> Result<(), Error> {
        Err(full(to))
    }
    fn remove(&self, path: &Path) -> Result<(), Error> {
        Err(full(path))
    }
    fn remove_dir(&self, path: &Path) -> Result<(), Error> {
        Err(full(path))
    }
    fn list(&self, path: &Path) -> Result<Vec<String>, Error> {
        Err(full(path))
    }
    fn create_dir_all(&self, path: &Path) -> Result<(), Error> {
        Err(full(path))
    }
    fn open(&self, path: &Path, _: u32) -> Result<Arc<dyn vfs::File>, Error> {
        Err(full(path))
    }
    fn open_direct(&self, path: &Path, _: u32) -> Result<Arc<dyn vfs::File>, Error> {
        Err(full(path))
    }
    fn sync_dir(&self, path: &Path) -> Result<(), Error> {
        Err(full(path))
    }
    fn space(&self, _: &Path) -> Result<vfs::Space, Error> {
        Ok(vfs::Space::default())
    }
}

impl AppendFile for FullDisk {
    fn append(&mut self, _: &[u8]) -> Result<(), Error> {
        Err(full(Path::new("log")))
    }
    fn sync(&mut self) -> Result<(), Error> {
        Err(full(Path::new("log")))
    }
    fn len(&self) -> u64 {
        1000
    }
}

fn full(path: &Path) -> Error {
    vfs::Error::new("write", path, io::ErrorKind::StorageFull.into())
}

#[test]
fn a_full_disk_is_counted_and_stops_nothing() {
    let mut setup = Setup::new();
    setup.settings.file = Some(FileSettings {
        bytes_max: 10,
        ..file(&setup.path("log"))
    });
    let (layer, handle) = LogLayer::new(&setup.settings, Arc::new(FullDisk)).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!("a");
        tracing::info!("b");
    });
    // Two lines, and that the file could not be set aside.
    assert_eq!(handle.lines_lost(), 3);
}
