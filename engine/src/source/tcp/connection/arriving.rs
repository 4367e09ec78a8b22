//! Bytes that come: to the inbox, or to stay where the driver received them until the connection's turn.
//!
//! Calls that came together are run from there. Copying them to the inbox first was a hundredth of what 64 of them take
//! (decision 0077).

use std::io;

use speedysvc_protocol::stats::Counter;

use super::{Connection, Stage};
use crate::driver::{Chunk, Driver};
use crate::source::tcp::pool::Pool;

impl Connection {
    pub(in crate::source::tcp) fn received(
        &mut self,
        received: io::Result<Option<Chunk>>,
        (more, came_ns): (bool, u64),
        pool: &mut Pool,
        driver: &mut dyn Driver,
    ) {
        self.receiving = more;
        self.stopping &= more;
        match received {
            Ok(Some(chunk)) => {
                self.settle(pool, driver);
                if matches!(self.stage, Stage::Greeting | Stage::Serving) {
                    self.arrivals.came(chunk.len, came_ns);
                    if self.may_hold() {
                        self.held = Some(chunk);
                        return;
                    }
                    self.arrive(driver.bytes(&chunk), pool);
                } else {
                    self.ignored += chunk.len;
                }
                driver.recycle(chunk);
                self.part();
            }
            Ok(None) if matches!(self.stage, Stage::Greeting | Stage::Serving) => self.stage = Stage::Closing,
            Ok(None) => {
                if let Stage::Parting(why) = self.stage {
                    self.shut_down(why);
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => self.shut_down(Counter::ClosedError),
        }
    }

    /// Whether what comes now may stay where it is: it is likely to be calls, and behind nothing else.
    fn may_hold(&self) -> bool {
        self.greeted && self.last_method.is_some() && self.large.is_none() && self.inbox.waiting().is_empty()
    }

    /// What is held goes to the inbox, and its buffer back.
    pub(in crate::source::tcp) fn settle(&mut self, pool: &mut Pool, driver: &mut dyn Driver) {
        if let Some(chunk) = self.held.take() {
            self.arrive(driver.bytes(&chunk), pool);
            driver.recycle(chunk);
        }
    }

    fn arrive(&mut self, mut bytes: &[u8], pool: &mut Pool) {
        if let Some(large) = &mut self.large {
            let came = bytes.len();
            bytes = large.arrive(bytes);
            self.arrivals.handled(came - bytes.len());
        }
        if !bytes.is_empty() {
            self.inbox.arrive(bytes, pool);
        }
    }

    /// So much of what arrived has been dealt with.
    #[inline]
    pub(super) fn handled(&mut self, bytes: usize) {
        self.inbox.handle(bytes);
        self.arrivals.handled(bytes);
    }
}

/// Errors that end a multishot receive and not the connection: no buffer was free, it was cancelled by us, or a signal
/// came.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOBUFS | Errno::CANCELED | Errno::INTR | Errno::AGAIN))
}
