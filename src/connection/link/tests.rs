//! Links under many hands: threads append, flush and close while the owner drains.
#![allow(clippy::disallowed_methods, reason = "tests open their own sockets")]

use std::future::poll_fn;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::task::Context;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::connection::driver::{self, Consumed, DriverOptions, Next, Session};
use crate::connection::resident;
use crate::entropy::Random;
use crate::net::{Reader, Wire};
use crate::tasks::Shards;

mod moving;

const DEADLINE: Duration = Duration::from_secs(30);

/// Takes whatever comes and remembers that it has ended.
struct Idle {
    ended: Arc<Mutex<Vec<CloseReason>>>,
    panics: bool,
}

impl Session for Idle {
    fn on_data(&mut self, data: &[u8]) -> Consumed {
        assert!(!self.panics, "a fault for the test");
        Consumed {
            taken: data.len(),
            need: 0,
            next: Next::Read,
        }
    }
    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
    fn on_nudge(&mut self) -> Next {
        Next::Read
    }
    fn on_deadline(&mut self, _: Monotonic) {}
    fn next_deadline(&self) -> Monotonic {
        clock::monotonic().plus(Duration::from_secs(3600))
    }
    fn on_close(&mut self, reason: CloseReason) {
        self.ended.lock().push(reason);
    }
}

struct Rig {
    shards: Shards,
    link: Arc<Link>,
    peer: TcpStream,
    total: Arc<PendingTotal>,
    ended: Arc<Mutex<Vec<CloseReason>>>,
}

/// How a rig is set up.
#[derive(Clone, Copy)]
struct Setup {
    pending_max: usize,
    write_deadline: Duration,
    write_retry: bool,
    panics: bool,
    /// The wire is one that only its owner writes to.
    owned: bool,
}

const SETUP: Setup = Setup {
    pending_max: usize::MAX,
    write_deadline: Duration::from_secs(60),
    write_retry: false,
    panics: false,
    owned: false,
};

fn rig(setup: Setup) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let (ours, address) = listener.accept().expect("accept");
    ours.set_nonblocking(true).expect("nonblocking");
    let shards = Shards::start("test", 1, resident::live, || ()).expect("threads");
    let total = Arc::new(PendingTotal::new(usize::MAX));
    let ended = Arc::<Mutex<Vec<CloseReason>>>::default();
    let (tell, told) = std::sync::mpsc::channel();
    let options = WriteOptions {
        pending_max: setup.pending_max,
        total: Arc::clone(&total),
    };
    let session = Idle {
        ended: Arc::clone(&ended),
        panics: setup.panics,
    };
    shards.spawn(async move {
        let stream = tokio::net::TcpStream::from_std(ours).expect("a runtime");
        let wire = if setup.owned {
            Wire::Owned(Box::new(stream))
        } else {
            Wire::Tcp(stream)
        };
        let (reader, writer) = wire.split();
        let link = Link::new(ConnId(1), Kind::Client, address, writer, options);
        let _ = tell.send(Arc::clone(&link));
        let options = DriverOptions {
            write_deadline: setup.write_deadline,
            write_retry: setup.write_retry,
        };
        driver::drive(reader, link, session, options).await;
    });
    let link = told.recv().expect("the link is made");
    Rig {
        shards,
        link,
        peer,
        total,
        ended,
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < DEADLINE, "{what} did not happen");
        thread::yield_now();
    }
}

/// Appends records until `count` are in or the link is closed; returns how many are in.
fn writer(link: &Arc<Link>, name: u32, count: u32, seed: u64) -> JoinHandle<u32> {
    let link = Arc::clone(link);
    thread::spawn(move || {
        let mut random = Random::seeded(seed);
        let mut touched = false;
        for seq in 0..count {
            let len = match random.below(20) {
                0 => random.below(30_000) as u32,
                _ => random.below(200) as u32,
            };
            let Some(mut locked) = link.lock() else {
                return seq;
            };
            let head: Vec<u8> = [name, seq, len]
                .iter()
                .flat_map(|n| n.to_le_bytes())
                .collect();
            let body = vec![seq as u8; len as usize];
            if random.below(3) == 0 {
                locked.append(head.len(), |out| out.extend_from_slice(&head));
                locked.append_shared(Bytes::from(body));
            } else {
                locked.append(head.len() + body.len(), |out| {
                    out.extend_from_slice(&head);
                    out.extend_from_slice(&body);
                });
            }
            match locked.finish() {
                Appended::Nothing => {}
                Appended::FlushLater => touched = true,
                Appended::FlushNow => link.flush(),
                Appended::Behind => thread::yield_now(),
                Appended::Closed => return seq,
            }
            if random.below(16) == 0 && std::mem::take(&mut touched) {
                link.flush();
            }
            // Whoever is far ahead of the reader rests: the test is of order, not of memory.
            while link.pending_bytes() > 4 << 20 && link.close_reason().is_none() {
                thread::yield_now();
            }
        }
        if touched {
            link.flush();
        }
        count
    })
}

/// Reads whole records to the end; how many of each writer, in order.
fn read_records(mut peer: TcpStream, writers: usize, seed: u64) -> Vec<u32> {
    let mut random = Random::seeded(seed);
    let mut seen = vec![0; writers];
    let (mut buffer, mut filled, mut at) = (vec![0; 256 * 1024], 0, 0);
    let mut step = 256 * 1024;
    loop {
        let records = &buffer[at..filled];
        if records.len() >= 12 {
            let number = |i: usize| {
                u32::from_le_bytes(records[4 * i..4 * i + 4].try_into().expect("four bytes"))
            };
            let (name, seq, len) = (number(0) as usize, number(1), number(2) as usize);
            assert_eq!(seq, seen[name], "writer {name} out of order");
            if records.len() >= 12 + len {
                assert!(records[12..12 + len].iter().all(|byte| *byte == seq as u8));
                seen[name] += 1;
                at += 12 + len;
                continue;
            }
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        at = 0;
        if random.below(64) == 0 {
            // A slow spell, then a fast one.
            step = if step < 1000 { 256 * 1024 } else { 900 };
        }
        let room = (buffer.len() - filled).min(step);
        match peer.read(&mut buffer[filled..filled + room]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) => panic!("read: {error}"),
        }
    }
    assert_eq!(filled, 0, "the end of a record is missing");
    seen
}

/// Rounds of the stress tests; more by hand: `STRESS_ROUNDS=200 cargo test --lib link::`.
fn rounds() -> u64 {
    let rounds = std::env::var("STRESS_ROUNDS").ok();
    rounds.and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn check_stress(setup: Setup, closes_early: bool, seed: u64) {
    const WRITERS: usize = 4;
    let count = if closes_early { 1_000_000 } else { 1500 };
    let rig = rig(setup);
    let peer = rig.peer.try_clone().expect("a handle");
    let reader = thread::spawn(move || read_records(peer, WRITERS, seed));
    let writers: Vec<_> = (0..WRITERS as u32)
        .map(|name| writer(&rig.link, name, count, seed * 31 + u64::from(name)))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let flusher = {
        let (link, stop) = (Arc::clone(&rig.link), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                link.flush();
                thread::yield_now();
            }
        })
    };
    if closes_early {
        let bytes = Random::seeded(seed).below(2 << 20);
        let written = || rig.link.inner.lock().written_total;
        wait_for("some traffic", || written() > bytes);
    } else {
        wait_for("the end of writing", || {
            writers.iter().all(JoinHandle::is_finished)
        });
        wait_for("an empty queue", || rig.link.pending_bytes() == 0);
        wait_for("an empty total", || rig.total.bytes() == 0);
    }
    rig.link.close(CloseReason::ServerShutdown);
    let appended: Vec<u32> = writers
        .into_iter()
        .map(|writer| writer.join().expect("a writer"))
        .collect();
    let seen = reader.join().expect("the reader");
    stop.store(true, Ordering::Relaxed);
    flusher.join().expect("the flusher");
    assert_eq!(seen, appended, "seed {seed}");
    drop(rig.peer);
    drop(rig.shards);
    assert_eq!(*rig.ended.lock(), [CloseReason::ServerShutdown]);
    assert_eq!((rig.link.pending_bytes(), rig.total.bytes()), (0, 0));
    assert!(rig.link.inner.lock().writer.is_none());
}

#[test]
fn bytes_of_many_threads_arrive_whole_and_in_order() {
    for seed in 0..rounds() {
        check_stress(SETUP, false, seed);
        check_stress(
            Setup {
                owned: true,
                ..SETUP
            },
            false,
            seed,
        );
    }
}

#[test]
fn what_was_appended_before_a_close_still_arrives() {
    for seed in 0..rounds() {
        check_stress(SETUP, true, seed);
        check_stress(
            Setup {
                owned: true,
                ..SETUP
            },
            true,
            seed,
        );
    }
}

/// Appends if little waits; true if the socket is full now.
fn push(link: &Arc<Link>) -> bool {
    if let Some(mut locked) = link.lock() {
        if locked.inner.queue.bytes() < 1 << 20 {
            locked.append(60_000, |out| out.resize(out.len() + 60_000, b'x'));
        }
        locked.finish();
    }
    link.flush();
    link.is_blocked() || link.close_reason().is_some()
}

fn fill(link: &Arc<Link>) {
    wait_for("a full socket", || push(link));
}

/// A link that nobody drives.
async fn undriven() -> (Reader, Arc<Link>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let (ours, address) = listener.accept().expect("accept");
    ours.set_nonblocking(true).expect("nonblocking");
    let stream = tokio::net::TcpStream::from_std(ours).expect("a runtime");
    stream.writable().await.expect("open");
    let (reader, writer) = Wire::Tcp(stream).split();
    let options = WriteOptions {
        pending_max: usize::MAX,
        total: Arc::new(PendingTotal::new(usize::MAX)),
    };
    let link = Link::new(ConnId(1), Kind::Client, address, writer, options);
    (reader, link, peer)
}

#[tokio::test]
async fn what_was_lent_is_written_in_place_or_copied_when_it_has_to_wait() {
    const BODY: usize = 20_000;
    let (reader, link, mut peer) = undriven().await;
    let message = |name: u8| {
        let mut read = room::take();
        let at = read.as_ptr();
        read[..BODY].fill(name);
        read[BODY..BODY + 2].copy_from_slice(b"\r\n");
        room::lend(read, BODY + 2, |data| {
            let mut locked = link.lock().expect("open");
            let is_lent = locked.lent(&data[..BODY]).is_some();
            assert_eq!(is_lent, !locked.inner.blocked);
            locked.append_message(2, |out| out.extend_from_slice(b"> "), &data[..BODY]);
            locked.finish();
            link.flush();
        });
        let next = room::take();
        assert_eq!(next.as_ptr(), at, "nobody refers to the room");
        room::give(next);
    };
    let mut count = 0;
    while !link.is_blocked() {
        message(count as u8);
        count += 1;
    }
    message(count as u8);
    let received = thread::spawn(move || {
        for seq in 0..=count {
            let mut line = vec![0; BODY + 4];
            peer.read_exact(&mut line).expect("written");
            let is_whole = line.starts_with(b"> ") && line.ends_with(b"\r\n");
            assert!(is_whole && line[2..BODY + 2].iter().all(|byte| *byte == seq as u8));
        }
    });
    while link.pending_bytes() > 0 {
        let ready = poll_fn(|cx| reader.poll_write_ready(cx)).await;
        ready.expect("open");
        link.unblock();
    }
    received.join().expect("all of it");
}

fn check_late(setup: Setup) {
    let rig = rig(setup);
    // The system's buffers grow for a while: what moves is not late.
    wait_for("the end", || {
        push(&rig.link);
        !rig.ended.lock().is_empty()
    });
    assert_eq!(*rig.ended.lock(), [CloseReason::SlowConsumerWriteDeadline]);
    wait_for("an empty total", || rig.total.bytes() == 0);
    assert_eq!(rig.link.pending_bytes(), 0);
}

#[test]
fn a_peer_that_does_not_read_is_late() {
    let soon = Setup {
        write_deadline: Duration::from_millis(30),
        ..SETUP
    };
    check_late(soon);
    check_late(Setup {
        owned: true,
        ..soon
    });
    check_late(Setup {
        write_retry: true,
        ..soon
    });
}

/// Fills a link whose peer does not read; returns the system's send buffer before and after,
/// in bytes.
fn send_buffer_after(round_trip: Duration) -> (usize, usize) {
    let rig = rig(SETUP);
    let size = || {
        let inner = rig.link.inner.lock();
        let Some(Writer::Tcp(half)) = inner.writer.as_deref() else {
            panic!("a socket");
        };
        let socket: &tokio::net::TcpStream = half.as_ref();
        rustix::net::sockopt::socket_send_buffer_size(socket).expect("a size")
    };
    rig.link.note_round_trip(round_trip);
    let before = size();
    fill(&rig.link);
    (before, size())
}

#[test]
fn little_is_held_for_a_near_peer() {
    let (before, after) = send_buffer_after(Duration::from_micros(300));
    // A system may allow less than we ask for.
    assert!(after < before && after <= 512 * 1024, "{before} to {after}");
}

#[test]
fn what_a_far_peer_needs_is_left_to_the_system() {
    let (before, after) = send_buffer_after(Duration::from_millis(40));
    assert!(
        after >= before && after != 512 * 1024,
        "{before} to {after}"
    );
}

/// With `retry` a deadline that passes is forgiven while bytes move.
#[test]
fn moving_bytes_extend_a_deadline() {
    let rig = rig(SETUP);
    fill(&rig.link);
    wait_for("a blocked link", || rig.link.is_blocked());
    assert!(!rig.link.extend_deadline(), "nothing has moved");
    let before = rig.link.inner.lock().written_total;
    let mut peer = rig.peer.try_clone().expect("a handle");
    let mut bytes = vec![0; 1 << 20];
    wait_for("some room", || {
        let _ = peer.read(&mut bytes);
        fill(&rig.link);
        rig.link.inner.lock().written_total > before && rig.link.is_blocked()
    });
    let mut inner = rig.link.inner.lock();
    inner.late.from = before;
    drop(inner);
    assert!(rig.link.extend_deadline());
    assert!(!rig.link.extend_deadline(), "a new window has begun");
}

#[test]
fn too_much_is_cut_and_leaves_the_total() {
    let rig = rig(Setup {
        pending_max: 1 << 20,
        ..SETUP
    });
    wait_for("the end", || {
        if let Some(mut locked) = rig.link.lock() {
            locked.append(60_000, |out| out.resize(out.len() + 60_000, b'x'));
            locked.finish();
        }
        rig.link.flush();
        rig.link.close_reason().is_some()
    });
    wait_for("the session's end", || !rig.ended.lock().is_empty());
    assert_eq!(*rig.ended.lock(), [CloseReason::SlowConsumerPendingBytes]);
    assert_eq!((rig.link.pending_bytes(), rig.total.bytes()), (0, 0));
}

#[test]
fn a_session_that_panics_ends_its_link() {
    let rig = rig(Setup {
        panics: true,
        ..SETUP
    });
    let mut peer = rig.peer.try_clone().expect("a handle");
    std::io::Write::write_all(&mut peer, b"anything").expect("a write");
    wait_for("the end", || !rig.ended.lock().is_empty());
    assert_eq!(*rig.ended.lock(), [CloseReason::InternalError]);
    assert_ne!(peer.read(&mut [0]).ok(), Some(1), "the socket is closed");
}

#[test]
fn a_dropped_task_ends_its_session_and_its_socket() {
    let rig = rig(SETUP);
    fill(&rig.link);
    drop(rig.shards);
    assert_eq!(*rig.ended.lock(), [CloseReason::ServerShutdown]);
    assert_eq!((rig.link.pending_bytes(), rig.total.bytes()), (0, 0));
    let mut rest = Vec::new();
    let mut peer = rig.peer;
    peer.read_to_end(&mut rest).expect("the socket is closed");
}

#[test]
fn a_link_that_was_never_driven_leaves_the_total() {
    let total = Arc::new(PendingTotal::new(10));
    total.replace(0, 5);
    assert!(!total.is_exceeded());
    total.replace(5, 11);
    assert!(total.is_exceeded());
    let options = WriteOptions {
        pending_max: 100,
        total: Arc::clone(&total),
    };
    let address = "127.0.0.1:1".parse().expect("an address");
    let link = Link::new(ConnId(1), Kind::Client, address, Writer::Owner, options);
    {
        let mut inner = link.inner.lock();
        inner.blocked = true;
        inner
            .queue
            .append(7, |out| out.extend_from_slice(b"waiting"));
        link.count(&mut inner);
    }
    assert_eq!(total.bytes(), 18);
    drop(link);
    assert_eq!(total.bytes(), 11);
}

/// A wire that takes everything but may hold it back.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    writes: usize,
    flushes: usize,
    is_stuck: bool,
}

impl AsyncRead for Held {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes += 1;
        if self.is_stuck {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn owned_link() -> Arc<Link> {
    let options = WriteOptions {
        pending_max: 1 << 20,
        total: Arc::new(PendingTotal::new(1 << 20)),
    };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    Link::new(ConnId(1), Kind::Client, peer, Writer::Owner, options)
}

#[test]
fn a_batch_is_one_write_and_one_flush_of_an_owned_wire() {
    let (link, mut wire) = (owned_link(), Held::default());
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        link.send(b"PONG\r\n");
    }
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_ready());
    assert_eq!(wire.bytes, b"PONG\r\n".repeat(100));
    assert_eq!((wire.writes, wire.flushes), (1, 1));
}

#[test]
fn bytes_that_an_owned_wire_holds_are_work_for_the_owner() {
    let (link, mut wire) = (owned_link(), Held::default());
    let mut cx = Context::from_waker(Waker::noop());
    let is_pending = || {
        let state = link.register(Waker::noop());
        state.pending || state.blocked
    };
    wire.is_stuck = true;
    link.send(b"PONG\r\n");
    assert!(is_pending());
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_pending());
    assert!(is_pending(), "the socket has not got them");
    wire.is_stuck = false;
    assert!(link.poll_write_owned(&mut cx, &mut wire).is_ready());
    assert!(!is_pending());
}

#[test]
fn a_promise_to_flush_later_leaves_half_of_what_may_wait() {
    let check = |bytes: usize, expected| {
        let options = WriteOptions {
            pending_max: 1000,
            total: Arc::new(PendingTotal::new(usize::MAX)),
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let link = Link::new(ConnId(1), Kind::Client, peer, Writer::Owner, options);
        let mut locked = link.lock().expect("open");
        locked.append(bytes, |out| out.resize(bytes, 0));
        assert_eq!(locked.finish(), expected, "{bytes}");
    };
    check(1, Appended::FlushLater);
    check(499, Appended::FlushLater);
    check(500, Appended::FlushNow);
    check(1000, Appended::FlushNow);
    check(1001, Appended::Closed);
}
