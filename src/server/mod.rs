//! The composition root (being built).
use std::sync::Arc;
use std::time::Duration;

use crate::client::session::ClientSession;
use crate::connection::driver::{self, DriverOptions};
use crate::connection::id::{ConnId, Kind};
use crate::connection::link::{Link, WriteOptions};
use crate::connection::pending::PendingTotal;
use crate::net::{self, Wire};
use crate::pubsub::accounts::Account;
use crate::tasks::Shards;

/// x
pub async fn run(port: u16) -> std::io::Result<()> {
    let shards = Shards::start(
        std::env::var("SHARDS")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or(2),
    )?;
    let listener = net::listen(([127, 0, 0, 1], port).into())?;
    let account = Account::new("$G");
    let total = Arc::new(PendingTotal::new(1 << 30));
    let mut id = 0;
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        id += 1;
        let account = account.clone();
        let options = WriteOptions {
            pending_max: 64 << 20,
            total: total.clone(),
        };
        let stream = stream.into_std()?;
        shards.spawn(async move {
            let stream = tokio::net::TcpStream::from_std(stream).expect("x");
            let (reader, writer) = Wire::Tcp(stream).split();
            let link = Link::new(ConnId(id), Kind::Client, peer, writer, options);
            link.send(b"INFO {\"server_id\":\"x\",\"version\":\"2.10.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n");
            let session = ClientSession::new(link.clone(), account);
            driver::drive(reader, link, session, DriverOptions { write_deadline: Duration::from_secs(10) }).await;
        });
    }
}
