//! One row of a table of keys: how a key is written, what it means and how it is read.
//!
//! Separate because three things come from the same rows: reading a block, the reference in
//! `docs/config.md`, and the test that every example changes the options. A key without a
//! row does not exist, so none of the three can forget it.

use super::reader::{Item, Reader};

/// A key of a block that is read into a `T`.
pub struct Key<T> {
    /// The name and its aliases, `name|alias|alias`; the first is the published one.
    pub names: &'static str,
    /// The form of the value, for people.
    pub form: &'static str,
    /// The default, for people.
    pub default: &'static str,
    /// Whether a reload may change it.
    pub reload: Reload,
    /// A value that is not the default, as configuration text.
    pub example: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Puts the value into the options, or says what is wrong with it.
    pub read: Read<T>,
}

/// Puts a value into a `T`, or records what is wrong with it.
pub type Read<T> = fn(&mut T, Item<'_>, &mut Reader);

/// Whether a reload may change a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It takes effect.
    Yes,
    /// The whole reload is refused.
    No,
    /// Parts of it take effect.
    Part,
}

/// A row in the order in which it reads best.
pub const fn key<T>(
    names: &'static str,
    form: &'static str,
    default: &'static str,
    reload: Reload,
    example: &'static str,
    meaning: &'static str,
    read: Read<T>,
) -> Key<T> {
    Key {
        names,
        form,
        default,
        reload,
        example,
        meaning,
        read,
    }
}

impl<T> Key<T> {
    /// The published name.
    pub fn name(&self) -> &'static str {
        self.names.split('|').next().unwrap_or(self.names)
    }

    /// The key is written so, in any case.
    pub fn is_named(&self, text: &str) -> bool {
        self.names
            .split('|')
            .any(|name| name.eq_ignore_ascii_case(text))
    }
}
