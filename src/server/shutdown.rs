//! The end of a server, at once or gently.
//!
//! In order: stop accepting; in lame duck mode tell clients and let them go one by one;
//! tell those who wait for messages of streams; close what is left; say goodbye in the system account; stop monitoring.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Server, banner};
use crate::connection::close::CloseReason;
use crate::entropy::Random;

/// Clients are closed no further apart than this.
const SPACING_MAX: Duration = Duration::from_secs(1);
/// How long links are given to take their last bytes. Nothing is said to clients: they see
/// the end of the connection and go elsewhere.
const LINGER: Duration = Duration::from_secs(1);
/// How often it is looked whether they have gone.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Server {
    /// Stops listening and closes every connection.
    pub async fn shutdown(&self) {
        tracing::info!("{}", banner::SHUTDOWN);
        self.live.is_ready.store(false, Ordering::Relaxed);
        self.stop_accepting().await;
        self.events.shutdown();
        let streams = self.streams.lock().take();
        if let Some(streams) = &streams {
            let goodbye = streams.jetstream.streams.say_goodbye();
            let _ = tokio::time::timeout(LINGER, goodbye).await;
        }
        for client in self.front.clients.all() {
            client.link.close(CloseReason::ServerShutdown);
        }
        let mut threads = None;
        if let Some(streams) = streams {
            tracing::info!("{}", banner::JETSTREAM_SHUTDOWN);
            streams.task.abort();
            streams.keeper.abort();
            streams.scrub.abort();
            streams.jetstream.streams.stop().await;
            streams.wal.close();
            tracing::info!("{}", banner::JETSTREAM_STOPPED);
            // Some links live on the threads of streams until they have gone.
            threads = Some(streams.jetstream);
        }
        let gone = async {
            while !self.front.clients.is_empty() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(LINGER, gone).await;
        drop(threads);
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// Lame duck mode: takes no new clients, sends the present ones away over time, then
    /// shuts down.
    pub async fn lame_duck(self: &Arc<Self>) {
        let options = self.options();
        let limits = &options.limits;
        tracing::info!("{}", banner::LAME_DUCK);
        self.front.lame_duck.store(true, Ordering::Relaxed);
        self.events.lame_duck();
        self.stop_accepting().await;
        if self.front.clients.is_empty() {
            return self.shutdown().await;
        }
        self.refresh_info();
        tokio::time::sleep(limits.lame_duck_grace_period).await;
        tracing::info!("{}", banner::CLOSING);
        let clients = self.front.clients.all();
        let time = limits
            .lame_duck_duration
            .saturating_sub(limits.lame_duck_grace_period);
        let spacing = time
            .checked_div(clients.len() as u32)
            .unwrap_or_default()
            .min(SPACING_MAX);
        let mut random = Random::from_system();
        for client in clients {
            if self.front.clients.get(client.link.id).is_none() {
                continue;
            }
            client.link.close(CloseReason::ServerShutdown);
            if self.front.clients.len() <= 1 {
                break;
            }
            tokio::time::sleep(spacing.mul_f64(random.unit())).await;
        }
        self.shutdown().await;
    }

    /// Returns when nobody can connect any more: the port is closed only once the task is gone.
    async fn stop_accepting(&self) {
        let acceptor = self.acceptor.lock().take();
        if let Some(acceptor) = acceptor {
            acceptor.abort();
            let _ = acceptor.await;
        }
    }
}
