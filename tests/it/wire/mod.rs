//! The wire, byte for byte: transcripts of what nats-server says, played to our server.
//!
//! `scenarios/*.txt` hold the bytes sent and the bytes that came back from a real
//! nats-server (`record.py` plays the same files and compares or writes them), whether the
//! connection was closed, and why as `/connz?state=closed` tells. What we do differently on
//! purpose stands in [`differences`], with a reason, and nowhere else.
//!
//! ```text
//! == name              begins a scenario: a server and its connections of their own
//! conf max_payload: 8  a line of the configuration
//! open a               connects; INFO is read and not shown
//! open a shown         connects; what the server says first is shown
//! a> PING              sent with CRLF; lines that follow each other go in one write
//! a>> PING\n           sent as it is
//! a/ PING              sent byte by byte
//! a< PONG              came back with CRLF
//! a<< PONG             came back as it is
//! a closed Reason      the server hung up
//! hangup a             the client hangs up
//! slow 2               the recorder waits that long for more; here a deadline is enough
//! ```
//!
//! Escapes are `\r \n \t \\ \xNN`, and `\{text*3}` for repetition.
//!
//! Invariants: no sleeps (what is expected is read until a deadline); nothing may come that
//! is not in the transcript (at the end each client closes its sending side and reads until
//! the server closes the other).

mod differences;
mod player;
mod script;

use script::Script;

/// Plays one file; all scenarios are played before it fails.
fn check(text: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut wrong = Vec::new();
    for script in Script::parse(text) {
        if let Err(difference) = player::play(&runtime, &script) {
            wrong.push(format!("== {}\n{difference}", script.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

macro_rules! transcripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(include_str!(concat!("scenarios/", stringify!($name), ".txt")));
        }
    )*};
}

transcripts! { verbs connect order subscriptions headers limits permissions login }
