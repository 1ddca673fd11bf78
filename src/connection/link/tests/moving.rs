//! Links that move between threads while others write to them.

use std::io::Write;
use std::thread::ThreadId;

use super::*;
use crate::connection::guest::{self, Host};

/// Numbered messages of four bytes, in order, for a host or not.
struct Feeder {
    link: Arc<Link>,
    host: Arc<Host>,
    feeds: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    messages: u32,
    /// Where they were seen, one after the other.
    threads: Vec<ThreadId>,
    ended: Vec<CloseReason>,
}

impl Session for Feeder {
    fn on_data(&mut self, data: &[u8]) -> Consumed {
        let feeds = self.feeds.load(Ordering::Relaxed);
        let mut seen = self.seen.lock();
        let here = thread::current().id();
        if seen.threads.last() != Some(&here) {
            seen.threads.push(here);
        }
        let messages = data.chunks_exact(4);
        let rest = messages.remainder().len();
        let count = messages.len();
        for message in messages {
            assert_eq!(*message, seen.messages.to_le_bytes(), "out of order");
            seen.messages += 1;
            if feeds {
                guest::note(&self.host);
            }
        }
        self.link.received.add(count as u64, data.len() as u64);
        if feeds {
            self.host.add(count);
        }
        Consumed {
            taken: data.len() - rest,
            need: if rest > 0 { 4 } else { 0 },
            next: Next::Read,
        }
    }
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
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
        self.seen.lock().ended.push(reason);
    }
}

struct Moving {
    homes: Shards,
    hosts: Shards,
    link: Arc<Link>,
    peer: TcpStream,
    sent: u32,
    feeds: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
}

fn moving() -> Moving {
    let start = |name| Shards::start(name, 1, resident::live, || ()).expect("threads");
    let (homes, hosts) = (start("home"), start("host"));
    let (tell, told) = std::sync::mpsc::channel();
    hosts.spawn(async move {
        let _ = tell.send(guest::host().expect("tasks run here"));
    });
    let host = told.recv().expect("a host");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
    peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let (ours, address) = listener.accept().expect("accept");
    ours.set_nonblocking(true).expect("nonblocking");
    let (feeds, seen) = (Arc::default(), Arc::<Mutex<Seen>>::default());
    let (tell, told) = std::sync::mpsc::channel();
    let shared = (Arc::clone(&feeds), Arc::clone(&seen));
    homes.spawn(async move {
        let stream = tokio::net::TcpStream::from_std(ours).expect("a runtime");
        let (reader, writer) = Wire::Tcp(stream).split();
        let write = WriteOptions {
            pending_max: usize::MAX,
            total: Arc::new(PendingTotal::new(usize::MAX)),
        };
        let link = Link::new(ConnId(1), Kind::Client, address, writer, write);
        let _ = tell.send(Arc::clone(&link));
        let session = Feeder {
            link: Arc::clone(&link),
            host,
            feeds: shared.0,
            seen: shared.1,
        };
        let options = DriverOptions {
            write_deadline: SETUP.write_deadline,
            write_retry: false,
        };
        driver::drive(reader, link, session, options).await;
    });
    Moving {
        homes,
        hosts,
        link: told.recv().expect("the link is made"),
        peer,
        sent: 0,
        feeds,
        seen,
    }
}

impl Moving {
    /// Sends a few messages; false if nobody takes them.
    fn send(&mut self, feeds: bool) -> bool {
        self.feeds.store(feeds, Ordering::Relaxed);
        let numbers = self.sent..self.sent + 100;
        self.sent = numbers.end;
        let bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        self.peer.write_all(&bytes).is_ok()
    }

    fn moves(&self) -> usize {
        self.seen.lock().threads.len()
    }

    /// Sends until the link has been on so many threads, one after the other.
    fn send_until(&mut self, feeds: bool, moves: usize) {
        let start = Instant::now();
        while self.moves() < moves {
            assert!(start.elapsed() < DEADLINE, "it does not move");
            assert!(self.send(feeds), "it is closed");
        }
    }

    fn thread(&self) -> Option<ThreadId> {
        self.seen.lock().threads.last().copied()
    }
}

#[test]
fn a_link_moves_in_with_whom_it_works_for_and_home_again() {
    let mut moving = moving();
    moving.send_until(false, 1);
    let home = moving.thread();
    moving.send_until(true, 2);
    let host = moving.thread();
    assert_ne!(home, host);
    moving.link.send(b"here");
    let mut said = [0; 4];
    moving.peer.read_exact(&mut said).expect("what was said");
    assert_eq!(said, *b"here");
    moving.send_until(false, 3);
    assert_eq!(moving.thread(), home);
    moving.send_until(true, 4);
    assert_eq!(moving.thread(), host);
    wait_for("all", || moving.seen.lock().messages == moving.sent);
    assert_eq!(moving.seen.lock().ended, []);
}

#[test]
fn a_guest_ends_with_its_host() {
    let mut moving = moving();
    moving.send_until(true, 2);
    fill(&moving.link);
    drop(moving.hosts);
    assert_eq!(moving.seen.lock().ended, [CloseReason::ServerShutdown]);
    assert_eq!(moving.link.pending_bytes(), 0);
    // What was sent and not read takes the last bytes with it: that is an end, too.
    let ended = moving.peer.read_to_end(&mut Vec::new());
    let is_open = ended.is_err_and(|err| err.kind() == ErrorKind::WouldBlock);
    assert!(!is_open, "the socket is closed");
    drop(moving.homes);
}

fn check_moves(closes_early: bool, seed: u64) {
    const WRITERS: usize = 3;
    const COUNT: u32 = 1500;
    let mut moving = moving();
    let peer = moving.peer.try_clone().expect("a handle");
    let reader = thread::spawn(move || read_records(peer, WRITERS, seed));
    let writers: Vec<_> = (0..WRITERS as u32)
        .map(|name| writer(&moving.link, name, COUNT, seed * 31 + u64::from(name)))
        .collect();
    let moves = if closes_early {
        2 + Random::seeded(seed).below(4) as usize
    } else {
        6
    };
    while moving.moves() < moves || !(closes_early || writers.iter().all(JoinHandle::is_finished)) {
        let next = moving.moves() + 1;
        moving.send_until(next.is_multiple_of(2), next);
    }
    if !closes_early {
        wait_for("an empty queue", || moving.link.pending_bytes() == 0);
        wait_for("all", || moving.seen.lock().messages == moving.sent);
    }
    // One more move is on its way, or not.
    moving.send(moves.is_multiple_of(2));
    moving.link.close(CloseReason::ServerShutdown);
    let appended: Vec<u32> = writers
        .into_iter()
        .map(|writer| writer.join().expect("a writer"))
        .collect();
    assert_eq!(reader.join().expect("the reader"), appended, "seed {seed}");
    drop((moving.peer, moving.homes, moving.hosts));
    assert_eq!(moving.seen.lock().ended, [CloseReason::ServerShutdown]);
    assert_eq!(moving.link.pending_bytes(), 0);
}

#[test]
fn bytes_arrive_whole_and_in_order_while_a_link_moves() {
    for seed in 0..rounds() {
        check_moves(false, seed);
    }
}

#[test]
fn a_link_may_be_closed_wherever_it_is() {
    for seed in 0..2 * rounds() {
        check_moves(true, seed);
    }
}
