//! How large things are: sums of named terms, each with who uses it.

/// The sizes of a driver. Tests make them tiny.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Entries that may wait to be handed to the kernel.
    pub submissions: u32,
    /// Completions that the kernel can keep for us.
    pub completions: u32,
    /// Buffers into which bytes of all connections arrive. A power of two.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { submissions: SUBMISSIONS, completions: COMPLETIONS, buffers: RECEIVE_BUFFERS, buffer: RECEIVE_BUFFER }
    }
}

/// Entries that may wait to be handed to the kernel. One turn of the loop starts at most a send and a receive for each
/// connection that it looked at; when the queue is full, the kernel is entered in between.
pub const SUBMISSIONS: u32 = 256;

/// Completions that the kernel can keep for us: for each connection one receive, one send and one cancel; one for the
/// watched epoll descriptor. Beyond it the kernel keeps the rest in a slower place, which is counted.
pub const COMPLETIONS: u32 = 16_384;

/// Operations under way at once, for the same users.
pub const OPERATIONS: usize = CONNECTIONS * 3 + 1;

/// Connections of one loop. When all are taken, accepting pauses, and clients wait in the listener's backlog.
pub const CONNECTIONS: usize = 4096;

/// Listening sockets of a service.
pub const LISTENERS: usize = 16;

/// Buffers into which bytes of all connections arrive; they go back as soon as the bytes have been copied out.
pub const RECEIVE_BUFFERS: u16 = 64;
/// Bytes of each.
pub const RECEIVE_BUFFER: usize = 32 * 1024;

/// What a connection may have received and not handled: one message of the largest size, and what arrives until the
/// kernel has stopped receiving.
pub const fn unhandled(message_max: usize) -> usize {
    message_max + speedysvc_protocol::limits::FRAME_HEADER + RECEIVE_BUFFER * 4
}

/// What may wait to be sent on a connection before its calls wait too, and it is not read any more. The reply that
/// passes it is the last.
pub const UNSENT: usize = 256 * 1024;

/// A body from this size on arrives where its handler reads it, and a reply leaves from where its handler wrote it.
pub const LARGE: usize = 64 * 1024;

/// Room that buffers keep between calls; what one large call needed beyond it goes back to the system.
pub const KEEP: usize = 4 << 20;

/// Replies to one user too large for their buffers, held until they are fetched, as a multiple of the largest message.
pub const HELD_MESSAGES: usize = 4;

/// Threads of a worker for handlers that block: as many as the board has names for, beside one for what runs long and
/// came over a socket, and one for a runtime.
pub const BLOCKING_THREADS: usize = speedysvc_protocol::shm::board::BESIDE - 2;

/// Calls of blocking methods that run or wait for a thread, in one worker: twenty rounds of all threads. Of
/// one client half of them at most, which is more than a link has slots.
pub const BLOCKING_QUEUED: usize = BLOCKING_THREADS * 20;

/// Calls of async methods that are under way in one worker. Each is a future and its buffers. Of one
/// client half of them at most.
pub const FUTURES: usize = 2048;

/// Arguments of calls beside the loop, all together, as a multiple of the largest message.
pub const BESIDE_MESSAGES: usize = 8;

/// Buffers of such calls that are kept for the next ones.
pub const SPARE_CALLS: usize = 16;

const _: () = assert!(COMPLETIONS as usize >= OPERATIONS && COMPLETIONS.is_power_of_two());
const _: () = assert!(COMPLETIONS <= 1 << 16, "the kernel's limit for a completion queue");
const _: () = assert!(RECEIVE_BUFFER <= u32::MAX as usize);
const _: () = assert!(LISTENERS + 3 <= speedysvc_protocol::limits::DESCRIPTORS_MAX, "they come in one message");
