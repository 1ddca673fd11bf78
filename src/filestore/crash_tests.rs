//! Power cuts: a scripted life of a store, cut at every call that changes the disk, and
//! brought up again from what a disk may keep of it.
//!
//! What is checked: the store comes back in the state of a checkpoint that was begun, and no
//! earlier one than the last that was completed; with the log applied from there it is what
//! the model is; nothing looks damaged, and nothing that is not the store's own is touched.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scribe::Scribe;
use super::*;
use crate::entropy::Random;
use crate::store::contract::{self, Harness, model::Model};
use crate::vfs::sim::recording::{Point, Recording, each_crash, effort};
use crate::vfs::sim::{SimVfs, Survival};

const DIR: &str = "/data/groups/7";
const ASIDE: &str = "/data/quarantine";
const LOG: &str = "/data/wal";
const NOTES: &str = "/data/groups/7/notes.txt";

fn options() -> Options {
    Options {
        block_bytes: 2 << 10,
        buffer_bytes: 600,
        gain_bytes_min: 300,
        inline_bytes_max: 150,
        kept_bytes_min: 80,
        kept_percent_min: 0,
        pending_bytes: 300,
        quarantine: ASIDE.into(),
    }
}

fn open(vfs: &SimVfs) -> Result<(FileStore, Option<u64>), Error> {
    let (store, restored) = FileStore::open(Arc::new(vfs.clone()), DIR.into(), options())?;
    let position = restored.map(|restored| restored.state);
    let position = position.map(|state| u64::from_le_bytes(state.try_into().expect("a number")));
    Ok((store, position))
}

/// An entry of the log.
#[derive(Clone, Debug)]
enum Entry {
    Append(Message),
    Skip(Seq, Timestamp),
    Remove(Seq, bool),
    Truncate(Seq),
}

/// What happens in the life of a store.
#[derive(Clone, Debug)]
enum Step {
    Apply(Entry),
    /// A checkpoint is begun; the one before, if it is still open, is forgotten.
    Begin,
    /// The checkpoint is completed.
    Complete,
    Rest,
    /// The process is killed and started again.
    Restart,
}

impl Entry {
    /// As [`Entry::apply`], out of a log if there is one.
    fn apply_from(&self, log: &mut Option<Scribe>, store: &mut FileStore) {
        match (self, log) {
            (Entry::Append(message), Some(log)) => {
                log.append(store, message.as_ref())
                    .expect("the disk does its part");
            }
            _ => self.apply(store),
        }
    }

    fn apply(&self, store: &mut dyn MsgStore) {
        match self {
            Entry::Append(message) => store.append(message.as_ref()),
            Entry::Skip(last, time) => store.skip_to(*last, *time),
            Entry::Remove(seq, erase) => store.remove(*seq, *erase).map(|_| ()),
            Entry::Truncate(first) => store.truncate_front(*first, &mut |_, _| {}).map(|_| ()),
        }
        .expect("the disk does its part");
    }

    fn apply_to_model(&self, model: &mut Model) {
        match self {
            Entry::Append(message) => model.append(message.as_ref()),
            Entry::Skip(last, time) => model.skip_to(*last, *time),
            Entry::Remove(seq, _) => drop(model.remove(*seq)),
            Entry::Truncate(first) => drop(model.truncate_front(*first)),
        }
    }
}

/// A life: what happens, the log of it, and the model behind each entry.
struct Script {
    steps: Vec<Step>,
    log: Vec<Entry>,
    models: Vec<Model>,
}

impl Script {
    fn push(&mut self, entry: Entry) {
        let mut model = self.models.last().cloned().unwrap_or_default();
        entry.apply_to_model(&mut model);
        self.models.push(model);
        self.log.push(entry.clone());
        self.steps.push(Step::Apply(entry));
    }

    fn new(seed: u64, entries: usize) -> Script {
        let mut random = Random::seeded(seed);
        let mut script = Script {
            steps: Vec::new(),
            log: Vec::new(),
            models: vec![Model::default()],
        };
        let mut begun_for = None;
        while script.log.len() < entries {
            match begun_for {
                Some(0) => {
                    // Some are never completed.
                    if random.below(6) > 0 {
                        script.steps.push(Step::Complete);
                    }
                    begun_for = None;
                }
                Some(left) => begun_for = Some(left - 1),
                None if random.below(12) == 0 => {
                    script.steps.push(Step::Begin);
                    begun_for = Some(random.below(4));
                }
                None => {}
            }
            match random.below(300) {
                0 => script.steps.push(Step::Rest),
                1 => {
                    script.steps.push(Step::Restart);
                    begun_for = None;
                }
                _ => {}
            }
            script.next(&mut random);
        }
        script
    }

    /// A plausible next entry, or some.
    fn next(&mut self, random: &mut Random) {
        let model = self.models.last().cloned().unwrap_or_default();
        let time = Timestamp::from_unix_nanos(model.last_time.unix_nanos() + 10);
        let seqs: Vec<Seq> = model.messages.iter().map(|message| message.seq).collect();
        let some = |random: &mut Random| seqs[random.below(seqs.len() as u64) as usize];
        if seqs.len() > 60 {
            return self.push(Entry::Truncate(seqs[1 + random.below(12) as usize]));
        }
        match random.below(100) {
            0..15 if !seqs.is_empty() => {
                let erase = random.below(4) == 0;
                self.push(Entry::Remove(some(random), erase));
            }
            15..18 if !seqs.is_empty() => {
                let first = seqs[random.below(seqs.len() as u64 / 3 + 1) as usize];
                self.push(Entry::Truncate(first));
            }
            18 => self.push(Entry::Truncate(model.last_seq.next())),
            19 => self.push(Entry::Skip(
                Seq(model.last_seq.0 + 1 + random.below(9)),
                time,
            )),
            20 => {
                // As TTLs do: many at once, and holes in each block.
                let gap = 2 + random.below(3) as usize;
                for (at, seq) in seqs.iter().enumerate() {
                    if at % gap > 0 {
                        self.push(Entry::Remove(*seq, false));
                    }
                }
            }
            _ => {
                let gap = if random.below(20) == 0 {
                    random.below(6)
                } else {
                    0
                };
                let seq = Seq(model.last_seq.0 + 1 + gap);
                let len = match random.below(40) {
                    0 => 3000,
                    1..4 => 300 + random.below(900),
                    _ => random.below(120),
                };
                let subject = match random.below(10) {
                    0 => format!("rare.{}.{}", random.below(1000), "x".repeat(40)),
                    _ => format!("a.{}", random.below(8)),
                };
                self.push(Entry::Append(Message {
                    seq,
                    time,
                    subject: subject.into(),
                    headers: match random.below(3) {
                        0 => Bytes::from_static(b"NATS/1.0\r\nA: b\r\n\r\n"),
                        _ => Bytes::new(),
                    },
                    payload: (0..len).map(|at| (at + seq.0) as u8).collect(),
                }));
            }
        }
    }
}

/// What was promised: the entries in the log, and up to where a checkpoint was completed.
#[derive(Clone, Default)]
struct Promised {
    applied: Arc<AtomicU64>,
    completed: Arc<AtomicU64>,
}

type Mark = (u64, u64);

impl Promised {
    fn mark(&self) -> Mark {
        let load = |number: &AtomicU64| number.load(Ordering::SeqCst);
        (load(&self.applied), load(&self.completed))
    }
}

/// Plays a script; every state of the disk on the way. `logged`: what is appended comes out
/// of a log.
fn played(script: &Script, logged: bool) -> Vec<Point<Mark>> {
    let vfs = SimVfs::new();
    vfs.create_dir_all(Path::new(DIR)).unwrap();
    let notes = vfs.write_atomically(Path::new(NOTES), b"mine", vfs::MODE_PRIVATE);
    notes.unwrap();
    for dir in ["/data", "/data/groups", DIR] {
        vfs.sync_dir(Path::new(dir)).unwrap();
    }
    let promised = Promised::default();
    let marks = promised.clone();
    let recording = Recording::begin(&vfs, move || marks.mark());
    let open_both = || {
        let (mut store, position) = open(&vfs).unwrap();
        let log = logged.then(|| Scribe::open(Arc::new(vfs.clone()), Path::new(LOG), 4));
        if let Some(log) = &log {
            store.comes_from(log.wal.clone(), scribe::GROUP);
        }
        (store, position, log)
    };
    let (mut store, _, mut log) = open_both();
    let mut begun = None;
    for step in &script.steps {
        let (applied, completed) = promised.mark();
        match step {
            Step::Apply(entry) => {
                promised.applied.fetch_add(1, Ordering::SeqCst);
                entry.apply_from(&mut log, &mut store);
            }
            Step::Begin => {
                let state = applied.to_le_bytes().to_vec();
                begun = Some((store.checkpoint(state).unwrap(), applied));
            }
            Step::Complete => {
                let (checkpoint, position) = begun.take().unwrap();
                checkpoint.complete().unwrap();
                promised.completed.store(position, Ordering::SeqCst);
                // What was appended since the checkpoint began goes too: nothing here is
                // applied out of this log again.
                if let Some(log) = &log {
                    log.purge();
                }
            }
            Step::Rest => store.rest().unwrap(),
            Step::Restart => {
                begun = None;
                drop((store, log.take()));
                let position;
                (store, position, log) = open_both();
                assert_eq!(position.unwrap_or(0), completed);
                for entry in &script.log[completed as usize..applied as usize] {
                    entry.apply_from(&mut log, &mut store);
                }
            }
        }
    }
    recording.end(&vfs, promised.mark())
}

fn check_same(store: &mut FileStore, model: &Model, number: u64) {
    contract::check_figures(store, model);
    let (filters, part) = match number % 3 {
        0 => (Filters::all(), 0),
        1 => (Filters::new(["a.3", "rare.>"]), number % 7),
        _ => (Filters::new(["a.*"]), number % 5),
    };
    let from = Seq(1 + model.last_seq.0 * part / 6);
    contract::check_answers(store, model, &filters, from);
    let health = store.health();
    let found = (health.lost, health.damaged_blocks, health.damaged_manifests);
    assert_eq!(found, (0, 0, 0), "{health:?}");
    assert!(!health.fell_back && !health.subjects_rebuilt, "{health:?}");
    assert_eq!(health.unknown_files, 1, "{health:?}");
}

/// Brings a store up from what is found; and once more, after it went on for a while.
fn check_found(found: &SimVfs, script: &Script, mark: Mark, number: u64) {
    let (applied, completed) = mark;
    let (mut store, position) = open(found).expect("the store opens");
    assert!(
        position.unwrap_or(0) >= completed && (completed == 0 || position.is_some()),
        "back at {position:?}, but {completed} was completed"
    );
    let position = position.unwrap_or(0);
    assert!(position <= applied, "{position} of {applied} is invented");
    check_same(&mut store, &script.models[position as usize], number);
    for entry in &script.log[position as usize..applied as usize] {
        entry.apply(&mut store);
    }
    check_same(&mut store, &script.models[applied as usize], number + 1);
    assert_eq!(found.read(Path::new(NOTES), 10).unwrap(), b"mine");
    let aside = found.list(Path::new(ASIDE)).unwrap_or_default();
    // Blocks that came without any manifest are a riddle; the log has what is in them.
    assert!(completed == 0 || aside.is_empty(), "kept aside: {aside:?}");
    if !number.is_multiple_of(3) {
        return;
    }
    let mut later = Script {
        steps: Vec::new(),
        log: Vec::new(),
        models: vec![script.models[applied as usize].clone()],
    };
    let mut random = Random::seeded(number);
    for round in 0..2u64 {
        for _ in 0..3 + 3 * round {
            let from = later.log.len();
            later.next(&mut random);
            for entry in &later.log[from..] {
                entry.apply(&mut store);
            }
        }
        let begun = store.checkpoint(round.to_le_bytes().to_vec()).unwrap();
        begun.complete().unwrap();
    }
    let again = found.after_crash(Survival::Nothing);
    let (mut store, position) = open(&again).expect("the store opens again");
    assert_eq!(position, Some(1));
    check_same(&mut store, later.models.last().unwrap(), number);
}

#[test]
fn a_power_cut_at_every_call_loses_nothing() {
    let script = Script::new(1, 1600);
    let points = played(&script, false);
    assert!(points.len() > 2000, "{} points", points.len());
    let survivals = effort(2);
    let checked = each_crash(&points, survivals, |found, point, number| {
        check_found(found, &script, point.mark, number);
    });
    assert_eq!(checked, survivals * points.len());
    println!("{checked} crashes at {} points", points.len());
}

/// Whether some block keeps a segment of the log.
fn keeps_some(vfs: &SimVfs) -> bool {
    let names = vfs.list(Path::new(DIR)).unwrap_or_default();
    names
        .iter()
        .any(|name| stitched::parse_link(name).is_some())
}

#[test]
fn a_power_cut_loses_nothing_of_what_stays_in_the_log() {
    let script = Script::new(4, 500);
    let points = played(&script, true);
    let keeping = points.iter().filter(|point| keeps_some(&point.disk));
    let keeping = keeping.count();
    assert!(keeping > points.len() / 2, "{keeping} of {}", points.len());
    let survivals = effort(2);
    let checked = each_crash(&points, survivals, |found, point, number| {
        check_found(found, &script, point.mark, number);
    });
    assert_eq!(checked, survivals * points.len());
    println!("{checked} crashes at {} points", points.len());
}

#[test]
fn a_power_cut_while_opening_loses_nothing() {
    let script = Script::new(2, 600);
    let points = played(&script, false);
    let mut cuts = 0;
    for (at, point) in points.iter().enumerate().step_by(29) {
        for survival in Survival::all(at as u64) {
            let found = point.disk.after_crash(survival);
            let calls = {
                let probe = found.after_crash(Survival::Everything);
                open(&probe).map(|_| probe.calls()).expect("opens")
            };
            for call in 1..=calls {
                let again = found.after_crash(Survival::Everything);
                again.cut_before(call);
                assert!(open(&again).is_err());
                for survival in [Survival::Nothing, Survival::Some(call)] {
                    let found = again.after_crash(survival);
                    check_found(&found, &script, point.mark, call);
                    cuts += 1;
                }
            }
        }
    }
    assert!(cuts > 200, "{cuts}");
}

#[test]
fn what_is_kept_aside_is_there_before_the_original_goes() {
    let script = Script::new(3, 60);
    let vfs = played(&script, false).pop().expect("points").disk;
    for name in vfs.list(Path::new(DIR)).unwrap() {
        if name.starts_with("manifest-") {
            vfs.remove(&Path::new(DIR).join(name)).unwrap();
        }
    }
    vfs.sync_dir(Path::new(DIR)).unwrap();
    let blocks = |vfs: &SimVfs| {
        let is_block = |name: &&String| name.contains("block-");
        let here = vfs.list(Path::new(DIR)).unwrap();
        let here = here.iter().filter(is_block).map(|name| format!("7-{name}"));
        let aside = vfs.list(Path::new(ASIDE)).unwrap_or_default();
        let aside = aside.into_iter().filter(|name| !name.starts_with('.'));
        here.chain(aside).collect::<BTreeSet<String>>()
    };
    // Synced or not: what is there now is what was found.
    let vfs = vfs.after_crash(Survival::Everything);
    let before = blocks(&vfs);
    assert!(before.len() > 1, "{before:?}");
    let recording = Recording::begin(&vfs, || ());
    assert_eq!(open(&vfs).unwrap().1, None);
    let points = recording.end(&vfs, ());
    each_crash(&points, 8, |found, _, _| assert_eq!(blocks(found), before));
}

/// A store whose every reopening is a power cut.
struct Crashing {
    vfs: SimVfs,
    store: FileStore,
    checkpoints: u64,
    crashes: usize,
}

impl Crashing {
    fn new(seed: usize) -> Self {
        let vfs = SimVfs::new();
        let (store, _) = open(&vfs).unwrap();
        Crashing {
            vfs,
            store,
            checkpoints: 0,
            crashes: seed,
        }
    }
}

impl Harness for Crashing {
    fn store(&mut self) -> &mut dyn MsgStore {
        &mut self.store
    }

    fn checkpoint(&mut self) {
        self.checkpoints += 1;
        let state = self.checkpoints.to_le_bytes().to_vec();
        self.store.checkpoint(state).unwrap().complete().unwrap();
    }

    fn reopen(&mut self) -> bool {
        self.crashes += 1;
        let survival = Survival::all(self.crashes as u64)[self.crashes % 8];
        self.vfs = self.vfs.after_crash(survival);
        let (store, position) = open(&self.vfs).expect("the store opens");
        assert_eq!(position.unwrap_or(0), self.checkpoints, "{survival:?}");
        self.store = store;
        true
    }
}

#[test]
fn the_contract_holds_over_power_cuts() {
    for seed in 0..4 {
        contract::scenarios(&mut || Crashing::new(seed));
    }
    let mut seed = 0;
    contract::tests::differential(24, &mut || {
        seed += 1;
        Crashing::new(seed)
    });
}
