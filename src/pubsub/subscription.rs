//! A subscription, and the seam through which it receives.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::message::{Batch, Encoded, Message};
use super::stream_import::Shadow;
use crate::connection::id::ConnId;
use crate::subject::sublist::Keyed;

/// Whoever receives messages: a client's link, a link between servers, the server itself.
///
/// Promise: `deliver` neither blocks nor publishes on the same thread while holding a
/// lock; it returns whether the message was taken.
pub trait Sink: Send + Sync {
    /// Takes one message for `subscription`.
    fn deliver(
        &self,
        message: &Message<'_>,
        encoded: &mut Encoded,
        subscription: &Arc<Subscription>,
        batch: &mut Batch,
    ) -> bool;

    /// A subscription has had its last message, or more were on their way than it may have.
    fn on_last(&self, _subscription: &Arc<Subscription>) {}

    /// The link behind it.
    fn owner(&self) -> ConnId;
}

/// Interest of one sink in one filter.
pub struct Subscription {
    /// Filter, queue and sid behind each other, in one allocation.
    text: Box<[u8]>,
    filter_len: u16,
    queue_len: u16,
    has_queue: bool,
    /// A deny entry overlaps: the sink asks for each message.
    is_filtered: bool,
    closed: AtomicBool,
    /// Deliveries so far; written under the sink's own lock.
    delivered: AtomicU64,
    /// Deliveries after which it ends; 0: never.
    max: AtomicU64,
    /// Makes it the shadow of another.
    shadow: Option<Box<Shadow>>,
    /// Who receives.
    pub sink: Arc<dyn Sink>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("filter", &String::from_utf8_lossy(self.filter()))
            .field("sid", &String::from_utf8_lossy(self.sid()))
            .field("owner", &self.sink.owner())
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// A subscription that has received nothing yet; `None` if filter or queue are longer
    /// than 65,535 bytes, which no control line allows. `is_filtered`: each message has to be
    /// held against the receiver's permissions.
    pub fn new(
        filter: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        sink: Arc<dyn Sink>,
        is_filtered: bool,
    ) -> Option<Arc<Subscription>> {
        let queue_text = queue.unwrap_or_default();
        Some(Arc::new(Subscription {
            text: [filter, queue_text, sid].concat().into_boxed_slice(),
            filter_len: u16::try_from(filter.len()).ok()?,
            queue_len: u16::try_from(queue_text.len()).ok()?,
            has_queue: queue.is_some(),
            is_filtered,
            closed: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(0),
            shadow: None,
            sink,
        }))
    }

    /// The shadow of another subscription, in the account that its messages come from.
    pub fn shadowing(filter: &[u8], shadow: Shadow) -> Option<Arc<Subscription>> {
        let parent = Arc::clone(shadow.parent());
        let sink = Arc::clone(&parent.sink);
        let made = Subscription::new(
            filter,
            parent.queue(),
            parent.sid(),
            sink,
            parent.is_filtered,
        )?;
        let mut made = Arc::into_inner(made)?;
        made.shadow = Some(Box::new(shadow));
        Some(Arc::new(made))
    }

    /// What makes it a shadow, if it is one.
    pub fn shadow(&self) -> Option<&Shadow> {
        self.shadow.as_deref()
    }

    /// The subject filter.
    pub fn filter(&self) -> &[u8] {
        &self.text[..usize::from(self.filter_len)]
    }

    /// The queue group.
    pub fn queue(&self) -> Option<&[u8]> {
        let from = usize::from(self.filter_len);
        self.has_queue
            .then(|| &self.text[from..from + usize::from(self.queue_len)])
    }

    /// The client's name for it.
    pub fn sid(&self) -> &[u8] {
        &self.text[usize::from(self.filter_len) + usize::from(self.queue_len)..]
    }

    /// Each message has to be held against the receiver's permissions.
    pub fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Deliveries so far.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Deliveries after which it ends; 0: never.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Limits the deliveries (`UNSUB sid max`), under the sink's lock; false if there were
    /// as many already: the caller ends it.
    pub fn limit(&self, max: u64) -> bool {
        let is_later = self.delivered() < max;
        if is_later {
            self.set_max(max);
        }
        is_later
    }

    /// Sets the limit of one that receives nothing yet.
    pub fn set_max(&self, max: u64) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Takes over count and limit of the subscription it replaces.
    pub fn continue_from(&self, old: &Subscription) {
        self.delivered.store(old.delivered(), Ordering::Relaxed);
        self.set_max(old.max());
    }

    /// Receives no more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Receives no more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Counts up to `wanted` deliveries, under the sink's lock; how many are allowed.
    pub fn count_many(&self, wanted: u64) -> u64 {
        if self.is_closed() {
            return 0;
        }
        let (delivered, max) = (self.delivered(), self.max());
        let allowed = if max == 0 {
            wanted
        } else {
            wanted.min(max.saturating_sub(delivered))
        };
        self.delivered.store(delivered + allowed, Ordering::Relaxed);
        allowed
    }

    /// Counts one delivery, under the sink's lock: refused once the limit is reached.
    pub fn count(&self) -> Count {
        if self.is_closed() {
            return Count::Refused;
        }
        let delivered = self.delivered() + 1;
        let max = self.max();
        if max != 0 && delivered > max {
            return Count::Refused;
        }
        self.delivered.store(delivered, Ordering::Relaxed);
        if max != 0 && delivered == max {
            Count::Last
        } else {
            Count::Counted
        }
    }
}

/// Whether one more delivery is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Yes.
    Counted,
    /// Yes, and it was the last: the sink ends the subscription.
    Last,
    /// No.
    Refused,
}

/// The address: a subscription stays in its `Arc` for life.
impl Keyed for Subscription {
    fn key(&self) -> u64 {
        std::ptr::from_ref(self) as u64
    }
}
