//! The consumers of a stream, found by name and by the subjects they want.
//!
//! Separate because a stream may have ten thousand of them: a message must find those
//! that want it without asking every one. Filters are kept in a match tree whose items are
//! slots; a consumer without filters has `>`.
//!
//! The same type holds the replicated consumers and, apart from them, the leader's own
//! (ephemeral ones that no log knows).
//!
//! A consumer whose filters have changed while messages were pending is still told of what
//! its former filters match, so that it hears when one of those goes.
//!
//! Invariants: the tree has exactly the filters of the consumers that are there, present
//! and former; a consumer is told once of a message, however many of its filters match;
//! `woken` holds no slot twice. Absent: what a consumer does with what it is told.

use std::collections::BTreeMap;

use crate::consumer::outcome::Delivery;
use crate::consumer::replica::Consumer;
use crate::store::message::Seq;
use crate::subject::sublist::Sublist;

/// A consumer that gets more filters than this with its former ones is told of everything.
const FILTERS_MAX: usize = 1024;

/// A consumer and what the stream remembers about it.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The consumer.
    pub consumer: Consumer,
    /// What it is in the tree with: its filters and former ones.
    filters: Vec<Box<[u8]>>,
    /// Some of them are former ones.
    has_former: bool,
    woken: bool,
}

impl Member {
    /// The filters it is told of beside its own.
    pub(super) fn former(&self) -> impl Iterator<Item = &[u8]> {
        let own = filters_of(&self.consumer);
        let filters = self.filters.iter().map(|filter| &**filter);
        filters.filter(move |filter| !own.iter().any(|other| **other == **filter))
    }
}

/// Consumers by name and filter.
#[derive(Debug)]
pub struct Consumers {
    by_name: BTreeMap<String, usize>,
    slots: Vec<Option<Box<Member>>>,
    free: Vec<usize>,
    /// None without consumers: most streams have none.
    by_filter: Option<Box<Sublist<u64>>>,
    /// Slots that match the message at hand; kept for its memory.
    matching: Vec<usize>,
    /// Slots told of something new since the last [`Consumers::drain_woken`].
    woken: Vec<usize>,
    /// How many have former filters.
    with_former: usize,
    /// How many are `direct`: mirrors and sources elsewhere read by them.
    direct: usize,
}

impl Consumers {
    /// None.
    pub fn new() -> Self {
        Consumers {
            by_name: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            by_filter: None,
            matching: Vec::new(),
            woken: Vec::new(),
            with_former: 0,
            direct: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether some of them are read by mirrors or sources.
    pub fn has_direct(&self) -> bool {
        self.direct > 0
    }

    /// How many are not read by mirrors or sources.
    pub fn counted(&self) -> usize {
        self.len() - self.direct
    }

    /// The consumer of that name.
    pub fn get(&self, name: &str) -> Option<&Member> {
        self.slots.get(*self.by_name.get(name)?)?.as_deref()
    }

    /// The consumer of that name, to give it a command. Its configuration is changed by
    /// [`Consumers::update`] only.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Member> {
        self.slots.get_mut(*self.by_name.get(name)?)?.as_deref_mut()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_name
            .values()
            .filter_map(|slot| self.slots.get(*slot)?.as_deref())
    }

    /// Adds one under a name that is free, with the former filters that it had.
    pub(super) fn insert(&mut self, name: String, consumer: Consumer, former: Vec<Box<[u8]>>) {
        debug_assert!(!self.by_name.contains_key(&name), "the name is free");
        let slot = self.free.pop().unwrap_or(self.slots.len());
        let member = Box::new(Member {
            has_former: !former.is_empty(),
            filters: united(filters_of(&consumer), former),
            name: name.clone(),
            consumer,
            woken: false,
        });
        self.direct += usize::from(member.consumer.config().direct);
        self.with_former += usize::from(member.has_former);
        for filter in &member.filters {
            let by_filter = self.by_filter.get_or_insert_default();
            by_filter.insert(filter, None, slot as u64);
        }
        match self.slots.get_mut(slot) {
            Some(place) => *place = Some(member),
            None => self.slots.push(Some(member)),
        }
        self.by_name.insert(name, slot);
        self.wake(slot);
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, name: &str) -> Option<Box<Member>> {
        let slot = self.by_name.remove(name)?;
        let member = self.slots.get_mut(slot)?.take()?;
        if let Some(by_filter) = &mut self.by_filter {
            for filter in &member.filters {
                by_filter.remove(filter, None, &(slot as u64));
            }
        }
        if self.by_name.is_empty() {
            self.by_filter = None;
        }
        self.direct -= usize::from(member.consumer.config().direct);
        self.with_former -= usize::from(member.has_former);
        self.woken.retain(|other| *other != slot);
        self.free.push(slot);
        Some(member)
    }

    /// Changes one, filters and all. None if there is none of that name.
    pub(super) fn update<R>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Consumer) -> R,
    ) -> Option<R> {
        let slot = *self.by_name.get(name)?;
        let member = self.slots.get_mut(slot)?.as_deref_mut()?;
        self.direct -= usize::from(member.consumer.config().direct);
        let result = change(&mut member.consumer);
        self.direct += usize::from(member.consumer.config().direct);
        let mut filters = filters_of(&member.consumer);
        self.with_former -= usize::from(member.has_former);
        member.has_former = false;
        if filters != member.filters && member.consumer.num_ack_pending() > 0 {
            let own = filters.clone();
            filters = united(filters, member.filters.clone());
            if filters.len() > FILTERS_MAX.max(own.len()) {
                filters = everything();
            }
            member.has_former = filters != own;
        }
        self.with_former += usize::from(member.has_former);
        if filters != member.filters {
            let by_filter = self.by_filter.get_or_insert_default();
            for filter in &member.filters {
                by_filter.remove(filter, None, &(slot as u64));
            }
            for filter in &filters {
                by_filter.insert(filter, None, slot as u64);
            }
            member.filters = filters;
        }
        self.wake(slot);
        Some(result)
    }

    /// Whether anyone wants messages on this subject.
    pub fn has_interest(&self, subject: &[u8]) -> bool {
        let Some(by_filter) = &self.by_filter else {
            return false;
        };
        match self.with_former {
            0 => by_filter.has_interest(subject),
            _ => by_filter.any(subject, |slot| {
                self.member(*slot)
                    .is_some_and(|member| member.consumer.wants(subject))
            }),
        }
    }

    fn any(&self, subject: &[u8], test: impl FnMut(&u64) -> bool) -> bool {
        let by_filter = self.by_filter.as_ref();
        by_filter.is_some_and(|by_filter| by_filter.any(subject, test))
    }

    /// Whether no one, but for `except`, needs this message any more. Asks until one does.
    pub(super) fn all_done(&self, seq: Seq, subject: &[u8], except: Option<&str>) -> bool {
        !self.any(subject, |slot| {
            self.member(*slot).is_some_and(|member| {
                Some(&*member.name) != except && !member.consumer.is_done_with(seq, subject)
            })
        })
    }

    /// Whether someone other than `name`, and not for a mirror or source, wants the subject.
    pub(super) fn is_taken_besides(&self, subject: &[u8], name: &str) -> bool {
        self.any(subject, |slot| {
            self.member(*slot).is_some_and(|member| {
                let consumer = &member.consumer;
                member.name != name && !consumer.config().direct && consumer.wants(subject)
            })
        })
    }

    /// Tells those who want it of a new message.
    #[inline]
    pub(super) fn on_stored(&mut self, seq: Seq, subject: &[u8]) {
        if self.by_name.is_empty() {
            return;
        }
        self.for_matching(subject, |member| {
            member.consumer.on_stored(seq, subject);
            true
        });
    }

    /// Tells those who wanted it that a message has gone; shows those to whom it was
    /// delivered and who had not acknowledged it, with its last delivery.
    #[inline]
    pub(super) fn on_removed(
        &mut self,
        seq: Seq,
        subject: &[u8],
        mut pending: impl FnMut(&str, Delivery),
    ) {
        if self.by_name.is_empty() {
            return;
        }
        self.for_matching(subject, |member| {
            let delivery = member.consumer.on_removed(seq, subject);
            if let Some(delivery) = delivery {
                pending(&member.name, delivery);
            }
            delivery.is_some()
        });
    }

    /// Shows those who have something new to look at since the last call: a message that
    /// they want, room among the pending ones, another configuration.
    pub fn drain_woken(&mut self, mut each: impl FnMut(&Member)) {
        for slot in self.woken.drain(..) {
            if let Some(member) = self.slots.get_mut(slot).and_then(Option::as_deref_mut) {
                member.woken = false;
                each(member);
            }
        }
    }

    /// Gives memory back that only makes things faster.
    pub(super) fn rest(&mut self) {
        self.matching = Vec::new();
        self.woken.shrink_to_fit();
        self.slots.shrink_to_fit();
    }

    fn member(&self, slot: u64) -> Option<&Member> {
        let slot = usize::try_from(slot).ok()?;
        self.slots.get(slot)?.as_deref()
    }

    /// Shows every consumer that wants the subject, once; those for which `visit` says so
    /// are woken.
    fn for_matching(&mut self, subject: &[u8], mut visit: impl FnMut(&mut Member) -> bool) {
        let mut matching = std::mem::take(&mut self.matching);
        if let Some(by_filter) = &self.by_filter {
            by_filter.walk(subject, |_, slot| {
                matching.extend(usize::try_from(*slot));
            });
        }
        if matching.len() > 1 {
            matching.sort_unstable();
            matching.dedup();
        }
        for slot in matching.drain(..) {
            let member = self.slots.get_mut(slot).and_then(Option::as_deref_mut);
            if member.is_some_and(&mut visit) {
                self.wake(slot);
            }
        }
        self.matching = matching;
    }

    fn wake(&mut self, slot: usize) {
        if let Some(member) = self.slots.get_mut(slot).and_then(Option::as_deref_mut)
            && !member.woken
        {
            member.woken = true;
            self.woken.push(slot);
        }
    }
}

impl Default for Consumers {
    fn default() -> Self {
        Consumers::new()
    }
}

/// The filters as the match tree takes them, sorted.
fn filters_of(consumer: &Consumer) -> Vec<Box<[u8]>> {
    let filters = consumer.filters();
    if filters.is_all() {
        return everything();
    }
    united(filters.literals().to_vec(), filters.patterns().to_vec())
}

fn everything() -> Vec<Box<[u8]>> {
    vec![b">"[..].into()]
}

/// All of both, sorted and each once.
fn united(mut filters: Vec<Box<[u8]>>, others: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    filters.extend(others);
    filters.sort_unstable();
    filters.dedup();
    match filters.iter().any(|filter| **filter == *b">") {
        true => everything(),
        false => filters,
    }
}
