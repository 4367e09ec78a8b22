//! Bodies of calls compressed, in rooms that are kept from call to call: callers pack side by side, under no lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::Sent;
use speedysvc_protocol::limits::COMPRESS_FROM;
use speedysvc_protocol::packing::Packer;
use speedysvc_protocol::wire::Compression;

/// The most rooms that are kept: more callers than processors gain nothing.
const KEPT: usize = 8;
/// The most that each keeps for what it packed.
const KEEP: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Rooms(Mutex<Vec<Room>>);

/// Boxed, as calls that are not compressed carry the place for one, too.
struct Room(Box<Inside>);

struct Inside {
    packer: Packer,
    packed: Buffer,
}

/// A body as it will be sent. Its room goes back when it is dropped.
pub(super) struct Packed<'a> {
    rooms: &'a Rooms,
    room: Option<Room>,
    body: &'a [u8],
    pays: bool,
}

impl Rooms {
    /// Compresses a body, if that was agreed and pays.
    pub(super) fn pack<'a>(&'a self, how: Option<Compression>, body: &'a [u8]) -> Packed<'a> {
        let how = how.filter(|_| body.len() >= COMPRESS_FROM);
        let mut room = how.map(|_| self.take());
        let packs = |how, Inside { packer, packed }: &mut Inside| packer.pack(how, body, packed);
        let pays = how.zip(room.as_mut()).is_some_and(|(how, room)| packs(how, &mut room.0));
        Packed { rooms: self, room, body, pays }
    }

    fn take(&self) -> Room {
        let kept = self.locked().pop();
        kept.unwrap_or_else(|| Room(Box::new(Inside { packer: Packer::default(), packed: Buffer::new(0) })))
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packed<'_> {
    pub(super) fn sent(&self) -> Sent<'_> {
        match &self.room {
            Some(room) if self.pays => Sent { bytes: room.0.packed.as_slice(), full_len: self.body.len() },
            _ => Sent::plain(self.body),
        }
    }
}

impl Drop for Packed<'_> {
    fn drop(&mut self) {
        let Some(mut room) = self.room.take() else { return };
        room.0.packed.trim(KEEP);
        let mut rooms = self.rooms.locked();
        if rooms.len() < KEPT {
            rooms.push(room);
        }
    }
}
