//! A disk that is full, and a disk that fails, under the real process.
//!
//! The full disk is a small tmpfs in a mount namespace of its own, so it needs root; the
//! failing one is strace, which answers for the system. Where one of them is not to be had
//! the test says `skip` on standard error, also when output is captured, and passes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::link::Link;
use super::{Process, messages, wait_until};

fn skip(test: &str, why: &str) {
    // Not a macro of the test harness: what those print is captured.
    let _ = writeln!(std::io::stderr(), "skip {test}: {why}");
}

/// A mount namespace with a small disk, for as long as this lives.
struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts a tmpfs over `dir`, for processes of the namespace only; why not, if not.
    fn mount(dir: PathBuf, mib: u32) -> Result<SmallDisk, String> {
        let script = format!(
            "mount -t tmpfs -o size={mib}m,mode=755 natter-test '{}' && echo mounted && exec cat",
            dir.display()
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|err| format!("unshare: {err}"))?;
        let mut line = String::new();
        let mut said = BufReader::new(holder.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        if line.trim() != "mounted" {
            let _ = holder.kill();
            let said = holder.wait_with_output().unwrap().stderr;
            let said = String::from_utf8_lossy(&said);
            return Err(said.lines().next().unwrap_or("no mount").to_owned());
        }
        Ok(SmallDisk { holder, dir })
    }

    /// What starts a program in the namespace.
    fn launcher(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "--mount", "--target", &pid]
            .map(str::to_owned)
            .into()
    }

    /// A file on the disk, as seen from outside of the namespace.
    fn at(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.strip_prefix("/").unwrap()).join(name)
    }

    /// Leaves not one page free.
    fn fill(&self) {
        let mut file = fs::OpenOptions::new();
        let mut file = file
            .append(true)
            .create(true)
            .open(self.at("filler"))
            .unwrap();
        for len in [1 << 20, 4096] {
            while file.write_all(&vec![7; len]).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.at("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn payload(n: u64) -> Vec<u8> {
    let mut payload = vec![(n % 251) as u8; 64 << 10];
    payload[..8].copy_from_slice(&n.to_le_bytes());
    payload
}

/// A server with two streams in files, one in memory, and a work queue of 20 messages.
struct World {
    process: Process,
    link: Link,
    /// Sequences of `BIG` are these numbers.
    stored: u64,
}

impl World {
    fn start(process: Process) -> World {
        let mut link = Link::connect(&process.address("nats")).unwrap();
        for (name, more) in [
            ("BIG", json!({"allow_direct": true})),
            ("WORK", json!({"retention": "workqueue"})),
            ("MEM", json!({"storage": "memory"})),
        ] {
            let mut config = json!({"name": name, "subjects": [format!("{name}.>")]});
            let fields = config.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            let made = link.api(&format!("STREAM.CREATE.{name}"), &config.to_string());
            let made = made.unwrap();
            assert!(made["error"].is_null(), "{made}");
        }
        let config = json!({"stream_name": "WORK", "config": {
            "durable_name": "worker", "ack_policy": "explicit", "max_ack_pending": 10_000,
        }});
        link.api("CONSUMER.CREATE.WORK.worker", &config.to_string())
            .unwrap();
        let mut world = World {
            process,
            link,
            stored: 0,
        };
        for _ in 0..20 {
            assert_eq!(world.publish("WORK.x", b"work"), None);
        }
        world
    }

    /// Publishes and waits; the error, if it is refused.
    fn publish(&mut self, subject: &str, payload: &[u8]) -> Option<Value> {
        let reply = self.link.inbox("ack");
        self.link.publish(subject, &reply, "", payload);
        self.link.flush().unwrap();
        let answer = self.link.next().unwrap().json();
        match answer["error"].is_null() {
            true => {
                assert!(answer["seq"].as_u64() > Some(0), "{answer}");
                None
            }
            false => Some(answer["error"].clone()),
        }
    }

    /// Stores large messages until one is refused.
    fn store_until_refused(&mut self) -> Value {
        for _ in 0..10_000 {
            let n = self.stored + 1;
            match self.publish("BIG.x", &payload(n)) {
                None => self.stored = n,
                Some(error) => return error,
            }
        }
        panic!("never refused");
    }

    /// Takes one message of the work queue, and has that confirmed.
    fn take_work(&mut self) {
        let reply = self.link.inbox("work");
        let body = br#"{"batch":1,"expires":5000000000}"#;
        self.link
            .publish("$JS.API.CONSUMER.MSG.NEXT.WORK.worker", &reply, "", body);
        self.link.flush().unwrap();
        let message = self.link.next().unwrap();
        assert_eq!(message.payload, b"work", "{message:?}");
        let confirmed = self.link.ask(&message.reply, "+ACK").unwrap();
        assert!(confirmed.payload.is_empty() && confirmed.status().is_empty());
    }

    /// Pulls so many messages of the work queue and hands them over one by one, until one
    /// comes to nothing: its sequence.
    fn take(
        &mut self,
        count: u64,
        mut each: impl FnMut(&mut Link, u64, &str) -> bool,
    ) -> Option<u64> {
        let mut found = Vec::new();
        while (found.len() as u64) < count {
            let reply = self.link.inbox("work");
            let body = br#"{"batch":500,"no_wait":true}"#;
            self.link
                .publish("$JS.API.CONSUMER.MSG.NEXT.WORK.worker", &reply, "", body);
            self.link.flush().unwrap();
            for _ in 0..500 {
                let message = self.link.next().unwrap();
                if !message.status().is_empty() {
                    break;
                }
                found.push(message.reply);
            }
        }
        for reply in found {
            let seq = reply.rsplit('.').nth(3).unwrap().parse().unwrap();
            if !each(&mut self.link, seq, &reply) {
                return Some(seq);
            }
        }
        None
    }

    fn delete(&mut self, seq: u64) {
        let body = json!({"seq": seq, "no_erase": true}).to_string();
        let deleted = self.link.api("STREAM.MSG.DELETE.BIG", &body).unwrap();
        assert_eq!(deleted["success"], true, "{deleted}");
    }

    /// Every message of `BIG` from `first` on is there, and no other.
    fn check(&mut self, first: u64) {
        let info = self.link.api("STREAM.INFO.BIG", "").unwrap();
        assert_eq!(info["state"]["last_seq"], self.stored, "{info}");
        for seq in first..=self.stored {
            let body = format!("{{\"seq\":{seq}}}");
            let found = self.link.ask("$JS.API.DIRECT.GET.BIG", &body).unwrap();
            assert_eq!(found.payload, payload(seq), "{seq}: {}", found.status());
        }
    }

    fn restart(&mut self) {
        self.process.kill();
        self.process.start_again();
        self.link = Link::connect(&self.process.address("nats")).unwrap();
    }

    fn level(&self) -> String {
        let disk = self.process.get("/healthz")["disk"].clone();
        disk.as_str().unwrap_or("ok").to_owned()
    }
}

#[test]
fn a_full_disk_loses_nothing_and_writes_resume() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let disk = match SmallDisk::mount(data, 64) {
        Ok(disk) => disk,
        Err(why) => return skip("a_full_disk", &why),
    };
    let config = "jetstream { store_dir: 'DIR/data', max_file: 8GB }";
    let process = Process::start_in(dir, config, disk.launcher());
    let mut world = World::start(process);

    // The server stops before the disk is full to the last byte.
    let error = world.store_until_refused();
    assert_eq!(
        (&error["code"], &error["err_code"]),
        (&json!(503), &json!(10023))
    );
    // Soft, or hard if the log's next segment found no room before the keeper looked. That
    // may pass once he has looked, if there is room for a smaller one: then it goes on.
    wait_until("a level that stops publishers", || {
        let stops = ["soft", "hard"].contains(&&*world.level());
        if !stops {
            world.store_until_refused();
        }
        stops
    });
    assert!(world.stored > 200, "{} messages", world.stored);
    world.take_work();
    world.delete(2);
    assert_eq!(world.publish("MEM.x", b"memory"), None);
    let config = json!({"name": "MORE", "subjects": ["more"]}).to_string();
    let made = world.link.api("STREAM.CREATE.MORE", &config).unwrap();
    assert_eq!(made["error"]["err_code"], 10047, "{made}");

    // Somebody else takes all the rest, the reserve too.
    disk.fill();
    wait_until("the last level", || world.level() == "hard");
    disk.fill();
    for seq in 3..6 {
        world.take_work();
        world.delete(seq);
        assert!(world.publish("BIG.x", &payload(0)).is_some());
    }
    world.check(6);
    for _ in 0..2 {
        world.restart();
        world.check(6);
        world.take_work();
        assert!(world.publish("BIG.x", &payload(0)).is_some());
    }
    let purge = json!({"seq": 11}).to_string();
    let purged = world.link.api("STREAM.PURGE.BIG", &purge).unwrap();
    assert_eq!(purged["purged"], 6, "{purged}");

    // Room again: by itself, and within seconds.
    disk.empty();
    let freed = Instant::now();
    let purge = json!({"seq": world.stored / 2}).to_string();
    let purged = world.link.api("STREAM.PURGE.BIG", &purge).unwrap();
    assert_eq!(purged["success"], true, "{purged}");
    let n = world.stored + 1;
    wait_until("writes again", || {
        world.publish("BIG.x", &payload(n)).is_none()
    });
    assert!(
        freed.elapsed() < Duration::from_secs(10),
        "{:?}",
        freed.elapsed()
    );
    world.stored = n;
    world.take_work();
    world.check(n / 2 + 1);
    world.restart();
    world.check(n / 2 + 1);

    // And again, with what the log and the purged blocks gave back.
    world.store_until_refused();
    let first = n / 2 + 1;
    world.check(first);
    let log = messages(&world.process.read("log"));
    let told = log.iter().filter(|line| line.contains("disk of ")).count();
    assert!((1..6).contains(&told), "{log:?}");
    let log = disk.at("natter/wal");
    let files = fs::read_dir(log).unwrap().count();
    assert!(files < 12, "{files} files of 4 MiB in the log");
    world.link.api("STREAM.PURGE.BIG", "").unwrap();
    let n = world.stored + 1;
    wait_until("writes after a purge", || {
        world.publish("BIG.x", &payload(n)).is_none()
    });
}

#[test]
fn an_ack_that_found_no_room_is_not_confirmed() {
    const COUNT: u64 = 3000;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let disk = match SmallDisk::mount(data, 64) {
        Ok(disk) => disk,
        Err(why) => return skip("an_ack_that_found_no_room", &why),
    };
    let config = "jetstream { store_dir: 'DIR/data', max_file: 8GB }";
    let process = Process::start_in(dir, config, disk.launcher());
    let mut world = World::start(process);
    for n in 0..COUNT {
        let reply = world.link.inbox(n);
        world.link.publish("WORK.x", &reply, "", b"work");
    }
    world.link.flush().unwrap();
    for _ in 0..COUNT {
        assert!(world.link.next().unwrap().json()["error"].is_null());
    }
    disk.fill();
    wait_until("the last level", || world.level() == "hard");
    disk.fill();

    // One after the other, until the log has no room for one more.
    let mut confirmed = BTreeSet::new();
    world.link.set_patience(Duration::from_secs(3));
    let refused = world.take(COUNT, |link, seq, reply| {
        let name = link.inbox(format!("ack.{seq}"));
        link.publish(reply, &name, "", b"+ACK");
        link.flush().unwrap();
        let is_confirmed = link.next().is_ok();
        if is_confirmed {
            confirmed.insert(seq);
        }
        is_confirmed
    });
    let refused = refused.expect("there is room without end");
    assert!(confirmed.len() > 300, "{} confirmed", confirmed.len());

    world.restart();
    disk.empty();
    let what = "CONSUMER.INFO.WORK.worker";
    let info = world.link.api(what, "").unwrap();
    assert!(
        info["ack_floor"]["stream_seq"].as_u64() >= confirmed.last().copied(),
        "{info}"
    );
    wait_until("room", || world.publish("WORK.x", b"work").is_none());
    let left = world.link.api("STREAM.INFO.WORK", "").unwrap()["state"]["messages"].clone();
    let left = left.as_u64().unwrap();
    // Of the one that was refused nobody can say.
    let expected = COUNT + 21 - confirmed.len() as u64;
    assert!(
        (expected - 1..=expected).contains(&left),
        "{left} of {expected}"
    );
    let first = world.link.api("STREAM.INFO.WORK", "").unwrap()["state"]["first_seq"].clone();
    assert!(
        (refused..=refused + 1).contains(&first.as_u64().unwrap()),
        "{first}"
    );
}

/// What every sync answers from now on.
fn fail_syncs(pid: u32) -> Option<Child> {
    let mut strace = Command::new("strace")
        .args(["-f", "-p", &pid.to_string(), "-e", "trace=fdatasync,fsync"])
        .args(["-e", "inject=fdatasync,fsync:error=EIO"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut said = BufReader::new(strace.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    if !line.contains("attached") {
        let _ = strace.kill();
        let _ = strace.wait();
        return None;
    }
    // Somebody must read what it says, or it waits.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Some(strace)
}

#[test]
fn a_failed_sync_ends_the_process_and_what_was_acknowledged_stays() {
    let process = Process::start("jetstream { store_dir: 'DIR/data', max_file: 8GB }");
    let mut world = World::start(process);
    for _ in 0..50 {
        let n = world.stored + 1;
        assert_eq!(world.publish("BIG.x", &payload(n)), None);
        world.stored = n;
    }
    let Some(mut strace) = fail_syncs(world.process.child.id()) else {
        return skip("a_failed_sync", "strace cannot be had, or must not attach");
    };
    let reply = world.link.inbox("ack");
    world.link.publish("BIG.x", &reply, "", &payload(51));
    world.link.flush().unwrap();
    let answer = world.link.next();
    assert!(
        answer.is_err(),
        "acknowledged though not synced: {answer:?}"
    );
    let code = world.process.exit_code();
    assert_eq!(code, Some(1));
    strace.wait().unwrap();
    let log = messages(&world.process.read("log"));
    let fatal: Vec<_> = log.iter().filter(|line| line.contains("[FTL]")).collect();
    assert!(
        matches!(fatal[..], [only] if only.contains("the disk failed") && only.contains("sync ")),
        "{fatal:?}"
    );
    world.process.start_again();
    world.link = Link::connect(&world.process.address("nats")).unwrap();
    let info = world.link.api("STREAM.INFO.BIG", "").unwrap();
    // Whether the one without an answer is there nobody was told.
    let last = info["state"]["last_seq"].as_u64().unwrap();
    assert!((50..=51).contains(&last), "{info}");
    world.stored = last;
    world.check(1);
    world.take_work();
}
