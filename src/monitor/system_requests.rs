//! Answers to requests in `$SYS`: the same windows as over HTTP, for tools that only have
//! a connection; and the few requests that act.
//!
//! Separate from the subscriptions and the publishing, which belong to the server: here a
//! message comes in as data and at most one answer goes out as data.
//!
//! ```text
//! subject ─► request_subjects ─┐
//! body ────► request_options ──┼─► one window ─► {"server":…,"data":…} ─► reply subject
//! ```
//!
//! Invariants: a request without a reply subject is not answered (but STATSZ, which is then
//! published as an event); a server that the filter does not name stays silent; a body that
//! cannot be decoded is told so with 400, a window that refuses with 500. Bodies are never
//! compressed; who asked for compression is told `identity`.

use serde::Serialize;
use serde_json::Value;

use super::Monitor;
use super::accountz::{AccountInfo, Accountz};
use super::accstatz::{AccountStatz, AccountStatzOptions};
use super::connz::Connz;
use super::gatewayz::Gatewayz;
use super::go_format::compact;
use super::healthz::Healthz;
use super::jsz::{AccountJsz, Jsz};
use super::leafz::Leafz;
use super::raftz::Raftz;
use super::request_options as options;
use super::request_options::{Filtered, SubscriberQuestion};
use super::request_subjects::{AccountQuestion, Order, Request, ServerQuestion, classify};
use super::routez::Routez;
use super::server_info::{Idz, ServerInfo};
use super::statsz::Statsz;
use super::subsz::Subsz;
use super::system_events::{Stamp, account_connections, statsz_subject};
use super::user_info::{Requester, UserInfo};
use crate::subject::{tokens, wildcard};

/// What requests may do to the server; implemented by `server`.
pub trait Control: Send + Sync {
    /// Reads the configuration again. The error is told to the asking side as it is.
    fn reload(&self) -> Result<(), String>;

    /// Closes a client or leafnode, for the reason *Kicked*; false if there is none.
    fn kick(&self, cid: u64) -> bool;

    /// Tells a client to go elsewhere, by an INFO with `ldm`; false if there is none.
    fn lame_duck(&self, cid: u64) -> bool;
}

/// A message that arrived on one of [`super::request_subjects::subscriptions`].
#[derive(Clone, Debug, Default)]
pub struct Incoming<'a> {
    /// The subject in the system account.
    pub subject: &'a str,
    /// Where to answer; empty for nowhere.
    pub reply: &'a str,
    /// The header `Accept-Encoding`; empty when absent.
    pub accept_encoding: &'a str,
    /// The payload.
    pub body: &'a [u8],
    /// Who asks, where the server knows: the user behind a service import.
    pub requester: Option<&'a Requester>,
    /// A new unique id, in case the answer is an event.
    pub event_id: &'a str,
}

/// A message to be published in the system account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The subject.
    pub subject: String,
    /// A whole header block, if there is one.
    pub headers: Option<&'static str>,
    /// JSON on one line.
    pub body: String,
}

/// The block that says that a body is not compressed.
pub const IDENTITY: &str = "NATS/1.0\r\nContent-Encoding: identity\r\n\r\n";

/// What one window says.
enum Said {
    /// Nothing: somebody else is meant.
    Nothing,
    /// JSON without an envelope.
    Bare(String),
    /// JSON for the envelope, nothing for an order that was carried out.
    Data(Option<Value>),
    /// The body could not be decoded.
    BadRequest(String),
    /// The window refuses; it has data in principle, so that `data` is there but `null`.
    Refused(String),
    /// An order could not be carried out.
    Failed(String),
}

impl Said {
    fn data<T: Serialize>(data: &T) -> Self {
        match serde_json::to_value(data) {
            Ok(data) => Said::Data(Some(data)),
            Err(err) => Said::Refused(err.to_string()),
        }
    }

    fn result<T: Serialize>(result: Result<T, impl std::fmt::Display>) -> Self {
        match result {
            Ok(data) => Said::data(&data),
            Err(err) => Said::Refused(err.to_string()),
        }
    }
}

/// The common shape of answers.
#[derive(Serialize)]
struct Envelope {
    server: ServerInfo,
    /// Outer `None`: left out; inner `None`: `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Option<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ApiError>,
}

/// Why there is no data.
#[derive(Serialize)]
struct ApiError {
    code: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

impl Monitor {
    /// Answers a system request; `None` if this server has nothing to say.
    pub async fn answer(&self, incoming: &Incoming<'_>, control: &dyn Control) -> Option<Answer> {
        let facts = self.source().facts();
        let request = classify(incoming.subject, &facts.server_id)?;
        let mut subject = incoming.reply.to_owned();
        if subject.is_empty() {
            if request != Request::Server(ServerQuestion::Statsz) {
                return None;
            }
            subject = statsz_subject(&facts.server_id);
        }
        let said = match request {
            Request::Server(ServerQuestion::Jsz) => self.jsz(None, incoming.body).await,
            Request::Account(account, AccountQuestion::Jsz) => {
                self.jsz(Some(account), incoming.body).await
            }
            request => self.say(request, incoming, control),
        };
        let enveloped = !matches!(said, Said::Bare(_) | Said::BadRequest(_));
        let succeeded = matches!(said, Said::Data(_));
        let (data, error) = match said {
            Said::Nothing => return None,
            Said::Bare(body) => {
                return Some(Answer {
                    subject,
                    headers: None,
                    body,
                });
            }
            Said::Data(data) => (data.map(Some), None),
            Said::BadRequest(description) => (None, Some((400, description))),
            Said::Refused(description) => (Some(None), Some((500, description))),
            Said::Failed(description) => (None, Some((500, description))),
        };
        let envelope = Envelope {
            server: self.speaker(),
            data,
            error: error.map(|(code, description)| ApiError { code, description }),
        };
        let told = enveloped && succeeded && !incoming.accept_encoding.is_empty();
        Some(Answer {
            subject,
            headers: told.then_some(IDENTITY),
            body: compact(&envelope),
        })
    }

    fn say(&self, request: Request<'_>, incoming: &Incoming<'_>, control: &dyn Control) -> Said {
        let body = incoming.body;
        match request {
            Request::Server(question) => self.say_of_server(question, body),
            Request::Order(order) => self.carry_out(order, body, control),
            Request::Account(account, question) => self.say_of_account(account, question, incoming),
            Request::AccountsStatz => {
                self.filtered(options::account_statz(body), |asked| self.statz(&asked))
            }
            Request::SubscriberCount => self.count_asked_by_server(body),
            Request::UserInfo(_) => match incoming.requester {
                Some(requester) => Said::data(&UserInfo::new(requester.clone())),
                None => Said::BadRequest(String::new()),
            },
            Request::DebugSubscribers => self.count_asked_by_person(incoming),
        }
    }

    /// Goes on with decoded options if this server is asked.
    fn filtered<T>(&self, decoded: Filtered<T>, go_on: impl FnOnce(T) -> Said) -> Said {
        match decoded {
            Err(err) => Said::BadRequest(err.to_string()),
            Ok((_, filter)) if !filter.matches(&self.source().facts()) => Said::Nothing,
            Ok((options, _)) => go_on(options),
        }
    }

    /// A window without options of its own.
    fn plain(&self, type_name: &'static str, body: &[u8], go_on: impl FnOnce() -> Said) -> Said {
        self.filtered(options::filter_only(type_name, body), |()| go_on())
    }

    fn say_of_server(&self, question: ServerQuestion, body: &[u8]) -> Said {
        let source = self.source();
        match question {
            // No options, no envelope, no number.
            ServerQuestion::Idz => Said::Bare(compact(&Idz::new(&source.facts()))),
            ServerQuestion::Statsz => self.plain("StatszEventOptions", body, || {
                Said::Bare(compact(&Statsz::new(source, self.speaker())))
            }),
            ServerQuestion::Varz => {
                self.plain("VarzEventOptions", body, || Said::data(&self.varz()))
            }
            ServerQuestion::Subsz => self.filtered(options::subsz(body), |asked| {
                Said::result(Subsz::new(source, &asked))
            }),
            ServerQuestion::Connz => self.filtered(options::connz(body), |asked| {
                Said::result(Connz::new(source, &asked))
            }),
            ServerQuestion::Routez => self.plain("RoutezEventOptions", body, || {
                Said::data(&Routez::new(source))
            }),
            ServerQuestion::Gatewayz => self.plain("GatewayzEventOptions", body, || {
                Said::data(&Gatewayz::new(source))
            }),
            ServerQuestion::Leafz => self.plain("LeafzEventOptions", body, || {
                Said::data(&Leafz::new(source))
            }),
            ServerQuestion::Accountz => self.filtered(options::accountz(body), |account| {
                Said::result(Accountz::new(source, &account))
            }),
            // Has to wait for the streams: see `jsz`.
            ServerQuestion::Jsz => Said::Nothing,
            ServerQuestion::Healthz => self.filtered(options::healthz(body), |asked| {
                Said::data(&Healthz::new(source, &asked))
            }),
            ServerQuestion::Raftz => {
                self.plain("RaftzEventOptions", body, || Said::data(&Raftz {}))
            }
            ServerQuestion::Profilez => self.unavailable("ProfilezEventOptions", body, "profiles"),
            ServerQuestion::Expvarz => {
                self.unavailable("ExpvarzEventOptions", body, "runtime variables")
            }
            ServerQuestion::IpQueuesz => {
                self.unavailable("IpqueueszEventOptions", body, "internal queues")
            }
        }
    }

    /// JetStream of the server, or of one account.
    async fn jsz(&self, account: Option<&str>, body: &[u8]) -> Said {
        let source = self.source();
        let mut asked = match options::jsz(body) {
            Err(err) => return Said::BadRequest(err.to_string()),
            Ok((_, filter)) if !filter.matches(&source.facts()) => return Said::Nothing,
            Ok((asked, _)) => asked,
        };
        match account {
            Some(account) => {
                account.clone_into(&mut asked.account);
                Said::result(AccountJsz::find(source, &asked).await)
            }
            None => match Jsz::new(source, &asked).await {
                Ok(answer) => Said::data(&answer),
                Err(_) => Said::Nothing,
            },
        }
    }

    fn unavailable(&self, type_name: &'static str, body: &[u8], what: &str) -> Said {
        self.plain(type_name, body, || {
            Said::Failed(format!("{what} are not available on this server"))
        })
    }

    fn carry_out(&self, order: Order, body: &[u8], control: &dyn Control) -> Said {
        let cid = match order {
            Order::Reload => 0,
            // Without a connection there is nobody to answer for: silence.
            Order::Kick | Order::LameDuck => match options::connection_id(body) {
                Ok(cid) => cid,
                Err(_) => return Said::Nothing,
            },
        };
        self.plain("EventFilterOptions", body, || {
            let done = match order {
                Order::Reload => control.reload(),
                Order::Kick if control.kick(cid) => Ok(()),
                Order::Kick => Err("no such client or leafnode id".to_owned()),
                Order::LameDuck if control.lame_duck(cid) => Ok(()),
                Order::LameDuck => Err("no such client id".to_owned()),
            };
            done.map_or_else(Said::Failed, |()| Said::Data(None))
        })
    }

    fn say_of_account(
        &self,
        account: &str,
        question: AccountQuestion,
        incoming: &Incoming<'_>,
    ) -> Said {
        let (source, body) = (self.source(), incoming.body);
        match question {
            AccountQuestion::Subsz => self.filtered(options::subsz(body), |mut asked| {
                asked.account = account.to_owned();
                asked.subscriptions = true;
                Said::result(Subsz::new(source, &asked))
            }),
            AccountQuestion::Connz => self.filtered(options::connz(body), |mut asked| {
                asked.account = account.to_owned();
                Said::result(Connz::new(source, &asked))
            }),
            AccountQuestion::Leafz => self.plain("LeafzEventOptions", body, || {
                Said::data(&Leafz::new(source))
            }),
            AccountQuestion::Jsz => Said::Nothing,
            AccountQuestion::Info => self.plain("AccInfoEventOptions", body, || {
                Said::result(AccountInfo::find(source, account))
            }),
            AccountQuestion::Statz => self.filtered(options::account_statz(body), |mut asked| {
                asked.accounts = vec![account.to_owned()];
                self.statz(&asked)
            }),
            AccountQuestion::Conns => self.conns(account, incoming),
        }
    }

    fn statz(&self, asked: &AccountStatzOptions) -> Said {
        let answer = AccountStatz::new(self.source(), asked);
        if answer.is_empty() && !asked.include_unused {
            return Said::Nothing;
        }
        Said::data(&answer)
    }

    /// Figures of an account with local clients, in the shape of the event.
    fn conns(&self, account: &str, incoming: &Incoming<'_>) -> Said {
        match options::conns_account(incoming.body) {
            Ok(None) => {}
            Ok(Some(named)) if named == account => {}
            _ => return Said::Nothing,
        }
        match self.source().account(account) {
            Some(account) if account.clients > 0 => {
                let stamp = Stamp {
                    server: self.speaker(),
                    id: incoming.event_id.to_owned(),
                    time: self.source().now(),
                };
                Said::Bare(account_connections(&stamp, account, String::new()).body)
            }
            _ => Said::Nothing,
        }
    }

    fn count_asked_by_server(&self, body: &[u8]) -> Said {
        let question = match options::subscribers(body) {
            Ok(question) if !body.is_empty() => question,
            _ => return Said::Nothing,
        };
        let account = self.source().account(&question.account);
        match account {
            Some(account) if account.clients + account.leafnodes > 0 => {
                Said::Bare(self.count(&question).to_string())
            }
            _ => Said::Nothing,
        }
    }

    /// The payload is `subject [queue]`; the account is that of the asking user.
    fn count_asked_by_person(&self, incoming: &Incoming<'_>) -> Said {
        let text = String::from_utf8_lossy(incoming.body);
        let mut words = text.trim().split(' ');
        let account = match incoming.requester {
            Some(requester) => requester.account.clone(),
            None => self.source().facts().system_account.clone(),
        };
        let question = SubscriberQuestion {
            account,
            subject: words.next().unwrap_or_default().to_owned(),
            queue: words.next().map(str::to_owned),
        };
        Said::Bare(self.count(&question).to_string())
    }

    /// Local subscribers that a message to the subject would reach; for a filter those
    /// within it.
    fn count(&self, question: &SubscriberQuestion) -> usize {
        let subject = question.subject.as_str();
        let literal = tokens::is_plain(subject);
        let mut counted = 0;
        let account = Some(question.account.as_str());
        self.source().visit_subscriptions(account, &mut |sub| {
            let reached = if literal {
                wildcard::covers(sub.subject.as_bytes(), subject.as_bytes())
            } else {
                wildcard::covers(subject.as_bytes(), sub.subject.as_bytes())
            };
            let in_group = question
                .queue
                .as_ref()
                .is_none_or(|queue| sub.queue == *queue);
            counted += usize::from(sub.counts && reached && in_group);
        });
        counted
    }
}

#[cfg(test)]
mod tests;
