//! What a loop that is finishing waits for.

use std::time::Duration;

/// How long a connection has, after a GOODBYE, for calls that were already on their way to us.
pub(super) const LINGER: Duration = Duration::from_millis(50);
const LINGER_NS: u64 = 50_000_000;
/// How long a draining worker waits for clients to fetch what it holds for them: they do so at once, or never.
const FETCHING_NS: u64 = 1_000_000_000;

pub(super) struct Draining {
    /// When connections on which nothing is under way are looked for next.
    look_ns: u64,
    /// Until when replies that are held may be fetched.
    fetch_until_ns: u64,
}

impl Draining {
    pub(super) fn begin(now_ns: u64) -> Self {
        Self { look_ns: now_ns + LINGER_NS, fetch_until_ns: now_ns + FETCHING_NS }
    }

    /// Whether nobody will come any more for what is held.
    pub(super) fn is_fetched(&self, holds: bool, now_ns: u64) -> bool {
        !holds || now_ns >= self.fetch_until_ns
    }

    /// Whether it is time to look for quiet connections; if so, the next time is set.
    pub(super) fn looks(&mut self, now_ns: u64) -> bool {
        let now = now_ns >= self.look_ns;
        if now {
            self.look_ns = now_ns + LINGER_NS;
        }
        now
    }
}
