//! Names that end up in paths, addresses and logs, so their letters are few.

use std::fmt;

use crate::Refused;

/// The name of a service: `[a-z][a-z0-9_-]{0,47}`. It is what `shm://NAME` says and what its socket is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 48;

    /// Refuses a name that is empty, too long or has other letters.
    pub fn new(name: &str) -> Result<Self, Refused> {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
        let rest = name.bytes().all(|b| is_plain(b) || b == b'_');
        if starts && rest && name.len() <= Self::MAX_LEN {
            Ok(Self(name.to_owned()))
        } else {
            Err(Refused { expected: "a name of at most 48 of a-z, 0-9, `_` and `-` that starts with a letter" })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which copy of the engine this is, for several side by side: `[a-z0-9-]{1,32}`. A folder in the run folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 32;

    /// Refuses a name that is empty, too long or has other letters.
    pub fn new(name: &str) -> Result<Self, Refused> {
        if (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(is_plain) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Refused { expected: "1 to 32 of a-z, 0-9 and `-`" })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    /// `default`
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names() {
        for good in ["e", "echo", "a-b_c9", &"x".repeat(48)] {
            assert!(ServiceName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Echo", "9a", "-a", "a.b", "a/b", "é", &"x".repeat(49)] {
            assert!(ServiceName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn namespaces() {
        for good in ["default", "9", "-", &"x".repeat(32)] {
            assert!(Namespace::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a_b", "A", "..", "a/b", &"x".repeat(33)] {
            assert!(Namespace::new(bad).is_err(), "{bad}");
        }
    }
}
