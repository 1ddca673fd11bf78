//! Commands that wait to be proposed, and when they are worth an entry of their own.
//!
//! Separate because entries are what costs: each is proposed, committed and answered for
//! itself, so on a busy stream it matters how much is in one. The log syncs those that came
//! while it wrote at once; while it does, the next ones are gathered and those before applied.
//!
//! ```text
//!   one under way:   what comes meanwhile waits, unless it is worth an entry of its own:
//!                    the more messages there are, the more of them
//!   many at once:    a quarter of all that are under way or gathered, from 128 on, so that
//!                    some are written while others are applied and answered
//!   none under way:  who was just answered is waited for, so that publishers who wait for
//!                    each answer share entries: for seven eighths of them, as many as are
//!                    worth an entry, or a millisecond
//!   records:         deliveries that went out and acknowledgements that nobody waits for
//!                    change nothing for clients: alone they make an entry every two
//!                    milliseconds at most, or when there are many
//! ```
//!
//! Invariants: commands leave in the order they came; with no entry under way nothing waits
//! for longer than two milliseconds, and of what somebody waits for only publishes, copies
//! and confirmed acknowledgements wait at all, where there are many publishers. After a
//! refusal of the log everything waits, which is the replica's business.

use crate::clock::Timestamp;
use crate::consumer;
use crate::jetstream::incoming::Incoming;
use crate::jetstream::mailbox::Patience;
use crate::jetstream::waiters::{Waiter, Waiters};
use crate::stream::command::{Command, Publish};

/// Entries under way at once: some are being synced while others are applied and gathered.
pub const PROPOSALS_MAX: usize = 8;
/// A smaller entry waits for the one under way.
pub const MESSAGES_WORTH_AN_ENTRY: usize = 32;
/// However many there are, this is worth an entry.
const MANY_MESSAGES: usize = 128;
/// Where many messages are under way or gathered, an entry has one of so many parts: with
/// all of them in one the log, who applies and who publishes would wait for each other.
const PARTS: usize = 4;
/// As [`MESSAGES_WORTH_AN_ENTRY`], in bytes.
const BYTES_WORTH_AN_ENTRY: usize = 256 * 1024;
/// Commands in one entry.
const COMMANDS_MAX: usize = 4096;
/// Bytes of messages in one entry.
const BYTES_MAX: usize = 1024 * 1024;
/// Fewer publishers than this are not waited for.
const PUBLISHERS_MIN: usize = 16;
/// How long they are waited for, in nanoseconds.
const GATHER_NS: i64 = 1_000_000;
/// Records are worth an entry of their own from so many messages on.
const RECORDS_WORTH_AN_ENTRY: usize = 1024;
/// Fewer wait until so many nanoseconds after the entry before.
const RECORD_NS: i64 = 2_000_000;

/// How long a command may wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Not at all: somebody waits for it.
    Now,
    /// As long as others are likely to come: many wait for theirs as well.
    Together,
    /// A little: nobody waits for it.
    Soon,
}

/// Commands that wait to be proposed, each with who waits for it.
#[derive(Default)]
pub struct Batch {
    commands: Vec<Command>,
    waiters: Waiters,
    /// Messages that are stored, delivered, acknowledged.
    messages: usize,
    bytes: usize,
    /// There is something that others are not waited for with.
    is_urgent: bool,
    /// Somebody waits for some of it.
    is_wanted: bool,
    /// So many messages are waited for, and until when.
    awaited: Option<(usize, Timestamp)>,
    /// Until when records wait, if nobody wants anything.
    records_at: Option<Timestamp>,
}

impl Batch {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Adds a command, and who waits for it.
    pub fn push(&mut self, command: Command, waiter: Waiter, haste: Haste) {
        self.waiters.push(waiter);
        self.add(command, haste);
    }

    /// Adds a publisher's message, or what it was changed to; nothing is left of it there.
    pub fn push_publish(&mut self, incoming: &mut Incoming, changed: Option<Publish>) {
        self.waiters.push_publisher(incoming.reply());
        let publish = changed.unwrap_or_else(|| incoming.take_publish());
        self.add(Command::Publish(publish), Haste::Together);
    }

    fn add(&mut self, command: Command, haste: Haste) {
        self.messages += messages(&command);
        self.bytes += weight(&command);
        self.is_urgent |= haste == Haste::Now;
        self.is_wanted |= haste != Haste::Soon;
        self.commands.push(command);
    }

    /// So many publishers are about to be answered, so many have messages that were not
    /// looked at yet, and nothing is under way: those who are answered are likely to be back
    /// soon.
    pub fn expect(&mut self, now: Timestamp, answered: usize, waiting: usize) {
        let publishers = answered + waiting + self.messages;
        let until = now.unix_nanos().saturating_add(GATHER_NS);
        let worth = (publishers * 7 / 8).min(MESSAGES_WORTH_AN_ENTRY);
        self.awaited =
            (publishers >= PUBLISHERS_MIN).then_some((worth, Timestamp::from_unix_nanos(until)));
    }

    /// How many messages do not wait for an entry under way, when `under_way` are in such.
    fn worth(&self, under_way: usize) -> usize {
        ((under_way + self.messages) / PARTS).clamp(MESSAGES_WORTH_AN_ENTRY, MANY_MESSAGES)
    }

    /// Whether to propose now, or to let it grow. So many commands are under way.
    pub fn is_due(&self, now: Timestamp, under_way: usize) -> bool {
        let another_is_under_way = under_way > 0;
        if self.is_empty() {
            return false;
        }
        if !self.is_wanted {
            let is_time = self.records_at.is_none_or(|at| at <= now);
            return self.messages >= RECORDS_WORTH_AN_ENTRY || (is_time && !another_is_under_way);
        }
        if self.messages >= self.worth(under_way) || self.bytes >= BYTES_WORTH_AN_ENTRY {
            return true;
        }
        let is_awaited = |(worth, until)| self.messages < worth && now < until;
        !another_is_under_way && (self.is_urgent || !self.awaited.is_some_and(is_awaited))
    }

    /// Somebody waits for what is here now.
    pub fn hurry(&mut self) {
        self.is_urgent = !self.is_empty();
        self.is_wanted = !self.is_empty();
    }

    /// Until when others are waited for, if nothing happens before.
    pub fn deadline(&self) -> Option<Timestamp> {
        let awaited = self.awaited.map(|(_, until)| until);
        let has_records = !self.is_wanted && !self.is_empty();
        awaited.or(self.records_at.filter(|_| has_records))
    }

    /// Waits no longer for whom it is too late.
    pub fn on_time(&mut self, now: Timestamp) {
        self.awaited = self.awaited.filter(|(_, until)| now < *until);
        self.records_at = self.records_at.filter(|at| now < *at);
    }

    /// How much may come before the stream is to look at it. While an entry is under way its
    /// outcome wakes the stream in any case.
    pub fn patience(&self, under_way: usize) -> Patience {
        let worth = match (under_way, self.awaited) {
            (1.., _) => self.worth(under_way),
            (0, Some((worth, _))) => worth,
            (0, None) => return Patience::NONE,
        };
        let left = |worth: usize, gathered: usize| match worth.checked_sub(gathered) {
            Some(left) if left > 0 => left,
            _ => worth,
        };
        Patience {
            messages: left(worth, self.messages),
            bytes: left(BYTES_WORTH_AN_ENTRY, self.bytes),
        }
    }

    /// How many commands go into one entry, when `under_way` are in such.
    fn commands_max(&self, under_way: usize) -> usize {
        ((under_way + self.commands.len()) / PARTS).clamp(MANY_MESSAGES, COMMANDS_MAX)
    }

    /// Takes what fits into one entry: at least one command, if there is any.
    pub fn take_front(&mut self, now: Timestamp, under_way: usize) -> (Vec<Command>, Waiters) {
        let commands_max = self.commands_max(under_way);
        let records_at = now.unix_nanos().saturating_add(RECORD_NS);
        let records_at = Some(Timestamp::from_unix_nanos(records_at));
        if self.commands.len() <= commands_max && self.bytes <= BYTES_MAX {
            // Another one like this is likely to come.
            let room = self.commands.len().min(MANY_MESSAGES);
            let next = Batch {
                commands: Vec::with_capacity(room),
                waiters: Waiters::like(&self.waiters, room),
                records_at,
                ..Batch::default()
            };
            let taken = std::mem::replace(self, next);
            return (taken.commands, taken.waiters);
        }
        self.awaited = None;
        self.records_at = records_at;
        let mut bytes = 0;
        let fits = |command: &&Command| {
            bytes += weight(command);
            bytes <= BYTES_MAX
        };
        let front = self.commands.iter().take(commands_max);
        let count = front.take_while(fits).count().max(1);
        let rest = self.commands.split_off(count);
        let commands = std::mem::replace(&mut self.commands, rest);
        let waiters = self.waiters.take_front(count);
        self.messages = self.commands.iter().map(messages).sum();
        self.bytes = self.commands.iter().map(weight).sum();
        (commands, waiters)
    }
}

/// The messages a command is about.
fn messages(command: &Command) -> usize {
    use consumer::command::Command::{Ack, Deliver};
    match command {
        Command::Consumer {
            command: Deliver(seqs) | Ack(seqs),
            ..
        } => seqs.len(),
        _ => 1,
    }
}

/// The bytes a command brings along.
fn weight(command: &Command) -> usize {
    match command {
        Command::Publish(publish) => publish.parts().map(<[u8]>::len).iter().sum(),
        Command::Copy(copy) => copy.subject.len() + copy.headers.len() + copy.payload.len(),
        _ => 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::command::Command as ConsumerCommand;
    use crate::store::message::Seq;

    const MS: i64 = 1_000_000;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_unix_nanos(nanos)
    }

    fn publish(payload: usize) -> Command {
        Command::Publish(Publish::new(b"s", b"", &vec![0; payload]))
    }

    fn of_consumer(command: ConsumerCommand) -> Command {
        Command::Consumer {
            name: "c".to_owned(),
            command,
        }
    }

    fn batch(commands: impl IntoIterator<Item = Command>) -> Batch {
        let mut batch = Batch::default();
        for command in commands {
            let haste = haste(&command);
            batch.push(command, Waiter::Nobody, haste);
        }
        batch
    }

    fn haste(command: &Command) -> Haste {
        match command {
            Command::Publish(_) => Haste::Together,
            Command::Consumer { .. } => Haste::Soon,
            _ => Haste::Now,
        }
    }

    fn publishes(count: usize) -> Batch {
        batch((0..count).map(|_| publish(1)))
    }

    #[test]
    fn while_one_is_under_way_another_must_be_worth_it() {
        assert!(publishes(1).is_due(at(0), 0));
        assert!(!publishes(31).is_due(at(0), 1));
        assert!(publishes(32).is_due(at(0), 1));
        assert!(batch([publish(BYTES_WORTH_AN_ENTRY)]).is_due(at(0), 1));
        let seqs = (1..32).map(Seq).collect();
        let acks = of_consumer(ConsumerCommand::Ack(seqs));
        assert!(batch([acks, publish(1)]).is_due(at(0), 1));
        for under_way in [0, 1] {
            assert!(!Batch::default().is_due(at(0), under_way));
        }
    }

    #[test]
    fn where_many_are_under_way_entries_are_larger() {
        assert!(!publishes(63).is_due(at(0), 256 - 63));
        assert!(publishes(64).is_due(at(0), 256 - 64));
        assert_eq!(publishes(14).patience(256 - 14).messages, 64 - 14);
        assert!(publishes(MANY_MESSAGES).is_due(at(0), 4096));
    }

    #[test]
    fn most_of_those_who_were_answered_are_waited_for() {
        let mut batch = publishes(8);
        batch.expect(at(0), 10, 6);
        assert_eq!(batch.patience(0).messages, 21 - 8);
        assert_eq!(batch.deadline(), Some(at(MS)));
        assert!(!batch.is_due(at(0), 0));
        assert!(batch.is_due(at(MS), 0), "not for ever");
        for _ in 8..21 {
            assert!(!batch.is_due(at(0), 0));
            batch.push(publish(1), Waiter::Nobody, Haste::Together);
        }
        assert!(batch.is_due(at(0), 0));
        batch.take_front(at(0), 0);
        assert_eq!(batch.deadline(), None);
        batch.push(publish(1), Waiter::Nobody, Haste::Together);
        assert!(batch.is_due(at(0), 0), "nobody is waited for any more");
    }

    #[test]
    fn no_more_are_waited_for_than_are_worth_an_entry() {
        let mut batch = publishes(16);
        batch.expect(at(0), 40, 8);
        assert_eq!(batch.patience(0).messages, 32 - 16);
    }

    #[test]
    fn nobody_is_waited_for_in_vain() {
        let mut batch = publishes(1);
        batch.expect(at(0), 14, 0);
        assert!(batch.is_due(at(0), 0), "too few");
        batch.expect(at(0), 15, 0);
        assert!(!batch.is_due(at(0), 0));
        batch.on_time(at(MS));
        assert_eq!(
            (batch.deadline(), batch.patience(0)),
            (None, Patience::NONE)
        );
        batch.expect(at(0), 15, 0);
        batch.push(Command::Tick, Waiter::Nobody, Haste::Now);
        assert!(batch.is_due(at(0), 0), "something else is urgent");
    }

    fn records(count: u64) -> Command {
        of_consumer(ConsumerCommand::Deliver((1..=count).map(Seq).collect()))
    }

    #[test]
    fn records_wait_a_little_after_the_entry_before() {
        let mut batch = batch([records(1)]);
        assert!(batch.is_due(at(0), 0), "there was none");
        assert!(!batch.is_due(at(0), 1));
        batch.take_front(at(0), 0);
        assert_eq!(batch.deadline(), None, "nothing waits");
        batch.push(records(1), Waiter::Nobody, Haste::Soon);
        assert_eq!(batch.deadline(), Some(at(2 * MS)));
        assert!(!batch.is_due(at(2 * MS - 1), 0));
        assert!(batch.is_due(at(2 * MS), 0));
        batch.on_time(at(2 * MS));
        assert_eq!(batch.deadline(), None, "the entry under way is waited for");
    }

    #[test]
    fn records_go_with_what_is_wanted() {
        let mut rest = batch([]);
        for wanted in [Haste::Now, Haste::Together] {
            rest.take_front(at(0), 0);
            rest.push(records(1), Waiter::Nobody, Haste::Soon);
            assert!(!rest.is_due(at(1), 0));
            rest.push(publish(1), Waiter::Nobody, wanted);
            assert!(rest.is_due(at(1), 0), "{wanted:?}");
            assert_eq!(rest.take_front(at(1), 0).0.len(), 2);
        }
        rest.hurry();
        rest.push(records(1), Waiter::Nobody, Haste::Soon);
        assert!(!rest.is_due(at(1), 0), "nobody asked for it");
        rest.hurry();
        assert!(rest.is_due(at(1), 0), "somebody asks");
    }

    #[test]
    fn many_records_do_not_wait() {
        let mut batch = batch([]);
        batch.take_front(at(0), 0);
        for _ in 0..4 {
            assert!(!batch.is_due(at(1), 1));
            batch.push(records(256), Waiter::Nobody, Haste::Soon);
        }
        assert!(batch.is_due(at(1), 1));
    }

    #[test]
    fn many_at_once_are_several_entries() {
        let mut rest = publishes(512);
        let mut under_way = 0;
        let mut sizes = Vec::new();
        while rest.is_due(at(0), under_way) {
            sizes.push(rest.take_front(at(0), under_way).0.len());
            under_way += sizes[sizes.len() - 1];
        }
        assert_eq!(sizes, [128; 4]);
        let front = |count, under_way| publishes(count).take_front(at(0), under_way).0.len();
        assert_eq!(front(MANY_MESSAGES, 0), MANY_MESSAGES);
        assert_eq!(front(MANY_MESSAGES + 1, 0), MANY_MESSAGES);
        assert_eq!(front(200, 600), 200);
        assert_eq!(front(201, 599), 200);
    }

    #[test]
    fn what_is_too_much_for_one_entry_stays_in_order() {
        let mut rest = batch((0..3).map(|_| publish(BYTES_MAX / 2)));
        let sizes = |rest: &mut Batch| rest.take_front(at(0), 4 * COMMANDS_MAX).0.len();
        assert_eq!(
            (sizes(&mut rest), sizes(&mut rest), sizes(&mut rest)),
            (1, 1, 1)
        );
        assert!(rest.is_empty());
        let mut rest = publishes(COMMANDS_MAX + 1);
        assert_eq!((sizes(&mut rest), sizes(&mut rest)), (COMMANDS_MAX, 1));
        let mut large = batch([publish(2 * BYTES_MAX)]);
        assert_eq!(sizes(&mut large), 1, "whatever its size");
    }
}
