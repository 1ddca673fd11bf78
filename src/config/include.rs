//! Include: where the text of other files comes from, and what they are called.
//!
//! Separate so that the parser stays without files: the caller hands in a
//! [`Loader`]. Paths are joined as nats-server joins them: always relative to
//! the directory of the including file, even when they begin with `/`.

use std::io;

/// Gives the text of an included file.
pub trait Loader {
    /// The whole text of the file at `path`, as [`resolve`] made it.
    fn load(&self, path: &str) -> io::Result<String>;
}

/// A loader for text that may include nothing.
pub struct NoFiles;

impl Loader for NoFiles {
    fn load(&self, _path: &str) -> io::Result<String> {
        let message = "includes are not allowed here";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
    }
}

/// The path of `included` as written in the file `including`: its directory and
/// the path, with `.`, `..` and doubled slashes taken out.
pub fn resolve(including: &str, included: &str) -> String {
    let directory = including.rfind('/').map_or("", |at| &including[..=at]);
    // Go joins "." and "/x" to "x": only the directory makes a path absolute.
    let rooted = directory.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(included.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    match (rooted, path.is_empty()) {
        (true, _) => format!("/{path}"),
        (false, true) => ".".into(),
        (false, false) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_including_file() {
        for (including, included, expected) in [
            ("nats.conf", "users.conf", "users.conf"),
            ("nats.conf", "./a/../users.conf", "users.conf"),
            ("/etc/nats/nats.conf", "users.conf", "/etc/nats/users.conf"),
            ("/etc/nats/nats.conf", "../users.conf", "/etc/users.conf"),
            ("/nats.conf", "../../users.conf", "/users.conf"),
            ("/etc/nats.conf", "/abs/users.conf", "/etc/abs/users.conf"),
            ("a/nats.conf", "../../users.conf", "../users.conf"),
            ("nats.conf", "/abs.conf", "abs.conf"),
            ("a//b/nats.conf", "c.conf", "a/b/c.conf"),
            ("nats.conf", "", "."),
        ] {
            assert_eq!(
                resolve(including, included),
                expected,
                "{including} + {included}"
            );
        }
    }
}
