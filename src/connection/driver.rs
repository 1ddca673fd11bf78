//! A link's own task: reads, keeps time, writes what an in-place flush could not.
//!
//! Bytes are read into a room of the thread, not of the link; only an operation that has
//! not arrived whole is kept by the link. All complete operations of one read are handled
//! before anything else happens, then the session flushes what it touched. Where large
//! operations are of one length, reads are cut to a multiple of it: nothing is left over.
//! A link that works for one thread only moves there between two polls ([`guest`]): its
//! task ends, and another goes on with the same driver.
//!
//! Invariants: an idle link holds no read buffer; a body that was announced but not sent
//! costs no more than twice what was sent; a session hears once that its link has ended,
//! also when the task is dropped or panics, and nothing of the link stays behind then; no
//! byte is read or written while a link is on its way.
//!
//! [`guest`]: super::guest

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::time::{Instant, Sleep};

use super::close::CloseReason;
use super::due;
use super::guest::{self, Stay};
use super::link::Link;
use super::lookout;
use super::room::{self, ROOM_BYTES};
use crate::clock::{self, Monotonic};
use crate::net::{Loose, Reader};
use crate::tasks::Place;

/// The beginning of an operation is read through the thread's room until it is this long.
const HELD_APART_BYTES: usize = ROOM_BYTES / 2;
/// To leave over less than this of an operation costs too little to be avoided.
const LARGE_BYTES: usize = 4096;
/// Room a longer operation gets at least at once.
const HELD_STEP_BYTES: usize = 16 * 1024;
/// How long a peer is given to take the last bytes and hang up.
const LINGER: Duration = Duration::from_millis(500);

/// What is read and thrown away meanwhile; who goes on sending does not listen.
const LINGER_BYTES: usize = 1 << 20;

/// What a session made of the bytes it was given.
#[derive(Clone, Copy, Debug)]
pub struct Consumed {
    /// Bytes of whole operations.
    pub taken: usize,
    /// Bytes the operation after them needs in all; 0 if none has begun, or if whole ones
    /// are left for later: they come again without a read in between.
    pub need: usize,
    /// What comes next.
    pub next: Next,
}

/// How a link goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// A receiver is behind: rest before the next read.
    Stall(Duration),
    /// Read on when [`Session::poll_ready`] says so.
    Wait,
    /// The link is closed or closing.
    Closed,
}

/// What a front makes of a link. Called by the link's task only.
pub trait Session: Send {
    /// Bytes have arrived; takes whole operations.
    fn on_data(&mut self, data: &[u8]) -> Consumed;
    /// After [`Next::Wait`]: may reading go on?
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    /// Somebody called [`Link::nudge`].
    fn on_nudge(&mut self) -> Next;
    /// Time has come.
    fn on_deadline(&mut self, now: Monotonic);
    /// When [`Session::on_deadline`] wants to be called.
    fn next_deadline(&self) -> Monotonic;
    /// The link has ended, for whatever reason.
    fn on_close(&mut self, reason: CloseReason);
}

/// Time limits of a link.
#[derive(Clone, Copy, Debug)]
pub struct DriverOptions {
    /// How long pending bytes may wait for the socket (`write_deadline`).
    pub write_deadline: Duration,
    /// Being late is forgiven as long as bytes move (`write_timeout: retry`).
    pub write_retry: bool,
}

/// A link and its session, from the first read to the last.
struct Life<S: Session> {
    link: Arc<Link>,
    session: S,
    /// The session has been told.
    ended: bool,
}

struct Driver<S: Session> {
    reader: Reader,
    life: Life<S>,
    reading: Reading,
    timer: Pin<Box<Sleep>>,
}

/// How far reading has come, and what it is bound by.
struct Reading {
    options: DriverOptions,
    /// The beginning of an operation, if one has not arrived whole.
    held: Vec<u8>,
    held_len: usize,
    need: usize,
    /// The length of the last large operation that was left over; 0: there was none.
    large: usize,
    waiting: bool,
    timer_at: Monotonic,
    stalled_until: Option<Monotonic>,
    stay: Option<Box<Stay>>,
    /// Where to move when nobody is writing.
    going: Option<Place>,
}

/// What a poll has come to.
enum Turn {
    /// The link is closed.
    Closed(CloseReason),
    /// It goes on elsewhere, and nobody else writes until then.
    Moves(Place, OwnedWriteHalf),
}

/// What one read brought.
enum Read {
    /// Less than there was room for.
    Some,
    /// All there was room for.
    Full,
    /// The peer closed its side.
    End,
}

/// Runs a link until it is closed. Called where a runtime is.
pub fn drive<S: Session + 'static>(
    reader: Reader,
    link: Arc<Link>,
    session: S,
    options: DriverOptions,
) -> impl Future<Output = ()> + Send {
    let timer_at = session.next_deadline();
    let driver = Driver {
        timer: Box::pin(tokio::time::sleep_until(instant(timer_at))),
        reader,
        life: Life {
            link,
            session,
            ended: false,
        },
        reading: Reading {
            options,
            held: Vec::new(),
            held_len: 0,
            need: 0,
            large: 0,
            waiting: false,
            timer_at,
            stalled_until: None,
            stay: None,
            going: None,
        },
    };
    driver.life.link.settle(due::home());
    run(driver)
}

/// Until the link is closed or has moved.
#[allow(
    clippy::manual_async_fn,
    reason = "it would keep the argument beside what is made of it"
)]
fn run<S: Session + 'static>(mut driver: Driver<S>) -> impl Future<Output = ()> + Send {
    async move {
        let reason = match poll_fn(|cx| driver.poll_caught(cx)).await {
            Turn::Closed(reason) => reason,
            Turn::Moves(place, writer) => {
                let Driver {
                    reader,
                    life,
                    reading,
                    ..
                } = driver;
                let stream = Loose::of(reader, writer);
                drop(place.spawn(arrive(stream, life, reading)));
                return;
            }
        };
        driver.life.end(reason);
        if !reason.drops_pending() {
            Box::pin(say_last_words(&mut driver.reader, &driver.life.link)).await;
        }
    }
}

/// Goes on with a link that comes from another thread.
fn arrive<S: Session + 'static>(
    stream: std::io::Result<Loose>,
    life: Life<S>,
    reading: Reading,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let halves = stream.and_then(Loose::fasten);
        let (reader, writer) = match halves {
            Ok(halves) => halves,
            Err(error) => {
                // Its session is told when it is dropped.
                let peer = life.link.peer;
                tracing::error!(%peer, %error, "a connection cannot move to another thread");
                return life.link.close(CloseReason::ReadError);
            }
        };
        life.link.land(writer);
        let driver = Driver {
            timer: Box::pin(tokio::time::sleep_until(instant(reading.timer_at))),
            reader,
            life,
            reading,
        };
        run(driver).await;
    })
}

/// Gives a closed link that is not driven time to take its last bytes.
pub async fn say_last_words(reader: &mut Reader, link: &Link) {
    let _ = tokio::time::timeout(LINGER, last_words(reader, link)).await;
    link.release();
}

/// Writes what is still to be said, then reads until the peer hangs up: a socket closed
/// with unread bytes would take the last words back.
async fn last_words(reader: &mut Reader, link: &Link) -> std::io::Result<()> {
    poll_fn(|cx| poll_drain(cx, reader, link)).await?;
    link.end_writes();
    if let Reader::Owned(wire) = reader {
        poll_fn(|cx| Pin::new(&mut **wire).poll_shutdown(cx)).await?;
    }
    let mut unread = 0;
    while unread < LINGER_BYTES {
        let read = poll_fn(|cx| {
            let mut bytes = [0; 4096];
            let mut buf = ReadBuf::new(&mut bytes);
            std::task::ready!(reader.poll_read(cx, &mut buf))?;
            Poll::Ready(std::io::Result::Ok(buf.filled().len()))
        });
        match read.await? {
            0 => break,
            read => unread += read,
        }
    }
    Ok(())
}

fn poll_drain(cx: &mut Context<'_>, reader: &mut Reader, link: &Link) -> Poll<std::io::Result<()>> {
    if let Reader::Owned(wire) = reader {
        return link.poll_write_owned(cx, wire.as_mut());
    }
    link.register(cx.waker());
    while !link.is_drained() {
        if !link.is_blocked() {
            // Another thread is writing; it wakes us when it is done.
            return Poll::Pending;
        }
        std::task::ready!(reader.poll_write_ready(cx))?;
        link.unblock();
    }
    Poll::Ready(Ok(()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a timer of the runtime is set by the runtime's clock"
)]
fn instant(at: Monotonic) -> Instant {
    Instant::now() + at.since(clock::monotonic())
}

impl<S: Session> Driver<S> {
    /// A fault in a session ends its link, not its neighbours'. The panic itself is logged
    /// where all are.
    fn poll_caught(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        catch_unwind(AssertUnwindSafe(|| self.poll(cx))).unwrap_or_else(|_| {
            let (kind, id) = (self.life.link.kind.log_prefix(), self.life.link.id);
            tracing::error!(peer = %self.life.link.peer, "{kind}:{id} - a fault of the server ended the connection");
            self.life.link.close(CloseReason::InternalError);
            let reason = self.life.link.close_reason();
            Poll::Ready(Turn::Closed(reason.unwrap_or(CloseReason::InternalError)))
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let state = self.life.link.register(cx.waker());
        if let Some(reason) = state.closed {
            return Poll::Ready(Turn::Closed(reason));
        }
        if (state.blocked || state.pending) && self.poll_write(cx, state.blocked).is_err() {
            self.life.link.close(CloseReason::WriteError);
        }
        if state.nudged {
            let next = self.life.session.on_nudge();
            self.reading.waiting |= next == Next::Wait;
        }
        self.poll_time(cx);
        if self.reading.stalled_until.is_none() {
            self.poll_read(cx);
        }
        match self.life.link.close_reason() {
            Some(reason) => Poll::Ready(Turn::Closed(reason)),
            None => self.poll_move(),
        }
    }

    /// Moves, if that is wanted and nobody is writing just now; otherwise after a later poll.
    fn poll_move(&mut self) -> Poll<Turn> {
        let is_free = !self.reading.waiting && self.reading.stalled_until.is_none();
        let Some(place) = self.reading.going.take_if(|_| is_free) else {
            return Poll::Pending;
        };
        let Some(writer) = self.life.link.lift() else {
            self.reading.going = Some(place);
            return Poll::Pending;
        };
        Poll::Ready(Turn::Moves(place, writer))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, blocked: bool) -> std::io::Result<()> {
        match &mut self.reader {
            Reader::Owned(wire) => match self.life.link.poll_write_owned(cx, wire.as_mut()) {
                Poll::Ready(result) => result,
                Poll::Pending => Ok(()),
            },
            Reader::Tcp(_) if blocked => match self.reader.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {
                    self.life.link.unblock();
                    // Still blocked: the next readiness has to wake us.
                    if self.life.link.is_blocked()
                        && let Poll::Ready(result) = self.reader.poll_write_ready(cx)
                    {
                        result?;
                        cx.waker().wake_by_ref();
                    }
                    Ok(())
                }
                Poll::Ready(Err(error)) => Err(error),
                Poll::Pending => Ok(()),
            },
            Reader::Tcp(_) => Ok(()),
        }
    }

    /// Fires what is due and arms the timer for what is next.
    fn poll_time(&mut self, cx: &mut Context<'_>) {
        loop {
            let write_by = self.life.link.write_by(self.reading.options.write_deadline);
            let deadline = self.life.session.next_deadline();
            let next = [write_by, self.reading.stalled_until]
                .into_iter()
                .flatten()
                .fold(deadline, Monotonic::min);
            if next != self.reading.timer_at {
                self.reading.timer_at = next;
                self.timer.as_mut().reset(instant(next));
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = clock::monotonic();
            let is_late = write_by.is_some_and(|by| by <= now);
            if is_late && !(self.reading.options.write_retry && self.life.link.extend_deadline()) {
                self.life.link.close(CloseReason::SlowConsumerWriteDeadline);
                return;
            }
            if self.reading.stalled_until.is_some_and(|until| until <= now) {
                self.reading.stalled_until = None;
            }
            if deadline <= now {
                self.life.session.on_deadline(now);
                if self.life.link.close_reason().is_some() {
                    return;
                }
            }
            // The timer has fired and must be set again even if the time is the same.
            self.reading.timer_at = Monotonic::from_nanos(u64::MAX);
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) {
        if self.reading.waiting {
            if self.life.session.poll_ready(cx).is_pending() {
                return;
            }
            self.reading.waiting = false;
        }
        if self.reading.held_len > 0 && self.reading.held_len >= self.reading.need {
            // Whole operations that the session has left for later.
            self.again();
        }
        if self.reading.waiting || self.reading.stalled_until.is_some() {
            // What set these has been polled or will be by the timer at the next poll.
            cx.waker().wake_by_ref();
            return;
        }
        // A read that did not fill its buffer has emptied the socket: the second one then
        // asks nobody, it only leaves the waker.
        for _ in 0..2 {
            let result = if self.reading.held_len >= HELD_APART_BYTES {
                self.read_held(cx)
            } else {
                self.read_room(cx)
            };
            match result {
                Poll::Pending => return,
                Poll::Ready(Ok(Read::Some))
                    if !self.reading.waiting && self.reading.stalled_until.is_none() => {}
                Poll::Ready(Ok(Read::Full | Read::Some)) => break,
                Poll::Ready(Ok(Read::End)) => {
                    self.life.link.close(CloseReason::ClientClosed);
                    return;
                }
                Poll::Ready(Err(error)) => {
                    self.life.link.close(read_error(&error));
                    return;
                }
            }
        }
        // More is there, or something else has to be polled: after the others.
        cx.waker().wake_by_ref();
    }

    /// Reads into the thread's room, behind what the link holds.
    fn read_room(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Read>> {
        let mut room = room::take();
        let end = room_end(self.reading.large);
        // Ask first: an idle poll must not copy.
        let mut buf = ReadBuf::new(&mut room[self.reading.held_len..end]);
        let result = self.reader.poll_read(cx, &mut buf);
        let (read, full) = (buf.filled().len(), buf.remaining() == 0);
        if read == 0 {
            room::give(room);
            return result.map_ok(|()| Read::End);
        }
        lookout::note_read(read);
        let len = self.reading.held_len + read;
        if len < self.reading.need {
            // Known to be too little: nobody looks at it again and again.
            self.reading
                .held
                .extend_from_slice(&room[self.reading.held_len..len]);
            self.reading.held_len = len;
            room::give(room);
        } else {
            room[..self.reading.held_len]
                .copy_from_slice(&self.reading.held[..self.reading.held_len]);
            room::lend(room, len, |data| self.consume(data));
        }
        Poll::Ready(Ok(if full { Read::Full } else { Read::Some }))
    }

    /// Reads a large operation into the link's own buffer, which grows as bytes arrive.
    fn read_held(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Read>> {
        if self.reading.held.len() == self.reading.held_len {
            let step = self.reading.need.saturating_sub(self.reading.held_len);
            let step = step.min(self.reading.held_len).max(HELD_STEP_BYTES);
            self.reading.held.reserve_exact(step);
            self.reading.held.resize(self.reading.held_len + step, 0);
        }
        let mut buf = ReadBuf::new(&mut self.reading.held[self.reading.held_len..]);
        std::task::ready!(self.reader.poll_read(cx, &mut buf))?;
        let (read, full) = (buf.filled().len(), buf.remaining() == 0);
        if read == 0 {
            return Poll::Ready(Ok(Read::End));
        }
        lookout::note_read(read);
        self.reading.held_len += read;
        if self.reading.held_len >= self.reading.need {
            self.again();
        }
        Poll::Ready(Ok(if full { Read::Full } else { Read::Some }))
    }

    /// Hands what the link holds to the session once more.
    fn again(&mut self) {
        let mut held = std::mem::take(&mut self.reading.held);
        held.truncate(std::mem::take(&mut self.reading.held_len));
        room::show(Bytes::from(held), |data| self.consume(data));
    }

    fn consume(&mut self, data: &[u8]) {
        let before = self.life.link.received.get().0;
        guest::forget();
        let consumed = self.life.session.on_data(data);
        let msgs = self.life.link.received.get().0 - before;
        // What only its owner writes to is bound to his thread.
        if matches!(self.reader, Reader::Tcp(_))
            && let Some(place) = Stay::after_read(&mut self.reading.stay, msgs)
        {
            self.reading.going = Some(place);
        }
        let rest = &data[consumed.taken..];
        self.reading.need = consumed.need;
        if (LARGE_BYTES..=ROOM_BYTES).contains(&self.reading.need) {
            self.reading.large = self.reading.need;
        }
        self.reading.held_len = rest.len();
        if rest.is_empty() {
            self.reading.held = Vec::new();
        } else {
            self.reading.held.clear();
            self.reading.held.extend_from_slice(rest);
        }
        match consumed.next {
            Next::Read | Next::Closed => {}
            Next::Wait => self.reading.waiting = true,
            Next::Stall(time) => self.reading.stalled_until = Some(clock::monotonic().plus(time)),
        }
    }
}

impl<S: Session> Life<S> {
    fn end(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.ended, true) {
            self.session.on_close(reason);
        }
    }
}

/// The task was dropped in the middle of its life, or has come to its end.
impl<S: Session> Drop for Life<S> {
    fn drop(&mut self) {
        if !self.ended {
            self.link.close(CloseReason::ServerShutdown);
            self.end(
                self.link
                    .close_reason()
                    .unwrap_or(CloseReason::ServerShutdown),
            );
        }
        self.link.release();
    }
}

/// Where a read into the room ends: after as many operations of this length as there is
/// room for. Never before half of it.
const fn room_end(large: usize) -> usize {
    match ROOM_BYTES.checked_rem(large) {
        Some(rest) => ROOM_BYTES - rest,
        None => ROOM_BYTES,
    }
}

fn read_error(error: &std::io::Error) -> CloseReason {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => CloseReason::ClientClosed,
        _ => CloseReason::ReadError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_ends_with_an_operation_and_leaves_half_of_the_room_to_none() {
        let check = |large: usize, expected: usize| assert_eq!(room_end(large), expected);
        check(0, ROOM_BYTES);
        check(4096, ROOM_BYTES);
        check(16_406, 7 * 16_406);
        check(ROOM_BYTES, ROOM_BYTES);
        for large in LARGE_BYTES..=ROOM_BYTES {
            let end = room_end(large);
            assert!((HELD_APART_BYTES..=ROOM_BYTES).contains(&end) && end.is_multiple_of(large));
        }
    }
}
