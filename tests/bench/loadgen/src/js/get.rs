//! Reads by subject, and the rate of any API call.

use super::{api_ok, load_of, message_ok, place, subjects_of};
use crate::args::Args;
use crate::requester::{Subjects, connect_many, drive};
use crate::run::{Ctl, Target, emit};

/// Direct get of the last message of each of `--subjects` subjects of a stream that is there.
pub fn get(a: &Args) {
    let t = Target::from(a);
    let name = a.str("stream", "BENCH").to_string();
    let prefix = format!("$JS.API.DIRECT.GET.{name}.{name}.s");
    let load = load_of(a, subjects_of(a, &prefix), Vec::new(), message_ok);
    let conns = connect_many(&t, place(a, &t, &name), a.usize("conns", 1));
    emit(a, drive(a, &t, conns, load, Ctl::new(1, 1)));
}

/// Rate and latency of an API call, such as `--api STREAM.INFO.BENCH`.
pub fn api_call(a: &Args) {
    let t = Target::from(a);
    let subjects = Subjects::One(format!("$JS.API.{}", a.str("api", "INFO")));
    let body = a.str("body", "").as_bytes().to_vec();
    let load = load_of(a, subjects, body, api_ok);
    let conns = connect_many(&t, t.servers[0], a.usize("conns", 1));
    emit(a, drive(a, &t, conns, load, Ctl::new(1, 1)));
}
