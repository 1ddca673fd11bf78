//! Subject mappings: what is published under one subject goes out under another.

/// A mapping as configured (spec core §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingSpec {
    /// The filter that published subjects are held against.
    pub source: String,
    /// Where they go, by weight.
    pub destinations: Vec<Destination>,
}

/// One destination of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// A subject with transform functions.
    pub subject: String,
    /// Percent of messages, 0 to 100.
    pub weight: u8,
    /// Only on servers of this cluster.
    pub cluster: Option<String>,
}
