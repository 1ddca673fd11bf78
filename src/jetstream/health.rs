//! What is wrong with streams, for people: logs tell it once, this as long as it is so.
//!
//! Separate because it comes from everywhere (files, log, the list of streams) and is asked
//! for in one place (monitoring).
//!
//! Invariant: a stream that does not run, refuses writes or cannot read a message is in the
//! list; one that is whole is not.

use super::JetStream;
use crate::api_error::{ApiError, table};
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

impl JetStream {
    /// Says that something is wrong with the server's files.
    pub fn raise(&self, alarm: String) {
        tracing::error!("{alarm}");
        self.alarms.lock().push(alarm);
    }

    /// Why a stream does not run, if the meta group knows it and it did not start.
    pub fn why_down(&self, account: &str, stream: &str) -> Option<ApiError> {
        let failed = self.failed.lock();
        let failed = failed.get(&(account.to_owned(), stream.to_owned()))?;
        Some(ApiError::of(&table::STREAM_OFFLINE_REASON).with("{err}", &failed.reason))
    }

    /// Everything that is wrong, the server's first.
    pub fn problems(&self) -> Vec<Problem> {
        let alarms = self.alarms.lock().clone();
        let mut problems: Vec<Problem> = alarms.into_iter().map(Problem::of_server).collect();
        if let Some(damage) = self.meta.damage() {
            let text = of_log(&damage);
            problems.push(Problem::of_server(format!("the list of streams: {text}")));
        }
        for (account, stream) in self.missing_streams() {
            let why = self.failed.lock();
            let why = why.get(&(account.clone(), stream.clone()));
            problems.push(Problem {
                text: why.map_or_else(String::new, |failed| failed.reason.clone()),
                is_down: true,
                account,
                stream,
            });
        }
        for site in self.streams.accounts() {
            for handle in site.streams() {
                let Some(text) = handle.trouble() else {
                    continue;
                };
                problems.push(Problem {
                    account: site.account.name.to_string(),
                    stream: handle.name.to_string(),
                    text: text.to_string(),
                    is_down: false,
                });
            }
        }
        problems
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
