//! Generates Rust code for the messages in this folder. No `protoc` is needed.
#![allow(clippy::disallowed_methods, reason = "a build script reads files")]

use std::error::Error;

/// What is generated: one package a file.
const FILES: [&str; 4] = [
    "proto/replicated/consumer.proto",
    "proto/replicated/meta.proto",
    "proto/replicated/raft.proto",
    "proto/replicated/stream.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        .compile_fds(files)?;
    Ok(())
}
