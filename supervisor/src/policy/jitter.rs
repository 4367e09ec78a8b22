//! Pauses that differ a little, so that workers which died together do not start together, again and again.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::Restart;
use speedysvc_protocol::ids::WorkerId;

/// A pause moves by up to a fifth to either side.
const PART: u32 = 5;

/// A pause for whoever takes this worker's place: about `pause`, and always within the bounds of the file.
pub(super) fn moved(pause: Duration, restart: &Restart, seed: u64, service: ServiceKey, worker: WorkerId) -> Duration {
    let (least, most) = bounds(pause, restart);
    let room = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
    let who = u64::try_from(service.0).unwrap_or(0).rotate_left(32) ^ u64::from(worker.0);
    // Hours at most, so that the division leaves no weight that anybody could notice.
    least.saturating_add(Duration::from_nanos(mixed(seed ^ who) % room.saturating_add(1)))
}

fn bounds(pause: Duration, restart: &Restart) -> (Duration, Duration) {
    let by = pause / PART;
    (pause.saturating_sub(by).max(restart.backoff_min), pause.saturating_add(by).min(restart.backoff_max))
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a number that looks random
/// for each number.
const fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RESTART: Restart =
        Restart { backoff_min: Duration::from_millis(100), backoff_max: Duration::from_secs(30), limit: None };

    fn of(worker: u32, pause: u64) -> Duration {
        moved(Duration::from_millis(pause), &RESTART, 7, ServiceKey(0), WorkerId(worker))
    }

    /// Also where the file's bounds leave one side only.
    #[test]
    fn who_dies_together_does_not_start_together() {
        for (pause, least, most) in [(100, 100, 120), (1_000, 800, 1_200), (30_000, 24_000, 30_000)] {
            let mut pauses: Vec<Duration> = (0..64).map(|worker| of(worker, pause)).collect();
            pauses.sort_unstable();
            pauses.dedup();
            assert_eq!(pauses.len(), 64, "all differ");
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            assert!(pauses[0] >= least && pauses[63] <= most, "{pauses:?}");
            assert!(pauses[63] - pauses[0] > (most - least) / 2, "all of the room is used: {pauses:?}");
        }
    }

    proptest! {
        #[test]
        fn a_moved_pause_is_near_and_within_the_files_bounds(
            (min, more, at) in (1_u64..4_000_000, 0_u64..4_000_000, 0.0..=1.0_f64),
            (seed, service, worker) in (any::<u64>(), 0_usize..9, any::<u32>()),
        ) {
            let ms = Duration::from_millis;
            let restart = Restart { backoff_min: ms(min), backoff_max: ms(min + more), limit: None };
            let pause = ms(min) + ms(more).mul_f64(at);
            let moved = || moved(pause, &restart, seed, ServiceKey(service), WorkerId(worker));
            prop_assert!(restart.backoff_min <= moved() && moved() <= restart.backoff_max);
            prop_assert!(moved().abs_diff(pause) <= pause / PART);
            prop_assert_eq!(moved(), moved(), "the same seed, the same pause");
        }
    }
}
