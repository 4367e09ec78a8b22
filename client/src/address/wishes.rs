//! What an address may say behind a question mark: `tcp://host:5555?compression=zlib&checksum=crc32c`. Pure.

use std::fmt;

use speedysvc_protocol::wire::{Compression, Offer};

const FORMS: &str = "behind `?` stand compression=lz4, snappy, zlib or none, and checksum=crc32c or none, with `&` \
                     between them";

/// How frames shall be, as far as the address says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wishes {
    /// The inner `None` is "none".
    compression: Option<Option<Compression>>,
    checksum: bool,
}

impl Wishes {
    /// Takes them off the end of an address.
    pub(super) fn split(text: &str) -> Result<(&str, Self), String> {
        let Some((place, query)) = text.split_once('?') else { return Ok((text, Self::default())) };
        let mut wishes = Self::default();
        for wish in query.split('&') {
            match wish.split_once('=') {
                Some(("compression", "none")) => wishes.compression = Some(None),
                Some(("compression", name)) => {
                    let known = Compression::named(name).ok_or_else(|| format!("`{name}` is no compression; {FORMS}"));
                    wishes.compression = Some(Some(known?));
                }
                Some(("checksum", "crc32c")) => wishes.checksum = true,
                Some(("checksum", "none")) => wishes.checksum = false,
                _ => return Err(format!("`{wish}` cannot be wished for; {FORMS}")),
            }
        }
        Ok((place, wishes))
    }

    /// What to offer. Whoever says nothing takes what the service likes, to another machine; on this one compression
    /// costs more than the bytes that it saves (decision 0025).
    pub(crate) fn offer(self, on_this_machine: bool) -> Offer {
        let compressions: Vec<Compression> = match self.compression {
            Some(wanted) => wanted.into_iter().collect(),
            None if on_this_machine => Vec::new(),
            None => Compression::ALL.to_vec(),
        };
        let names = compressions.into_iter().map(|compression| compression.name().to_owned());
        Offer { compressions: names.collect(), checksum: self.checksum, trace: true }
    }
}

impl fmt::Display for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let compression = self.compression.map(|wanted| wanted.map_or("none", Compression::name));
        let first = if let Some(name) = compression { write!(f, "?compression={name}").map(|()| "&")? } else { "?" };
        if self.checksum { write!(f, "{first}checksum=crc32c") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_and_written() {
        for (text, offered) in [
            ("?compression=zlib", &["zlib"][..]),
            ("?compression=none", &[]),
            ("?compression=lz4&checksum=crc32c", &["lz4"]),
            ("?checksum=crc32c", &["lz4", "snappy", "zlib"]),
            ("", &["lz4", "snappy", "zlib"]),
        ] {
            let whole = format!("host:1{text}");
            let (place, wishes) = Wishes::split(&whole).unwrap();
            assert_eq!((place, wishes.to_string().as_str()), ("host:1", text));
            assert_eq!(wishes.offer(false).compressions, offered, "{text}");
            assert_eq!(wishes.offer(false).checksum, text.contains("crc32c"));
        }
    }

    #[test]
    fn nothing_is_compressed_on_this_machine_unless_it_is_wished_for() {
        let here = Wishes::default().offer(true);
        assert!(here.compressions.is_empty() && !here.checksum);
        let (_, wishes) = Wishes::split("x?compression=snappy").unwrap();
        assert_eq!(wishes.offer(true).compressions, ["snappy"]);
    }

    #[test]
    fn anything_else_is_refused_with_what_there_is() {
        for text in ["x?", "x?compression", "x?compression=lz5", "x?checksum=md5", "x?timeout=5", "x?compression=lz4&"]
        {
            assert!(Wishes::split(text).unwrap_err().contains("compression=lz4"), "{text}");
        }
    }
}
