//! One client's state: operations to handlers, time to pings.
//!
//! Lives in the link's own task. `CONNECT` may have to wait for a slow password check;
//! until it is decided no further operation is looked at.
//!
//! Invariants: before the client is accepted nothing but `CONNECT` is parsed where
//! credentials are needed; every operation of one read is handled before any link it
//! touched is flushed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::Client;
use super::sink::{ClientSink, SinkOptions};
use super::{ClientOptions, Front, trace};
use crate::auth::decision::RefuseReason;
use crate::auth::users::User;
use crate::clock::{self, Monotonic};
use crate::connection::close::CloseReason;
use crate::connection::driver::{Consumed, Next, Session};
use crate::connection::link::Appended;
use crate::entropy::Random;
use crate::login::Decided;
use crate::protocol::connect::Connect;
use crate::protocol::encode;
use crate::protocol::error::ClientError;
use crate::protocol::limits::Limits;
use crate::protocol::op::Op;
use crate::protocol::parser::{self, ParseError, Step};
use crate::pubsub::accounts::Account;
use crate::pubsub::message::Requester;
use crate::pubsub::publish::Publisher;
use crate::telemetry::protocol_trace::quoted;

/// The first PING comes this long after the connect.
const FIRST_PING: Duration = Duration::from_secs(2);
/// A round trip is measured again after this time.
const ROUND_TRIP_EVERY: Duration = Duration::from_secs(3600);
/// How long a publisher rests when a receiver is behind.
const STALL: Duration = Duration::from_millis(5);

/// Bytes that are logged of what could not be parsed.
const PROTO_SNIPPET: usize = 32;
/// Bytes that are logged of wrong arguments.
const ARGUMENTS_SNIPPET: usize = 128;

/// One client.
pub struct ClientSession {
    pub(super) front: Arc<Front>,
    pub(super) client: Arc<Client>,
    pub(super) options: Arc<ClientOptions>,
    pub(super) limits: Limits,
    /// What CONNECT said, or the protocol's defaults.
    pub(super) connect: Connect,
    pub(super) phase: Phase,
    /// Bound to an account once the client is somebody.
    pub(super) publisher: Option<Publisher>,
    pub(super) sink: Arc<ClientSink>,
    pub(super) is_system: bool,
    /// Users have changed while a decision was waited for.
    pub(super) is_stale: bool,
    random: Random,
    /// Bytes of protocol answers waiting for the end of the batch.
    replied: bool,
    /// This side has closed the link.
    pub(super) ended: bool,
    auth_deadline: Option<Monotonic>,
    ping: PingState,
}

/// How far the client has come.
pub(super) enum Phase {
    /// Credentials are needed and have not come.
    Expecting,
    /// They are being looked at; for a client that is active already, `again`.
    Verifying {
        /// Tells the decision.
        decided: oneshot::Receiver<Decided>,
        /// Users have changed: the client keeps its subscriptions if it stays the same.
        again: bool,
    },
    /// It may do what its user may.
    Active,
}

struct PingState {
    next: Monotonic,
    outstanding: u32,
    sent: Option<Monotonic>,
    measured: Option<Monotonic>,
    last_data: Monotonic,
}

impl ClientSession {
    /// A session for a client that has just been told INFO.
    pub fn new(front: Arc<Front>, client: Arc<Client>) -> Self {
        let options = front.options();
        let now = clock::monotonic();
        let mut random = Random::from_system();
        let first = jittered(FIRST_PING.min(options.ping_interval), &mut random);
        let nobody = Arc::new(User::unrestricted("", crate::account::GLOBAL));
        let mut session = ClientSession {
            limits: Limits {
                control_line_max: options.control_line_max,
                payload_max: options.payload_max,
                headers: false,
            },
            sink: Arc::new(ClientSink::new(
                &client,
                nobody,
                SinkOptions {
                    headers: false,
                    echo: true,
                    drop_when_behind: !options.stall,
                },
            )),
            connect: Connect::default(),
            phase: Phase::Expecting,
            publisher: None,
            is_system: false,
            is_stale: false,
            random,
            replied: false,
            ended: false,
            auth_deadline: Some(after(now, options.auth_timeout)),
            ping: PingState {
                next: after(now, first),
                outstanding: 0,
                sent: None,
                measured: None,
                last_data: now,
            },
            options,
            front,
            client,
        };
        if !session.front.login.directory().is_auth_configured() {
            session.enter_without_login();
        }
        session
    }

    pub(super) fn account(&self) -> &Arc<Account> {
        self.publisher
            .as_ref()
            .expect("asked after the client was bound")
            .account()
    }

    pub(super) fn publisher_mut(&mut self) -> &mut Publisher {
        self.publisher
            .as_mut()
            .expect("a session publishes after it was bound")
    }

    /// Binds the client to what it is; earlier subscriptions are gone by then.
    pub(super) fn bind(&mut self, user: &Arc<User>, account: &Arc<Account>) {
        self.is_system = account.policy().is_system;
        // Whoever was touched before must not wait for a batch that is gone.
        if let Some(old) = &mut self.publisher {
            old.batch.flush();
        }
        self.publisher = Some(Publisher::new(
            Arc::clone(account),
            Random::seeded(self.random.next_u64()),
            Some(Arc::clone(&self.client) as Arc<dyn Requester>),
        ));
        self.sink = Arc::new(ClientSink::new(
            &self.client,
            Arc::clone(user),
            SinkOptions {
                headers: self.connect.headers,
                echo: self.connect.echo,
                drop_when_behind: !self.options.stall,
            },
        ));
        self.set_limits(account);
        self.phase = Phase::Active;
        self.auth_deadline = None;
    }

    /// What the parser may let through, by options, account and CONNECT.
    pub(super) fn set_limits(&mut self, account: &Account) {
        let account_max = account.limits().payload_bytes_max;
        let account_max = account_max.and_then(|max| usize::try_from(max).ok());
        let payload_max = self.options.payload_max;
        self.limits = Limits {
            control_line_max: self.options.control_line_max,
            payload_max: account_max.map_or(payload_max, |max| max.min(payload_max)),
            headers: self.connect.headers,
        };
    }

    /// Appends to the own link; flushed with the batch.
    pub(super) fn reply(&mut self, bytes: &[u8]) {
        self.commit();
        let Some(mut locked) = self.client.link.lock() else {
            return;
        };
        locked.append(bytes.len(), |out| out.extend_from_slice(bytes));
        match locked.finish() {
            Appended::FlushLater => self.replied = true,
            Appended::FlushNow => self.client.link.flush(),
            Appended::Nothing | Appended::Behind | Appended::Closed => {}
        }
    }

    /// What was published before an answer or another operation is delivered before it.
    fn commit(&mut self) {
        if let Some(publisher) = &mut self.publisher {
            publisher.batch.commit();
        }
    }

    fn on_op(&mut self, op: &Op<'_>) {
        self.commit();
        match op {
            Op::Publish(publish) => self.on_publish(publish),
            Op::Subscribe(subscribe) => self.on_subscribe(subscribe),
            Op::Unsubscribe { sid, max } => self.on_unsubscribe(sid, *max),
            Op::Ping => self.on_ping(),
            Op::Pong => self.on_pong(),
            Op::Connect(json) => self.on_connect(json),
            Op::Ok | Op::Info(_) => {}
            Op::Error(text) => {
                let text = String::from_utf8_lossy(text);
                tracing::error!(link = self.client.label(), "Client Error {text}");
                self.close(CloseReason::ParseError);
            }
        }
    }

    fn on_ping(&mut self) {
        self.trace_out("PONG", "");
        self.reply(encode::PONG);
        if !self.client.settled.swap(true, Ordering::Relaxed) && self.connect.protocol >= 1 {
            let mut info = self.front.later_info(&self.client);
            info.connect_info = true;
            info.remote_account = self.account().name.to_string();
            info.acc_is_sys = self.is_system;
            self.reply(&info.line());
        }
    }

    fn on_pong(&mut self) {
        self.ping.outstanding = 0;
        if let Some(sent) = self.ping.sent.take() {
            let now = clock::monotonic();
            self.client.set_round_trip(sent, now);
            self.ping.measured = Some(now);
        }
    }

    fn send_ping(&mut self, now: Monotonic) {
        self.ping.outstanding += 1;
        self.ping.sent = Some(now);
        self.trace_out("PING", "");
        self.client.link.send(encode::PING);
    }

    /// `rest` is what could not be parsed.
    fn on_parse_error(&mut self, error: ParseError, rest: &[u8]) {
        let link = self.client.label();
        match error {
            ParseError::UnknownOperation => {
                let proto = quoted(&rest[..rest.len().min(PROTO_SNIPPET)]);
                tracing::error!(link, "Client parser ERROR: proto='{proto}...'");
                self.fail(
                    ClientError::UnknownOperation,
                    CloseReason::ProtocolViolation,
                );
            }
            ParseError::Arguments(_) => {
                let (_, arguments) = trace::split(rest);
                let shown = quoted(&arguments[..arguments.len().min(ARGUMENTS_SNIPPET)]);
                tracing::error!(link, "{error}: {shown}");
                self.close(CloseReason::ProtocolViolation);
            }
            ParseError::Headers => {
                tracing::error!(link, "{error}");
                self.close(CloseReason::ProtocolViolation);
            }
            ParseError::ControlLine => {
                self.fail(
                    ClientError::MaximumControlLine,
                    CloseReason::MaximumControlLineExceeded,
                );
            }
            ParseError::Payload(bytes) => {
                let max = self.limits.payload_max;
                tracing::error!(link, "maximum payload exceeded: {bytes} vs {max}");
                self.fail(
                    ClientError::MaximumPayload,
                    CloseReason::MaximumPayloadExceeded,
                );
            }
        }
    }

    /// Credentials are needed: only `CONNECT` may come, unless nobody has to say anything.
    fn may_begin_with(&mut self, byte: u8) -> bool {
        if matches!(self.phase, Phase::Active) || byte.eq_ignore_ascii_case(&b'c') {
            return true;
        }
        if self.enter_as_no_auth_user() {
            return true;
        }
        self.log_refused("");
        self.fail(
            ClientError::AuthorizationViolation,
            CloseReason::AuthenticationFailure,
        );
        self.front
            .observer()
            .refused(&self.client, CloseReason::AuthenticationFailure);
        false
    }

    /// So much was delivered that other links on this thread come first.
    fn is_turn_over(&self) -> bool {
        self.publisher
            .as_ref()
            .is_some_and(|publisher| publisher.batch.is_large())
    }

    fn is_closed(&self) -> bool {
        self.client.link.close_reason().is_some()
    }
}

impl Session for ClientSession {
    fn on_data(&mut self, data: &[u8]) -> Consumed {
        let (mut taken, mut need) = (0, 0);
        let (mut msgs, mut bytes) = (0, 0);
        let mut interest_changed = false;
        let mut next = Next::Read;
        let mut traced = self.is_traced();
        while taken < data.len() {
            if !matches!(self.phase, Phase::Active) && !self.may_begin_with(data[taken]) {
                next = Next::Closed;
                break;
            }
            match parser::parse(&data[taken..], &self.limits) {
                Ok(Step::Op(op, len)) => {
                    if traced {
                        let publish = match &op {
                            Op::Publish(publish) => Some(publish),
                            _ => None,
                        };
                        self.trace_in(&data[taken..taken + len], publish);
                    }
                    taken += len;
                    if let Op::Publish(publish) = &op {
                        msgs += 1;
                        bytes += publish.body.len() as u64;
                        self.on_publish(publish);
                        if self.ended {
                            next = Next::Closed;
                            break;
                        }
                        if self.is_turn_over() {
                            next = Next::Wait;
                            break;
                        }
                        continue;
                    }
                    interest_changed |= matches!(op, Op::Subscribe(_) | Op::Unsubscribe { .. });
                    self.on_op(&op);
                    if matches!(op, Op::Connect(_)) {
                        traced = self.is_traced();
                    }
                    if matches!(self.phase, Phase::Verifying { .. }) {
                        next = Next::Wait;
                        break;
                    }
                    if self.is_closed() {
                        next = Next::Closed;
                        break;
                    }
                }
                Ok(Step::Incomplete(len)) => {
                    need = len;
                    break;
                }
                Err(error) => {
                    let has_line = !matches!(
                        error,
                        ParseError::UnknownOperation | ParseError::ControlLine
                    );
                    if traced && has_line {
                        self.trace_in(&data[taken..], None);
                    }
                    self.on_parse_error(error, &data[taken..]);
                    next = Next::Closed;
                    break;
                }
            }
        }
        self.client.link.received.add(msgs, bytes);
        self.ping.last_data = clock::monotonic();
        if msgs > 0 || interest_changed {
            self.client.touch(clock::now());
        }
        let behind = self
            .publisher
            .as_mut()
            .is_some_and(|publisher| publisher.batch.end_turn(data.len()));
        if std::mem::take(&mut self.replied) {
            self.client.link.flush();
        }
        if next == Next::Closed {
            // What follows on a closed link is nobody's.
            return Consumed {
                taken: data.len(),
                need: 0,
                next,
            };
        }
        if behind && matches!(next, Next::Read | Next::Wait) && matches!(self.phase, Phase::Active)
        {
            self.client.link.stalls.fetch_add(1, Ordering::Relaxed);
            self.front.counters.stalls.fetch_add(1, Ordering::Relaxed);
            next = Next::Stall(STALL);
        }
        Consumed { taken, need, next }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Phase::Verifying { decided, again } = &mut self.phase {
            let again = *again;
            let decided = std::task::ready!(Pin::new(decided).poll(cx));
            let decided = decided.unwrap_or(Err(RefuseReason::Invalid));
            // Whatever comes of it, nothing is waited for any more.
            self.phase = Phase::Expecting;
            match decided {
                Ok(user) if again => self.rebind(&user),
                decided => self.on_decided(decided),
            }
            if std::mem::take(&mut self.is_stale) {
                self.reauthorize();
            }
        }
        if std::mem::take(&mut self.replied) {
            self.client.link.flush();
        }
        Poll::Ready(())
    }

    fn on_nudge(&mut self) -> Next {
        let orders = self.client.take_orders();
        if orders.ping && self.ping.sent.is_none() {
            self.send_ping(clock::monotonic());
        }
        if orders.reoption {
            self.options = self.front.options();
            if let Some(publisher) = &self.publisher {
                let account = Arc::clone(publisher.account());
                self.set_limits(&account);
            }
            self.ping.next = after(clock::monotonic(), self.options.ping_interval);
        }
        if orders.reauthorize {
            self.reauthorize();
        }
        if matches!(self.phase, Phase::Verifying { .. }) {
            return Next::Wait;
        }
        Next::Read
    }

    fn on_deadline(&mut self, now: Monotonic) {
        if self.auth_deadline.is_some_and(|deadline| deadline <= now) {
            self.auth_deadline = None;
            self.front
                .observer()
                .refused(&self.client, CloseReason::AuthenticationTimeout);
            self.fail(
                ClientError::AuthenticationTimeout,
                CloseReason::AuthenticationTimeout,
            );
            return;
        }
        if self.ping.next > now {
            return;
        }
        let interval = self.options.ping_interval;
        self.ping.next = after(now, interval);
        if self.ping.outstanding >= self.options.ping_max {
            self.fail(ClientError::StaleConnection, CloseReason::StaleConnection);
            return;
        }
        if let Some(publisher) = &mut self.publisher {
            publisher.rest();
        }
        let measure = self
            .ping
            .measured
            .is_none_or(|at| now.since(at) >= ROUND_TRIP_EVERY);
        if measure || now.since(self.ping.last_data) >= interval {
            self.send_ping(now);
        }
    }

    fn next_deadline(&self) -> Monotonic {
        self.auth_deadline
            .map_or(self.ping.next, |auth| auth.min(self.ping.next))
    }

    fn on_close(&mut self, reason: CloseReason) {
        self.leave(reason);
    }
}

fn after(now: Monotonic, time: Duration) -> Monotonic {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2);
    Monotonic::from_nanos(now.nanos().saturating_add(nanos))
}

/// Up to a fifth longer, so that clients that came together do not ping together.
fn jittered(time: Duration, random: &mut Random) -> Duration {
    time.mul_f64(1.0 + 0.2 * random.unit())
}
