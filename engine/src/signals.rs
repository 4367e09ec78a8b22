//! Signals that ask a process to end, as something to poll.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// A stream that gets a byte for each SIGTERM or SIGINT from now on. It never blocks.
///
/// # Errors
/// What the kernel says: too many open files.
pub fn asked_to_end() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    pipe::register(SIGTERM, theirs.try_clone()?)?;
    pipe::register(SIGINT, theirs)?;
    Ok(ours)
}
