//! Bit flips, cuts, zeroed pages and lost files in every file of a data directory: found,
//! told, never served, never deleted.
//!
//! One directory is filled and copied while it is in use (as after `kill -9`) and after a
//! good end. Each case damages one file of a fresh copy and starts twice over it: damage
//! that was seen once must not be forgotten.
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the seams"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::api_error::ApiError;
use crate::consumer;
use crate::filestore::manifest::Manifest;
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::health::Problem;
use crate::raft::error::ProposeError;
use crate::store::error::Error;
use crate::store::message::Seq;
use crate::stream::command::{Command, Publish};
use crate::stream::config::{Config, Storage};
use crate::stream::outcome::Answer;
use crate::subject::filters::Filters;

const PAGE: u64 = 4096;
/// Segments and blocks are small, so that there are some.
const SEGMENT_BYTES: u64 = 128 << 10;
const BLOCK_BYTES: u64 = 8 << 10;

/// A server's streams in a directory.
pub(super) struct Node {
    pub(super) started: Started,
    accounts: Accounts,
}

impl Node {
    pub(super) async fn open(store_dir: &Path) -> Result<Node, StreamsError> {
        let mut options = Options::default();
        options.jetstream.enabled = true;
        options.jetstream.store_dir = Some(store_dir.display().to_string());
        options.jetstream.max_memory_store = Some(1 << 30);
        options.jetstream.max_file_store = Some(1 << 30);
        options.jetstream.request_queue_limit = 100;
        let accounts = Accounts::new([account::GLOBAL]);
        let sizes = Sizes {
            wal: wal::Options {
                segment_bytes: SEGMENT_BYTES,
                ..wal::Options::default()
            },
            files: filestore::Options {
                block_bytes: BLOCK_BYTES,
                buffer_bytes: 2 << 10,
                ..filestore::Options::new(PathBuf::new())
            },
            end: |error| println!("the disk failed: {error}"),
        };
        let identity = Identity::new(Some("rot"));
        let started = start_with(&options, &identity, &accounts, None, sizes).await?;
        Ok(Node { started, accounts })
    }

    pub(super) fn site(&self) -> Arc<AccountStreams> {
        let site = self.started.jetstream.streams.account(account::GLOBAL);
        site.expect("the global account has streams")
    }

    pub(super) fn stream(&self, name: &str) -> Option<Arc<StreamHandle>> {
        self.site().stream(name)
    }

    pub(super) async fn create(&self, config: Config) -> Result<Arc<StreamHandle>, ApiError> {
        let site = self.site();
        self.started
            .jetstream
            .create_stream(&site, config, false)
            .await
            .map(|(handle, _)| handle)
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        self.started.jetstream.problems()
    }

    /// Whether anything is said to be wrong that may concern this stream.
    fn is_told(&self, stream: &str) -> bool {
        let problems = self.problems();
        problems
            .iter()
            .any(|problem| problem.stream.is_empty() || problem.stream == stream)
    }

    pub(super) async fn stop(self) {
        let Started {
            jetstream,
            wal,
            task,
            scrub,
            ..
        } = &self.started;
        task.abort();
        scrub.abort();
        jetstream.streams.stop().await;
        wal.clone().close();
        drop(self.accounts);
    }
}

pub(super) fn config(name: &str, subject: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        storage: Storage::File,
        max_msgs: -1,
        max_bytes: -1,
        max_consumers: -1,
        max_msgs_per_subject: -1,
        max_msg_size: -1,
        num_replicas: 1,
        ..Config::default()
    }
}

/// What a message of a stream is, so that whatever is served can be checked.
fn payload(stream: &str, seq: u64) -> Bytes {
    let text = format!("{stream} {seq} ");
    Bytes::from(text.repeat(200 / text.len()))
}

fn subject(stream: &str, seq: u64) -> Bytes {
    let (prefix, keys) = match stream {
        "KV_B" => ("$KV.B", 17),
        "PLAIN" => ("plain", 5),
        _ => ("fresh", 3),
    };
    Bytes::from(format!("{prefix}.{}", seq % keys))
}

pub(super) fn message(stream: &str, seq: u64) -> Command {
    Command::Publish(Publish::new(
        &subject(stream, seq),
        b"",
        &payload(stream, seq),
    ))
}

/// Proposes entries of a few commands each.
pub(super) async fn propose(
    handle: &StreamHandle,
    commands: Vec<Command>,
) -> Vec<Result<(), ProposeError>> {
    let group = handle.read(|replica| replica.group.clone()).await;
    let group = group.expect("it runs");
    let mut results = Vec::new();
    for some in commands.chunks(25) {
        let proposed = group.propose(clock::now(), some.to_vec()).await;
        results.push(proposed.map(|_| ()));
    }
    results
}

pub(super) async fn publish(handle: &StreamHandle, seqs: Range<u64>) {
    let name = &*handle.name;
    let messages = seqs.map(|seq| message(name, seq)).collect();
    for result in propose(handle, messages).await {
        result.expect("stored");
    }
}

pub(super) async fn checkpoint(handle: &StreamHandle) {
    let group = handle.read(|replica| replica.group.clone()).await;
    group
        .expect("it runs")
        .checkpoint()
        .await
        .expect("a checkpoint");
}

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) messages: BTreeMap<u64, (Bytes, Bytes)>,
    /// Those that cannot be read.
    pub(super) unreadable: Vec<u64>,
    pub(super) last_seq: u64,
    /// The last of each subject.
    lasts: Vec<u64>,
    consumers: Vec<String>,
}

pub(super) async fn content(handle: &StreamHandle) -> Content {
    let read = handle.read(|replica| {
        replica.group.with(|machine| {
            let consumers = machine.consumers().iter().map(|member| {
                let consumer = &member.consumer;
                format!(
                    "{} {:?} {:?} {:?}",
                    member.name,
                    consumer.state().ack_floor(),
                    consumer.state().delivered(),
                    consumer.state().pending().keys().collect::<Vec<_>>(),
                )
            });
            let mut consumers: Vec<String> = consumers.collect();
            consumers.sort();
            let last_seq = machine.state().last_seq.0;
            let store = machine.store();
            let mut messages = BTreeMap::new();
            let mut unreadable = Vec::new();
            for seq in 1..=last_seq {
                match store.get(Seq(seq)) {
                    Ok(Some(message)) => {
                        messages.insert(seq, (message.subject, message.payload));
                    }
                    Ok(None) => {}
                    Err(Error::Damaged { .. }) => unreadable.push(seq),
                    Err(error) => panic!("{error}"),
                }
            }
            let lasts = store.last_per_subject(&Filters::all(), Seq::MAX, usize::MAX);
            let lasts = lasts.expect("subjects").into_iter().map(|seq| seq.0);
            Content {
                messages,
                unreadable,
                last_seq,
                lasts: lasts.collect(),
                consumers,
            }
        })
    });
    read.await.expect("it runs")
}

type Truth = BTreeMap<&'static str, Content>;
const STREAMS: [&str; 3] = ["FRESH", "KV_B", "PLAIN"];

/// Fills a directory; copies of it as after a kill and after a good end, and what is in it.
async fn images(root: &Path) -> ([PathBuf; 2], Truth) {
    let dir = root.join("data");
    let node = Node::open(&dir).await.expect("starts");
    let plain = node.create(config("PLAIN", "plain.*")).await.expect("made");
    let kv = Config {
        max_msgs_per_subject: 2,
        allow_direct: true,
        ..config("KV_B", "$KV.B.>")
    };
    let kv = node.create(kv).await.expect("made");
    let gone = node.create(config("GONE", "gone.*")).await.expect("made");
    publish(&plain, 1..200).await;
    publish(&kv, 1..60).await;
    publish(&gone, 1..10).await;
    node.started.jetstream.checkpoint_meta().await;
    checkpoint(&plain).await;
    checkpoint(&kv).await;

    let durable = consumer::config::Config {
        durable_name: "C".to_owned(),
        name: "C".to_owned(),
        ack_policy: consumer::config::AckPolicy::Explicit,
        ..consumer::config::Config::default()
    };
    let of_consumer = |command| Command::Consumer {
        name: "C".to_owned(),
        command,
    };
    let delivered = (1..=20).map(Seq).collect();
    let mut commands = vec![
        Command::PutConsumer {
            name: "C".to_owned(),
            config: Box::new(durable),
        },
        of_consumer(consumer::command::Command::Deliver(delivered)),
    ];
    commands
        .extend((1..=7).map(|seq| of_consumer(consumer::command::Command::Ack(vec![Seq(seq)]))));
    commands.extend([30, 31, 32, 90].map(|seq| Command::Delete {
        seq: Seq(seq),
        erase: false,
    }));
    commands.push(Command::Delete {
        seq: Seq(120),
        erase: true,
    });
    for result in propose(&plain, commands).await {
        result.expect("applied");
    }
    publish(&plain, 200..280).await;
    publish(&kv, 60..120).await;
    checkpoint(&plain).await;
    checkpoint(&kv).await;
    publish(&plain, 280..320).await;
    publish(&kv, 120..140).await;

    node.started
        .jetstream
        .delete_stream(&node.site(), &gone)
        .await
        .expect("deleted");
    let fresh = node.create(config("FRESH", "fresh.*")).await.expect("made");
    publish(&fresh, 1..100).await;
    // What comes last may be cut off unseen: it is nothing.
    for result in propose(&fresh, vec![Command::Tick]).await {
        result.expect("applied");
    }
    let mut truth = Truth::new();
    for name in STREAMS {
        let handle = node.stream(name).expect("it runs");
        truth.insert(name, content(&handle).await);
    }
    assert_eq!(truth["PLAIN"].messages.len(), 314);
    assert_eq!(node.problems(), []);

    let killed = root.join("killed");
    copy(&dir, &killed);
    node.stop().await;
    let stopped = root.join("stopped");
    copy(&dir, &stopped);
    ([killed, stopped], truth)
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

/// All files below, as paths from `dir` on, sorted.
pub(super) fn files(dir: &Path) -> Vec<PathBuf> {
    fn collect(dir: &Path, below: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir.join(below)).expect("a directory") {
            let entry = entry.expect("an entry");
            let path = below.join(entry.file_name());
            match entry.file_type().expect("a type").is_dir() {
                true => collect(dir, &path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    collect(dir, Path::new(""), &mut found);
    found.sort();
    found
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(u64),
    Cut(u64),
    Zero(u64),
    Remove,
}

impl Damage {
    /// What is done to a file of which so many bytes are in use.
    fn all(used: u64, len: u64) -> Vec<Damage> {
        let mut flips = vec![0, 5, 9, 13, 17, 40, used / 3, used / 2, used * 3 / 4];
        flips.extend([used.saturating_sub(5), used.saturating_sub(1)]);
        flips.retain(|at| *at < len);
        flips.sort_unstable();
        flips.dedup();
        let mut cuts = vec![0, 10, used / 4, used / 2, used - used.min(1)];
        cuts.push((used / 2) / PAGE * PAGE);
        cuts.retain(|at| *at < len);
        cuts.sort_unstable();
        cuts.dedup();
        let mut pages = vec![0, used / 2 / PAGE, used.saturating_sub(1) / PAGE];
        pages.dedup();
        let mut all: Vec<Damage> = flips.into_iter().map(Damage::Flip).collect();
        all.extend(cuts.into_iter().map(Damage::Cut));
        all.extend(pages.into_iter().map(|page| Damage::Zero(page * PAGE)));
        all.push(Damage::Remove);
        all
    }

    fn apply(self, path: &Path) {
        let mut bytes = fs::read(path).expect("readable");
        match self {
            Damage::Flip(at) => bytes[at as usize] ^= 1 << (at % 8),
            Damage::Cut(len) => bytes.truncate(len as usize),
            Damage::Zero(at) => {
                let end = bytes.len().min((at + PAGE) as usize);
                bytes[at as usize..end].fill(0);
            }
            Damage::Remove => return fs::remove_file(path).expect("removed"),
        }
        fs::write(path, bytes).expect("written");
    }
}

/// What became of a start over a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Everything is there.
    Whole,
    /// It runs, and says what is wrong.
    Told,
    /// It does not run, and says why.
    Refused,
}

/// Checks what a node serves; whether anything is wrong that is told. `grown`: messages may
/// have come since.
async fn check_served(node: &Node, truth: &Truth, what: &str, grown: bool) -> Verdict {
    let mut verdict = Verdict::Whole;
    for (name, expected) in truth {
        let Some(handle) = node.stream(name) else {
            let problems = node.problems();
            // The list of streams may have lost it: then that is told.
            let of_list = |text: &str| {
                let of_list = text.strip_prefix("the list of streams: ");
                of_list.is_some_and(|text| {
                    text.contains("of its log") || text.starts_with("its log is damaged")
                })
            };
            let is_down = |problem: &Problem| {
                problem.is_down && problem.stream == *name || of_list(&problem.text)
            };
            assert!(
                problems.iter().any(is_down),
                "{what}: {name} is missing, {problems:?}"
            );
            verdict = Verdict::Told;
            continue;
        };
        let mut found = content(&handle).await;
        // The reads above may have found something: the turn behind them tells.
        let _ = handle.read(|_| ()).await;
        let _ = handle.read(|_| ()).await;
        for (seq, (at, body)) in &found.messages {
            let is_right = *at == subject(name, *seq) && *body == payload(name, *seq);
            assert!(is_right, "{what}: {name} serves {seq} as {at:?} {body:?}");
        }
        if node.is_told(name) {
            verdict = Verdict::Told;
            if found.last_seq == expected.last_seq {
                // Nothing of the log is missing: then nothing may come back, and what is not
                // there is known to be lost.
                for seq in 1..=expected.last_seq {
                    let is_known = found.unreadable.contains(&seq);
                    let was_there = expected.messages.contains_key(&seq);
                    let is_there = found.messages.contains_key(&seq);
                    let damaged_log = node.problems().iter().any(|p| p.text.contains("log"));
                    assert!(
                        was_there == (is_there || is_known) || damaged_log,
                        "{what}: {name} {seq}, told {:?}",
                        node.problems()
                    );
                }
            }
            continue;
        }
        if grown {
            let last = expected.last_seq;
            found.messages.retain(|seq, _| *seq <= last);
            let missing = expected
                .messages
                .keys()
                .filter(|seq| !found.messages.contains_key(seq));
            // A key may have been written anew.
            let missing: Vec<_> = missing.collect();
            assert!(
                missing.len() <= usize::from(*name == "KV_B"),
                "{what}: {name} {missing:?}"
            );
        } else {
            assert_eq!(&found, expected, "{what}: {name} is not told of");
        }
    }
    verdict
}

/// Streams that are whole take messages, damaged ones say why not.
async fn check_writes(node: &Node, truth: &Truth, what: &str) {
    for name in truth.keys() {
        let Some(handle) = node.stream(name) else {
            continue;
        };
        let seq = content(&handle).await.last_seq + 1;
        match handle.propose(message(name, seq)).await {
            Ok(answer) => assert_eq!(answer, Answer::Stored(Seq(seq)), "{what}: {name}"),
            Err(error) => {
                assert!(node.is_told(name), "{what}: {name}: {error}");
                assert_eq!(error.err_code, 10077, "{what}: {name}: {error}");
            }
        }
    }
}

/// How much of a block counts; the log has the rest, which is cut off before anybody looks.
fn counted(image: &Path, file: &Path) -> Option<usize> {
    let dir = image.join(file.parent()?);
    let manifests = files(&dir).into_iter();
    let newest = manifests.filter(|name| name.to_string_lossy().starts_with("manifest-"));
    let content = fs::read(dir.join(newest.max()?)).expect("readable");
    let manifest = Manifest::decode(&content).expect("intact");
    let name = file.file_name()?.to_string_lossy();
    let mut blocks = manifest.blocks.iter();
    let block = blocks.find(|block| block.name() == name)?;
    usize::try_from(block.facts.len).ok()
}

/// The bytes of the damaged file are still somewhere.
fn check_kept(dir: &Path, file: &Path, damaged: Option<&[u8]>, what: &str) {
    let Some(damaged) = damaged.filter(|damaged| !damaged.is_empty()) else {
        return;
    };
    let is_kept = files(dir).iter().any(|path| {
        let is_candidate = path == file || path.starts_with("natter/quarantine");
        let found = || fs::read(dir.join(path)).expect("readable");
        is_candidate && found().starts_with(damaged)
    });
    assert!(
        is_kept,
        "{what}: nobody has the damaged bytes; {:?}",
        files(dir)
    );
}

async fn check(image: &Path, truth: &Truth, file: &Path, damage: Damage) -> Verdict {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path();
    copy(image, dir);
    damage.apply(&dir.join(file));
    let mut damaged = fs::read(dir.join(file)).ok();
    if let (Some(damaged), Some(len)) = (&mut damaged, counted(image, file)) {
        damaged.truncate(len);
    }
    let image = image.file_name().unwrap_or_default().display();
    let what = format!("{image}: {} {damage:?}", file.display());

    let mut verdict = Verdict::Whole;
    for turn in 0..2 {
        let what = format!("{what}, start {turn}");
        let node = match Node::open(dir).await {
            Ok(node) => node,
            Err(error) => {
                let mut text = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    text += &format!(": {error}");
                    cause = error.source();
                }
                assert!(text.contains("natter"), "{what}: {text}");
                check_kept(dir, file, damaged.as_deref(), &what);
                assert!(turn == 0 || verdict == Verdict::Refused, "{what}: {text}");
                verdict = Verdict::Refused;
                continue;
            }
        };
        let served = check_served(&node, truth, &what, turn > 0).await;
        if turn == 0 {
            verdict = served;
        } else {
            // Told of once, told of until somebody does something about it.
            assert_eq!(verdict, served, "{what}: {:?}", node.problems());
        }
        if served != Verdict::Whole {
            check_kept(dir, file, damaged.as_deref(), &what);
        }
        check_writes(&node, truth, &what).await;
        node.stop().await;
    }
    verdict
}

/// Which of the files are damaged: of many blocks of a stream the first, one in the middle
/// and the last.
fn chosen(image: &Path) -> Vec<PathBuf> {
    let all = files(image);
    let of_group = |path: &PathBuf| path.parent().map(Path::to_owned);
    let is_block = |path: &&PathBuf| path.to_string_lossy().contains("block-");
    let mut blocks: BTreeMap<Option<PathBuf>, Vec<PathBuf>> = BTreeMap::new();
    for block in all.iter().filter(is_block) {
        blocks
            .entry(of_group(block))
            .or_default()
            .push(block.clone());
    }
    let mut chosen: Vec<PathBuf> = all.iter().filter(|path| !is_block(path)).cloned().collect();
    for blocks in blocks.into_values() {
        let mut some = vec![0, blocks.len() / 2, blocks.len() - 1];
        some.dedup();
        chosen.extend(some.into_iter().map(|at| blocks[at].clone()));
    }
    chosen.retain(|path| !path.ends_with("lock"));
    chosen
}

type Verdicts = BTreeMap<String, BTreeMap<Verdict, u32>>;

/// Every `step`th case, from `first` on; the verdicts by kind of file.
fn check_cases(first: usize, step: usize) -> Verdicts {
    let root = tempfile::tempdir().expect("a directory");
    let runtime = tasks::control_runtime().expect("a runtime");
    let (images, truth) = runtime.block_on(images(root.path()));
    let mut cases = Vec::new();
    for image in &images {
        for file in chosen(image) {
            let bytes = fs::read(image.join(&file)).expect("readable");
            let used = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            for damage in Damage::all(used as u64, bytes.len() as u64) {
                cases.push((image, file.clone(), damage));
            }
        }
    }
    let cases: Vec<_> = cases.into_iter().skip(first).step_by(step).collect();
    let next = AtomicUsize::new(0);
    let (verdicts, failed) = (Mutex::new(Verdicts::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let work = || {
            while let Some((image, file, damage)) = cases.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let runtime = tasks::control_runtime().expect("a runtime");
                let case = check(image, &truth, file, *damage);
                let case = AssertUnwindSafe(|| runtime.block_on(case));
                match catch_unwind(case) {
                    Ok(verdict) => {
                        let mut verdicts = verdicts.lock();
                        let verdicts = verdicts.entry(kind_of(file)).or_default();
                        *verdicts.entry(verdict).or_default() += 1;
                    }
                    Err(_) => failed.lock().push(format!("{} {damage:?}", file.display())),
                }
            }
        };
        for _ in 0..3 {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "see above: {failed:#?}");
    verdicts.into_inner()
}

fn kind_of(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let kind = match name.split_once('.') {
        Some((_, "segment")) => "segment",
        Some((_, "free")) => "free",
        _ => name.split('-').next().unwrap_or_default(),
    };
    kind.to_owned()
}

#[test]
fn damage_in_any_file_is_told_or_made_good() {
    let verdicts = check_cases(0, 7);
    let seen = |kind: &str, verdict| verdicts.get(kind).is_some_and(|v| v.contains_key(&verdict));
    for kind in ["block", "segment"] {
        assert!(seen(kind, Verdict::Told), "{kind}: {verdicts:?}");
    }
    for kind in ["identity", "meta", "manifest", "tail"] {
        assert!(seen(kind, Verdict::Whole), "{kind}: {verdicts:?}");
    }
}

#[test]
#[ignore = "all cases: minutes"]
fn damage_in_any_file_is_told_or_made_good_in_all_cases() {
    let verdicts = check_cases(0, 1);
    assert!(verdicts.len() > 5, "{verdicts:?}");
}
