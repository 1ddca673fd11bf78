//! Power cuts and rot: a scripted workload, cut at every call that changes the disk, and
//! recovered from what a disk may keep of it.
//!
//! What is checked: the state found is exactly the state after some prefix of the writes,
//! which contains every write whose `done` was called. So nothing acknowledged is lost,
//! nothing is invented, and the order is kept over all groups and kinds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use super::*;
use crate::entropy::Random;
use crate::vfs::sim::{Fault, SimVfs, Survival};
use crate::wal::recovery::Started;

const DIR: &str = "/data/wal";

fn options() -> Options {
    Options {
        segment_bytes: 10 * page::PAGE as u64,
        queue_bytes_max: 64 << 10,
        cache_bytes_max: 8 << 10,
        rewrite_bytes_max: 2 << 10,
        on_fatal: Arc::new(|_| ()),
        ..Options::default()
    }
}

/// A group, as plainly as can be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    pub(super) vote: Option<Bytes>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) entries: BTreeMap<u64, (LogId, Bytes)>,
}

pub(super) type Groups = BTreeMap<GroupId, Group>;

fn apply(groups: &mut Groups, write: &Write) {
    if let Write::DropGroup { group } = write {
        groups.remove(group);
        return;
    }
    let known = groups.entry(write.group()).or_default();
    match write {
        Write::Append { entries, .. } => {
            let entries = entries.iter().cloned();
            known
                .entries
                .extend(entries.map(|entry| (entry.0.index, entry)));
        }
        Write::Vote { vote, .. } => known.vote = Some(vote.clone()),
        Write::TruncateAfter { index, .. } => {
            let keep = index.map_or(0, |index| index + 1);
            known.entries.split_off(&keep);
        }
        Write::Purge { up_to, .. } => {
            known.entries = known.entries.split_off(&(up_to.index + 1));
            known.purged = Some(*up_to);
        }
        Write::Committed { log_id, .. } => known.committed = *log_id,
        Write::AcceptDamage { .. } | Write::DropGroup { .. } => {}
    }
}

/// A plausible next write.
fn next_write(groups: &Groups, random: &mut Random, number: u64) -> Write {
    let group = GroupId(1 + random.below(4));
    let known = groups.get(&group).cloned().unwrap_or_default();
    let last = known.entries.last_key_value().map(|(index, _)| *index);
    let next = last.or(known.purged.map(|id| id.index)).unwrap_or(0) + 1;
    let id = |index| LogId {
        term: number,
        node: 1,
        index,
    };
    if known.entries.len() > 10 && group != GroupId(4) {
        let index = next - 1 - random.below(4);
        let up_to = known.entries.get(&index).map_or(id(index), |(id, _)| *id);
        return Write::Purge { group, up_to };
    }
    match random.below(100) {
        0..70 => {
            let entries = (0..1 + random.below(3)).map(|at| {
                let len = match random.below(20) {
                    0 => 6000,
                    1..4 => 900,
                    _ => 1 + random.below(60),
                };
                let byte = (number + at) as u8;
                (id(next + at), Bytes::from(vec![byte; len as usize]))
            });
            let entries = entries.collect();
            Write::Append { group, entries }
        }
        70..80 => {
            let vote = Bytes::from(format!("vote {number}"));
            Write::Vote { group, vote }
        }
        80..86 => {
            let index = last.map(|last| last.saturating_sub(random.below(3)));
            let purged = known.purged.map_or(0, |purged| purged.index);
            let index = index.filter(|index| *index > purged);
            Write::TruncateAfter { group, index }
        }
        86..97 => {
            let log_id = last.map(id);
            Write::Committed { group, log_id }
        }
        97..99 if known.entries.len() > 3 => Write::DropGroup { group },
        _ => Write::AcceptDamage { group },
    }
}

/// The states after each write; the first is empty.
pub(super) fn script(seed: u64, count: u64) -> (Vec<Write>, Vec<Groups>) {
    let mut random = Random::seeded(seed);
    let mut states = vec![Groups::new()];
    let mut writes = Vec::new();
    for number in 1..=count {
        let mut state = states.last().cloned().unwrap_or_default();
        let write = next_write(&state, &mut random, number);
        apply(&mut state, &write);
        writes.push(write);
        states.push(state);
    }
    (writes, states)
}

/// Runs the script. Every fifth write holds the writer back until the next three wait too,
/// so that batches of several writes occur; some writes want no answer.
fn play(wal: &Wal, writes: &[Write], issued: &AtomicU64, acked: &Arc<AtomicU64>) {
    let mut gate: Option<mpsc::Sender<()>> = None;
    // Some of it is written on this thread.
    wal.before_sleep();
    for (at, write) in writes.iter().enumerate() {
        let number = at as u64 + 1;
        let (tell, told) = mpsc::channel();
        let (open, opened) = mpsc::channel::<()>();
        let acked = Arc::clone(acked);
        let holds = number.is_multiple_of(5);
        let done: Done = Box::new(move |result| {
            if result.is_ok() {
                acked.fetch_max(number, Ordering::SeqCst);
            }
            let _ = tell.send(());
            if holds {
                let _ = opened.recv();
            }
        });
        issued.store(number, Ordering::SeqCst);
        let is_quiet = number.is_multiple_of(3) && writer::is_lazy(write, None);
        let done = (!is_quiet || holds).then_some(done);
        let waits = done.is_some();
        if wal.write(write.clone(), done).is_err() {
            return;
        }
        if holds {
            wal.before_work();
            let _ = told.recv();
            gate = Some(open);
        } else if number % 5 == 3 {
            drop(gate.take());
        }
        if waits && gate.is_none() {
            wal.before_sleep();
            let _ = told.recv();
        }
    }
}

fn recover(vfs: &SimVfs) -> Result<Started, Error> {
    let (dir, options) = (Path::new(DIR), options());
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let recovered = recovery::recover(&shared, dir, &options)?;
    let bytes = options.segment_bytes;
    recovery::start(shared, dir.to_owned(), bytes, recovered, &options)
}

/// Everything that a recovered log says.
fn groups_of(started: &Started) -> Groups {
    let mut groups = Groups::new();
    for group in started.index.groups() {
        let state = started.index.state(group);
        let mut known = Group {
            vote: state.vote,
            committed: state.committed,
            purged: state.purged,
            ..Group::default()
        };
        let mut reader = None;
        for found in started.index.find(group, 0..u64::MAX, usize::MAX) {
            let files = |number| started.segments.get(&number).cloned();
            if let Ok(payload) = purge::payload(group, &found, &mut reader, files) {
                known.entries.insert(found.id.index, (found.id, payload));
            }
        }
        groups.insert(group, known);
    }
    groups
}

/// Recovers, and often once more after losing everything that was not synced meanwhile.
fn check_crash(disk: &SimVfs, survival: Survival, states: &[Groups], from: u64, to: u64) {
    let crashed = disk.after_crash(survival);
    let started = recover(&crashed).expect("recovers");
    let found = groups_of(&started);
    let report = &started.report;
    assert!(
        report.damaged.is_empty() && !report.damage_unknown,
        "{survival:?} at {from}: false alarm: {report:?}"
    );
    let is_allowed = states[from as usize..=to as usize].contains(&found);
    assert!(
        is_allowed,
        "{survival:?} between {from} and {to}: {report:?} {found:#?}"
    );
    let is_sampled = (from + crashed.calls()).is_multiple_of(4);
    if !is_sampled {
        return;
    }
    let again = crashed.after_crash(Survival::Nothing);
    let again = recover(&again).expect("recovers again");
    assert_eq!(
        groups_of(&again),
        found,
        "{survival:?} at {from}: second recovery"
    );
}

/// A state of the disk, and what was acknowledged and issued by then.
type Point = (SimVfs, u64, u64);

fn observe(
    vfs: &SimVfs,
    issued: &Arc<AtomicU64>,
    acked: &Arc<AtomicU64>,
) -> Arc<Mutex<Vec<Point>>> {
    let points = Arc::new(Mutex::new(Vec::new()));
    let (issued, acked) = (Arc::clone(issued), Arc::clone(acked));
    let seen = Arc::clone(&points);
    vfs.observe(Arc::new(move |copy| {
        let acked = acked.load(Ordering::SeqCst);
        let issued = issued.load(Ordering::SeqCst);
        seen.lock().push((copy, acked, issued));
    }));
    points
}

/// A disk on which the script was played to its end, with every state it went through.
fn played(writes: &[Write]) -> (SimVfs, Vec<Point>) {
    let vfs = SimVfs::new();
    let (issued, acked) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let points = observe(&vfs, &issued, &acked);
    let (wal, _) = Wal::open(Arc::new(vfs.clone()), DIR.into(), options()).expect("opens");
    play(&wal, writes, &issued, &acked);
    let end = (
        vfs.after_crash(Survival::Everything),
        writes.len() as u64,
        writes.len() as u64,
    );
    wal.close();
    let mut points = std::mem::take(&mut *points.lock());
    points.push(end);
    (vfs, points)
}

#[test]
fn a_power_cut_at_every_call_loses_nothing() {
    let (writes, states) = script(1, 300);
    let (_, points) = played(&writes);
    assert!(points.len() > 400, "{} points", points.len());
    let checked = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let (points, states, checked) = (&points, &states, &checked);
            scope.spawn(move || {
                for (at, (disk, acked, issued)) in points.iter().enumerate() {
                    if at % 2 == half {
                        for survival in Survival::all(at as u64) {
                            check_crash(disk, survival, states, *acked, *issued);
                            checked.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(checked.load(Ordering::SeqCst), 8 * points.len() as u64);
}

/// The script was played in two lives of the log; the first was closed in good order.
#[test]
fn a_power_cut_after_a_clean_start_loses_nothing() {
    let (mut writes, mut states) = script(3, 120);
    let mut add = |write: Write, states: &mut Vec<Groups>| {
        let mut state = states.last().cloned().unwrap_or_default();
        apply(&mut state, &write);
        // A group of which nothing is left goes with the segment that names it.
        if state.values().any(|known| *known == Group::default()) {
            return;
        }
        states.push(state);
        writes.push(write);
    };
    for (group, known) in states[120].clone() {
        let last = known.entries.last_key_value().map(|(_, (id, _))| *id);
        if let Some(up_to) = last {
            add(Write::Purge { group, up_to }, &mut states);
        }
    }
    assert!(
        states.len() > 121,
        "no group is without anything from the start"
    );
    let closed = states.len() - 1;
    let mut random = Random::seeded(4);
    for number in 1000..1100 {
        let write = next_write(&states[states.len() - 1], &mut random, number);
        add(write, &mut states);
    }
    let (before, behind) = writes.split_at(closed);
    for is_full in [false, true] {
        let (vfs, _) = played(before);
        let count = before.len() as u64;
        let (issued, acked) = (Arc::new(count.into()), Arc::new(count.into()));
        // The note that the log was closed cannot be written anew then.
        vfs.limit(is_full.then(|| vfs.used()));
        let points = observe(&vfs, &issued, &acked);
        let reads = vfs.reads();
        let (wal, report) = Wal::open(Arc::new(vfs.clone()), DIR.into(), options()).expect("opens");
        assert!(!report.unclean, "{report:?}");
        assert!(vfs.reads() - reads < 12, "the note of the end was of use");
        let mut told = 0;
        let begun = |number: u64| issued.store(count + number, Ordering::SeqCst);
        for (number, write) in (1..).zip(behind) {
            begun(number);
            let (tell, waits) = mpsc::channel();
            let acked = Arc::clone(&acked);
            let done: Done = Box::new(move |result| {
                if result.is_ok() {
                    acked.store(count + number, Ordering::SeqCst);
                }
                let _ = tell.send(());
            });
            if wal.write(write.clone(), Some(done)).is_err() {
                begun(number - 1);
                break;
            }
            wal.before_sleep();
            let _ = waits.recv();
            told = number;
        }
        assert!(told > 4, "full: {is_full}");
        wal.close();
        let points = std::mem::take(&mut *points.lock());
        for (at, (disk, acked, issued)) in points.iter().enumerate() {
            for survival in Survival::all(at as u64) {
                check_crash(disk, survival, &states, *acked, *issued);
            }
        }
    }
}

#[test]
fn a_closed_log_is_found_and_not_searched_for() {
    let append = |index| Write::Append {
        group: GroupId(1),
        entries: vec![(
            LogId {
                index,
                ..LogId::default()
            },
            Bytes::from(vec![7; 900]),
        )],
    };
    let purge = |index| Write::Purge {
        group: GroupId(1),
        up_to: LogId {
            index,
            ..LogId::default()
        },
    };
    let vote = Bytes::from("vote");
    let group = GroupId(1);
    let mut writes = vec![Write::Vote { group, vote }];
    writes.extend((1..150).map(append));
    writes.push(purge(148));
    let (vfs, _) = played(&writes);
    let reads = |disk: &SimVfs| {
        let before = disk.reads();
        let found = groups_of(&recover(disk).expect("recovers"));
        assert_eq!(found[&group].entries.len(), 1);
        assert_eq!(found[&group].vote.as_deref(), Some(&b"vote"[..]));
        disk.reads() - before
    };
    let closed = vfs.after_crash(Survival::Everything);
    let searched = vfs.after_crash(Survival::Everything);
    searched.remove(&Path::new(DIR).join(tail::NAME)).unwrap();
    let (closed, searched) = (reads(&closed), reads(&searched));
    assert!(
        closed <= 8 && searched > closed + 4,
        "{closed} and {searched} reads"
    );
}

#[test]
fn a_power_cut_while_recovering_loses_nothing() {
    let (writes, states) = script(2, 150);
    let (_, points) = played(&writes);
    for (at, (disk, acked, issued)) in points.iter().enumerate().step_by(37) {
        let seed = at as u64;
        for survival in [
            Survival::Nothing,
            Survival::Everything,
            Survival::SomeSectors(seed),
        ] {
            let crashed = disk.after_crash(survival);
            let calls = {
                let probe = crashed.after_crash(Survival::Everything);
                recover(&probe).map(|_| probe.calls()).expect("recovers")
            };
            for call in 1..=calls {
                let again = crashed.after_crash(Survival::Everything);
                again.cut_before(call);
                assert!(recover(&again).is_err());
                for survival in [Survival::Nothing, Survival::SomeSectors(seed + call)] {
                    check_crash(&again, survival, &states, *acked, *issued);
                }
            }
        }
    }
}

/// In turn all bytes of the headers and stamps, and some of the rest, of every page.
fn bytes_to_flip(disk: &SimVfs) -> Vec<(PathBuf, u64)> {
    let mut bytes = Vec::new();
    for name in disk.list(Path::new(DIR)).expect("list") {
        let path = Path::new(DIR).join(&name);
        for page in disk.pages(&path) {
            let number = page / page::PAGE as u64;
            let chosen = |at: &u64| {
                let in_header = *at < 160 && at % 16 == number % 16;
                in_header || at % 1024 == 508 + number % 4 || at % 1021 == number
            };
            let places = (0..page::PAGE as u64).filter(chosen);
            bytes.extend(places.map(|at| (path.clone(), page + at)));
        }
    }
    bytes
}

/// Recovers from a disk with rot, twice: what is not there is told, what is there is true.
fn check_rot(rotten: &SimVfs, expected: &Groups, written: &[Write], what: &str) -> bool {
    let started = recover(rotten).expect("recovers");
    let found = groups_of(&started);
    let report = started.report.clone();
    let told = |group: &GroupId| report.damaged.iter().any(|(damaged, _)| damaged == group);
    for group in expected.keys().chain(found.keys()) {
        if report.damage_unknown || told(group) {
            continue;
        }
        let mut known = found.get(group).cloned();
        if let (Some(known), Some(expected)) = (&mut known, expected.get(group)) {
            // An older commit or purge promises less, and is not worth an alarm.
            let was_written = written.iter().any(|write| {
                matches!(write, Write::Committed { group: of, log_id }
                    if of == group && *log_id == known.committed)
            });
            if known.committed.is_none() || was_written {
                known.committed = expected.committed;
            }
            if known.purged < expected.purged {
                known.purged = expected.purged;
                let purged = expected.purged.map_or(0, |id| id.index);
                known.entries = known.entries.split_off(&(purged + 1));
            }
        }
        let is_right = known.as_ref() == expected.get(group);
        assert!(is_right, "{what}: group {group}: {report:?}");
    }
    for (group, known) in &found {
        for entry in known.entries.values() {
            let is_written = written.iter().any(|write| {
                matches!(write, Write::Append { group: of, entries }
                    if of == group && entries.contains(entry))
            });
            assert!(is_written, "{what}: invented: {group} {entry:?}");
        }
    }
    let again = rotten.after_crash(Survival::Nothing);
    let again = recover(&again).expect("recovers again");
    assert_eq!(groups_of(&again), found, "{what}: second recovery");
    assert_eq!(
        again.report.damaged, report.damaged,
        "{what}: second recovery"
    );
    let report = &again.report;
    let is_new = report.damage_unknown || !report.quarantined.is_empty();
    assert!(
        !is_new,
        "{what}: told again: {report:?} after {:?}",
        started.report
    );
    let report = &started.report;
    let is_damaged = report.damage_unknown || !report.damaged.is_empty();
    if !report.quarantined.is_empty() {
        let path = Path::new(DIR).join("quarantine");
        assert!(!rotten.list(&path).expect("copies").is_empty());
    }
    is_damaged
}

#[test]
fn a_flipped_bit_is_never_taken_for_truth_or_absence() {
    let (writes, states) = script(3, 120);
    let (closed, points) = played(&writes);
    let (open, ..) = points.last().expect("points");
    let expected = states.last().expect("states");
    let (flipped, told) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for disk in [open, &closed] {
            let (flipped, told, writes) = (&flipped, &told, &writes);
            scope.spawn(move || {
                for (path, at) in bytes_to_flip(disk) {
                    let rotten = disk.after_crash(Survival::Everything);
                    rotten.flip(&path, at, (at % 8) as u32);
                    let what = format!("{}, byte {at}", path.display());
                    let is_told = check_rot(&rotten, expected, writes, &what);
                    told.fetch_add(u64::from(is_told), Ordering::SeqCst);
                    flipped.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    let (flipped, told) = (flipped.into_inner(), told.into_inner());
    assert!(flipped > 800 && told > flipped / 20, "{told} of {flipped}");
}

/// A log that was played and not closed.
struct Played {
    writes: Vec<Write>,
    expected: Groups,
    disk: SimVfs,
    /// The names of the segments in use, ascending.
    segments: Vec<String>,
}

impl Played {
    fn new() -> Played {
        let (writes, mut states) = script(4, 150);
        let (_, mut points) = played(&writes);
        let (disk, ..) = points.pop().expect("points");
        let names = disk.list(Path::new(DIR)).expect("list");
        let is_segment = |name: &String| name.ends_with("segment");
        Played {
            writes,
            expected: states.pop().expect("states"),
            disk,
            segments: names.into_iter().filter(is_segment).collect(),
        }
    }

    /// Its disk with a segment that something was done to.
    fn harmed(&self, segment: &str, harm: impl FnOnce(&dyn vfs::File)) -> SimVfs {
        let disk = self.disk.after_crash(Survival::Everything);
        let path = Path::new(DIR).join(segment);
        let file = disk.open(&path, vfs::MODE_PRIVATE).expect("opens");
        harm(&*file);
        file.sync().expect("syncs");
        disk
    }

    /// Where the last batch of the log begins: what is lost from there on looks as if it had
    /// never arrived.
    fn last_batch(&self) -> (&str, u64) {
        let name = self.segments.last().expect("a segment");
        let path = Path::new(DIR).join(name);
        let disk = self.disk.after_crash(Survival::Everything);
        let file = disk.open(&path, vfs::MODE_PRIVATE).expect("opens");
        let number = name.trim_end_matches(".segment").parse();
        let scan = scan::Scan::new(number.expect("a number"), &*file, &path, 0);
        let mut scan = scan.expect("scans");
        let found = std::iter::from_fn(|| scan.next_batch().expect("scans"));
        (name, found.last().map_or(0, |found| found.offset))
    }

    /// The pages of all batches but the last one.
    fn pages(&self) -> Vec<(&str, u64)> {
        let end = self.last_batch();
        let pages_of = |name| {
            let pages = self.disk.pages(&Path::new(DIR).join(name));
            pages.into_iter().map(move |page| (name, page))
        };
        let pages = self
            .segments
            .iter()
            .flat_map(|name| pages_of(name.as_str()));
        pages.filter(|page| *page < end).collect()
    }

    /// See [`check_rot`].
    fn check(&self, harmed: &SimVfs, what: &str) -> bool {
        check_rot(harmed, &self.expected, &self.writes, what)
    }
}

#[test]
fn a_lost_page_or_file_is_told() {
    let log = Played::new();
    let mut told = 0;
    for (name, page) in log.pages() {
        let wiped = log.harmed(name, |file| {
            file.write_at(page, &[0; page::PAGE]).expect("writes");
        });
        told += u32::from(log.check(&wiped, &format!("{name} {page}")));
    }
    assert!(told > 5, "{told} told");
}

#[test]
fn what_is_lost_across_two_pages_is_told() {
    let log = Played::new();
    let mut told = 0;
    for (name, page) in log.pages() {
        for at in (page..page + page::PAGE as u64).step_by(512).skip(1) {
            let wiped = log.harmed(name, |file| {
                file.write_at(at, &[0; page::PAGE]).expect("writes");
            });
            told += u32::from(log.check(&wiped, &format!("{name} from {at} on")));
        }
    }
    assert!(told > 35, "{told} told");
}

#[test]
fn what_is_left_of_a_cut_file_is_copied_aside() {
    let log = Played::new();
    let mut kept = 0;
    for name in &log.segments {
        let pages = log.disk.pages(&Path::new(DIR).join(name));
        let last_page = pages.into_iter().max().unwrap_or(0);
        for len in (512..last_page + page::PAGE as u64).step_by(512) {
            let cut = log.harmed(name, |file| file.set_len(len).expect("cut"));
            let what = format!("{name} cut to {len} bytes");
            if log.check(&cut.copy(), &what) {
                let copies = recover(&cut).expect("recovers").report.quarantined;
                let number = name.trim_end_matches(".segment");
                let is_kept = |copy: &PathBuf| copy.ends_with(format!("wal-{number}"));
                assert!(copies.iter().any(is_kept), "{what}: {copies:?}");
                kept += 1;
            }
        }
    }
    assert!(kept > 5, "{kept} kept");
}

#[test]
fn a_failed_write_or_sync_ends_everything() {
    for fault in [Fault::Write, Fault::Sync] {
        let vfs = SimVfs::new();
        let fatal = Arc::new(AtomicU64::new(0));
        let mut options = options();
        let counted = Arc::clone(&fatal);
        options.on_fatal = Arc::new(move |err| {
            assert!(matches!(err, Error::Disk(_)));
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let (wal, _) = Wal::open(Arc::new(vfs.clone()), DIR.into(), options).expect("opens");
        let (writes, _) = script(5, 3);
        vfs.fail(fault, 1);
        let (tell, told) = mpsc::channel();
        let done: Done = Box::new(move |result| tell.send(result).expect("told"));
        wal.write(writes[0].clone(), Some(done))
            .expect("taken over");
        let result = told.recv().expect("told");
        assert!(matches!(result, Err(Error::Disk(_))), "{result:?}");
        let refused = loop {
            // Taken over and answered, until the writer has ended.
            match wal.write(
                Write::Vote {
                    group: GroupId(1),
                    vote: Bytes::new(),
                },
                None,
            ) {
                Ok(()) => std::thread::yield_now(),
                Err(err) => break err,
            }
        };
        assert!(matches!(refused, Error::Closed));
        assert_eq!(fatal.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_full_disk_refuses_entries_and_goes_on_when_there_is_room() {
    let vfs = SimVfs::new();
    let (wal, _) = Wal::open(Arc::new(vfs.clone()), DIR.into(), options()).expect("opens");
    vfs.limit(Some(vfs.used() + 10 * page::PAGE as u64));
    let group = GroupId(1);
    let id = |index| LogId {
        index,
        ..LogId::default()
    };
    let append = |index| {
        let entries = vec![(id(index), Bytes::from(vec![1; 900]))];
        wal.write(Write::Append { group, entries }, None)
    };
    let mut index = 1;
    let refused = loop {
        match append(index) {
            Ok(()) => index += 1,
            Err(err) => break err,
        }
        assert!(index < 10_000, "the disk never fills");
    };
    assert!(matches!(refused, Error::NoSpace), "{refused}");
    // What was taken over is durable; votes and purges still go through.
    let (tell, told) = mpsc::channel();
    let done: Done = Box::new(move |result| tell.send(result).expect("told"));
    let vote = Bytes::from_static(b"vote");
    wal.write(Write::Vote { group, vote }, Some(done))
        .expect("taken over");
    told.recv().expect("told").expect("durable");
    assert_eq!(wal.state(group).last, Some(id(index - 1)));
    let up_to = id(index - 1);
    wal.write(Write::Purge { group, up_to }, None)
        .expect("taken over");
    let mut tries = 0;
    while let Err(err) = append(index) {
        assert!(matches!(err, Error::NoSpace), "{err}");
        tries += 1;
        assert!(tries < 1_000_000, "no room again");
        std::thread::yield_now();
    }
    wal.close();
    let started = recover(&vfs).expect("recovers");
    assert_eq!(started.index.state(group).last, Some(id(index)));
}

#[test]
fn a_full_disk_keeps_no_log_from_starting_again() {
    let mut vfs = SimVfs::new();
    let open = |vfs: &SimVfs| {
        let opened = Wal::open(Arc::new(vfs.clone()), DIR.into(), options());
        opened.expect("it starts on a full disk").0
    };
    let log = open(&vfs);
    let group = GroupId(1);
    let id = |index| LogId {
        index,
        ..LogId::default()
    };
    let append = |index: u64| Write::Append {
        group,
        entries: vec![(id(index), Bytes::from_static(b"an entry"))],
    };
    let write = |log: &Wal, index: u64| {
        let (tell, told) = std::sync::mpsc::channel();
        log.write(
            append(index),
            Some(Box::new(move |result| tell.send(result).unwrap())),
        )?;
        told.recv().unwrap()
    };
    write(&log, 1).unwrap();
    let mut next = 2;
    // As if the process had been killed, over and over: more often than there are spare files.
    for _ in 0..6 {
        vfs.limit(Some(0));
        if write(&log, next).is_ok() {
            next += 1;
        }
        vfs = vfs.after_crash(Survival::Everything);
        vfs.limit(Some(0));
        let log = open(&vfs);
        let found = log.entries(group, 0..u64::MAX, usize::MAX).unwrap();
        let found: Vec<u64> = found.iter().map(|(id, _)| id.index).collect();
        assert_eq!(found, (1..next).collect::<Vec<u64>>());
        assert_eq!(log.state(group).damage, None);
        if write(&log, next).is_ok() {
            next += 1;
        }
        vfs = vfs.after_crash(Survival::Nothing);
        vfs.limit(Some(0));
        let log = open(&vfs);
        let found = log.entries(group, 0..u64::MAX, usize::MAX).unwrap();
        assert_eq!(found.len() as u64, next - 1, "what was synced is there");
    }
    vfs.limit(None);
    let log = open(&vfs.after_crash(Survival::Everything));
    write(&log, next).unwrap();
}
