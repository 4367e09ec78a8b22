//! Requests out of bytes: the pure half of HTTP. No socket, no clock, no service.
//!
//! ```text
//! head ──▶ the caller accepts it, or not ──▶ body (kept, or thrown away) ──▶ next head
//! ```

use super::chunks::Chunks;
use super::head::{self, Body, HEAD_MAX, Head};
use super::refusal::Refusal;

/// Reads the requests of one connection, one after the other.
#[derive(Debug)]
pub struct Reader {
    /// Most bytes of a body.
    limit: usize,
    place: Place,
    /// Bytes of an unfinished head that have been looked at.
    looked: usize,
}

#[derive(Debug)]
enum Place {
    Head,
    /// A body of which so many bytes are to come, all at once.
    Length(usize),
    Chunks(Chunks),
    /// Behind such a body, which was handed out.
    BehindChunks(Chunks),
    /// A body that nobody wants, of which so many bytes are to come.
    Skip(u64),
}

/// What was found.
#[derive(PartialEq, Eq, Debug)]
pub enum Event<'a> {
    /// More bytes are needed: so many in all, if that is known.
    Wait(usize),
    /// Nothing to tell; ask again.
    Nothing,
    /// A request begins. Say [`Reader::accept`], or its body is thrown away.
    Head(Head<'a>),
    /// The whole body of the request that was accepted.
    Body(&'a [u8]),
    /// The body is over the limit. What comes of it is thrown away, and the connection can go on.
    TooLarge,
}

impl Reader {
    /// A reader of requests whose bodies have at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, place: Place::Head, looked: 0 }
    }

    /// Looks at what has arrived: what is there, and how many bytes of it are done with once the event is handled.
    ///
    /// # Errors
    /// [`Refusal`] when the bytes are no request. Nothing behind them can be understood.
    pub fn next<'a>(&'a mut self, arrived: &'a [u8]) -> Result<(usize, Event<'a>), Refusal> {
        match &mut self.place {
            Place::BehindChunks(_) => {
                self.place = Place::Head;
                Ok((0, Event::Nothing))
            }
            Place::Head => self.head(arrived),
            Place::Skip(left) => {
                let count = usize::try_from(*left).map_or(arrived.len(), |left| left.min(arrived.len()));
                *left -= count as u64;
                let ended = *left == 0;
                if ended {
                    self.place = Place::Head;
                }
                Ok((count, if ended { Event::Nothing } else { Event::Wait(0) }))
            }
            Place::Length(length) if arrived.len() < *length => Ok((0, Event::Wait(*length))),
            Place::Length(length) => {
                let length = *length;
                self.place = Place::Head;
                Ok((length, Event::Body(&arrived[..length])))
            }
            Place::Chunks(_) => self.chunks(arrived),
        }
    }

    fn head<'a>(&mut self, arrived: &'a [u8]) -> Result<(usize, Event<'a>), Refusal> {
        // Some clients send an empty line behind a body (RFC 9112, section 2.2).
        if arrived.starts_with(b"\r\n") {
            self.looked = 0;
            return Ok((2, Event::Nothing));
        }
        if arrived == b"\r" || !self.may_be_whole(arrived) {
            return Ok((0, Event::Wait(0)));
        }
        let Some((head, length)) = head::parse(arrived)? else { return Ok((0, Event::Wait(0))) };
        self.looked = 0;
        // Not wanted, until somebody says otherwise.
        self.place = match head.body {
            Body::Length(0) => Place::Head,
            Body::Length(length) => Place::Skip(length),
            Body::Chunked => {
                let mut chunks = Chunks::new(self.limit);
                chunks.discard();
                Place::Chunks(chunks)
            }
        };
        Ok((length, Event::Head(head)))
    }

    /// Whether it is worth parsing: at first, and then when a line has ended, or too much has come. Else a head that
    /// comes byte by byte would be parsed once for each.
    fn may_be_whole(&mut self, arrived: &[u8]) -> bool {
        let is_first = self.looked == 0;
        let new = arrived.get(self.looked..).unwrap_or_default();
        self.looked = arrived.len();
        !new.is_empty() && (is_first || new.contains(&b'\n') || arrived.len() >= HEAD_MAX)
    }

    /// The body of the head that was just told is wanted.
    ///
    /// # Errors
    /// [`Refusal`] when it says itself that it is over the limit. It is thrown away, then.
    pub fn accept(&mut self, body: Body) -> Result<(), Refusal> {
        self.place = match body {
            Body::Chunked => Place::Chunks(Chunks::new(self.limit)),
            Body::Length(length) => match usize::try_from(length).ok().filter(|length| *length <= self.limit) {
                Some(length) => Place::Length(length),
                None => return Err(Refusal::too_large(Some(length), self.limit)),
            },
        };
        Ok(())
    }

    fn chunks<'a>(&'a mut self, arrived: &[u8]) -> Result<(usize, Event<'a>), Refusal> {
        let Place::Chunks(mut chunks) = std::mem::replace(&mut self.place, Place::Head) else {
            return Ok((0, Event::Nothing));
        };
        let mut taken = 0;
        while !chunks.has_ended() {
            let count = chunks.take(&arrived[taken..])?;
            taken += count;
            let event = match (chunks.take_too_large(), count) {
                (true, _) => Event::TooLarge,
                (false, 0) => Event::Wait(0),
                (false, _) => continue,
            };
            self.place = Place::Chunks(chunks);
            return Ok((taken, event));
        }
        if chunks.is_discarded() {
            return Ok((taken, Event::Nothing));
        }
        self.place = Place::BehindChunks(chunks);
        let Place::BehindChunks(chunks) = &self.place else { return Ok((taken, Event::Nothing)) };
        Ok((taken, Event::Body(chunks.body())))
    }

    /// The body for which it waits has been taken, elsewhere.
    pub(super) fn took_body(&mut self) {
        debug_assert!(matches!(self.place, Place::Length(_)), "it waits for {:?}", self.place);
        self.place = Place::Head;
    }

    /// Whether it stands between two requests.
    #[must_use]
    pub fn is_between(&self) -> bool {
        matches!(self.place, Place::Head | Place::BehindChunks(_))
    }
}
