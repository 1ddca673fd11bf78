//! Load generator and cost meter for servers that speak the NATS client protocol.
//!
//! One process, plain sockets, threads and epoll, so that the generator stays cheap
//! beside the server it measures. Every mode prints one JSON line; see README.md.

mod args;
mod churn;
mod conns;
mod cost;
mod counter;
mod disk;
mod floor;
mod hist;
mod js;
mod poll;
mod pubsub;
mod requester;
mod requests;
mod run;
mod slow;
mod subs;
mod wire;

const USAGE: &str = "usage: loadgen MODE [--key value ...]

core        pubsub reqrep conns subs
streams     js-pub js-fill js-consume js-get kv-put kv-get js-api
rest        js-streams js-consumers start watch
machine     disk
soak        churn-conns churn-subs slow-consumers
floor       floor (a minimal broker to measure against)

common      --servers 127.0.0.1:4222[,...]  --pid PID[,...]  --secs 5  --warm 1
            --size 128  --tag NAME  --out FILE  --perf  --user U --pass P";

fn main() {
    let a = args::Args::parse().unwrap_or_else(|e| args::die(&format!("{e}\n{USAGE}")));
    cost::raise_nofile();
    match a.mode.as_str() {
        "pubsub" => pubsub::pubsub(&a),
        "reqrep" => requests::reqrep(&a),
        "conns" => conns::conns(&a),
        "subs" => subs::subs(&a),
        "js-pub" => js::publish::publish(&a),
        "js-fill" => js::publish::fill(&a),
        "js-consume" => js::consume::consume(&a),
        "js-get" => js::get::get(&a),
        "kv-put" => js::bucket::put(&a),
        "kv-get" => js::bucket::get(&a),
        "js-api" => js::get::api_call(&a),
        "js-streams" => js::idle::streams(&a),
        "js-consumers" => js::idle::consumers(&a),
        "start" => js::restart::start(&a),
        "watch" => js::idle::watch(&a),
        "disk" => disk::disk(&a),
        "churn-conns" => churn::connections(&a),
        "churn-subs" => churn::subscriptions(&a),
        "slow-consumers" => slow::slow_consumers(&a),
        "floor" => floor::serve(&a),
        "help" | "--help" | "-h" => println!("{USAGE}"),
        m => args::die(&format!("unknown mode {m:?}\n{USAGE}")),
    }
}
