//! What the disk under the servers does at best: the time of one synced write.
//!
//! An acknowledgement that promises a synced message cannot be faster than this.

use crate::args::{Args, die};
use crate::cost::now_ns;
use crate::hist::Hist;
use crate::run::emit;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Times `--syncs` writes of 4 KiB, each followed by fdatasync, in `--dir`: into a file that
/// grows, and into one that was written before.
pub fn disk(a: &Args) {
    let dir = PathBuf::from(a.str("dir", "."));
    let n = a.u64("syncs", 500);
    let v = both(&dir, n).unwrap_or_else(|e| die(&format!("{}: {e}", dir.display())));
    emit(a, v);
}

fn both(dir: &Path, n: u64) -> io::Result<Value> {
    let path = dir.join(format!("loadgen-sync-{}.tmp", std::process::id()));
    let file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .open(&path)?;
    // The second pass goes over what the first one wrote.
    let times = timed_syncs(&file, n).and_then(|grows| Ok((grows, timed_syncs(&file, n)?)));
    remove_file(&path)?;
    let (grows, written) = times?;
    Ok(json!({ "append_us": grows.to_json(), "written_us": written.to_json() }))
}

fn timed_syncs(file: &File, n: u64) -> io::Result<Hist> {
    let block = [7u8; 4096];
    let mut hist = Hist::default();
    for i in 0..n {
        let began = now_ns();
        file.write_all_at(&block, i * block.len() as u64)?;
        file.sync_data()?;
        hist.record(now_ns() - began);
    }
    Ok(hist)
}
