//! Two flags, one each way: the client raises the first, the server answers by raising the second.

use std::convert::Infallible;
use std::hint;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;
use rustix::thread::futex;

use super::area::Area;
use crate::contender::Client;

const REQUEST: usize = 0;
/// Not the neighbour: processors fetch lines in pairs.
const REPLY: usize = 2;

/// Where the payload travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payload {
    /// In the flags' own lines.
    Inline,
    /// In two areas: the server copies from the first to the second.
    TwoAreas,
    /// In one area: the server takes the request out, and writes the reply over it.
    OneArea,
}

impl Payload {
    /// The memory that this way needs.
    pub(crate) fn area(self, size: usize) -> io::Result<Area> {
        match self {
            Self::Inline => Area::create(0, 0),
            Self::TwoAreas => Area::create(2, size),
            Self::OneArea => Area::create(1, size),
        }
    }

    fn reply_area(self) -> usize {
        usize::from(self == Self::TwoAreas)
    }
}

/// How a side waits for a flag.
pub(crate) trait Wait {
    /// Waits until the flag has this value.
    fn until(flag: &AtomicU32, wanted: u32) -> io::Result<()>;
    /// Raises a flag that somebody may wait for.
    fn raise(flag: &AtomicU32, value: u32) -> io::Result<()>;
}

/// Looks without pause: no system call.
pub(crate) struct Spinning;

impl Wait for Spinning {
    #[inline]
    fn until(flag: &AtomicU32, wanted: u32) -> io::Result<()> {
        while flag.load(Ordering::Acquire) != wanted {
            hint::spin_loop();
        }
        Ok(())
    }

    #[inline]
    fn raise(flag: &AtomicU32, value: u32) -> io::Result<()> {
        flag.store(value, Ordering::Release);
        Ok(())
    }
}

/// Sleeps at once, and wakes at every turn: both sides asleep.
pub(crate) struct Sleeping;

impl Wait for Sleeping {
    fn until(flag: &AtomicU32, wanted: u32) -> io::Result<()> {
        loop {
            let seen = flag.load(Ordering::Acquire);
            if seen == wanted {
                return Ok(());
            }
            match futex::wait(flag, futex::Flags::empty(), seen, None) {
                Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn raise(flag: &AtomicU32, value: u32) -> io::Result<()> {
        flag.store(value, Ordering::Release);
        futex::wake(flag, futex::Flags::empty(), 1)?;
        Ok(())
    }
}

/// Answers for ever.
pub(crate) fn serve<W: Wait>(area: &Area, payload: Payload, size: usize) -> io::Result<Infallible> {
    let (request, reply) = (area.line(REQUEST), area.line(REPLY));
    let mut private = vec![0; size];
    let mut turn = 0_u32;
    loop {
        turn = turn.wrapping_add(1);
        W::until(&request.flag, turn)?;
        match payload {
            Payload::Inline => reply.copy_from(request, size),
            Payload::TwoAreas => area.copy_over(0, 1, size),
            Payload::OneArea => {
                area.copy_out(0, &mut private);
                area.copy_in(0, &private);
            }
        }
        W::raise(&reply.flag, turn)?;
    }
}

/// The client's side.
pub(crate) struct PingPong<W> {
    area: Area,
    payload: Payload,
    turn: u32,
    wait: std::marker::PhantomData<W>,
}

impl<W> PingPong<W> {
    /// Maps the memory of a server that has not been called yet.
    pub(crate) fn connect(address: &str, payload: Payload) -> io::Result<Self> {
        Ok(Self { area: Area::open(address)?, payload, turn: 0, wait: std::marker::PhantomData })
    }
}

impl<W: Wait> Client for PingPong<W> {
    #[inline]
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let line = self.area.line(REQUEST);
        match self.payload {
            Payload::Inline => line.put(request),
            Payload::TwoAreas | Payload::OneArea => self.area.copy_in(0, request),
        }
        self.turn = self.turn.wrapping_add(1);
        W::raise(&line.flag, self.turn)
    }

    #[inline]
    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let line = self.area.line(REPLY);
        W::until(&line.flag, self.turn)?;
        match self.payload {
            Payload::Inline => line.take(reply),
            Payload::TwoAreas | Payload::OneArea => self.area.copy_out(self.payload.reply_area(), reply),
        }
        Ok(())
    }
}
