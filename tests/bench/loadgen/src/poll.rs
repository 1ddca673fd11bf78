//! Level-triggered epoll over tokens.

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

const EVENTS_MAX: usize = 256;

/// A set of sockets, each known by a token.
pub struct Poll {
    fd: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    /// An empty set.
    pub fn new() -> io::Result<Poll> {
        let fd = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Poll {
            fd,
            events: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// Watches `sock` for data to read.
    pub fn add(&self, sock: impl AsFd, token: usize) -> io::Result<()> {
        Ok(epoll::add(
            &self.fd,
            sock,
            EventData::new_u64(token as u64),
            EventFlags::IN,
        )?)
    }

    /// Watches `sock` for room to write too, or no longer.
    pub fn want_write(&self, sock: impl AsFd, token: usize, on: bool) -> io::Result<()> {
        let flags = if on {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        Ok(epoll::modify(
            &self.fd,
            sock,
            EventData::new_u64(token as u64),
            flags,
        )?)
    }

    /// Fills `ready` with the tokens that are ready (readable, writable).
    pub fn wait(
        &mut self,
        timeout: Duration,
        ready: &mut Vec<(usize, bool, bool)>,
    ) -> io::Result<()> {
        ready.clear();
        self.events.clear();
        let limit = Timespec {
            tv_sec: timeout.as_secs() as i64,
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        match epoll::wait(&self.fd, spare_capacity(&mut self.events), Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        for event in &self.events {
            let (flags, token) = (event.flags, event.data.u64() as usize);
            let readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
            ready.push((token, readable, flags.contains(EventFlags::OUT)));
        }
        Ok(())
    }
}
