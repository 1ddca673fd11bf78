//! Source: from the command line and a file to options, at start and at each reload.
//!
//! Separate from `boot` because it happens again while the server runs, and because
//! `-t` does it without a server. Flags win over the file both times.
//!
//! ```text
//! file ─► parse (includes through vfs, environment) ─► Options ─► flags ─► validate
//! ```
//!
//! Absent: nothing is kept between two loads; what this release does not do is refused
//! by the start, not here, so that `-t` says that such a file is valid.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::config::digest::digest;
use crate::config::error::ConfigError;
use crate::config::flags::{FlagError, Flags, apply};
use crate::config::include::Loader;
use crate::config::options::Options;
use crate::config::parser::{self, FILE_BYTES_MAX};
use crate::vfs::{self, Vfs};

/// Where options come from.
pub struct Source {
    flags: Flags,
    vfs: Arc<dyn Vfs>,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// Valid options.
    pub options: Options,
    /// What is doubtful about the file; to be logged.
    pub warnings: Vec<ConfigError>,
    /// The digest of the file, `sha256:…`; none without a file.
    pub digest: Option<String>,
}

/// Why nothing was loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] vfs::Error),
    /// The file, or what it gives together with the flags, is wrong. At least one error.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigError>),
    /// The flags cannot be put over the options.
    #[error(transparent)]
    Flags(#[from] FlagError),
}

/// Errors as text, one per line.
pub fn lines(errors: &[ConfigError]) -> String {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Source {
    /// The source that these flags name.
    pub fn new(flags: Flags, vfs: Arc<dyn Vfs>) -> Source {
        Source { flags, vfs }
    }

    /// The configuration file, if there is one.
    pub fn file(&self) -> Option<&str> {
        self.flags.config.as_deref().filter(|path| !path.is_empty())
    }

    /// The files of this process, for the other things a server does with them.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Reads everything anew.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut loaded = match self.file() {
            Some(path) => self.load_file(path)?,
            None => Loaded {
                options: Options::default(),
                warnings: Vec::new(),
                digest: None,
            },
        };
        apply::apply(&self.flags, &mut loaded.options)?;
        let wrong = loaded.options.validate();
        if !wrong.is_empty() {
            return Err(LoadError::Config(wrong));
        }
        Ok(loaded)
    }

    fn load_file(&self, path: &str) -> Result<Loaded, LoadError> {
        let text = self.vfs.read_text(Path::new(path), FILE_BYTES_MAX as u64)?;
        let environment = |name: &str| std::env::var(name).ok();
        let loader = VfsLoader(&*self.vfs);
        let map = parser::parse(&text, path, &environment, &loader).map_err(LoadError::Config)?;
        let (options, warnings) = Options::from_map(&map).map_err(LoadError::Config)?;
        Ok(Loaded {
            options,
            warnings,
            digest: Some(digest(&map)),
        })
    }
}

/// Included files.
struct VfsLoader<'a>(&'a dyn Vfs);

impl Loader for VfsLoader<'_> {
    fn load(&self, path: &str) -> io::Result<String> {
        let text = self.0.read_text(Path::new(path), FILE_BYTES_MAX as u64);
        // The parser says which file it is.
        text.map_err(vfs::Error::into_cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flags::parse_flags;
    use crate::config::options::endpoint::Port;
    use crate::vfs::real::RealVfs;

    struct Setup {
        dir: tempfile::TempDir,
    }

    impl Setup {
        fn new(files: &[(&str, &str)]) -> Setup {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = dir.path().join(name);
                RealVfs
                    .write_atomically(&path, text.as_bytes(), vfs::MODE_PRIVATE)
                    .unwrap();
            }
            Setup { dir }
        }

        fn load(&self, flags: &[&str]) -> Result<Loaded, LoadError> {
            let in_dir = |flag: &&str| flag.replace("DIR", self.dir.path().to_str().unwrap());
            let flags: Vec<String> = flags.iter().map(in_dir).collect();
            Source::new(parse_flags(&flags).unwrap(), Arc::new(RealVfs)).load()
        }

        fn check_refused(&self, flags: &[&str], expected: &str) {
            let error = self.load(flags).expect_err(expected).to_string();
            let dir = self.dir.path().to_str().unwrap();
            assert_eq!(error.replace(dir, "DIR"), expected);
        }
    }

    #[test]
    fn without_file_and_flags_options_are_defaults() {
        let loaded = Setup::new(&[]).load(&[]).unwrap();
        assert_eq!(loaded.options, Options::default());
        assert_eq!(loaded.digest, None);
    }

    #[test]
    fn flags_win_over_the_file_and_its_includes() {
        let files = [
            ("a.conf", "port: 1001\nserver_name: a\ninclude b.conf"),
            ("b.conf", "debug: true"),
        ];
        let setup = Setup::new(&files);
        let loaded = setup.load(&["-c", "DIR/a.conf", "-p", "1002"]).unwrap();
        let listen = &loaded.options.listen;
        assert_eq!(listen.endpoint.port, Some(Port::Fixed(1002)));
        assert_eq!(listen.server_name.as_deref(), Some("a"));
        assert!(loaded.options.logging.debug);
        assert!(loaded.digest.unwrap().starts_with("sha256:"));
    }

    #[test]
    fn refusals_say_where() {
        let setup = Setup::new(&[("a.conf", "debug: true\nfoo: 1\nbar: 2")]);
        setup.check_refused(
            &["-c", "DIR/no.conf"],
            "open DIR/no.conf: no such file or directory",
        );
        setup.check_refused(
            &["-c", "DIR/a.conf"],
            "DIR/a.conf:2:1: unknown field \"foo\"\nDIR/a.conf:3:1: unknown field \"bar\"",
        );
        setup.check_refused(&["-n", "a b"], "server name cannot contain spaces");
    }

    #[test]
    fn a_missing_include_is_named() {
        let setup = Setup::new(&[("a.conf", "include no.conf")]);
        let error = setup
            .load(&["-c", "DIR/a.conf"])
            .expect_err("no file")
            .to_string();
        assert!(
            error.contains("no.conf: no such file or directory"),
            "{error}"
        );
    }
}
