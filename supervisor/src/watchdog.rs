//! Which loops are awake and do not move. A rule without a clock of its own: it is told what was seen, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use speedysvc_broker::{Look, ServiceKey};
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::shm::board::Mode;

use crate::lines::plain;
use crate::policy::show;

/// Looks in the time after which a loop is called hung.
const LOOKS: u32 = 4;
/// Between two looks, however long or short that time is.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(15);

/// What was seen of each worker.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    seen: BTreeMap<(ServiceKey, WorkerId), Seen>,
    next: Duration,
}

#[derive(Debug)]
struct Seen {
    turns: u64,
    at: Duration,
    /// For how long it did not move while we ourselves were running: a machine that was paused proves nothing.
    silent: Duration,
}

/// How often to look, for a loop that may be silent for `hang`.
fn pause(hang: Duration) -> Duration {
    (hang / LOOKS).clamp(SHORTEST, LONGEST)
}

impl Watchdog {
    /// When to look next, given the shortest time after which a loop is called hung.
    pub(crate) const fn next(&self) -> Duration {
        self.next
    }

    /// A look at all who serve: those whose loops hang, and for how long in words. `now` must not go back.
    pub(crate) fn look(
        &mut self,
        serving: impl Iterator<Item = ((ServiceKey, WorkerId), Duration, Look)>,
        now: Duration,
    ) -> Vec<((ServiceKey, WorkerId), String)> {
        let mut still = BTreeMap::new();
        let mut hung = Vec::new();
        let mut shortest = LONGEST;
        for (key, hang, look) in serving {
            shortest = shortest.min(pause(hang));
            let moves = matches!(look.mode, Mode::Asleep | Mode::Gone);
            let mut seen = Seen { turns: look.turns, at: now, silent: Duration::ZERO };
            if let Some(before) = self.seen.get(&key).filter(|before| before.turns == look.turns && !moves) {
                seen.silent = before.silent + now.saturating_sub(before.at).min(pause(hang) * 2);
            }
            if seen.silent >= hang {
                let method = look.method.map(|method| format!(" in `{}`", plain(&method))).unwrap_or_default();
                hung.push((key, format!("has not moved for {}{method}", show(seen.silent))));
            }
            still.insert(key, seen);
        }
        self.seen = still;
        self.next = now + shortest;
        hung
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (ServiceKey, WorkerId) = (ServiceKey(0), WorkerId(7));
    const HANG: Duration = Duration::from_secs(8);

    fn look(mode: Mode, turns: u64) -> Look {
        Look { mode, method: Some("think".to_owned()), turns }
    }

    fn at(watchdog: &mut Watchdog, second: u64, mode: Mode, turns: u64) -> Vec<String> {
        let serving = std::iter::once((KEY, HANG, look(mode, turns)));
        watchdog.look(serving, Duration::from_secs(second)).into_iter().map(|(_, how)| how).collect()
    }

    #[test]
    fn a_loop_that_is_awake_and_does_not_move_is_found() {
        let mut watchdog = Watchdog::default();
        for second in (0..8).step_by(2) {
            assert_eq!(at(&mut watchdog, second, Mode::Busy, 3), [""; 0]);
        }
        assert_eq!(at(&mut watchdog, 8, Mode::Busy, 3), ["has not moved for 8 s in `think`"]);
        assert_eq!(watchdog.next(), Duration::from_secs(10));
    }

    #[test]
    fn who_moves_or_sleeps_is_well() {
        let mut watchdog = Watchdog::default();
        for second in (0..100).step_by(2) {
            assert_eq!(at(&mut watchdog, second, Mode::Scan, second), [""; 0]);
        }
        for second in (100..200).step_by(2) {
            assert_eq!(at(&mut watchdog, second, Mode::Asleep, 98), [""; 0]);
        }
        // Sleeping ends the silence; it begins anew.
        assert_eq!(at(&mut watchdog, 200, Mode::Busy, 98), [""; 0]);
    }

    #[test]
    fn a_pause_of_the_whole_machine_proves_nothing() {
        let mut watchdog = Watchdog::default();
        assert_eq!(at(&mut watchdog, 0, Mode::Busy, 3), [""; 0]);
        assert_eq!(at(&mut watchdog, 3600, Mode::Busy, 3), [""; 0]);
        assert_eq!(at(&mut watchdog, 3602, Mode::Busy, 3), [""; 0]);
        assert_eq!(at(&mut watchdog, 3604, Mode::Busy, 3).len(), 1, "what we saw ourselves counts");
    }
}
