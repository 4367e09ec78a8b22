//! Browsers that have brought the token.

use std::time::{Duration, Instant};

use subtle::ConstantTimeEq as _;

/// The cookie's name.
pub(super) const COOKIE: &str = "speedysvc_session";
/// After this long a browser brings the token again.
const LIFE: Duration = Duration::from_secs(12 * 3600);
/// Most at a time; the oldest goes for a new one.
const SESSIONS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Sessions(Vec<(String, Instant)>);

impl Sessions {
    /// A new one's name; `None` when the kernel has no random numbers.
    pub(super) fn begin(&mut self, now: Instant) -> Option<String> {
        let mut random = [0_u8; 32];
        let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).ok()?;
        if filled < random.len() {
            return None;
        }
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0.retain(|(_, since)| now.saturating_duration_since(*since) < LIFE);
        if self.0.len() >= SESSIONS_MAX {
            self.0.remove(0);
        }
        self.0.push((name.clone(), now));
        Some(name)
    }

    pub(super) fn is_known(&self, name: &str, now: Instant) -> bool {
        let alive = self.0.iter().filter(|(_, since)| now.saturating_duration_since(*since) < LIFE);
        // All are compared, whichever it is.
        alive.fold(false, |found, (known, _)| found | bool::from(known.as_bytes().ct_eq(name.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_and_have_a_limit() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let first = sessions.begin(now).unwrap();
        assert!(sessions.is_known(&first, now) && !sessions.is_known("", now) && !sessions.is_known(&first[1..], now));
        assert!(!sessions.is_known(&first, now + LIFE));
        let more: Vec<_> = (0..SESSIONS_MAX).map(|_| sessions.begin(now).unwrap()).collect();
        assert!(!sessions.is_known(&first, now) && more.iter().all(|one| sessions.is_known(one, now)));
    }
}
