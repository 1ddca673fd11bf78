//! The files a running server shows itself by: its process id and its ports.
//!
//! Written when the server listens, so that a script that waits for them may connect.
//! The ports file is removed at the end; the pid file stays, as that of nats-server does,
//! and the next server writes over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::vfs::{Error, MODE_PRIVATE, MODE_PUBLIC, Vfs};

/// Where a server listens, as URLs (`nats://127.0.0.1:4222`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// Clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nats: Vec<String>,
    /// Monitoring, over HTTP and HTTPS.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub monitoring: Vec<String>,
    /// Routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster: Vec<String>,
    /// The profiler.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
    /// Clients over WebSocket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub websocket: Vec<String>,
}

/// Writes the process id, in decimal digits and nothing else.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pid(vfs: &dyn Vfs, path: &Path, pid: u32) -> Result<(), Error> {
    vfs.write_atomically(path, pid.to_string().as_bytes(), MODE_PRIVATE)
}

/// A ports file, removed when dropped.
pub struct PortsFile {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
}

impl PortsFile {
    /// Writes `<program>_<pid>.ports` in the directory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(
        vfs: Arc<dyn Vfs>,
        directory: &Path,
        program: &str,
        pid: u32,
        ports: &Ports,
    ) -> Result<PortsFile, Error> {
        let path = directory.join(format!("{program}_{pid}.ports"));
        let json = serde_json::to_vec(ports).expect("lists of texts are JSON");
        vfs.write_atomically(&path, &json, MODE_PUBLIC)?;
        Ok(PortsFile { vfs, path })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PortsFile {
    fn drop(&mut self) {
        if let Err(err) = self.vfs.remove(&self.path) {
            tracing::warn!(%err, "ports file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::real::RealVfs;

    fn read(path: &Path) -> String {
        let vfs: &dyn Vfs = &RealVfs;
        vfs.read_text(path, 1000).unwrap()
    }

    fn check_ports(ports: Ports, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let vfs = Arc::new(RealVfs);
        let file = PortsFile::write(vfs, dir.path(), "nats-server", 12, &ports).unwrap();
        assert_eq!(file.path(), dir.path().join("nats-server_12.ports"));
        assert_eq!(read(file.path()), expected);
        drop(file);
        assert!(RealVfs.list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn empty_lists_are_left_out() {
        check_ports(Ports::default(), "{}");
        let nats = vec!["nats://127.0.0.1:1".to_owned()];
        let monitoring = vec!["http://127.0.0.1:2".to_owned()];
        check_ports(
            Ports {
                nats,
                monitoring,
                ..Ports::default()
            },
            r#"{"nats":["nats://127.0.0.1:1"],"monitoring":["http://127.0.0.1:2"]}"#,
        );
    }

    #[test]
    fn the_pid_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        write_pid(&RealVfs, &path, 4711).unwrap();
        assert_eq!(read(&path), "4711");
        let error = write_pid(&RealVfs, &dir.path().join("no/pid"), 1);
        assert!(error.is_err());
    }
}
