//! Load generator and cost meter for servers that speak the NATS client protocol.
//!
//! One process, plain sockets, threads and epoll, so that the generator stays cheap
//! beside the server it measures. Every mode prints one JSON line; see README.md.

mod args;
mod churn;
mod conns;
mod cost;
mod floor;
mod hist;
mod poll;
mod pubsub;
mod requests;
mod run;
mod slow;
mod subs;
mod wire;

const USAGE: &str = "usage: loadgen MODE [--key value ...]

workloads   pubsub reqrep conns subs
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
        "churn-conns" => churn::connections(&a),
        "churn-subs" => churn::subscriptions(&a),
        "slow-consumers" => slow::slow_consumers(&a),
        "floor" => floor::serve(&a),
        "help" | "--help" | "-h" => println!("{USAGE}"),
        m => args::die(&format!("unknown mode {m:?}\n{USAGE}")),
    }
}
