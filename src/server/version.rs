//! Versions: ours, and the one clients gate features on.

/// The product's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The highest version of the incumbent all of whose client-visible features work; what
/// INFO says as `version` (spec core §1.3).
pub const COMPATIBILITY: &str = "2.10.29";
/// What INFO and monitoring show where the incumbent names its compiler.
pub const COMPILER: &str = "rust";
