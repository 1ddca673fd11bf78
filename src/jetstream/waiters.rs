//! Who waits for the outcomes of an entry, in the order of its commands.
//!
//! Separate because most of them are publishers, of whom nothing is known but where their
//! answers go: these texts lie behind each other, so that none costs memory of its own.
//!
//! Invariant: `replies` has the replies of the publishers in `list`, in their order and
//! nothing else.

use std::sync::Arc;

use bytes::Bytes;

use super::replica::Replica;
use crate::raft::error::ProposeError;
use crate::stream::outcome::Outcome;

/// What somebody does when his command has an outcome.
pub type Then = Box<dyn FnOnce(&mut Replica, Result<Outcome, ProposeError>) + Send>;

/// Who waits for an outcome.
pub enum Waiter {
    /// Nobody.
    Nobody,
    /// A consumer's dispatcher; `reply` is where a double ack is answered, or empty.
    Consumer {
        /// The consumer.
        name: Arc<str>,
        /// Where a double ack is answered, or empty.
        reply: Bytes,
        /// Messages are sent when it is applied.
        is_delivery: bool,
    },
    /// Somebody else.
    Then(Then),
}

/// As [`Waiter`], with publishers.
enum Listed {
    Other(Waiter),
    /// A publisher, for his PubAck: so long is the text of where it goes.
    Publisher(u32),
}

/// One of them, when he is told.
pub enum Told<'a> {
    /// A publisher, for his PubAck; empty: he wants none.
    Publisher {
        /// Where it goes.
        reply: &'a [u8],
    },
    /// Anybody else.
    Other(Waiter),
}

/// Those who wait for the commands of one entry, or of what is to become entries.
#[derive(Default)]
pub struct Waiters {
    list: Vec<Listed>,
    replies: Vec<u8>,
}

impl Waiters {
    /// None, but room for so many as there are of others, and for their replies.
    pub fn like(others: &Waiters, count: usize) -> Waiters {
        let replies = others.replies.len() * count / others.list.len().max(1);
        Waiters {
            list: Vec::with_capacity(count),
            replies: Vec::with_capacity(replies),
        }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Nobody is there; `Waiter::Nobody` counts.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Another one.
    pub fn push(&mut self, waiter: Waiter) {
        self.list.push(Listed::Other(waiter));
    }

    /// Another publisher, who is answered there; empty: he wants no answer.
    pub fn push_publisher(&mut self, reply: &[u8]) {
        // A subject has kilobytes at most.
        let len = u32::try_from(reply.len()).unwrap_or(0);
        self.replies.extend_from_slice(&reply[..len as usize]);
        self.list.push(Listed::Publisher(len));
    }

    /// How many publishers want an answer.
    pub fn wanted(&self) -> usize {
        let is_wanted = |one: &&Listed| matches!(one, Listed::Publisher(1..));
        self.list.iter().filter(is_wanted).count()
    }

    /// The first so many; the others stay.
    pub fn take_front(&mut self, count: usize) -> Waiters {
        let len = |one: &Listed| match one {
            Listed::Publisher(len) => *len as usize,
            Listed::Other(_) => 0,
        };
        let replies = self.list[..count].iter().map(len).sum();
        let rest = Waiters {
            list: self.list.split_off(count),
            replies: self.replies.split_off(replies),
        };
        std::mem::replace(self, rest)
    }

    /// Each of them, in order.
    pub fn tell(self, mut each: impl FnMut(Told<'_>)) {
        let mut rest = &self.replies[..];
        for one in self.list {
            each(match one {
                Listed::Other(waiter) => Told::Other(waiter),
                Listed::Publisher(len) => {
                    let (reply, others) = rest.split_at(len as usize);
                    rest = others;
                    Told::Publisher { reply }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(waiters: Waiters) -> Vec<Option<Vec<u8>>> {
        let mut told = Vec::new();
        waiters.tell(|one| {
            told.push(match one {
                Told::Publisher { reply } => Some(reply.to_vec()),
                Told::Other(_) => None,
            });
        });
        told
    }

    fn some() -> Waiters {
        let mut waiters = Waiters::default();
        waiters.push_publisher(b"one");
        waiters.push(Waiter::Nobody);
        waiters.push_publisher(b"");
        waiters.push_publisher(b"three");
        waiters
    }

    #[test]
    fn each_publisher_hears_where_he_is_answered() {
        assert_eq!((some().len(), some().wanted()), (4, 2));
        let reply = |text: &[u8]| Some(text.to_vec());
        let all = [reply(b"one"), None, reply(b""), reply(b"three")];
        assert_eq!(told(some()), all);
        for count in 0..=4 {
            let mut rest = some();
            let front = rest.take_front(count);
            assert_eq!((front.len(), rest.len()), (count, 4 - count));
            rest.push_publisher(b"five");
            assert_eq!(told(front), all[..count]);
            assert_eq!(told(rest), [&all[count..], &[reply(b"five")]].concat());
        }
    }

    #[test]
    fn there_is_room_for_as_many() {
        let room = Waiters::like(&some(), 8);
        assert!(room.is_empty() && room.list.capacity() >= 8);
        assert!(room.replies.capacity() >= 16);
        assert!(Waiters::like(&Waiters::default(), 0).is_empty());
    }
}
