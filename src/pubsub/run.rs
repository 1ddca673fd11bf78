//! Runs: consecutive messages of one publisher to one subscription, under one lock.
//!
//! The common case is a publisher whose messages all go to the same receiver. From the
//! second such message on, they are encoded into a buffer of the publisher's own and
//! handed to the link together, so that many publishers to one receiver do not meet at its
//! lock for every message.
//!
//! Invariants: a run is committed before its publisher delivers anything else, answers
//! anything or flushes, so order and causality are those of single deliveries; a message
//! counts when it is committed, under the link's lock, so a limit of deliveries and the end
//! of a subscription hold exactly. Absent: subscriptions that have a limit already.

use std::sync::Arc;

use super::subscription::Subscription;
use crate::connection::link::{Appended, Link};
use crate::connection::pool;
use crate::subject::sublist::Keyed;

/// A run is committed when it holds this much; with the message that fills it up, it still
/// fits into one write buffer.
const RUN_BYTES: usize = pool::CHUNK_BYTES - 2 * BODY_BYTES_MAX;
/// Larger bodies are delivered one by one: the copy would cost more than the lock.
pub const BODY_BYTES_MAX: usize = 4096;

/// The present run of a publisher, if there is one.
#[derive(Default)]
pub struct Runs {
    run: Option<Run>,
    /// Who received the last message alone; 0: nobody did.
    last: u64,
    /// The marks of earlier runs, kept for their memory.
    spare: Vec<Mark>,
}

struct Run {
    link: Arc<Link>,
    subscription: Arc<Subscription>,
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// Where a message of a run ends, and the bytes of bodies up to there.
#[derive(Clone, Copy)]
struct Mark {
    end: usize,
    bodies: usize,
}

/// What is left to be done after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// Nothing.
    Done,
    /// The receiver is behind.
    Behind,
}

impl Runs {
    /// The last message went to `subscription` alone, too.
    pub fn continues(&self, subscription: &Arc<Subscription>) -> bool {
        self.last == subscription.key()
    }

    /// Remembers who received a message: `alone`, or not.
    pub fn note(&mut self, subscription: &Arc<Subscription>, alone: bool) {
        self.last = if alone { subscription.key() } else { 0 };
    }

    /// Adds a message to the run of `subscription`, which must be the one that
    /// [`Runs::continues`]; true if the run is full.
    pub fn add(
        &mut self,
        link: &Arc<Link>,
        subscription: &Arc<Subscription>,
        body_len: usize,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        let spare = &mut self.spare;
        let run = self.run.get_or_insert_with(|| Run {
            link: Arc::clone(link),
            subscription: Arc::clone(subscription),
            bytes: pool::take(),
            marks: std::mem::take(spare),
        });
        debug_assert!(Arc::ptr_eq(&run.subscription, subscription));
        pool::reserve(&mut run.bytes, body_len);
        encode(&mut run.bytes);
        let bodies = run.marks.last().map_or(0, |mark| mark.bodies);
        run.marks.push(Mark {
            end: run.bytes.len(),
            bodies: bodies + body_len,
        });
        run.bytes.len() >= RUN_BYTES
    }

    /// There is something to commit.
    pub const fn is_open(&self) -> bool {
        self.run.is_some()
    }

    /// Hands the run to its link; `touch` is called if the link has to be flushed at the
    /// end of the batch.
    pub fn commit(&mut self, touch: impl FnOnce(&Arc<Link>)) -> Committed {
        let Some(run) = self.run.take() else {
            return Committed::Done;
        };
        let Run {
            link,
            subscription,
            mut bytes,
            mut marks,
        } = run;
        let mut committed = Committed::Done;
        match link.lock() {
            None => pool::give(bytes),
            Some(mut locked) => {
                let counted = subscription.count_many(marks.len() as u64) as usize;
                let (end, bodies) = match counted.checked_sub(1) {
                    Some(last) => (marks[last].end, marks[last].bodies),
                    None => (0, 0),
                };
                bytes.truncate(end);
                locked.append_buffer(bytes);
                locked.count_delivered(counted as u64, bodies);
                match locked.finish() {
                    Appended::FlushLater => touch(&link),
                    Appended::FlushNow => link.flush(),
                    Appended::Behind => committed = Committed::Behind,
                    Appended::Nothing | Appended::Closed => {}
                }
                if counted < marks.len() {
                    // Ended or limited meanwhile: its session hears of the limit.
                    subscription.sink.on_last(&subscription);
                }
            }
        }
        marks.clear();
        self.spare = marks;
        committed
    }

    /// Gives memory back.
    pub fn rest(&mut self) {
        self.spare = Vec::new();
        self.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::connection::close::CloseReason;
    use crate::connection::id::{ConnId, Kind};
    use crate::connection::link::WriteOptions;
    use crate::connection::pending::PendingTotal;
    use crate::net::Writer;
    use crate::pubsub::message::{Batch, Encoded, Message};
    use crate::pubsub::subscription::Sink;

    struct Counting(parking_lot::Mutex<usize>);

    impl Sink for Counting {
        fn deliver(
            &self,
            _: &Message<'_>,
            _: &mut Encoded,
            _: &Arc<Subscription>,
            _: &mut Batch,
        ) -> bool {
            false
        }
        fn on_last(&self, _: &Arc<Subscription>) {
            *self.0.lock() += 1;
        }
        fn owner(&self) -> ConnId {
            ConnId(1)
        }
    }

    struct Rig {
        link: Arc<Link>,
        subscription: Arc<Subscription>,
        sink: Arc<Counting>,
        runs: Runs,
    }

    fn rig() -> Rig {
        let options = WriteOptions {
            pending_max: 1 << 20,
            total: Arc::new(PendingTotal::new(1 << 20)),
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let sink = Arc::new(Counting(parking_lot::Mutex::new(0)));
        let receiver = Arc::clone(&sink) as Arc<dyn Sink>;
        Rig {
            link: Link::new(ConnId(1), Kind::Client, peer, Writer::Owner, options),
            subscription: Subscription::new(b"a", None, b"1", receiver, false).unwrap(),
            sink,
            runs: Runs::default(),
        }
    }

    impl Rig {
        fn add(&mut self, messages: usize) {
            for _ in 0..messages {
                self.runs.add(&self.link, &self.subscription, 10, |out| {
                    out.extend_from_slice(&[b'x'; 100])
                });
            }
        }

        fn check(&mut self, delivered: u64, lasts: usize) {
            self.runs.commit(|_| {});
            assert_eq!(self.link.delivered(), (delivered, 10 * delivered));
            assert_eq!(self.link.pending_bytes() as u64, 100 * delivered);
            assert_eq!(self.subscription.delivered(), delivered);
            assert_eq!(*self.sink.0.lock(), lasts);
        }
    }

    #[test]
    fn a_run_counts_and_arrives_as_a_whole() {
        let mut rig = rig();
        rig.add(7);
        rig.check(7, 0);
        rig.add(2);
        rig.check(9, 0);
    }

    #[test]
    fn a_limit_set_meanwhile_holds_exactly() {
        let mut rig = rig();
        rig.add(7);
        rig.subscription.set_max(3);
        rig.check(3, 1);
    }

    #[test]
    fn a_subscription_that_ended_meanwhile_gets_nothing() {
        let mut rig = rig();
        rig.add(7);
        rig.subscription.close();
        rig.check(0, 1);
    }

    #[test]
    fn a_closed_link_gets_nothing() {
        let mut rig = rig();
        rig.add(7);
        rig.link.close(CloseReason::ClientClosed);
        rig.runs.commit(|_| panic!("there is nothing to flush"));
        assert_eq!(rig.link.pending_bytes(), 0);
    }
}
