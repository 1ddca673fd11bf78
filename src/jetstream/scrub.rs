//! Reading what nobody asked for: all messages on disk, for damage.
//!
//! Separate because it belongs to no stream: one task goes from stream to stream, block by
//! block, and reads on a thread that may block. The stream itself says which block is next,
//! and hears what was found; a stream at rest costs nothing between its blocks.
//!
//! Invariants: one block is read at a time; a round takes about [`ROUND`] (how many blocks
//! there are is guessed from the messages in them), or longer if the disk is so full that
//! blocks would follow one another faster than `PAUSE_MIN`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::JetStream;
use super::handle::StreamHandle;
use crate::store::damage::{Check, Checked};
use crate::store::error::Error;
use crate::stream::config::Storage;
use crate::tasks;

/// In this time every block is read once.
pub const ROUND: Duration = Duration::from_secs(3 * 24 * 3600);
/// The bytes of a block, about.
const BLOCK_BYTES: u64 = 8 << 20;
/// The shortest time between two blocks.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest: also a server without streams looks whether there are any.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Goes round until JetStream has gone.
pub async fn run(jetstream: Weak<JetStream>) {
    loop {
        let pause = match jetstream.upgrade() {
            Some(jetstream) => pause_between(&streams_of(&jetstream)),
            None => return,
        };
        tokio::time::sleep(pause).await;
        if round(&jetstream, pause).await.is_none() {
            return;
        }
    }
}

fn streams_of(jetstream: &JetStream) -> Vec<Arc<StreamHandle>> {
    let sites = jetstream.streams.accounts();
    let streams = sites.iter().flat_map(|site| site.streams());
    let on_disk = |handle: &Arc<StreamHandle>| handle.config().storage == Storage::File;
    streams.filter(on_disk).collect()
}

/// The time between two blocks of these streams.
fn pause_between(streams: &[Arc<StreamHandle>]) -> Duration {
    let blocks = |handle: &Arc<StreamHandle>| handle.usage().1 / BLOCK_BYTES + 1;
    share_of_round(streams.iter().map(blocks).sum())
}

fn share_of_round(blocks: u64) -> Duration {
    let share = ROUND / u32::try_from(blocks.max(1)).unwrap_or(u32::MAX);
    share.clamp(PAUSE_MIN, PAUSE_MAX)
}

/// Reads every block of every stream once, with pauses; how many there were. None if
/// JetStream has gone.
pub async fn round(jetstream: &Weak<JetStream>, pause: Duration) -> Option<u64> {
    let handles = streams_of(&*jetstream.upgrade()?);
    let mut blocks = 0;
    for handle in handles {
        // A stream that stopped, or whose disk refuses, says so elsewhere.
        while let Ok(true) = one(&handle).await {
            blocks += 1;
            tokio::time::sleep(pause).await;
            jetstream.strong_count().gt(&0).then_some(())?;
        }
    }
    Some(blocks)
}

/// Reads the next block of a stream; false behind the last one.
async fn one(handle: &StreamHandle) -> Result<bool, ()> {
    let next = handle
        .read(|replica| replica.group.with(|machine| machine.store().next_check()))
        .await
        .map_err(|_| ())?;
    let check = match next {
        Ok(Some(check)) => check,
        Ok(None) => return Ok(false),
        Err(error) => return refused(handle, &error),
    };
    let checked = match read(check).await {
        Ok(checked) => checked,
        Err(error) => return refused(handle, &error),
    };
    let told = handle
        .read(move |replica| {
            let noted = replica
                .group
                .with(|machine| machine.store().checked(&checked));
            replica.look_for_trouble();
            noted
        })
        .await
        .map_err(|_| ())?;
    match told {
        Ok(()) => Ok(true),
        Err(error) => refused(handle, &error),
    }
}

/// Reads on a thread that may block.
async fn read(check: Box<dyn Check>) -> Result<Checked, Error> {
    let (tell, told) = oneshot::channel();
    tasks::run_slowly(move || drop(tell.send(check.run())));
    told.await.unwrap_or_else(|_| {
        Err(Error::Disk {
            what: "read a block",
            cause: "the thread ended".into(),
        })
    })
}

fn refused(handle: &StreamHandle, error: &Error) -> Result<bool, ()> {
    tracing::error!(stream = &*handle.name, err = %error, "blocks cannot be read");
    Err(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_three_days_within_bounds() {
        for (blocks, seconds) in [(0, 3600.0), (1, 3600.0), (2592, 100.0), (100_000_000, 0.1)] {
            let pause = share_of_round(blocks).as_secs_f64();
            assert!((pause - seconds).abs() < 1e-6, "{blocks}: {pause}");
        }
    }
}
