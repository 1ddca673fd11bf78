//! A log file that rotates by size.
//!
//! A file that grew past its limit gets the time as a suffix and a new one is begun;
//! the oldest beyond `files_max` are removed. What happened is returned as [`Event`]s
//! for the caller to log in the new file.
//!
//! Invariants: only names that end in such a time are ever removed; if setting aside
//! fails, logging goes on in the file there is, and the next attempt is made one more
//! limit later.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::DateTime;

use crate::telemetry::FileSettings;
use crate::telemetry::log_format::{backup_suffix, is_backup_suffix};
use crate::vfs::{self, AppendFile, Error, Vfs};

/// An open log file.
pub struct LogFile {
    vfs: Arc<dyn Vfs>,
    settings: FileSettings,
    file: Box<dyn AppendFile>,
    /// The size at which to rotate next; grows when rotation fails.
    rotate_above: u64,
}

/// What rotation did.
#[derive(Debug)]
pub enum Event {
    /// The file was set aside under this name.
    Rotated(String),
    /// This old file was removed.
    Purged(String),
    /// The file stays in use.
    NotRotated(Error),
    /// An old file could not be removed.
    NotPurged(Error),
}

impl LogFile {
    /// Opens the file at its end.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(vfs: Arc<dyn Vfs>, settings: &FileSettings) -> Result<LogFile, Error> {
        let file = vfs.open_append(Path::new(&settings.path), vfs::MODE_GROUP)?;
        let settings = settings.clone();
        Ok(LogFile {
            vfs,
            rotate_above: settings.bytes_max,
            settings,
            file,
        })
    }

    /// Opens the file of the same name anew.
    ///
    /// # Errors
    /// When it cannot be opened; the old one stays in use.
    pub fn reopen(&mut self) -> Result<(), Error> {
        *self = LogFile::open(self.vfs.clone(), &self.settings)?;
        Ok(())
    }

    /// The settings it was opened with.
    pub fn settings(&self) -> &FileSettings {
        &self.settings
    }

    /// Changes limits; the path stays.
    pub fn set_limits(&mut self, settings: &FileSettings) {
        (self.settings.bytes_max, self.settings.files_max) =
            (settings.bytes_max, settings.files_max);
        self.rotate_above = settings.bytes_max;
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn append(&mut self, line: &str) -> Result<(), Error> {
        self.file.append(line.as_bytes())
    }

    /// Whether the file is larger than it may be.
    pub fn is_rotation_due(&self) -> bool {
        self.settings.bytes_max > 0 && self.file.len() > self.rotate_above
    }

    /// Sets the file aside, begins a new one and removes the oldest.
    pub fn rotate(&mut self, now: DateTime) -> Vec<Event> {
        let path = PathBuf::from(&self.settings.path);
        let backup = format!("{}.{}", self.settings.path, backup_suffix(now));
        let renamed = match self.vfs.rename(&path, Path::new(&backup)) {
            // Somebody moved it away: a new one is what is missing.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            renamed => renamed.map(|()| Some(Event::Rotated(backup))),
        };
        let reopened = renamed.and_then(|event| self.reopen().map(|()| event));
        let mut events = match reopened {
            Ok(event) => Vec::from_iter(event),
            Err(error) => {
                self.rotate_above = self.file.len().saturating_add(self.settings.bytes_max);
                return vec![Event::NotRotated(error)];
            }
        };
        if self.settings.files_max > 0 {
            self.purge(&path, &mut events);
        }
        events
    }

    fn purge(&self, path: &Path, events: &mut Vec<Event>) {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let backups = match self.vfs.list(directory) {
            Ok(names) => backups_of(path, names),
            Err(error) => return events.push(Event::NotPurged(error)),
        };
        // The file in use counts.
        let kept = usize::try_from(self.settings.files_max - 1).unwrap_or(usize::MAX);
        for name in &backups[..backups.len().saturating_sub(kept)] {
            let old = path.with_file_name(name);
            events.push(match self.vfs.remove(&old) {
                Ok(()) => Event::Purged(old.display().to_string()),
                Err(error) => Event::NotPurged(error),
            });
        }
    }
}

/// Those of the sorted `names` that are backups of the file, the oldest first.
fn backups_of(path: &Path, names: Vec<String>) -> Vec<String> {
    let own = path.file_name().unwrap_or_default().to_string_lossy();
    let is_backup = |name: &String| {
        let suffix = name.strip_prefix(&*own);
        suffix
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(is_backup_suffix)
    };
    names.into_iter().filter(is_backup).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::real::RealVfs;
    use jiff::civil::datetime;

    fn settings(path: &Path, bytes_max: u64, files_max: u64) -> FileSettings {
        FileSettings {
            path: path.to_str().unwrap().into(),
            bytes_max,
            files_max,
        }
    }

    fn read(path: &Path) -> String {
        String::from_utf8(RealVfs.read(path, 1000).unwrap()).unwrap()
    }

    #[test]
    fn the_line_that_passes_the_limit_is_the_last_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(Arc::new(RealVfs), &settings(&path, 8, 0)).unwrap();
        log.append("1234567\n").unwrap();
        assert!(!log.is_rotation_due());
        log.append("x\n").unwrap();
        assert!(log.is_rotation_due());
        log.rotate(datetime(2026, 1, 2, 3, 4, 5, 6));
        assert!(!log.is_rotation_due());
        log.append("y\n").unwrap();
        let backup = dir.path().join("log.2026.01.02.03.04.05.000000006");
        assert_eq!(
            (read(&backup), read(&path)),
            ("1234567\nx\n".into(), "y\n".into())
        );
    }

    #[test]
    fn the_oldest_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for other in ["log.old", "log2.2020.01.01.00.00.00.000000000"] {
            RealVfs
                .write_atomically(&dir.path().join(other), b"", 0o600)
                .unwrap();
        }
        let mut log = LogFile::open(Arc::new(RealVfs), &settings(&path, 1, 2)).unwrap();
        let mut purged = Vec::new();
        for second in 0..4 {
            log.append("line\n").unwrap();
            let events = log.rotate(datetime(2026, 1, 1, 0, 0, second, 0));
            purged.extend(events.into_iter().filter_map(|event| match event {
                Event::Purged(name) => Some(name),
                Event::Rotated(_) => None,
                other => panic!("{other:?}"),
            }));
        }
        let named = |second| format!("log.2026.01.01.00.00.0{second}.000000000");
        let expected =
            [named(0), named(1), named(2)].map(|name| dir.path().join(name).display().to_string());
        assert_eq!(purged, expected);
        assert_eq!(
            RealVfs.list(dir.path()).unwrap(),
            [
                "log",
                &named(3),
                "log.old",
                "log2.2020.01.01.00.00.00.000000000"
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_set_aside_stays_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(Arc::new(RealVfs), &settings(&path, 4, 0)).unwrap();
        log.append("12345").unwrap();
        let in_the_way = dir.path().join("log.2026.01.01.00.00.00.000000000");
        RealVfs.create_dir_all(&in_the_way).unwrap();
        let events = log.rotate(datetime(2026, 1, 1, 0, 0, 0, 0));
        assert!(matches!(events[..], [Event::NotRotated(_)]), "{events:?}");
        log.append("6789").unwrap();
        assert!(!log.is_rotation_due(), "not again at once");
        log.append("x").unwrap();
        assert!(log.is_rotation_due());
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut log = LogFile::open(Arc::new(RealVfs), &settings(&path, 4, 0)).unwrap();
        log.append("12345").unwrap();
        RealVfs.remove(&path).unwrap();
        assert!(log.rotate(datetime(2026, 1, 1, 0, 0, 0, 0)).is_empty());
        log.append("new").unwrap();
        assert_eq!(read(&path), "new");
    }

    #[test]
    fn reopening_follows_the_name_and_keeps_the_limits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let limits = settings(&path, 4, 3);
        let mut log = LogFile::open(Arc::new(RealVfs), &limits).unwrap();
        log.append("old").unwrap();
        RealVfs.rename(&path, &dir.path().join("moved")).unwrap();
        log.reopen().unwrap();
        log.append("new").unwrap();
        assert_eq!(read(&path), "new");
        assert_eq!(log.settings(), &limits);
    }
}
