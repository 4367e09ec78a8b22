//! Numbers that both sides must share. What a user may tune is in the `config` crate.

/// Bytes of a frame's header.
pub const FRAME_HEADER: usize = 48;
/// Longest body of a HELLO, WELCOME or REFUSED frame, and of a rendezvous message: read before anything is known of the
/// peer. Room for [`METHODS_MAX`] methods with signatures of about 100 characters.
pub const HELLO_MAX: usize = 64 * 1024;
/// Longest message between broker and worker. Below the kernel's default `SO_SNDBUF` (212,992 bytes), which bounds one
/// message of a sequenced-packet socket.
pub const CONTROL_MAX: usize = 128 * 1024;
/// Most file descriptors in one message: a worker's board, pool bell, stats page and listeners.
pub const DESCRIPTORS_MAX: usize = 20;
/// Shorter bodies are not compressed: what a packet of 1,500 bytes holds beside them costs as much to send.
/// (The Python project's number, from Akamai's practice.)
pub const COMPRESS_FROM: usize = 860;
/// A long body is compressed only if this many bytes of it shrink.
pub const COMPRESS_SAMPLE: usize = 4096;
/// How many times larger a body may become when it is decompressed: what LZ4 can reach at most...
const COMPRESS_RATIO: usize = 256;
/// ...and this much more, so that short ones are never suspected.
const COMPRESS_SLACK: usize = 64 * 1024;
/// Most methods of a service.
pub const METHODS_MAX: usize = 512;
/// Longest name of a service or method, in bytes.
pub const NAME_MAX: usize = 48;
/// Longest text of an error on the wire, in bytes; longer ones are cut at a character.
pub const MESSAGE_TEXT_MAX: usize = 4096;
/// Most slots of a link: one `u64` can hold a bit for each.
pub const SLOTS_MAX: usize = 64;
/// Lines of a service's board, and so the most loops alive at once.
pub const BOARD_LINES: usize = 256;
/// Deepest nesting that an archive or a JSON text may have: beyond it, recursion could end our stack.
pub const DEPTH_MAX: usize = 128;
/// Alignment of every archive's first byte.
pub const ARCHIVE_ALIGN: usize = 16;

/// The largest body that so many bytes may come to when they are decompressed.
#[must_use]
pub const fn expands_to(sent: usize) -> usize {
    sent.saturating_mul(COMPRESS_RATIO).saturating_add(COMPRESS_SLACK)
}

const _: () = assert!(HELLO_MAX <= CONTROL_MAX, "a HELLO is forwarded inside a control message");
const _: () = assert!(FRAME_HEADER.is_multiple_of(ARCHIVE_ALIGN), "a body behind an aligned header is aligned");
const _: () = assert!(SLOTS_MAX <= u64::BITS as usize, "a set of slots fits a word");
