//! What a connection speaks, decided once by its first bytes, however few arrive at a time.
//!
//! The place for TLS: a hello is known by its first byte, and whoever answers it then decides again on what is inside.

use std::sync::Once;

use speedysvc_protocol::frame::MAGIC;

/// What a peer speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speech {
    /// Frames of our own.
    Native,
    /// HTTP/1.1, or what wants to be it.
    Http,
    /// TLS: the first byte of a handshake record (RFC 8446, section 5.1).
    Tls,
    /// None of these.
    Unknown,
}

/// Decides by the first byte: the three have none in common. `None` when nothing has arrived.
#[must_use]
pub fn decide(arrived: &[u8]) -> Option<Speech> {
    const TLS_HANDSHAKE: u8 = 22;
    Some(match *arrived.first()? {
        first if first == MAGIC[0] => Speech::Native,
        TLS_HANDSHAKE => Speech::Tls,
        // A method, or the empty line that some clients send before it (RFC 9112, section 2.2). Methods in small
        // letters do not exist, but whoever writes one is better served by an answer in HTTP.
        first if first.is_ascii_alphabetic() || first == b'\r' => Speech::Http,
        _ => Speech::Unknown,
    })
}

/// What a TLS client is told, as it understands it: a fatal alert, "handshake failure" (RFC 8446, section 6.2).
pub(crate) const TLS_REFUSAL: [u8; 7] = [21, 3, 1, 0, 2, 2, 40];

/// Says in the worker's log what its client is told in an alert without words. Once: anybody can bring it about.
pub(crate) fn say_once_that_tls_came() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("speedysvc: a client began with TLS, and was refused: this port speaks frames and plain HTTP");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_is_enough_and_more_change_nothing() {
        let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
        let beginnings: [(&[u8], Speech); 6] = [
            (&MAGIC, Speech::Native),
            (b"POST /echo/echo HTTP/1.1\r\n", Speech::Http),
            (b"\r\nGET / HTTP/1.1\r\n", Speech::Http),
            (&hello, Speech::Tls),
            (&[0x80, 0x2e, 1, 3, 1], Speech::Unknown), // the hello of SSL 2
            (b"\n", Speech::Unknown),
        ];
        assert_eq!(decide(b""), None);
        for (bytes, speech) in beginnings {
            for len in 1..=bytes.len() {
                assert_eq!(decide(&bytes[..len]), Some(speech), "{}", bytes[..len].escape_ascii());
            }
        }
    }
}
