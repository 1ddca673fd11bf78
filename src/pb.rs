//! Generated code of the messages in `proto/`.
//!
//! Separate because nobody edits it: each room that replicates something converts between
//! its own types and these, in a file named `codec.rs`.
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated")]

/// What a consumer writes into the log of its stream.
pub mod consumer {
    include!(concat!(env!("OUT_DIR"), "/natter.replicated.consumer.rs"));
}

/// What the meta group writes.
pub mod meta {
    include!(concat!(env!("OUT_DIR"), "/natter.replicated.meta.rs"));
}

/// What a Raft group keeps beside its machine's entries.
pub mod raft {
    include!(concat!(env!("OUT_DIR"), "/natter.replicated.raft.rs"));
}

/// What a stream writes into its log.
pub mod stream {
    include!(concat!(env!("OUT_DIR"), "/natter.replicated.stream.rs"));
}
