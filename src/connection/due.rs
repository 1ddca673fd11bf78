//! Links that are flushed when every ready link of this thread had its turn.
//!
//! A small batch costs more to write than to read. When many links of a thread have a
//! little to say to the same receiver, one write after all of them carries what each would
//! have written by itself. The thread's attendant, a task woken by the first of them, stands
//! behind those that are ready already; with nobody else ready its turn is at once.
//!
//! Who has something for many links, and no links of its own, sends them home: each thread
//! writes to its own, all at the same time, while the sender goes on.
//!
//! Invariants: a link left here is flushed by this thread after at most `BATCHES_MAX`
//! batches, a link sent home by its thread at its next turn; on a thread without an
//! attendant, and once it has gone, links are flushed in place. Absent: batches that are
//! worth a write of their own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use parking_lot::Mutex;

use super::link::Link;

/// So many small batches are worth a write.
const BATCHES_MAX: usize = 64;
/// For fewer links than this nobody is woken.
const SEND_HOME_MIN: usize = 8;
/// More do not wait at one home: whoever brings them flushes them in place.
const AT_HOME_MAX: usize = 16 * 1024;

#[derive(Default)]
struct Due {
    /// Wakes the attendant, while there is one.
    attendant: Option<Waker>,
    links: Vec<Arc<Link>>,
    /// Batches that left something since links were last flushed.
    batches: usize,
    home: Arc<Home>,
}

/// Where other threads leave links for the attendant of this one.
#[derive(Default)]
pub struct Home(Mutex<Letters>);

#[derive(Default)]
struct Letters {
    /// None: nobody attends.
    attendant: Option<Waker>,
    links: Vec<Arc<Link>>,
}

impl Home {
    /// Leaves a link; true if the attendant is to be woken. Gives it back when nobody
    /// attends, or too many wait.
    fn leave(&self, link: Arc<Link>) -> Result<bool, Arc<Link>> {
        let mut letters = self.0.lock();
        if letters.attendant.is_none() || letters.links.len() >= AT_HOME_MAX {
            return Err(link);
        }
        letters.links.push(link);
        Ok(letters.links.len() == 1)
    }

    fn wake(&self) {
        let attendant = self.0.lock().attendant.clone();
        if let Some(attendant) = attendant {
            attendant.wake();
        }
    }
}

/// The home of links that live on this thread.
pub fn home() -> Arc<Home> {
    DUE.with_borrow(|due| Arc::clone(&due.home))
}

/// Leaves `links` to the attendants of their threads, if there are many.
pub fn send_home(links: &mut Vec<Arc<Link>>) {
    if links.len() < SEND_HOME_MIN {
        for link in links.drain(..) {
            link.flush();
        }
        return;
    }
    let mut awaiting: Vec<Arc<Home>> = Vec::new();
    for link in links.drain(..) {
        let Some(home) = link.home().cloned() else {
            link.flush();
            continue;
        };
        match home.leave(link) {
            Ok(true) => awaiting.push(home),
            Ok(false) => {}
            Err(link) => link.flush(),
        }
    }
    // Not before all are there: each writes to all of his at once.
    for home in awaiting {
        home.wake();
    }
}

thread_local! {
    static DUE: RefCell<Due> = RefCell::default();
}

/// Leaves `links` to the thread's attendant.
pub fn leave(links: &mut Vec<Arc<Link>>) {
    if links.is_empty() {
        return;
    }
    let is_full = DUE.with_borrow_mut(|due| {
        due.links.append(links);
        due.batches += 1;
        match &due.attendant {
            Some(attendant) if due.batches == 1 => attendant.wake_by_ref(),
            Some(_) => {}
            None => return true,
        }
        due.batches >= BATCHES_MAX
    });
    if is_full {
        flush();
    }
}

/// Flushes what is due now.
pub fn flush() {
    let mut links = DUE.with_borrow_mut(|due| {
        due.batches = 0;
        std::mem::take(&mut due.links)
    });
    if links.is_empty() {
        return;
    }
    for link in links.drain(..) {
        link.flush();
    }
    DUE.with_borrow_mut(|due| {
        if due.links.is_empty() {
            due.links = links;
        }
    });
}

/// The attendant of the thread it is polled on; never ends.
pub async fn attend() {
    let _leaving = Leaving;
    poll_fn(|cx| {
        flush();
        let home = DUE.with_borrow_mut(|due| {
            match &mut due.attendant {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            Arc::clone(&due.home)
        });
        let mut letters = home.0.lock();
        match &mut letters.attendant {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let links = std::mem::take(&mut letters.links);
        drop(letters);
        for link in links {
            link.flush();
        }
        Poll::Pending
    })
    .await
}

/// Nobody attends any more.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        let (waker, home) =
            DUE.with_borrow_mut(|due| (due.attendant.take(), Arc::clone(&due.home)));
        drop(waker);
        flush();
        let letters = std::mem::take(&mut *home.0.lock());
        for link in letters.links {
            link.flush();
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests open their own sockets")]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::task::Context;

    use super::*;
    use crate::connection::id::{ConnId, Kind};
    use crate::connection::link::{Appended, WriteOptions};
    use crate::connection::pending::PendingTotal;
    use crate::net::Wire;

    struct Rig {
        link: Arc<Link>,
        peer: TcpStream,
    }

    async fn rig() -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("connect");
        let (ours, address) = listener.accept().expect("accept");
        ours.set_nonblocking(true).expect("nonblocking");
        let stream = tokio::net::TcpStream::from_std(ours).expect("a runtime");
        stream.writable().await.expect("open");
        let (_, writer) = Wire::Tcp(stream).split();
        let options = WriteOptions {
            pending_max: 1 << 20,
            total: Arc::new(PendingTotal::new(1 << 20)),
        };
        Rig {
            link: Link::new(ConnId(1), Kind::Client, address, writer, options),
            peer,
        }
    }

    impl Rig {
        /// One small batch: a byte for the link.
        fn batch(&self) {
            let mut touched = Vec::new();
            let mut locked = self.link.lock().expect("open");
            locked.append(1, |out| out.push(b'x'));
            if locked.finish() == Appended::FlushLater {
                touched.push(Arc::clone(&self.link));
            }
            // A promise made again, as other threads' flushes may bring about.
            touched.push(Arc::clone(&self.link));
            leave(&mut touched);
        }

        fn check_arrived(&mut self, bytes: usize) {
            assert_eq!(self.link.pending_bytes(), 0);
            let mut arrived = vec![0; bytes];
            self.peer.read_exact(&mut arrived).expect("written");
        }
    }

    #[tokio::test]
    async fn without_an_attendant_links_are_flushed_in_place() {
        let mut rig = rig().await;
        rig.batch();
        rig.check_arrived(1);
    }

    #[tokio::test]
    async fn an_attendant_flushes_after_those_that_are_ready() {
        let mut rig = rig().await;
        let mut attendant = Box::pin(attend());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        for waiting in 1..10 {
            rig.batch();
            assert_eq!(rig.link.pending_bytes(), waiting);
        }
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        rig.check_arrived(9);
    }

    #[tokio::test]
    async fn many_batches_do_not_wait() {
        let mut rig = rig().await;
        let mut attendant = Box::pin(attend());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        for _ in 0..BATCHES_MAX {
            rig.batch();
        }
        rig.check_arrived(BATCHES_MAX);
    }

    #[tokio::test]
    async fn links_sent_home_are_flushed_there() {
        let mut many = Vec::new();
        for _ in 0..SEND_HOME_MIN {
            many.push(rig().await);
        }
        let send = |rigs: &[Rig]| {
            let mut links: Vec<_> = rigs.iter().map(|rig| Arc::clone(&rig.link)).collect();
            for link in &links {
                link.settle(home());
                let mut locked = link.lock().expect("open");
                locked.append(1, |out| out.push(b'x'));
                assert_eq!(locked.finish(), Appended::FlushLater);
            }
            send_home(&mut links);
            assert!(links.is_empty());
        };
        let waiting = |rigs: &[Rig]| {
            rigs.iter()
                .map(|rig| rig.link.pending_bytes())
                .sum::<usize>()
        };
        send(&many);
        assert_eq!(waiting(&many), 0, "nobody attends");
        let mut attendant = Box::pin(attend());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        send(&many[1..]);
        assert_eq!(waiting(&many), 0, "few");
        send(&many);
        assert_eq!(waiting(&many), SEND_HOME_MIN);
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        assert_eq!(waiting(&many), 0);
        send(&many);
        drop(attendant);
        assert_eq!(waiting(&many), 0, "nothing is left behind");
        for (at, rig) in many.iter_mut().enumerate() {
            rig.check_arrived(if at == 0 { 3 } else { 4 });
        }
    }

    #[tokio::test]
    async fn an_attendant_that_goes_leaves_nothing_behind() {
        let mut rig = rig().await;
        let mut attendant = Box::pin(attend());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(attendant.as_mut().poll(&mut cx).is_pending());
        rig.batch();
        drop(attendant);
        rig.check_arrived(1);
        rig.batch();
        rig.check_arrived(1);
    }
}
