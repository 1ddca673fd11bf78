//! The API of JetStream, text for text: transcripts of what nats-server says, played to our
//! server.
//!
//! `scenarios/*.txt` hold requests and the answers of a real nats-server (`record.py` plays
//! the same files and compares or writes them). Times, versions and the like are replaced by
//! words ([`varying`]); everything else is compared byte for byte, the order of fields too.
//! What we do differently on purpose stands in [`differences`], with a reason.
//!
//! ```text
//! == name                   begins a scenario: a server of its own, with an empty directory
//! conf max_payload: 8       a line of the configuration; JetStream is on if no line says how
//! as a                      from here on user `a` acts (his password is his name)
//! + Nats-Msg-Id: 1          a header of the next message
//! reply .end                what the reply subject of the next request ends with
//! > $JS.API.INFO {}         a request with one answer
//! >> $JS.API.DIRECT.GET.S … a request with several
//! < {"type":…}              an answer
//! < (404 No Results | …) …  an answer with status and headers
//! publish subject body      a message without a reply subject
//! listen a.>                subscribes
//! heard                     what subscriptions got since, after what was done before
//! * a.b (headers) body      one of them
//! get /jsz                  a page of monitoring
//! = 200 {…}                 its status and body
//! wait 2                    the recorder waits so long; here the next request is repeated
//!                           until its answer is the one expected
//! ```
//!
//! `\{text*3}` is a repetition.

mod differences;
mod errors;
mod player;
mod script;
mod varying;

use script::Script;

/// Plays one file; all scenarios are played before it fails.
fn check(text: &str) {
    let mut wrong = Vec::new();
    for script in Script::parse(text) {
        if let Err(difference) = player::play(&script) {
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
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(include_str!(concat!("scenarios/", stringify!($name), ".txt")));
            }
        )*
        /// All transcripts.
        const ALL: &[&str] = &[
            $(include_str!(concat!("scenarios/", stringify!($name), ".txt"))),*
        ];
    };
}

transcripts! {
    behaviour direct_get errors_consumers errors_publish errors_streams monitoring streams
}
