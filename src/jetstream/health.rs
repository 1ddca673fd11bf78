//! What is wrong with streams, for people: logs tell it once, this as long as it is so.
//!
//! Separate because it comes from everywhere (files, log, the list of streams) and is asked
//! for in one place (monitoring).
//!
//! Invariant: a stream that does not run, refuses writes or cannot read a message is in the
//! list; one that is whole is not.

use crate::wal::Damage;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose; empty if it concerns the server.
    pub account: String,
    /// With which stream; empty if it concerns the server.
    pub stream: String,
    /// What.
    pub text: String,
    /// The stream does not run.
    pub is_down: bool,
}

impl Problem {
    /// Something that concerns no single stream.
    pub fn of_server(text: String) -> Problem {
        Problem {
            account: String::new(),
            stream: String::new(),
            text,
            is_down: false,
        }
    }
}

/// What it means that something of a group's log was lost.
pub fn of_log(damage: &Damage) -> String {
    let what = match damage.entries {
        Some((first, last)) if first == last => format!("entry {first} of its log is lost"),
        Some((first, last)) => format!("entries {first} to {last} of its log are lost"),
        None => "its log is damaged, and nobody can say what is lost".to_owned(),
    };
    format!("{what}; it serves what came before and takes nothing new")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_of_a_log_is_told_in_words() {
        let damage = |entries| Damage {
            entries,
            vote: false,
            unknown: entries.is_none(),
        };
        for (entries, beginning) in [
            (Some((3, 3)), "entry 3 of its log is lost;"),
            (Some((3, 5)), "entries 3 to 5 of its log are lost;"),
            (None, "its log is damaged,"),
        ] {
            let text = of_log(&damage(entries));
            assert!(text.starts_with(beginning), "{text}");
        }
    }
}
