//! A message on its way, and what a batch of them leaves to be done.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;

use crate::connection::due;
use crate::connection::id::ConnId;
use crate::connection::link::Link;
use crate::connection::outbound::SHARE_MIN_BYTES;
use crate::entropy::Random;
use crate::protocol::encode::MessageLine;

use super::accounts::Account;
use super::run::{Committed, Runs};
use super::subscription::Subscription;

/// How many accounts one message may cross.
pub const CROSSINGS_MAX: usize = 16;
/// Deliveries after which a publisher lets others have their turn.
const WORK_MAX: usize = 16 * 1024;

/// More bytes than this read at once are worth writes of their own.
const SMALL_READ_BYTES: usize = 4096;
/// More deliveries than this are, too.
const SMALL_WORK: usize = 64;

/// A message as it is delivered; borrows from whoever published it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The subject as the receiver sees it.
    pub subject: &'a [u8],
    /// The reply subject or empty.
    pub reply: &'a [u8],
    /// Bytes of `body` that are headers; `None`: the message has none.
    pub header_len: Option<usize>,
    /// Headers and payload.
    pub body: &'a [u8],
    /// The link it came from.
    pub origin: ConnId,
}

impl<'a> Message<'a> {
    /// The payload without headers.
    pub fn payload(&self) -> &'a [u8] {
        &self.body[self.header_len.unwrap_or(0)..]
    }

    /// The header block, if any.
    pub fn headers(&self) -> Option<&'a [u8]> {
        self.header_len.map(|len| &self.body[..len])
    }
}

/// What encoding a message for several receivers shares: made at most once each.
#[derive(Debug, Default)]
pub struct Encoded {
    headed: MessageLine,
    plain: MessageLine,
    headed_made: bool,
    plain_made: bool,
    shared: OnceCell<Bytes>,
    receivers: usize,
}

impl Encoded {
    /// Forgets the last message; `receivers` is how many the next one may have.
    pub fn begin(&mut self, receivers: usize) {
        self.headed_made = false;
        self.plain_made = false;
        self.end();
        self.receivers = receivers;
    }

    /// Forgets a shared body: what receivers have not written yet they hold themselves.
    pub fn end(&mut self) {
        self.shared.take();
    }

    /// The line for a receiver that understands headers or does not.
    pub fn line(&mut self, message: &Message<'_>, headers: bool) -> &MessageLine {
        if headers && message.header_len.is_some() {
            if !self.headed_made {
                self.headed_made = true;
                let total = message.body.len();
                self.headed
                    .set(message.subject, message.reply, message.header_len, total);
            }
            &self.headed
        } else {
            if !self.plain_made {
                self.plain_made = true;
                let total = message.payload().len();
                self.plain.set(message.subject, message.reply, None, total);
            }
            &self.plain
        }
    }

    /// The message goes to one receiver at most.
    pub const fn is_single(&self) -> bool {
        self.receivers == 1
    }

    /// The body by reference, if it is large and goes to several receivers.
    pub fn shared(&self, message: &Message<'_>) -> Option<&Bytes> {
        if self.receivers < 2 || message.body.len() < SHARE_MIN_BYTES {
            return None;
        }
        Some(
            self.shared
                .get_or_init(|| Bytes::copy_from_slice(message.body)),
        )
    }
}

/// Who asks, when a request crosses accounts.
pub trait Requester: Send + Sync {
    /// The JSON of `Nats-Request-Info`; `share` tells all there is to tell.
    fn request_info(&self, account: &str, share: bool) -> String;
}

/// What a batch of publishes leaves to be done when it ends, and what it shares.
pub struct Batch {
    touched: Vec<Arc<Link>>,
    /// Somebody has more than three quarters of his limit waiting.
    behind: bool,
    /// Receivers of what was published since the last flush.
    work: usize,
    /// Subscriptions that received their last message.
    finished: Vec<Arc<Subscription>>,
    /// Accounts the present message has crossed.
    crossings: usize,
    requester: Option<Arc<dyn Requester>>,
    /// Messages that go to one receiver together.
    runs: Runs,
    /// Chance, for what is not cached.
    pub random: Random,
}

impl Default for Batch {
    fn default() -> Self {
        Batch::new(Random::from_system(), None)
    }
}

impl Batch {
    /// A batch of one publisher.
    pub fn new(random: Random, requester: Option<Arc<dyn Requester>>) -> Self {
        Batch {
            touched: Vec::new(),
            behind: false,
            work: 0,
            finished: Vec::new(),
            crossings: 0,
            requester,
            runs: Runs::default(),
            random,
        }
    }

    /// The run of messages to one receiver.
    pub fn runs(&mut self) -> &mut Runs {
        &mut self.runs
    }

    /// Hands over the run that is open, if any: before anything else is delivered, answered
    /// or flushed.
    pub fn commit(&mut self) {
        if self.runs.is_open() {
            let touched = &mut self.touched;
            let committed = self.runs.commit(|link| touched.push(Arc::clone(link)));
            self.behind |= committed == Committed::Behind;
        }
    }

    /// Remembers to flush `link` at the end.
    pub fn touch(&mut self, link: &Arc<Link>) {
        self.touched.push(Arc::clone(link));
    }

    /// Remembers that a receiver is behind.
    pub fn note_behind(&mut self) {
        self.behind = true;
    }

    /// Notes that a message has that many receivers.
    pub const fn note_work(&mut self, receivers: usize) {
        self.work += receivers;
    }

    /// Enough was delivered for one turn: others want theirs.
    pub const fn is_large(&self) -> bool {
        self.work >= WORK_MAX
    }

    /// Gives memory back.
    pub fn rest(&mut self) {
        self.touched = Vec::new();
        self.finished = Vec::new();
        self.runs.rest();
    }

    /// Flushes what was touched; true if a receiver is behind.
    pub fn flush(&mut self) -> bool {
        self.work = 0;
        self.commit();
        for link in self.touched.drain(..) {
            link.flush();
        }
        std::mem::take(&mut self.behind)
    }

    /// Like [`Batch::flush`], for somebody who has no links of his own: many links are left
    /// to the threads that they live on.
    pub fn send_home(&mut self) -> bool {
        self.work = 0;
        self.commit();
        due::send_home(&mut self.touched);
        std::mem::take(&mut self.behind)
    }

    /// Like [`Batch::flush`] at the end of a turn in which `read` bytes came in: if that is
    /// little, who was touched is left to the thread's attendant, and what others want
    /// written goes with it.
    pub fn end_turn(&mut self, read: usize) -> bool {
        if read > SMALL_READ_BYTES || self.work > SMALL_WORK {
            due::flush();
            return self.flush();
        }
        self.work = 0;
        self.commit();
        due::leave(&mut self.touched);
        std::mem::take(&mut self.behind)
    }

    /// Remembers that `subscription` has had its last message.
    pub fn finish(&mut self, subscription: Arc<Subscription>) {
        self.finished.push(subscription);
    }

    /// Removes subscriptions that have had their last message.
    pub fn end_finished(&mut self, account: &Account) {
        while let Some(subscription) = self.finished.pop() {
            account.unsubscribe(&subscription);
        }
    }

    /// How many accounts the present message has crossed.
    pub const fn crossings(&self) -> usize {
        self.crossings
    }

    /// Does something one account further.
    pub fn crossing<T>(&mut self, there: impl FnOnce(&mut Batch) -> T) -> T {
        self.crossings += 1;
        let result = there(self);
        self.crossings -= 1;
        result
    }

    /// What the header says of whoever asks from `account`.
    pub fn request_info(&self, account: &Account, share: bool) -> String {
        match &self.requester {
            Some(requester) => requester.request_info(&account.name, share),
            None => serde_json::json!({ "acc": &*account.name }).to_string(),
        }
    }

    /// A seed for chance.
    pub fn next_random(&mut self) -> u64 {
        self.random.next_u64()
    }
}

/// Whoever was touched counts on being flushed, also when its publisher leaves in between.
impl Drop for Batch {
    fn drop(&mut self) {
        self.flush();
    }
}
