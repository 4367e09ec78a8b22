//! Signals as bytes in sockets, so that the loop sees them where it sees everything else.

use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};

/// Where requests come in: one byte each.
#[derive(Debug)]
pub(crate) struct Signals {
    /// SIGINT and SIGTERM.
    pub(crate) stop: UnixStream,
    /// SIGHUP.
    pub(crate) reload: UnixStream,
    hooks: Vec<SigId>,
}

impl Signals {
    /// From now on these signals do not end the process.
    pub(crate) fn install() -> io::Result<Self> {
        let (stop, stop_sender) = UnixStream::pair()?;
        let (reload, reload_sender) = UnixStream::pair()?;
        let mut signals = Self::of(stop, reload)?;
        signals.hooks.push(pipe::register(SIGINT, stop_sender.try_clone()?)?);
        signals.hooks.push(pipe::register(SIGTERM, stop_sender)?);
        signals.hooks.push(pipe::register(SIGHUP, reload_sender)?);
        Ok(signals)
    }

    /// Requests from elsewhere, for tests.
    pub(crate) fn of(stop: UnixStream, reload: UnixStream) -> io::Result<Self> {
        stop.set_nonblocking(true)?;
        reload.set_nonblocking(true)?;
        Ok(Self { stop, reload, hooks: Vec::new() })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for hook in self.hooks.drain(..) {
            unregister(hook);
        }
    }
}

/// How many bytes have come in.
pub(crate) fn take(mut from: &UnixStream) -> usize {
    let mut bytes = [0; 64];
    // Nothing there is the usual error, and the others cannot happen to a socket pair that we hold.
    from.read(&mut bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_become_bytes() {
        let signals = Signals::install().unwrap();
        assert_eq!((take(&signals.stop), take(&signals.reload)), (0, 0));
        signal_hook::low_level::raise(SIGTERM).unwrap();
        signal_hook::low_level::raise(SIGINT).unwrap();
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!((take(&signals.stop), take(&signals.reload)), (2, 1));
    }
}
