//! What the harness says: where the servers are, what opens them, and the door
//! through which they are moved.

use serde::Deserialize;
use std::collections::HashMap;
use std::io::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The JSON named by `NATTER_COMPAT`.
#[derive(Deserialize)]
pub struct Contract {
    control: String,
    servers: HashMap<String, Entry>,
    pub tls: HashMap<String, String>,
    pub auth: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    /// What the server said when it refused its configuration.
    Unbuilt {
        unbuilt: String,
    },
    Running(Server),
}

/// Panic payload that ends a scenario as skipped: it needs a server this product
/// does not have yet.
pub struct Unbuilt(pub String);

#[derive(Deserialize)]
pub struct Server {
    pub url: String,
    pub name: String,
    pub port: u16,
}

impl Contract {
    pub fn load() -> Result<Contract> {
        let path = std::env::var("NATTER_COMPAT").map_err(Error::other)?;
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(Error::other)
    }

    pub fn server(&self, name: &str) -> &Server {
        match self.servers.get(name) {
            Some(Entry::Running(server)) => server,
            Some(Entry::Unbuilt { unbuilt }) => {
                std::panic::resume_unwind(Box::new(Unbuilt(unbuilt.clone())))
            }
            None => panic!("the harness has no server {name}"),
        }
    }

    /// Asks the harness to do something; returns when it has happened.
    pub async fn control(&self, path: &str) -> Result<()> {
        let door = self.control.trim_start_matches("http://");
        let mut stream = TcpStream::connect(door).await?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        if answer.split(' ').nth(1) == Some("200") {
            return Ok(());
        }
        Err(Error::other(format!("control {path}: {answer}")))
    }
}
