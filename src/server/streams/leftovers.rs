//! Damage while the server runs, and what a crash leaves between the list of streams and
//! the streams themselves.
#![allow(
    clippy::disallowed_methods,
    reason = "tests stand outside of the seams"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::rot::{Node, checkpoint, config, content, copy, files, publish};
use crate::jetstream::scrub;
use crate::pubsub::internal;
use crate::wal::GroupId;
use crate::wal::page::PAGE;

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("readable");
    bytes[at] ^= 4;
    fs::write(path, bytes).expect("written");
}

fn group_dir(dir: &Path, group: GroupId) -> PathBuf {
    dir.join("natter/groups").join(group.0.to_string())
}

fn blocks(dir: &Path, group: GroupId) -> Vec<PathBuf> {
    let of_group = group_dir(dir, group);
    let names = files(&of_group).into_iter();
    let blocks = names.filter(|name| name.to_string_lossy().starts_with("block-"));
    blocks.map(|name| of_group.join(name)).collect()
}

/// A node with a stream of some blocks, and the directory.
async fn node_with_blocks() -> (tempfile::TempDir, Node) {
    let root = tempfile::tempdir().expect("a directory");
    let node = Node::open(root.path()).await.expect("starts");
    let plain = node.create(config("PLAIN", "plain.*")).await.expect("made");
    publish(&plain, 1..200).await;
    checkpoint(&plain).await;
    (root, node)
}

#[tokio::test]
async fn rot_under_a_running_stream_is_found_by_who_reads_it() {
    let (root, node) = node_with_blocks().await;
    let plain = node.stream("PLAIN").expect("it runs");
    flip(&blocks(root.path(), plain.group)[2], 3000);
    assert_eq!(node.problems(), [], "nobody has looked");
    let found = content(&plain).await;
    assert_eq!(found.unreadable.len(), 1);
    assert_eq!(found.messages.len(), 198);
    plain.read(|_| ()).await.expect("it runs");
    let problems = node.problems();
    assert!(
        problems.len() == 1 && problems[0].stream == "PLAIN",
        "{problems:?}"
    );
    let aside = files(&root.path().join("natter/quarantine"));
    assert_eq!(aside.len(), 1, "{aside:?}");
    publish(&plain, 200..210).await;
    node.stop().await;

    let node = Node::open(root.path()).await.expect("starts");
    let plain = node.stream("PLAIN").expect("it runs");
    plain.read(|_| ()).await.expect("it runs");
    assert_eq!(node.problems(), problems, "known before anybody looks");
    node.stop().await;
}

#[tokio::test]
async fn rot_under_a_running_stream_is_found_though_nobody_reads_it() {
    let (root, node) = node_with_blocks().await;
    let plain = node.stream("PLAIN").expect("it runs");
    let jetstream = Arc::downgrade(&node.started.jetstream);
    let all = blocks(root.path(), plain.group);
    let round = async || {
        let read = scrub::round(&jetstream, Duration::ZERO).await;
        assert_eq!(read, Some(all.len() as u64), "every block once");
    };
    round().await;
    assert_eq!(node.problems(), []);
    // The block that is still written to is looked at too.
    for (damaged, at) in [(1, 3000), (all.len() - 1, 100)] {
        flip(&all[damaged], at);
        round().await;
    }
    let problems = node.problems();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .text
            .starts_with("2 messages cannot be read: 2 block files"),
        "{problems:?}"
    );
    node.stop().await;

    let gone = scrub::round(&std::sync::Weak::new(), Duration::ZERO).await;
    assert_eq!(gone, None);
}

#[tokio::test]
async fn what_is_left_of_a_deleted_stream_goes_at_the_next_start() {
    let (root, node) = node_with_blocks().await;
    let group = node.stream("PLAIN").expect("it runs").group;
    // As if the server had been killed between the two.
    let meta = node.started.jetstream.meta();
    meta.remove("$G", "PLAIN").await.expect("noted");
    let crashed = root.path().join("crashed");
    copy(&root.path().join("natter"), &crashed.join("natter"));
    node.stop().await;

    let node = Node::open(&crashed).await.expect("starts");
    assert_eq!(node.problems(), []);
    assert!(!group_dir(&crashed, group).exists());
    assert!(!node.started.wal.groups().contains(&group));
    let again = node.create(config("PLAIN", "plain.*")).await.expect("made");
    assert!(again.group > group);
    assert_eq!(content(&again).await.last_seq, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_group_that_nobody_knows_is_kept_and_its_number_too() {
    let (root, node) = node_with_blocks().await;
    let plain = node.stream("PLAIN").expect("it runs");
    let known = group_dir(root.path(), plain.group);
    node.stop().await;
    let unknown = GroupId(77);
    copy(&known, &group_dir(root.path(), unknown));
    let before: Vec<Vec<u8>> = files(&known)
        .iter()
        .map(|name| fs::read(known.join(name)).expect("readable"))
        .collect();

    let node = Node::open(root.path()).await.expect("starts");
    let problems = node.problems();
    assert!(
        problems.len() == 1
            && problems[0]
                .text
                .starts_with("group 77 belongs to no stream"),
        "{problems:?}"
    );
    let aside = root.path().join("natter/quarantine/group-77");
    let after: Vec<Vec<u8>> = files(&aside)
        .iter()
        .map(|name| fs::read(aside.join(name)).expect("readable"))
        .collect();
    assert_eq!(after, before);
    let next = node.create(config("NEXT", "next.*")).await.expect("made");
    assert!(next.group > unknown);
    assert_eq!(content(&next).await.last_seq, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_crash_between_list_and_stream_loses_no_configuration() {
    let (root, node) = node_with_blocks().await;
    let mut wanted = (*node.stream("PLAIN").expect("it runs").config()).clone();
    wanted.max_msgs = 50;
    wanted.subjects.push("more".to_owned());
    let meta = node.started.jetstream.meta();
    meta.update("$G", wanted.clone()).await.expect("noted");
    node.stop().await;

    for _ in 0..2 {
        let node = Node::open(root.path()).await.expect("starts");
        let plain = node.stream("PLAIN").expect("it runs");
        assert_eq!(*plain.config(), wanted);
        assert_eq!(content(&plain).await.messages.len(), 50);
        let account = &node.site().account;
        let subscribed = internal::publish(account, "more", "", None, b"");
        assert!(subscribed, "the new subject is subscribed to");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_stream_that_does_not_start_is_neither_replaced_nor_deleted() {
    let (root, node) = node_with_blocks().await;
    let group = node.stream("PLAIN").expect("it runs").group;
    node.stop().await;
    let dir = group_dir(root.path(), group);
    for name in files(&dir) {
        if name.to_string_lossy().starts_with("manifest-") {
            flip(&dir.join(name), 20);
        }
    }
    let names = files(&dir);
    for _ in 0..2 {
        let node = Node::open(root.path()).await.expect("starts");
        let problems = node.problems();
        assert!(
            problems.len() == 1 && problems[0].is_down && problems[0].stream == "PLAIN",
            "{problems:?}"
        );
        // What every client does that begins with making sure of its stream.
        let refused = node.create(config("PLAIN", "plain.*")).await;
        assert_eq!(refused.map(|_| ()).unwrap_err().err_code, 10194);
        let refused = node.create(config("OTHER", "plain.*")).await;
        assert_eq!(refused.map(|_| ()).unwrap_err().err_code, 10065);
        assert_eq!(files(&dir), names);
        node.stop().await;
    }

    let node = Node::open(root.path()).await.expect("starts");
    let jetstream = &node.started.jetstream;
    let deleted = jetstream.delete_failed_stream(&node.site(), "PLAIN").await;
    deleted.expect("somebody has given it up");
    assert!(!dir.exists());
    assert_eq!(node.problems(), []);
    node.create(config("PLAIN", "plain.*")).await.expect("made");
    node.stop().await;
}

#[tokio::test]
async fn an_older_checkpoint_is_no_stand_in_for_one_that_is_gone() {
    let (root, node) = node_with_blocks().await;
    let plain = node.stream("PLAIN").expect("it runs");
    publish(&plain, 200..260).await;
    checkpoint(&plain).await;
    let dir = group_dir(root.path(), plain.group);
    node.stop().await;
    // The newest manifest goes without a trace: the one before knows nothing of the blocks
    // since, and the log has let go of what is in them.
    let manifests = files(&dir).into_iter();
    let newest = manifests.filter(|name| name.to_string_lossy().starts_with("manifest-"));
    fs::remove_file(dir.join(newest.max().expect("a manifest"))).expect("removed");
    let before: Vec<(PathBuf, Vec<u8>)> = files(&dir)
        .into_iter()
        .map(|name| (name.clone(), fs::read(dir.join(&name)).expect("readable")))
        .collect();
    for _ in 0..2 {
        let node = Node::open(root.path()).await.expect("starts");
        assert!(node.stream("PLAIN").is_none());
        assert!(node.problems()[0].is_down);
        node.stop().await;
    }
    for (name, content) in before {
        assert_eq!(
            fs::read(dir.join(&name)).ok(),
            Some(content),
            "{}",
            name.display()
        );
    }
}

/// Sends a request and gives `count` answers as they come, or those up to a status.
async fn request(node: &Node, subject: &str, body: &str, count: usize) -> Vec<String> {
    let account = &node.site().account;
    let (tell, mut told) = mpsc::unbounded_channel();
    let handler = move |message: &crate::pubsub::message::Message<'_>, _: &mut _| {
        tell.send(String::from_utf8_lossy(message.body).into_owned())
            .is_ok()
    };
    let inbox = internal::subscribe(account, "inbox", Box::new(handler));
    assert!(internal::publish(
        account,
        subject,
        "inbox",
        None,
        body.as_bytes()
    ));
    let mut answers = Vec::new();
    while answers.len() < count {
        let answer = told.recv().await.expect("subscribed");
        if answer.starts_with("NATS/1.0 4") {
            break;
        }
        answers.push(answer);
    }
    account.interest.remove(&inbox.expect("a subject"));
    answers
}

#[tokio::test]
async fn consumers_pass_over_what_cannot_be_read() {
    let (root, node) = node_with_blocks().await;
    let plain = node.stream("PLAIN").expect("it runs");
    let mut flipped = 0;
    for block in blocks(root.path(), plain.group) {
        let bytes = fs::read(&block).expect("readable");
        let wanted = b"PLAIN 198 PLAIN";
        if let Some(at) = bytes.windows(wanted.len()).position(|some| some == wanted) {
            flip(&block, at);
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    // Nobody is given an older message of the subject in its place.
    for body in [r#"{"seq":198}"#, r#"{"last_by_subj":"plain.3"}"#] {
        let get = request(&node, "$JS.API.STREAM.MSG.GET.PLAIN", body, 1).await;
        assert!(get[0].contains("cannot be read"), "{body}: {get:?}");
    }
    // Of five subjects, 198 is the last of one.
    for (name, policy) in [
        ("ALL", "all"),
        ("LASTS", "last_per_subject"),
        ("ACKED", "all"),
    ] {
        let last = content(&plain).await.last_seq;
        let expected = if name == "LASTS" { 4 } else { last - 1 };
        let ack = if name == "ACKED" { "explicit" } else { "none" };
        let config = format!(
            r#"{{"stream_name":"PLAIN","config":{{"durable_name":"{name}","name":"{name}",
            "deliver_policy":"{policy}","filter_subject":"plain.*","ack_policy":"{ack}","max_ack_pending":1000}}}}"#
        );
        let create = format!("$JS.API.CONSUMER.CREATE.PLAIN.{name}");
        let answer = request(&node, &create, &config, 1).await;
        assert!(!answer[0].contains("\"error\""), "{answer:?}");
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.PLAIN.{name}");
        let wanted = r#"{"batch":300,"no_wait":true}"#;
        let messages = request(&node, &next, wanted, 300).await;
        assert_eq!(messages.len() as u64, expected, "{name}: {messages:?}");
        let at_last = format!("PLAIN {last} ");
        assert!(messages.last().expect("some").starts_with(&at_last));
        assert!(!messages.iter().any(|text| text.starts_with("PLAIN 198 ")));
        // What comes later is delivered as ever.
        let seq = content(&plain).await.last_seq + 1;
        publish(&plain, seq..seq + 1).await;
        let messages = request(&node, &next, r#"{"batch":1}"#, 1).await;
        assert!(
            messages[0].starts_with(&format!("PLAIN {seq} ")),
            "{messages:?}"
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn a_loss_of_the_log_is_accepted_by_a_file() {
    let (root, node) = node_with_blocks().await;
    let other = node.create(config("FRESH", "fresh.*")).await.expect("made");
    for seq in 1..50 {
        publish(&other, seq..seq + 1).await;
    }
    let image = root.path().join("killed");
    copy(&root.path().join("natter"), &image.join("natter"));
    node.stop().await;

    let wal = image.join("natter/wal");
    let mut first_in_page: Vec<u64> = Vec::new();
    for name in files(&wal) {
        let bytes = fs::read(wal.join(&name)).expect("readable");
        let wanted = b"FRESH 25 FRESH";
        if let Some(at) = bytes.windows(wanted.len()).position(|some| some == wanted) {
            flip(&wal.join(&name), at);
            let page = &bytes[at / PAGE * PAGE..at + wanted.len()];
            let is_in_page = |seq: &u64| {
                let text = format!("FRESH {seq} FRESH");
                page.windows(text.len()).any(|some| some == text.as_bytes())
            };
            first_in_page.extend((1..=25).find(is_in_page));
        }
    }
    // More than one if it was written anew since: then with more entries in a page.
    assert!(!first_in_page.is_empty());

    let accept = image.join("natter/accept-damage");
    fs::write(&accept, b"").expect("written");
    // What is found only now nobody can have accepted.
    let mut kept = None;
    for start in 0..4 {
        let node = Node::open(&image).await.expect("starts");
        let problems = node.problems();
        let fresh = node.stream("FRESH").expect("it runs");
        let last = content(&fresh).await.last_seq;
        if start < 1 {
            assert!(accept.exists());
            assert!(
                problems.len() == 1 && problems[0].stream == "FRESH",
                "{problems:?}"
            );
            // All before the page is there; the entry before may begin in it.
            let is_kept = |first: &u64| last + 1 == *first || last + 2 == *first;
            assert!(
                first_in_page.iter().any(is_kept),
                "{last}, {first_in_page:?}"
            );
            kept = Some(last);
        } else {
            assert!(!accept.exists());
            assert_eq!(problems, []);
            assert_eq!(Some(last), kept.map(|kept| kept + start - 1));
            publish(&fresh, last + 1..last + 2).await;
        }
        node.stop().await;
    }
}
