//! Guessing takes time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong tokens that an address may bring within the window.
const FREE: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses that are remembered. While all of them are guessing nobody else may try.
const ADDRESSES_MAX: usize = 1024;

/// When each address last brought a wrong token.
#[derive(Default)]
pub(super) struct Attempts(HashMap<IpAddr, Vec<Instant>>);

impl Attempts {
    /// Whether this address may try now, or after which pause.
    pub(super) fn may_try(&mut self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        self.0.retain(|_, times| {
            times.retain(|time| now.saturating_duration_since(*time) < WINDOW);
            !times.is_empty()
        });
        match self.0.get(&from) {
            Some(times) if times.len() >= FREE => {
                Err(times.first().map_or(WINDOW, |first| WINDOW - now.saturating_duration_since(*first)))
            }
            None if self.0.len() >= ADDRESSES_MAX => Err(WINDOW),
            _ => Ok(()),
        }
    }

    pub(super) fn failed(&mut self, from: IpAddr, now: Instant) {
        self.0.entry(from).or_default().push(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_guesses_a_minute() {
        let (mut attempts, begin) = (Attempts::default(), Instant::now());
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        for second in 0..10 {
            let now = begin + Duration::from_secs(second);
            assert_eq!(attempts.may_try(one, now), Ok(()));
            attempts.failed(one, now);
        }
        assert_eq!(attempts.may_try(one, begin + Duration::from_secs(10)), Err(Duration::from_secs(50)));
        assert_eq!(attempts.may_try(other, begin + Duration::from_secs(10)), Ok(()));
        assert_eq!(attempts.may_try(one, begin + Duration::from_secs(61)), Ok(()));
        assert_eq!(attempts.may_try(one, begin + Duration::from_secs(600)), Ok(()));
        assert!(attempts.0.is_empty());
    }
}
