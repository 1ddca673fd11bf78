//! What the server itself writes into the metadata of streams and consumers.
//!
//! Separate because streams and consumers share the rules (jetstream spec §2.2): the level
//! of the API that an asset needs is stored with it; the server's own level and version are
//! added to answers only, and neither counts when two configurations are compared.
//!
//! Invariant: stored metadata has the required level and neither of the other two keys.

use std::collections::BTreeMap;

/// Metadata of a stream or consumer.
pub type Metadata = BTreeMap<String, String>;

/// The level of the API that this server speaks.
pub const API_LEVEL: u32 = 1;
/// Stored: the level that the asset needs.
pub const REQUIRED_LEVEL: &str = "_nats.req.level";
/// In answers: the server's level.
pub const SERVER_LEVEL: &str = "_nats.level";
/// In answers: the server's version.
pub const SERVER_VERSION: &str = "_nats.ver";
/// The most that keys and values may have together.
pub const BYTES_MAX: usize = 128 * 1024;

/// Replaces what a request says under the server's keys by the level the asset needs.
pub fn set_required_level(metadata: &mut Metadata, level: u32) {
    metadata.remove(SERVER_LEVEL);
    metadata.remove(SERVER_VERSION);
    metadata.insert(REQUIRED_LEVEL.to_owned(), level.to_string());
}

/// The metadata as an answer shows it.
#[must_use]
pub fn shown(mut metadata: Metadata, version: &str) -> Metadata {
    metadata.insert(SERVER_LEVEL.to_owned(), API_LEVEL.to_string());
    metadata.insert(SERVER_VERSION.to_owned(), version.to_owned());
    metadata
}

/// Whether what users wrote is the same.
pub fn is_same(a: &Metadata, b: &Metadata) -> bool {
    let own = |key: &str| [REQUIRED_LEVEL, SERVER_LEVEL, SERVER_VERSION].contains(&key);
    a.iter()
        .filter(|(key, _)| !own(key))
        .eq(b.iter().filter(|(key, _)| !own(key)))
}

/// Whether keys and values are more than may be.
pub fn is_too_long(metadata: &Metadata) -> bool {
    let bytes: usize = metadata
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    bytes > BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> Metadata {
        let owned = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    #[test]
    fn the_servers_keys_are_replaced() {
        let mut asked = metadata(&[
            ("a", "1"),
            ("_nats.ver", "x"),
            ("_nats.level", "9"),
            ("_nats.req.level", "7"),
        ]);
        set_required_level(&mut asked, 1);
        assert_eq!(asked, metadata(&[("_nats.req.level", "1"), ("a", "1")]));
        let shown = shown(asked.clone(), "1.2.3");
        assert_eq!(shown.get("_nats.ver").map(String::as_str), Some("1.2.3"));
        assert!(is_same(&shown, &asked) && is_same(&shown, &metadata(&[("a", "1")])));
        assert!(!is_same(&shown, &metadata(&[("a", "2")])));
    }
}
