//! A chunked body (RFC 9112, section 7.1), however its bytes are cut. Its memory is the body, up to the limit.

use httparse::{EMPTY_HEADER, Status};

use super::refusal::Refusal;

/// Longest line with a chunk's size: 16 digits, and extensions that nobody uses.
const SIZE_LINE_MAX: usize = 256;
/// Most bytes of trailers. They are judged and ignored.
const TRAILERS_MAX: usize = 4096;
const TRAILERS_COUNT: usize = 16;

/// Where in the body we are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Before a chunk's size.
    Size,
    /// Inside a chunk, with so many bytes to come.
    Data(u64),
    /// Behind a chunk, before its CR LF.
    DataEnd,
    /// Behind the last chunk.
    Trailers,
    /// Behind it all.
    End,
}

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Chunks {
    place: Place,
    body: Vec<u8>,
    limit: usize,
    /// Bytes are thrown away.
    discards: bool,
    is_too_large: bool,
}

impl Chunks {
    pub(super) fn new(limit: usize) -> Self {
        Self { place: Place::Size, body: Vec::new(), limit, discards: false, is_too_large: false }
    }

    /// Nobody wants this body: what is left of it is read and thrown away.
    pub(super) fn discard(&mut self) {
        self.discards = true;
        self.body = Vec::new();
    }

    pub(super) fn is_discarded(&self) -> bool {
        self.discards
    }

    /// Whether the body turned out to be over the limit. Its bytes are thrown away from then on.
    pub(super) fn take_too_large(&mut self) -> bool {
        std::mem::take(&mut self.is_too_large)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.place == Place::End
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Takes what can be taken of what has arrived: how many bytes that was. 0 means that more must come.
    pub(super) fn take(&mut self, arrived: &[u8]) -> Result<usize, Refusal> {
        match self.place {
            Place::Size => self.size(arrived),
            Place::Data(left) => {
                let count = usize::try_from(left).map_or(arrived.len(), |left| left.min(arrived.len()));
                self.keep(&arrived[..count]);
                let left = left - count as u64;
                self.place = if left == 0 { Place::DataEnd } else { Place::Data(left) };
                Ok(count)
            }
            Place::DataEnd => match arrived {
                [b'\r', b'\n', ..] => {
                    self.place = Place::Size;
                    Ok(2)
                }
                [] | [b'\r'] => Ok(0),
                _ => Err(Refusal::bad("a chunk is longer than its size")),
            },
            Place::Trailers => self.trailers(arrived),
            Place::End => Ok(0),
        }
    }

    fn size(&mut self, arrived: &[u8]) -> Result<usize, Refusal> {
        let bad = || Refusal::bad("a chunk's size cannot be read");
        let within = &arrived[..arrived.len().min(SIZE_LINE_MAX)];
        let line = within.iter().position(|byte| *byte == b'\n').map_or(within, |end| &within[..=end]);
        // httparse takes anything for an extension, and reads a size of no digits as 0; other readers may not.
        let text = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\r")).unwrap_or(line);
        let starts = text.is_empty() && line.len() < 2 || text.first().is_some_and(u8::is_ascii_hexdigit);
        if !starts || text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(bad());
        }
        match httparse::parse_chunk_size(line).map_err(|_| bad())? {
            Status::Partial if within.len() == SIZE_LINE_MAX || line.ends_with(b"\n") => Err(bad()),
            Status::Partial => Ok(0),
            Status::Complete((taken, size)) => {
                self.place = if size == 0 { Place::Trailers } else { Place::Data(size) };
                // What is announced is never more than what may come: nothing is allocated for it here.
                if size > (self.limit - self.body.len()) as u64 {
                    self.refuse();
                }
                Ok(taken)
            }
        }
    }

    fn refuse(&mut self) {
        if !self.discards {
            self.discard();
            self.is_too_large = true;
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.discards {
            self.body.extend_from_slice(bytes);
        }
    }

    fn trailers(&mut self, arrived: &[u8]) -> Result<usize, Refusal> {
        let within = &arrived[..arrived.len().min(TRAILERS_MAX)];
        let mut fields = [EMPTY_HEADER; TRAILERS_COUNT];
        let parsed = httparse::parse_headers(within, &mut fields);
        match parsed.map_err(|error| Refusal::bad(format!("trailers: {error}")))? {
            Status::Partial if within.len() == TRAILERS_MAX => Err(Refusal::head_too_large()),
            Status::Partial => Ok(0),
            Status::Complete((taken, _)) if super::head::lines_end_properly(&within[..taken]) => {
                self.place = Place::End;
                Ok(taken)
            }
            Status::Complete(_) => Err(Refusal::bad("a trailer's line does not end with CR LF")),
        }
    }
}
