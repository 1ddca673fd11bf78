//! A server's JetStream on a simulated disk, wired as the server wires it, and a client of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::entropy::Random;
use crate::filestore;
use crate::jetstream::account::{AccountStreams, Server};
use crate::jetstream::entrance;
use crate::jetstream::handle::StreamHandle;
use crate::jetstream::mailbox::Limits;
use crate::jetstream::meta_group::Meta;
use crate::jetstream::streams::{self, Streams};
use crate::jetstream::{self, JetStream, ServerLimits, subscriptions};
use crate::pubsub::accounts::Account;
use crate::pubsub::internal;
use crate::raft::group;
use crate::raft::groups::{self, Groups};
use crate::vfs::Vfs;
use crate::vfs::sim::SimVfs;
use crate::wal::identity::{DataDir, Identity};
use crate::wal::{self, GroupId, Wal};

/// Where the server keeps its data.
pub const DIR: &str = "/data/natter";
const NODE: u64 = 1;
/// The meta group.
pub const META: GroupId = GroupId(crate::meta::assignment::GroupId::META.0);
/// Nothing takes so long.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// JetStream at work.
pub struct World {
    pub account: Arc<Account>,
    pub site: Arc<AccountStreams>,
    pub jetstream: Arc<JetStream>,
    pub wal: Wal,
    pub report: wal::RecoveryReport,
    requests: JoinHandle<()>,
    _data_dir: DataDir,
}

impl World {
    /// Starts with what is on the disk: small blocks, segments and checkpoints, so that
    /// much happens in a short life.
    pub async fn open(disk: &SimVfs) -> World {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        let directory = Path::new(DIR);
        let mut data_dir = DataDir::open(&*vfs, directory).expect("a data directory");
        if data_dir.identity().is_none() {
            let identity = Identity {
                cluster: 5,
                node: NODE,
            };
            data_dir.assign(&*vfs, identity).expect("an identity");
        }
        let log = directory.join("wal");
        let wal_options = wal::Options {
            segment_bytes: 10 * 4096,
            queue_bytes_max: 64 << 10,
            cache_bytes_max: 8 << 10,
            rewrite_bytes_max: 2 << 10,
            quarantine: Some(directory.join("quarantine")),
            on_fatal: Arc::new(|_| ()),
            ..wal::Options::default()
        };
        let (wal, report) = Wal::open(Arc::clone(&vfs), log, wal_options).expect("a log");
        let threads = groups::threads(&wal, 1, || async {}).expect("a thread");
        let group_options = group::Options {
            checkpoint_bytes: 5 << 10,
            ..group::Options::new(NODE)
        };
        let groups = Groups::open(wal.clone(), group_options, threads).expect("groups");
        let meta = Meta::open(&groups, &vfs, directory, NODE).expect("the meta group");
        let streams = Streams::new(
            streams::Options {
                directory: directory.to_owned(),
                mailbox: Limits {
                    messages_max: 1000,
                    bytes_max: 1 << 20,
                },
                files: filestore::Options {
                    block_bytes: 4 << 10,
                    buffer_bytes: 1 << 10,
                    gain_bytes_min: 500,
                    inline_bytes_max: 100,
                    kept_bytes_min: 24,
                    kept_percent_min: 0,
                    pending_bytes: 2 << 10,
                    quarantine: directory.join("quarantine"),
                },
            },
            vfs,
            groups,
            Random::seeded(1),
        );
        let limits = ServerLimits {
            memory_bytes_max: 1 << 30,
            storage_bytes_max: 1 << 30,
            ..ServerLimits::default()
        };
        let jetstream = JetStream::new(
            jetstream::Options {
                server_name: "test".to_owned(),
                version: "2.15.1",
                strict: true,
                requests: entrance::Limits {
                    requests_max: 100,
                    infos_max: 100,
                },
                store_dir: DIR.to_owned(),
                limits,
            },
            streams,
            meta,
        );
        let (queue, requests) = jetstream.answer_requests(None);
        let account = Account::new("A");
        let server = Server {
            usage: Arc::clone(&jetstream.usage),
            limits: Arc::clone(&jetstream.limits),
        };
        let site = AccountStreams::new(Arc::clone(&account), Default::default(), server);
        account.interest.observe(Arc::clone(&site) as _);
        subscriptions::subscribe(&site, &queue);
        jetstream.streams.add_account(Arc::clone(&site));
        assert_eq!(
            jetstream.start_streams().await,
            0,
            "streams that do not start"
        );
        World {
            account,
            site,
            jetstream,
            wal,
            report,
            requests,
            _data_dir: data_dir,
        }
    }

    /// A stream that runs.
    pub fn stream(&self, name: &str) -> Option<Arc<StreamHandle>> {
        self.site.stream(name)
    }

    /// Returns when the log has everything that the stream wanted written.
    pub async fn wait_for_log(&self, name: &str) {
        let handle = self.stream(name).expect("it runs");
        while handle
            .read(|replica| replica.is_busy())
            .await
            .expect("it runs")
        {
            tokio::task::yield_now().await;
        }
    }

    /// Ends everything in good order.
    pub async fn stop(self) {
        self.jetstream.streams.stop().await;
        self.requests.abort();
        self.wal.close();
    }
}

/// A message that came to the client.
#[derive(Clone, Debug)]
pub struct Received {
    pub subject: String,
    pub reply: String,
    pub headers: Bytes,
    pub payload: Bytes,
}

impl Received {
    /// The sequence in the stream of a message that a consumer delivered.
    pub fn seq(&self) -> Option<u64> {
        let tokens: Vec<&str> = self.reply.split('.').collect();
        match tokens[..] {
            ["$JS", "ACK", _, _, _, seq, ..] => seq.parse().ok(),
            _ => None,
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_default()
    }
}

/// One who publishes and receives in the account.
pub struct Client {
    account: Arc<Account>,
    inbox: mpsc::UnboundedReceiver<Received>,
    requests: u64,
}

impl Client {
    /// A client that hears what comes to its inbox.
    pub fn new(account: &Arc<Account>) -> Client {
        let (sender, inbox) = mpsc::unbounded_channel();
        let handler = move |message: &crate::pubsub::message::Message<'_>, _: &mut _| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let received = Received {
                subject: text(message.subject),
                reply: text(message.reply),
                headers: Bytes::copy_from_slice(message.headers().unwrap_or_default()),
                payload: Bytes::copy_from_slice(message.payload()),
            };
            sender.send(received).is_ok()
        };
        internal::subscribe(account, "_INBOX.>", Box::new(handler)).expect("a subscription");
        Client {
            account: Arc::clone(account),
            inbox,
            requests: 0,
        }
    }

    /// The next message.
    pub async fn receive(&mut self) -> Received {
        let received = tokio::time::timeout(ANSWER_MAX, self.inbox.recv()).await;
        received.expect("an answer").expect("a client")
    }

    /// Publishes, and names where the answer is to come.
    pub fn send(&mut self, subject: &str, headers: &str, payload: &[u8]) -> String {
        self.requests += 1;
        let inbox = format!("_INBOX.{}", self.requests);
        let headers = (!headers.is_empty()).then_some(headers.as_bytes());
        let is_taken = internal::publish(&self.account, subject, &inbox, headers, payload);
        assert!(is_taken, "nobody listens on {subject}");
        inbox
    }

    /// Publishes and waits for the answer.
    pub async fn request(&mut self, subject: &str, headers: &str, payload: &[u8]) -> Received {
        let inbox = self.send(subject, headers, payload);
        let received = self.receive().await;
        assert_eq!(received.subject, inbox, "{received:?}");
        received
    }

    /// A request to the API that is granted.
    pub async fn api(&mut self, what: &str, body: Value) -> Value {
        let subject = format!("$JS.API.{what}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.request(&subject, "", body.as_bytes()).await.json();
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer
    }

    /// Pulls so many messages, or fewer if there are not so many.
    pub async fn fetch(&mut self, stream: &str, consumer: &str, count: usize) -> Vec<Received> {
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}");
        let body = format!(r#"{{"batch":{count},"no_wait":true}}"#);
        self.send(&subject, "", body.as_bytes());
        let mut fetched = Vec::new();
        while fetched.len() < count {
            let received = self.receive().await;
            if received.seq().is_none() {
                break;
            }
            fetched.push(received);
        }
        fetched
    }
}
