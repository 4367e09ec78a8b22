//! The sizes of a link, in JSON and as numbers: parts follow each other, and every slot's buffer lies inside.

use speedysvc_protocol::shm::layout::{Geometry, Grant, SLOT_BUFFER};

use crate::input::Input;
use crate::json::survives;

pub fn target(data: &[u8]) {
    if let Some(geometry) = survives::<Geometry>(data) {
        is_sound(geometry);
    }
    let mut input = Input(data);
    let (slots, bytes) = (u16::from_le_bytes([input.byte(), input.byte()]), input.word());
    for bytes in [bytes, bytes % (1 << 40), 1 << (bytes % 64)] {
        if let Ok(geometry) = Geometry::new(slots, bytes) {
            is_sound(geometry);
        }
        if let Ok(geometry) = Geometry::for_messages(slots, bytes) {
            assert!(geometry.heap() >= 2 * bytes, "two of the largest messages fit");
            is_sound(geometry);
        }
    }
}

fn is_sound(geometry: Geometry) {
    assert!((1..=64).contains(&geometry.slots()));
    assert!(geometry.heap().is_power_of_two() && geometry.heap() >= SLOT_BUFFER);
    assert_eq!(geometry.heap_offset() + geometry.heap(), geometry.arena());
    assert!(geometry.request_segment() >= geometry.arena() + geometry.slots() as u64 * 128);
    assert!(geometry.reply_segment() >= geometry.slots() as u64 * (128 + 8) + 128);
    assert!(geometry.request_segment().is_multiple_of(4096) && geometry.reply_segment().is_multiple_of(4096));
    for slot in [0, geometry.slots() - 1] {
        let grant = geometry.slot_grant(slot);
        assert!(grant.offset + grant.capacity <= geometry.heap_offset());
        assert_eq!(Grant::parse(grant.word(), geometry), Ok(grant));
    }
}
