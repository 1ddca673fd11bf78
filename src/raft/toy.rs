//! A machine for tests: adds numbers, and keeps its checkpoints in a disk that is a value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::state_machine::{Checkpoint, DecodeError, MachineError, StateMachine};

/// What survives a restart of a toy.
#[derive(Clone, Default)]
pub struct ToyDisk {
    saved: Arc<Mutex<Option<(State, Bytes)>>>,
    /// Checkpoints are not completed any more.
    pub refuses: Arc<AtomicBool>,
    /// Checkpoints are begun, and lost.
    pub forgets: Arc<AtomicBool>,
}

/// What a toy knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The sum of what was added.
    pub total: u64,
    /// How much was applied.
    pub applied: u64,
    /// The last time seen.
    pub now: Timestamp,
}

/// What a toy can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds.
    Add(u64),
    /// The machine's disk fails.
    Break,
    /// The machine has a bug.
    Panic,
}

/// Adds numbers.
pub struct Toy {
    /// What it knows.
    pub state: State,
    /// It has work left, and cannot do it.
    pub is_behind: bool,
    disk: ToyDisk,
}

impl Toy {
    /// A toy in the state of its last checkpoint, and where that was made.
    pub fn open(disk: &ToyDisk) -> (Toy, Option<Bytes>) {
        let saved = disk.saved.lock().clone();
        let (state, position) = match saved {
            Some((state, position)) => (state, Some(position)),
            None => (State::default(), None),
        };
        let disk = disk.clone();
        let toy = Toy {
            state,
            is_behind: false,
            disk,
        };
        (toy, position)
    }
}

impl StateMachine for Toy {
    type Command = Command;
    /// The sum after the command.
    type Outcome = u64;

    fn encode(commands: &[Command], out: &mut Vec<u8>) {
        for command in commands {
            match command {
                Command::Add(number) => out.put_u64_le(*number),
                Command::Break => out.put_u64_le(u64::MAX),
                Command::Panic => out.put_u64_le(BUG),
            }
        }
    }

    fn decode(bytes: &Bytes) -> Result<Vec<Command>, DecodeError> {
        let mut bytes = bytes.clone();
        let mut commands = Vec::new();
        while bytes.has_remaining() {
            let number = bytes.try_get_u64_le();
            let number = number.map_err(|err| DecodeError(err.to_string()))?;
            commands.push(match number {
                u64::MAX => Command::Break,
                BUG => Command::Panic,
                number => Command::Add(number),
            });
        }
        Ok(commands)
    }

    fn is_behind(&self) -> bool {
        self.is_behind
    }

    fn catch_up(&mut self) -> Result<(), MachineError> {
        Err(broken("catch up"))
    }

    fn apply(&mut self, now: Timestamp, command: Command) -> Result<u64, MachineError> {
        assert!(now >= self.state.now, "time went back");
        match command {
            Command::Add(number) => self.state.total += number,
            Command::Break => return Err(broken("apply")),
            Command::Panic => panic!("a bug for the test"),
        }
        self.state.applied += 1;
        self.state.now = now;
        Ok(self.state.total)
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    fn checkpoint(&mut self, position: Bytes) -> Result<Box<dyn Checkpoint>, MachineError> {
        Ok(Box::new(Begun {
            state: self.state.clone(),
            position,
            disk: self.disk.clone(),
        }))
    }
}

/// How [`Command::Panic`] is written.
const BUG: u64 = u64::MAX - 1;

struct Begun {
    state: State,
    position: Bytes,
    disk: ToyDisk,
}

impl Checkpoint for Begun {
    fn complete(self: Box<Self>) -> Result<(), MachineError> {
        if self.disk.refuses.load(Ordering::SeqCst) {
            return Err(broken("complete a checkpoint"));
        }
        if !self.disk.forgets.load(Ordering::SeqCst) {
            *self.disk.saved.lock() = Some((self.state, self.position));
        }
        Ok(())
    }
}

fn broken(what: &'static str) -> MachineError {
    MachineError {
        what,
        cause: "a fault for the test".into(),
    }
}
