//! Signals of the operating system, as events of this server.
//!
//! Separate because what a signal asks for is decided elsewhere: whether SIGTERM counts
//! while the server is in lame duck mode is known to the caller alone.
//!
//! Invariants: from [`Signals::new`] on none of these signals ends the process by itself;
//! of several that wait, one that shuts down comes first.

use std::fmt;
use std::io;

use tokio::signal::unix::{self, SignalKind};

/// What somebody outside asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End in order.
    Shutdown(Cause),
    /// Let clients go elsewhere, then end (SIGUSR2).
    LameDuck,
    /// Read the configuration anew (SIGHUP).
    Reload,
    /// Open the log file anew (SIGUSR1).
    ReopenLog,
}

/// Which signal shuts down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// The words for the signal in `Trapped "…" signal`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Shutdown(Cause::Interrupt) => "interrupt",
            Signal::Shutdown(Cause::Terminate) => "terminated",
            Signal::LameDuck => "user defined signal 2",
            Signal::Reload => "hangup",
            Signal::ReopenLog => "user defined signal 1",
        })
    }
}

/// The signals sent to this process. At most one per process is of use.
pub struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    lame_duck: unix::Signal,
    reload: unix::Signal,
    reopen: unix::Signal,
}

impl Signals {
    /// Takes the signals over. Within a runtime.
    ///
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            lame_duck: unix::signal(SignalKind::user_defined2())?,
            reload: unix::signal(SignalKind::hangup())?,
            reopen: unix::signal(SignalKind::user_defined1())?,
        })
    }

    /// The next signal. Loses none when it is dropped before it is done; the same signal
    /// sent twice before it is taken may arrive once.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signal::Shutdown(Cause::Interrupt),
            _ = self.terminate.recv() => Signal::Shutdown(Cause::Terminate),
            _ = self.lame_duck.recv() => Signal::LameDuck,
            _ = self.reload.recv() => Signal::Reload,
            _ = self.reopen.recv() => Signal::ReopenLog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    #[tokio::test]
    async fn each_signal_has_its_meaning_and_its_words() {
        let mut signals = Signals::new().unwrap();
        for (number, expected, words) in [
            (Number::INT, Signal::Shutdown(Cause::Interrupt), "interrupt"),
            (
                Number::TERM,
                Signal::Shutdown(Cause::Terminate),
                "terminated",
            ),
            (Number::HUP, Signal::Reload, "hangup"),
            (Number::USR1, Signal::ReopenLog, "user defined signal 1"),
            (Number::USR2, Signal::LameDuck, "user defined signal 2"),
        ] {
            kill_process(getpid(), number).unwrap();
            let signal = signals.next().await;
            assert_eq!((signal, signal.to_string().as_str()), (expected, words));
        }
    }
}
