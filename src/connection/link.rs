//! A link: the half of a connection that others hold.
//!
//! Publishers append to it under one short lock and flush it in place: the system call
//! happens with the lock released, on whatever thread has something to say. `flushing`
//! keeps the order: who finds it set leaves his bytes for the thread that writes. What the
//! socket does not take waits (`blocked`) for the link's own task.
//!
//! Invariants: at most one thread writes to the socket; once `closed` is set nothing is
//! appended, and what was appended before is still written unless the reason `cut` it;
//! what blocks is counted in the server's total until it is written, cut or dropped, and
//! holds no read buffer.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::tcp::OwnedWriteHalf;

use super::close::CloseReason;
use super::due::Home;
use super::id::{ConnId, Kind};
use super::outbound::Queue;
use super::pending::PendingTotal;
use super::pool;
use super::room;
use super::send_buffer::{self, SendBuffer};
use crate::clock::{self, Monotonic};
use crate::net::{OwnedWire, Writer};

/// A touched link is flushed at the latest when this much waits, or half of what may.
const FLUSH_BYTES: usize = 128 * 1024;
/// A larger body that this thread has just read is written from where it was read to.
const LEND_BYTES_MIN: usize = 4096;
/// So much is lent while another thread is writing what came before.
const LEND_BEHIND_BYTES: usize = 64 * 1024;
/// How often one in-place flush goes round before it leaves the rest to the owner.
const FLUSH_ROUNDS_MAX: usize = 8;

/// What never changes about a link's writing.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Bytes that may wait (`max_pending`).
    pub pending_max: usize,
    /// The server's total.
    pub total: Arc<PendingTotal>,
}

/// The shared half of a connection.
pub struct Link {
    /// Its number.
    pub id: ConnId,
    /// What is at the other end.
    pub kind: Kind,
    /// The peer's address.
    pub peer: SocketAddr,
    options: WriteOptions,
    home: OnceLock<Arc<Home>>,
    inner: Mutex<Inner>,
    /// Messages and bytes received; written by the owner only.
    pub received: Counter,
    /// Publishes that were stalled because a receiver was behind.
    pub stalls: AtomicU64,
}

/// Messages and bytes, written by one thread and read by any.
#[derive(Debug, Default)]
pub struct Counter {
    msgs: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    /// Adds; only the one writing thread may call this.
    pub fn add(&self, msgs: u64, bytes: u64) {
        let add =
            |cell: &AtomicU64, n| cell.store(cell.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        add(&self.msgs, msgs);
        add(&self.bytes, bytes);
    }

    /// `(messages, bytes)`.
    pub fn get(&self) -> (u64, u64) {
        (
            self.msgs.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}

struct Inner {
    queue: Queue,
    /// Bytes taken out by the thread that is writing.
    in_flight: usize,
    writer: Option<Arc<Writer>>,
    waker: Option<Waker>,
    /// Somebody has promised to flush.
    announced: bool,
    flushing: bool,
    blocked: bool,
    closed: Option<CloseReason>,
    /// Nothing is written any more: what waits is dropped.
    cut: bool,
    /// The session has something to do.
    nudged: bool,
    /// What this link has added to the server's total.
    counted: usize,
    late: Window,
    send_buffer: SendBuffer,
    written_total: u64,
    msgs: u64,
    bytes: u64,
}

/// The time in which what waits has to be written: what a blocked link is measured by.
#[derive(Debug, Default)]
struct Window {
    since: Monotonic,
    /// `written_total` when it began.
    from: u64,
    /// `written_total` at which it was kept.
    until: u64,
}

/// What to do after appending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Nothing: somebody else flushes.
    Nothing,
    /// The caller is the first: it has to flush at the end of its batch.
    FlushLater,
    /// Much waits: the caller flushes now.
    FlushNow,
    /// The receiver is behind: the publisher should rest a little.
    Behind,
    /// The link is closed; nothing was appended.
    Closed,
}

/// The write side of a link, locked.
pub struct Locked<'a> {
    link: &'a Link,
    inner: MutexGuard<'a, Inner>,
}

impl Link {
    /// A link that writes to `writer`.
    pub fn new(
        id: ConnId,
        kind: Kind,
        peer: SocketAddr,
        writer: Writer,
        options: WriteOptions,
    ) -> Arc<Link> {
        Arc::new(Link {
            id,
            kind,
            peer,
            options,
            home: OnceLock::new(),
            inner: Mutex::new(Inner {
                queue: Queue::default(),
                in_flight: 0,
                writer: Some(Arc::new(writer)),
                waker: None,
                announced: false,
                flushing: false,
                blocked: false,
                closed: None,
                cut: false,
                nudged: false,
                counted: 0,
                late: Window::default(),
                send_buffer: SendBuffer::default(),
                written_total: 0,
                msgs: 0,
                bytes: 0,
            }),
            received: Counter::default(),
            stalls: AtomicU64::new(0),
        })
    }

    /// Locks the write side; `None` if the link is closed.
    pub fn lock(&self) -> Option<Locked<'_>> {
        let inner = self.inner.lock();
        inner
            .closed
            .is_none()
            .then_some(Locked { link: self, inner })
    }

    /// Says where the link lives; the first time counts.
    pub(super) fn settle(&self, home: Arc<Home>) {
        let _ = self.home.set(home);
    }

    /// Where the link lives, once it is driven.
    pub(super) fn home(&self) -> Option<&Arc<Home>> {
        self.home.get()
    }

    /// Appends protocol bytes and flushes them.
    pub fn send(&self, bytes: &[u8]) {
        let Some(mut locked) = self.lock() else {
            return;
        };
        locked.append(bytes.len(), |out| out.extend_from_slice(bytes));
        if locked.finish() != Appended::Closed {
            self.flush();
        }
    }

    /// Messages and bytes delivered.
    pub fn delivered(&self) -> (u64, u64) {
        let inner = self.inner.lock();
        (inner.msgs, inner.bytes)
    }

    /// Bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        let inner = self.inner.lock();
        inner.queue.bytes() + inner.in_flight
    }

    /// Share of `max_pending` in use, in percent.
    pub fn pending_percent(&self) -> usize {
        self.pending_bytes().saturating_mul(100) / self.options.pending_max.max(1)
    }

    /// Why the link is closed, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.inner.lock().closed
    }

    /// Ends the link; the first reason stays. Nothing is appended any more. What waits is
    /// written as far as the socket takes it, the rest by the owner in the time it gives
    /// last words, unless the reason says that the socket is of no more use. The owner is
    /// woken and cleans up.
    pub fn close(&self, reason: CloseReason) {
        {
            let mut inner = self.inner.lock();
            if inner.closed.is_some() {
                return;
            }
            self.close_locked(&mut inner, reason);
        }
        if !reason.drops_pending() {
            self.flush();
        }
    }

    /// Wakes the owner so that its session looks after something (`Session::on_nudge`).
    pub fn nudge(&self) {
        let mut inner = self.inner.lock();
        inner.nudged = true;
        wake(&mut inner);
    }

    fn close_locked(&self, inner: &mut Inner, reason: CloseReason) {
        inner.closed.get_or_insert(reason);
        if reason.drops_pending() {
            inner.cut = true;
            inner.blocked = false;
            inner.queue.clear();
        }
        self.count(inner);
        wake(inner);
    }

    /// For the owner, last of all: lets go of buffers and socket.
    pub(super) fn release(&self) {
        let mut inner = self.inner.lock();
        inner.closed.get_or_insert(CloseReason::ServerShutdown);
        inner.cut = true;
        inner.blocked = false;
        inner.queue.clear();
        self.count(&mut inner);
        let released = (inner.writer.take(), inner.waker.take());
        drop(inner);
        drop(released);
        pool::collect_soon();
    }

    /// For the owner, who moves to another thread: the half that writes. Until [`Link::land`]
    /// nothing is written. None while somebody is writing, when the socket is full, and for
    /// what only the owner writes to.
    pub(super) fn lift(&self) -> Option<OwnedWriteHalf> {
        let mut inner = self.inner.lock();
        if inner.closed.is_some() || inner.flushing || inner.blocked {
            return None;
        }
        let is_shared = matches!(inner.writer.as_deref(), Some(Writer::Tcp(_)));
        let writer = inner.writer.take_if(|_| is_shared)?;
        match Arc::try_unwrap(writer) {
            Ok(Writer::Tcp(half)) => {
                inner.flushing = true;
                Some(half)
            }
            Ok(Writer::Owner) => None,
            // Somebody has written and is about to let go of it.
            Err(writer) => {
                inner.writer = Some(writer);
                None
            }
        }
    }

    /// For the owner: has moved, and others may write again. Not before the runtime of this
    /// thread has been asked whether the socket takes bytes, so the link counts as blocked.
    pub(super) fn land(&self, writer: Writer) {
        let mut inner = self.inner.lock();
        inner.writer = Some(Arc::new(writer));
        inner.flushing = false;
        if !inner.cut {
            self.block(&mut inner);
        }
    }

    /// For the owner: everything is written and nobody else is about to write.
    pub(super) fn is_drained(&self) -> bool {
        let inner = self.inner.lock();
        inner.cut || (inner.queue.is_empty() && !inner.flushing && !inner.blocked)
    }

    /// For the owner: says to the peer that nothing more comes.
    pub(super) fn end_writes(&self) {
        let writer = self.inner.lock().writer.take();
        drop(writer);
    }

    /// Keeps the server's total true for this link.
    fn count(&self, inner: &mut Inner) {
        let now = if inner.blocked {
            inner.queue.bytes()
        } else {
            0
        };
        if now != inner.counted {
            self.options.total.replace(inner.counted, now);
            inner.counted = now;
        }
    }

    /// Writes what waits, as far as the socket takes it now. Never blocks.
    pub fn flush(&self) {
        let mut inner = self.inner.lock();
        inner.announced = false;
        if inner.flushing || inner.blocked || inner.queue.is_empty() {
            return;
        }
        let Some(writer) = inner.writer.clone() else {
            return;
        };
        let Writer::Tcp(half) = writer.as_ref() else {
            wake(&mut inner);
            return;
        };
        inner.flushing = true;
        for _ in 0..FLUSH_ROUNDS_MAX {
            let mut taken = std::mem::take(&mut inner.queue);
            inner.in_flight = taken.bytes();
            drop(inner);
            let before = taken.bytes();
            let result = write_queue(&mut taken, |piece| match piece {
                Piece::One(bytes) => half.try_write(bytes),
                Piece::Many(slices) => half.try_write_vectored(slices),
            });
            let written = before - taken.bytes();
            inner = self.inner.lock();
            inner.in_flight = 0;
            inner.written_total += written as u64;
            if inner.cut {
                inner.flushing = false;
                wake(&mut inner);
                return;
            }
            if let Err(error) = result {
                inner.flushing = false;
                inner.put_back(taken);
                if error.kind() != ErrorKind::WouldBlock {
                    self.close_locked(&mut inner, CloseReason::WriteError);
                    return;
                }
                self.block(&mut inner);
                let is_to_be_bound = inner.send_buffer.fell_behind();
                drop(inner);
                if is_to_be_bound {
                    send_buffer::bound(half.as_ref());
                }
                return;
            }
            if inner.queue.is_empty() {
                inner.flushing = false;
                if inner.closed.is_some() {
                    wake(&mut inner);
                }
                return;
            }
        }
        // Others append as fast as we write: their bytes are the owner's now.
        inner.flushing = false;
        self.block(&mut inner);
    }

    /// The peer has answered within `round_trip`.
    pub fn note_round_trip(&self, round_trip: Duration) {
        self.inner.lock().send_buffer.note_round_trip(round_trip);
    }

    fn block(&self, inner: &mut Inner) {
        inner.blocked = true;
        inner.queue.settle();
        inner.queue.shrink();
        inner.begin_window();
        self.count(inner);
        wake(inner);
    }

    /// For the owner: remembers whom to wake; says whether it is closed or blocked.
    pub(super) fn register(&self, waker: &Waker) -> OwnerState {
        let mut inner = self.inner.lock();
        if !inner.waker.as_ref().is_some_and(|w| w.will_wake(waker)) {
            inner.waker = Some(waker.clone());
        }
        OwnerState {
            closed: inner.closed,
            blocked: inner.blocked,
            pending: !inner.queue.is_empty(),
            nudged: std::mem::take(&mut inner.nudged),
        }
    }

    /// For the owner: the socket takes bytes again.
    pub(super) fn unblock(&self) {
        self.inner.lock().blocked = false;
        self.flush();
        let mut inner = self.inner.lock();
        self.count(&mut inner);
    }

    /// For the owner: the socket does not take what waits.
    pub(super) fn is_blocked(&self) -> bool {
        self.inner.lock().blocked
    }

    /// For the owner: until when what waits now has to be written; `None` if nothing is late.
    pub(super) fn write_by(&self, deadline: Duration) -> Option<Monotonic> {
        let mut inner = self.inner.lock();
        if !inner.blocked {
            return None;
        }
        if inner.written_total >= inner.late.until {
            inner.begin_window();
        }
        Some(inner.late.since.plus(deadline))
    }

    /// For the owner, when a write is late: begins another window if bytes have moved in
    /// this one.
    pub(super) fn extend_deadline(&self) -> bool {
        let mut inner = self.inner.lock();
        let moved = inner.written_total > inner.late.from;
        if moved {
            inner.begin_window();
        }
        moved
    }

    /// For the owner of a wire nobody else may write to: moves bytes into it.
    pub(super) fn poll_write_owned(
        &self,
        cx: &mut std::task::Context<'_>,
        wire: &mut dyn OwnedWire,
    ) -> Poll<io::Result<()>> {
        use std::pin::Pin;
        loop {
            let mut inner = self.inner.lock();
            if inner.queue.is_empty() {
                drop(inner);
                // What the wire itself holds back has to move too, and in time.
                let flushed = Pin::new(&mut *wire).poll_flush(cx);
                let mut inner = self.inner.lock();
                match &flushed {
                    Poll::Ready(_) if inner.queue.is_empty() => inner.blocked = false,
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(_)) => {}
                    Poll::Pending if inner.blocked || inner.cut => {}
                    Poll::Pending => self.block(&mut inner),
                }
                self.count(&mut inner);
                return flushed;
            }
            let mut taken = std::mem::take(&mut inner.queue);
            inner.in_flight = taken.bytes();
            inner.flushing = true;
            drop(inner);
            let before = taken.bytes();
            let result = write_queue(&mut taken, |piece| {
                let wire = Pin::new(&mut *wire);
                let polled = match piece {
                    Piece::One(bytes) => wire.poll_write(cx, bytes),
                    Piece::Many(slices) => wire.poll_write_vectored(cx, slices),
                };
                match polled {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(ErrorKind::WouldBlock.into()),
                }
            });
            let mut inner = self.inner.lock();
            inner.flushing = false;
            inner.in_flight = 0;
            inner.written_total += (before - taken.bytes()) as u64;
            if inner.cut {
                return Poll::Ready(Ok(()));
            }
            inner.put_back(taken);
            match result {
                Ok(()) => self.count(&mut inner),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !inner.blocked {
                        self.block(&mut inner);
                    }
                    self.count(&mut inner);
                    return Poll::Pending;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Inner {
    /// Puts what was not written before what has come since.
    fn put_back(&mut self, mut taken: Queue) {
        taken.extend(std::mem::take(&mut self.queue));
        self.queue = taken;
    }

    fn begin_window(&mut self) {
        self.late = Window {
            since: clock::monotonic(),
            from: self.written_total,
            // At least one byte: what waits may be in the wire already.
            until: self.written_total + self.queue.bytes().max(1) as u64,
        };
    }
}

/// A link that was never driven, or whose task is gone, must not stay in the total.
impl Drop for Link {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        self.options.total.replace(inner.counted, 0);
    }
}

const fn is_behind(waiting: usize, pending_max: usize) -> bool {
    waiting / 3 > pending_max / 4
}

fn wake(inner: &mut Inner) {
    if let Some(waker) = &inner.waker {
        waker.wake_by_ref();
    }
}

/// What one system call is given.
enum Piece<'a> {
    One(&'a [u8]),
    Many(&'a [io::IoSlice<'a>]),
}

fn write_queue(
    queue: &mut Queue,
    mut write: impl FnMut(Piece<'_>) -> io::Result<usize>,
) -> io::Result<()> {
    while !queue.is_empty() {
        let written = if queue.is_one_piece() {
            write(Piece::One(queue.front()))?
        } else {
            let mut slices = Queue::no_slices();
            let count = queue.slices(&mut slices);
            write(Piece::Many(&slices[..count]))?
        };
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        queue.advance(written);
    }
    Ok(())
}

/// What the owner learns when it registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnerState {
    pub(super) closed: Option<CloseReason>,
    pub(super) blocked: bool,
    pub(super) pending: bool,
    pub(super) nudged: bool,
}

impl Locked<'_> {
    /// Appends what `write` puts into the buffer; `len` is how much that will be.
    pub fn append(&mut self, len: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.inner.queue.append(len, write);
    }

    /// Appends a message: the line of `line_len` bytes that `line` writes, the body and
    /// CRLF. A large body that stands in what this thread has just read is not copied if it
    /// can be written at the end of the turn.
    pub fn append_message(
        &mut self,
        line_len: usize,
        line: impl FnOnce(&mut Vec<u8>),
        body: &[u8],
    ) {
        if let Some(lent) = self.lent(body) {
            self.append(line_len, line);
            self.inner.queue.append_lent(lent);
            return;
        }
        let len = line_len + body.len() + 2;
        self.append(len, |out| {
            out.reserve(len);
            line(out);
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        });
    }

    fn lent(&self, body: &[u8]) -> Option<Bytes> {
        let inner = &*self.inner;
        // Whoever is writing now may be at it for long: he is not given room after room.
        let is_soon = !inner.flushing || inner.queue.bytes() < LEND_BEHIND_BYTES;
        if body.len() < LEND_BYTES_MIN || inner.blocked || !is_soon {
            return None;
        }
        match inner.writer.as_deref() {
            Some(Writer::Tcp(_)) => room::slice_of(body),
            Some(Writer::Owner) | None => None,
        }
    }

    /// Appends a whole buffer, which is taken over if it is worth it.
    pub fn append_buffer(&mut self, buffer: Vec<u8>) {
        self.inner.queue.append_buffer(buffer);
    }

    /// Appends bytes by reference.
    pub fn append_shared(&mut self, bytes: Bytes) {
        self.inner.queue.append_shared(bytes);
    }

    /// More than three quarters of what may wait is waiting.
    pub fn is_behind(&self) -> bool {
        let waiting = self.inner.queue.bytes() + self.inner.in_flight;
        is_behind(waiting, self.link.options.pending_max)
    }

    /// Counts delivered messages and the bytes of their bodies.
    pub fn count_delivered(&mut self, msgs: u64, bytes: usize) {
        self.inner.msgs += msgs;
        self.inner.bytes += bytes as u64;
    }

    /// Done: holds the limit and says who flushes.
    pub fn finish(mut self) -> Appended {
        let inner = &mut *self.inner;
        let waiting = inner.queue.bytes() + inner.in_flight;
        if waiting > self.link.options.pending_max {
            self.link
                .close_locked(inner, CloseReason::SlowConsumerPendingBytes);
            return Appended::Closed;
        }
        if inner.blocked || inner.flushing {
            self.link.count(inner);
            return if is_behind(waiting, self.link.options.pending_max) {
                Appended::Behind
            } else {
                Appended::Nothing
            };
        }
        let first = !inner.announced;
        inner.announced = true;
        if inner.queue.bytes() >= FLUSH_BYTES.min(self.link.options.pending_max / 2) {
            Appended::FlushNow
        } else if first {
            Appended::FlushLater
        } else {
            Appended::Nothing
        }
    }
}

#[cfg(test)]
mod tests;
