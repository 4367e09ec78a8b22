//! Two rings of slots, one writer and one reader each. Each slot carries its own sequence number, so that one line
//! moves per message and no index is shared.

use std::convert::Infallible;
use std::hint;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use super::area::{Area, Line};
use crate::contender::Client;

/// Slots of each ring, and so the most that can be in flight.
pub(crate) const DEPTH: usize = 64;

/// The memory of both rings.
pub(crate) fn area() -> io::Result<Area> {
    Area::create(0, 0)
}

fn request(area: &Area, message: u32) -> &Line {
    area.line(slot(message))
}

fn reply(area: &Area, message: u32) -> &Line {
    area.line(DEPTH + slot(message))
}

fn slot(message: u32) -> usize {
    message as usize % DEPTH
}

/// A message's number as its slot shows it: never the zero of fresh memory for the first turn of the ring.
fn wait(flag: &AtomicU32, message: u32) {
    while flag.load(Ordering::Acquire) != message.wrapping_add(1) {
        hint::spin_loop();
    }
}

fn publish(flag: &AtomicU32, message: u32) {
    flag.store(message.wrapping_add(1), Ordering::Release);
}

/// Answers for ever. A reply never overwrites one that is unread: the client sends the next message into a slot only
/// after it has read that slot's last reply.
pub(crate) fn serve(area: &Area, size: usize) -> io::Result<Infallible> {
    let mut message = 0_u32;
    loop {
        let (from, to) = (request(area, message), reply(area, message));
        wait(&from.flag, message);
        to.copy_from(from, size);
        publish(&to.flag, message);
        message = message.wrapping_add(1);
    }
}

/// The client's side.
pub(crate) struct Ring {
    area: Area,
    sent: u32,
    received: u32,
}

impl Ring {
    /// Maps the memory of a server that has not been called yet.
    pub(crate) fn connect(address: &str) -> io::Result<Self> {
        Ok(Self { area: Area::open(address)?, sent: 0, received: 0 })
    }
}

impl Client for Ring {
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        debug_assert!((self.sent.wrapping_sub(self.received) as usize) < DEPTH, "the ring is full");
        let line = request(&self.area, self.sent);
        line.put(bytes);
        publish(&line.flag, self.sent);
        self.sent = self.sent.wrapping_add(1);
        Ok(())
    }

    #[inline]
    fn receive(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let line = reply(&self.area, self.received);
        wait(&line.flag, self.received);
        line.take(bytes);
        self.received = self.received.wrapping_add(1);
        Ok(())
    }
}
