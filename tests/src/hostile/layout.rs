//! Where the words of a link lie, counted by hand from `docs/protocol.md`, section 8: a hostile client uses no library.

/// Bytes from one line to the next.
pub const LINE: u64 = 128;
/// Bytes that lie in a line beside its header.
pub const INLINE: usize = 40;
/// Bytes of each slot's own buffer.
pub const BUFFER: u64 = 4096;

/// Words of a request line, in bytes from its beginning.
pub mod request {
    /// The call's number.
    pub const SEQ: u64 = 0;
    /// When it is too late.
    pub const DEADLINE: u64 = 8;
    /// Method, codec, fetch, length.
    pub const HEAD: u64 = 16;
    /// A short payload.
    pub const INLINE: u64 = 24;
    /// The call given up.
    pub const CANCEL: u64 = 64;
    /// The call slept for.
    pub const SLEEP: u64 = 72;
    /// The buffer.
    pub const GRANT: u64 = 80;
}

/// Words of a reply line.
pub mod reply {
    /// The call answered.
    pub const SEQ: u64 = 0;
    /// Status and length.
    pub const HEAD: u64 = 8;
    /// Who answered.
    pub const OWNER: u64 = 16;
    /// A short body.
    pub const INLINE: u64 = 24;
}

/// Where the request line of a slot begins.
#[must_use]
pub fn request_line(slot: usize) -> u64 {
    slot as u64 * LINE
}

/// Where the arena begins.
#[must_use]
pub fn arena(slots: usize) -> u64 {
    (slots as u64 * LINE).next_multiple_of(4096)
}

/// Where the claim word of a slot lies.
#[must_use]
pub fn claim(slot: usize) -> u64 {
    LINE + slot as u64 * 8
}

/// Where the reply line of a slot begins.
#[must_use]
pub fn reply_line(slots: usize, slot: usize) -> u64 {
    LINE + (slots as u64 * 8).next_multiple_of(LINE) + slot as u64 * LINE
}

/// A head word.
#[must_use]
pub fn head(method: u16, codec: u8, fetch: bool, len: u32) -> u64 {
    u64::from(method) | u64::from(codec) << 16 | u64::from(fetch) << 24 | u64::from(len) << 32
}

/// A grant word: offset and capacity in units of 64 bytes.
#[must_use]
pub fn grant(offset: u64, capacity: u64) -> u64 {
    (offset / 64) | ((capacity / 64) << 32)
}
