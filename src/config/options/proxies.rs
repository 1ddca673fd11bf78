//! `proxies {}`: proxies that may speak for clients.

/// Proxies that may speak for clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Public keys of trusted proxies. Default: none.
    pub trusted: Vec<String>,
}
