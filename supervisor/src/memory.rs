//! Which workers have grown too large. A rule without a clock, and what it is told: the proportional set size of each
//! worker, every few seconds.
//!
//! Proportional: a page that several processes map counts in parts. So what a worker shares with its clients and with
//! the other workers does not count against it alone, as it would with the resident set size.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::ByteSize;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

use crate::StartError;
use crate::policy::{Event, PROVEN_AFTER, Phase};
use crate::run::Supervisor;

/// Between two looks: the kernel walks all pages of a process for one.
const PAUSE: Duration = Duration::from_secs(2);
/// Over the limit in so many looks one after the other: a reply that is being made is no reason.
const LOOKS: u8 = 3;

/// What was seen of the workers of all services that have a limit.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    services: BTreeMap<ServiceKey, Seen>,
    next: Duration,
}

/// Of one service.
#[derive(Debug, Default)]
struct Seen {
    /// The last sizes, in bytes, and how often in a row that was too much.
    workers: BTreeMap<WorkerId, (u64, u8)>,
    /// The last decision, in words.
    last: Option<String>,
}

impl Seen {
    /// Who is to be replaced, and why. Whoever has not been ready for a while is not: should the program need more from
    /// the beginning than it may have, its workers are not replaced over and over again without a pause.
    fn look(&mut self, limit: ByteSize, sizes: &[(WorkerId, u64, Duration)]) -> Vec<(WorkerId, String)> {
        let before = std::mem::take(&mut self.workers);
        let mut too_large = Vec::new();
        for (worker, size, ready_for) in sizes {
            let is_over = *size > limit.bytes();
            let looks = before.get(worker).map_or(0, |(_, looks)| *looks);
            let looks = if is_over { looks.saturating_add(1) } else { 0 };
            self.workers.insert(*worker, (*size, looks));
            if looks >= LOOKS && *ready_for >= PROVEN_AFTER {
                too_large.push((*worker, format!("has {} MiB to itself, and may have {limit}", size >> 20)));
            }
        }
        too_large
    }
}

impl Memory {
    /// The last size of a worker, in bytes; `None` for services without a limit.
    pub(crate) fn of(&self, key: ServiceKey, worker: WorkerId) -> Option<u64> {
        self.services.get(&key)?.workers.get(&worker).map(|(size, _)| *size)
    }

    /// The last decision, in words.
    pub(crate) fn explain(&self, key: ServiceKey) -> Option<String> {
        self.services.get(&key)?.last.clone()
    }
}

impl Supervisor<'_, '_> {
    /// When to look next; never while nothing has a limit.
    pub(crate) fn next_weighing(&self) -> Option<Duration> {
        let is_limited = |key: &ServiceKey| self.hands.service(*key).memory.is_some();
        self.live_keys().iter().any(is_limited).then_some(self.memory.next)
    }

    /// Looks at the workers of services that have a limit, and tells the policy who has grown too large.
    pub(crate) fn weigh(&mut self) -> Result<(), StartError> {
        let now = self.now();
        if self.next_weighing().is_none_or(|next| next > now) {
            return Ok(());
        }
        self.memory.next = now + PAUSE;
        for key in self.live_keys() {
            let Some(limit) = self.hands.service(key).memory else {
                self.memory.services.remove(&key);
                continue;
            };
            let sizes = self.sizes(key, now);
            let too_large = self.memory.services.entry(key).or_default().look(limit, &sizes);
            for (worker, why) in too_large {
                let is_new = self.state.is_outgrown(key, worker) == Some(false);
                if is_new && let Some(seen) = self.memory.services.get_mut(&key) {
                    seen.last = Some(format!("worker {} {why}: another takes its place", worker.0));
                }
                self.feed(Event::TooLarge { service: key, worker, how: why })?;
            }
        }
        Ok(())
    }

    /// Of those who serve: how large, and for how long they have served.
    fn sizes(&mut self, key: ServiceKey, now: Duration) -> Vec<(WorkerId, u64, Duration)> {
        let slots = self.state.view(key).map(|view| view.slots).unwrap_or_default();
        let mut sizes = Vec::new();
        for slot in slots.into_iter().filter(|slot| slot.phase == Phase::Ready) {
            let (Some(worker), Some(since)) = (slot.worker, slot.ready_since) else { continue };
            match proportional(self.hands.pid(key, worker)) {
                Ok(Some(size)) => sizes.push((worker, size, now.saturating_sub(since))),
                // It has ended in this moment.
                Ok(None) => {}
                Err(error) => {
                    if self.complaints.admit(now).is_some() {
                        let name = self.hands.name(key);
                        let line = format!("{name} worker {}: nobody knows its memory: {error}", worker.0);
                        self.journal.say(Level::Warn, &format!("{line}; `memory` is not watched"));
                    }
                }
            }
        }
        sizes
    }
}

/// The proportional set size of a process, in bytes. `None` when there is no such process any more.
fn proportional(pid: i32) -> std::io::Result<Option<u64>> {
    match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `Pss:     1234 kB`.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const LONG: Duration = Duration::from_secs(60);

    fn looks(seen: &mut Seen, sizes: &[u64], ready_for: Duration) -> Vec<usize> {
        let look = |size: &u64| seen.look(ByteSize::mib(100), &[(WorkerId(3), size * MIB, ready_for)]).len();
        sizes.iter().map(look).collect()
    }

    #[test]
    fn only_who_stays_too_large_is_replaced() {
        assert_eq!(looks(&mut Seen::default(), &[99, 100, 101, 101, 101, 101], LONG), [0, 0, 0, 0, 1, 1]);
        assert_eq!(looks(&mut Seen::default(), &[500, 500, 100, 500, 500, 500], LONG), [0, 0, 0, 0, 0, 1]);
        let why = Seen::default();
        assert!(why.last.is_none());
    }

    #[test]
    fn who_is_new_is_given_time() {
        let mut seen = Seen::default();
        let young = PROVEN_AFTER.saturating_sub(Duration::from_millis(1));
        assert_eq!(looks(&mut seen, &[500; 9], young), [0; 9]);
        assert_eq!(looks(&mut seen, &[500], PROVEN_AFTER), [1]);
    }

    #[test]
    fn workers_are_counted_one_by_one_and_forgotten_when_they_are_gone() {
        let mut seen = Seen::default();
        let mut look = |workers: &[(u32, u64)]| {
            let sizes: Vec<_> = workers.iter().map(|(worker, size)| (WorkerId(*worker), size * MIB, LONG)).collect();
            let found = seen.look(ByteSize::mib(100), &sizes);
            (found.iter().map(|(worker, _)| worker.0).collect::<Vec<_>>(), seen.workers.len())
        };
        assert_eq!(look(&[(1, 500), (2, 1)]), (vec![], 2));
        assert_eq!(look(&[(1, 500), (2, 500)]), (vec![], 2));
        assert_eq!(look(&[(1, 500), (2, 500)]), (vec![1], 2));
        assert_eq!(look(&[(2, 500)]), (vec![2], 1));
        let sentence = Seen { workers: [(WorkerId(2), (0, 9))].into(), last: None }
            .look(ByteSize::mib(100), &[(WorkerId(2), 250 * MIB, LONG)]);
        assert_eq!(sentence[0].1, "has 250 MiB to itself, and may have 100MiB");
    }

    #[test]
    fn the_kernels_text_is_read() {
        let text = "5581e000-7ffd [rollup]\nRss:  884 kB\nPss:     385 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(parse(text), Some(385 * 1024));
        assert_eq!(parse("Rss: 1 kB\nPss: x kB"), None);
        let own = proportional(i32::try_from(std::process::id()).unwrap()).unwrap().unwrap();
        assert!((64 * 1024..64 << 30).contains(&own), "{own}");
        assert!(proportional(i32::MAX).unwrap().is_none());
    }
}
