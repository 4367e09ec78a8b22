//! Answers into bytes: the other pure half of HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::refusal::{Refusal, reason};

/// What an answer's head depends on beside its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Manner {
    /// The connection ends behind it.
    pub(super) close: bool,
    /// The client speaks HTTP/1.0.
    pub(super) is_1_0: bool,
    /// The answer to a HEAD: its body is left out.
    pub(super) headless: bool,
}

/// `Date`, made anew once a second.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: u64,
    text: String,
}

impl Date {
    fn now(&mut self) -> &str {
        // Wall time for display: nothing is decided by it.
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.second != second {
            self.second = second;
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        &self.text
    }
}

/// Appends an answer with a JSON body, which comes in pieces.
pub(super) fn append(out: &mut Vec<u8>, status: u16, more: &str, body: &[&[u8]], manner: Manner, date: &mut Date) {
    append_head(out, status, more, body.iter().map(|piece| piece.len()).sum(), manner, date);
    if !manner.headless {
        body.iter().for_each(|piece| out.extend_from_slice(piece));
    }
}

/// Appends what is before such a body, of so many bytes.
pub(super) fn append_head(out: &mut Vec<u8>, status: u16, more: &str, length: usize, manner: Manner, date: &mut Date) {
    begin(out, status, manner, date);
    field(out, "Content-Type", "application/json");
    field(out, "Content-Length", itoa(&mut [0; 20], length));
    out.extend_from_slice(more.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends an answer that has no body and no length of one.
pub(super) fn append_empty(out: &mut Vec<u8>, status: u16, more: &str, manner: Manner, date: &mut Date) {
    begin(out, status, manner, date);
    out.extend_from_slice(more.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends an error.
pub(super) fn append_refusal(out: &mut Vec<u8>, refusal: &Refusal, manner: Manner, date: &mut Date) {
    append(out, refusal.status, &refusal.fields(), &[&refusal.body()], manner, date);
}

/// The client may send the body.
pub(super) fn append_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

fn begin(out: &mut Vec<u8>, status: u16, manner: Manner, date: &mut Date) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa(&mut [0; 20], status.into()).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason(status).as_bytes());
    out.extend_from_slice(b"\r\n");
    field(out, "Date", date.now());
    if manner.close {
        field(out, "Connection", "close");
    } else if manner.is_1_0 {
        field(out, "Connection", "keep-alive");
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    for piece in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// A number's digits, without the detour over `fmt`.
fn itoa(room: &mut [u8; 20], mut number: usize) -> &str {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    std::str::from_utf8(&room[at..]).expect("digits")
}
