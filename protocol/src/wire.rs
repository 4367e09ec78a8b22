//! What the two ends of a socket agree on beside the calls: compression, checksums and traces. The client offers in its
//! HELLO, the service decides in its WELCOME; who says nothing of it gets plain frames, so older ends are understood.

use serde::{Deserialize, Serialize};

/// How bodies may be made smaller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// LZ4 blocks: fast.
    Lz4,
    /// Snappy's raw format: about as fast, and shrinks about as much.
    Snappy,
    /// Deflate with zlib's frame: smallest, and several times slower.
    Zlib,
}

impl Compression {
    /// All of them, the one that is taken where nothing else is said first.
    pub const ALL: [Self; 3] = [Self::Lz4, Self::Snappy, Self::Zlib];

    /// The name in handshakes, files and addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Zlib => "zlib",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.name() == name)
    }
}

/// What a client can read and would like.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Offer {
    /// Names of compressions, the one that it likes most first. Unknown ones are of a later version, and passed over.
    #[serde(default)]
    pub compressions: Vec<String>,
    /// Frames shall carry checksums.
    #[serde(default)]
    pub checksum: bool,
    /// TRACE frames may stand before calls.
    #[serde(default)]
    pub trace: bool,
}

/// What was agreed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Wire {
    /// Bodies of calls and replies may be compressed so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// All frames behind the WELCOME carry checksums, the client's from when it has read that.
    #[serde(default)]
    pub checksum: bool,
    /// TRACE frames may stand before calls.
    #[serde(default)]
    pub trace: bool,
}

impl Offer {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The service's side: it likes `preferred`; without one it does not compress.
    #[must_use]
    pub fn answer(&self, preferred: Option<Compression>) -> Wire {
        let known = || self.compressions.iter().filter_map(|name| Compression::named(name));
        let both = preferred.and_then(|preferred| known().find(|known| *known == preferred).or_else(|| known().next()));
        Wire { compression: both, checksum: self.checksum, trace: self.trace }
    }
}

impl Wire {
    /// Whether frames are as they were before there was anything to agree on.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(names: &[&str]) -> Offer {
        Offer { compressions: names.iter().map(|name| (*name).to_owned()).collect(), ..Offer::default() }
    }

    #[test]
    fn the_service_chooses_among_what_the_client_offers() {
        let chosen = |names: &[&str], preferred| offer(names).answer(preferred).compression;
        let all = ["lz4", "snappy", "zlib"];
        assert_eq!(chosen(&all, Some(Compression::Zlib)), Some(Compression::Zlib));
        assert_eq!(chosen(&["snappy"], Some(Compression::Lz4)), Some(Compression::Snappy), "what both can");
        assert_eq!(chosen(&["brotli", "zlib", "snappy"], Some(Compression::Lz4)), Some(Compression::Zlib));
        assert_eq!(chosen(&["brotli"], Some(Compression::Lz4)), None);
        assert_eq!(chosen(&[], Some(Compression::Lz4)), None);
        assert_eq!(chosen(&all, None), None);
    }

    #[test]
    fn names_are_the_words_of_the_handshake() {
        for compression in Compression::ALL {
            assert_eq!(Compression::named(compression.name()), Some(compression));
            let text = serde_json::to_string(&compression).unwrap();
            assert_eq!(text, format!("\"{}\"", compression.name()));
        }
        let nothing: Wire = serde_json::from_str("{}").unwrap();
        assert!(nothing.is_plain());
    }
}
