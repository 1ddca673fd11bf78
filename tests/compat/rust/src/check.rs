//! What every scenario is written with: assertions, waits, connections.
//!
//! A step that is not the subject of a test is followed by `?`; its error ends
//! the scenario with one failed assertion.

use crate::contract::{Contract, Unbuilt};
use async_nats::{Client, ConnectError, ConnectOptions, Event, Message, Subscriber};
use futures_util::StreamExt;
use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long a scenario waits for something that should happen.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// No scenario may take longer than this.
const SCENARIO_LIMIT: Duration = Duration::from_secs(40);

pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;
pub type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;
pub type Scenario = (&'static str, fn(Arc<Test>) -> Running);

/// Lists async functions as scenarios.
#[macro_export]
macro_rules! scenarios {
    ($($name:literal => $function:path),* $(,)?) => {
        pub const SCENARIOS: &[$crate::check::Scenario] =
            &[$(($name, |test| Box::pin(async move { $function(&test).await }))),*];
    };
}

/// The context of one running scenario.
pub struct Test {
    pub contract: Arc<Contract>,
    scenario: &'static str,
    failed: AtomicBool,
}

/// Runs one scenario; returns whether every assertion held.
pub async fn run(
    contract: Arc<Contract>,
    scenario: &'static str,
    run: fn(Arc<Test>) -> Running,
) -> bool {
    let test = Arc::new(Test {
        contract,
        scenario,
        failed: AtomicBool::new(false),
    });
    let mut task = tokio::spawn(run(test.clone()));
    match timeout(SCENARIO_LIMIT, &mut task).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => test.is("completes", false, error.to_string()),
        Ok(Err(ended)) => match ended
            .try_into_panic()
            .map(|panic| panic.downcast::<Unbuilt>())
        {
            Ok(Ok(sentence)) => println!("skip {scenario}: {}", sentence.0),
            Ok(Err(panic)) => test.is("completes", false, panic_text(&*panic)),
            Err(cancelled) => test.is("completes", false, cancelled.to_string()),
        },
        Err(_) => {
            task.abort();
            test.is(
                "completes",
                false,
                format!("took longer than {SCENARIO_LIMIT:?}"),
            );
        }
    }
    !test.failed.load(Ordering::Relaxed)
}

/// What a panic said, as far as it was text.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("panicked")
}

impl Test {
    pub fn is(&self, what: &str, holds: bool, detail: impl Debug) {
        if holds {
            println!("ok {}/{what}", self.scenario);
        } else {
            self.failed.store(true, Ordering::Relaxed);
            println!(
                "not ok {}/{what}: got {}",
                self.scenario,
                format!("{detail:?}").replace('\n', " ")
            );
        }
    }

    pub fn equal<T: PartialEq + Debug>(&self, what: &str, got: T, want: T) {
        self.is(what, got == want, format_args!("{got:?}, want {want:?}"));
    }

    pub async fn eventually(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            if Instant::now() > deadline {
                self.is(what, false, "nothing in time");
                return;
            }
            sleep(Duration::from_millis(2)).await;
        }
        self.is(what, true, ());
    }

    pub async fn control(&self, path: &str) -> Outcome {
        Ok(self.contract.control(path).await?)
    }

    pub fn tls(&self, leaf: &str) -> std::path::PathBuf {
        self.contract.tls[leaf].clone().into()
    }

    pub fn auth(&self, leaf: &str) -> String {
        self.contract.auth[leaf].clone()
    }

    /// Connects and leaves the outcome to the caller.
    pub async fn dial(
        &self,
        server: &str,
        options: ConnectOptions,
    ) -> Result<Client, ConnectError> {
        options
            .name(self.scenario)
            .connect(self.contract.server(server).url.as_str())
            .await
    }

    pub async fn connect(&self, server: &str) -> Result<Client, ConnectError> {
        self.dial(server, options()).await
    }

    /// Connects as a user whose password goes by the server's habit.
    pub async fn connect_as(
        &self,
        server: &str,
        user: &str,
        password: &str,
    ) -> Result<Client, ConnectError> {
        self.dial(
            server,
            options().user_and_password(user.into(), password.into()),
        )
        .await
    }
}

/// Options with the scenarios' patience.
pub fn options() -> ConnectOptions {
    ConnectOptions::new()
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .reconnect_delay_callback(|_| Duration::from_millis(20))
}

/// What the library told its event callback.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub fn watch(&self, options: ConnectOptions) -> ConnectOptions {
        let events = self.clone();
        options.event_callback(move |event| {
            events.0.lock().expect("no holder panics").push(event);
            std::future::ready(())
        })
    }

    pub fn saw(&self, matching: impl Fn(&Event) -> bool) -> bool {
        self.0
            .lock()
            .expect("no holder panics")
            .iter()
            .any(matching)
    }

    /// Whether the server's error of that text came in.
    pub fn saw_error(&self, part: &str) -> bool {
        self.saw(
            |event| matches!(event, Event::ServerError(error) if error.to_string().contains(part)),
        )
    }

    pub fn count(&self) -> usize {
        self.0.lock().expect("no holder panics").len()
    }
}

/// Returns when the server has handled everything this connection sent: the
/// library's own flush only empties its buffer.
pub async fn settle(client: &Client) -> Outcome {
    settle_by(client, "compat.nobody").await
}

/// The same, for users that may publish to `subject` only.
pub async fn settle_by(client: &Client, subject: &'static str) -> Outcome {
    match client.request(subject, "".into()).await {
        Err(error) if error.kind() == async_nats::RequestErrorKind::NoResponders => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(format!("somebody answers on {subject}").into()),
    }
}

/// The next message, which has to come.
pub async fn next(
    subscriber: &mut Subscriber,
) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
    match timeout(PATIENCE, subscriber.next()).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err("the subscription ended".into()),
        Err(_) => Err("no message in time".into()),
    }
}

/// The payloads up to the one that says "end".
pub async fn texts(
    subscriber: &mut Subscriber,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let mut got = Vec::new();
    loop {
        let text = text(&next(subscriber).await?);
        if text == "end" {
            return Ok(got);
        }
        got.push(text);
    }
}

pub fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

/// Answers every request on `subject` until the client is gone.
pub async fn respond(
    client: &Client,
    subject: &'static str,
    mut answers: impl FnMut(&Message) -> Vec<String> + Send + 'static,
) -> Outcome {
    let mut subscriber = client.subscribe(subject).await?;
    client.flush().await?;
    let client = client.clone();
    tokio::spawn(async move {
        while let Some(message) = subscriber.next().await {
            if let Some(reply) = message.reply.clone() {
                for answer in answers(&message) {
                    if client.publish(reply.clone(), answer.into()).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    Ok(())
}
