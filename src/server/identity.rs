//! Who a server is: its key pair, new at each start, and its name.

use crate::auth::nkey::{KeyPair, Role};
use crate::entropy;

/// A server's id and name.
pub struct Identity {
    keys: KeyPair,
    /// The configured name, else the id.
    pub name: String,
}

impl Identity {
    /// A new identity; `name` is the configured one.
    pub fn new(name: Option<&str>) -> Self {
        let keys = KeyPair::from_random(Role::Server, entropy::secret_bytes());
        let name = name.unwrap_or(keys.public_key()).to_owned();
        Identity { keys, name }
    }

    /// The public key (`N…`).
    pub fn id(&self) -> &str {
        self.keys.public_key()
    }
}
