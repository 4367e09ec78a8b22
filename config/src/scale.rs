//! When a service has more workers, and when fewer.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::WorkerCount;

/// When a service gets more workers than the fewest, and when fewer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The most workers.
    pub max: WorkerCount,
    /// What is measured.
    pub rule: ScaleRule,
    /// One more when they were busier than this, in percent.
    pub up: u16,
    /// One fewer when the remaining ones would have been less busy than this, in percent.
    pub down: u16,
    /// For so long, before there is one more.
    pub up_after: Duration,
    /// For so long, before there is one fewer.
    pub down_after: Duration,
    /// One more when calls waited longer than this on the average.
    pub queue: Duration,
}

impl Scale {
    /// What `up` and `down` may be.
    pub const PERCENT: RangeInclusive<u16> = 1..=100;
    /// What the windows may be.
    pub const AFTER: RangeInclusive<Duration> = Duration::from_secs(2)..=Duration::from_secs(24 * 3600);
    /// What `queue` may be.
    pub const QUEUE: RangeInclusive<Duration> = Duration::from_micros(10)..=Duration::from_secs(3600);

    /// What the Python project did: processor time of more than 30 % each over 20 s, less than 30 % together over
    /// 240 s.
    #[must_use]
    pub fn seed() -> Self {
        let (up_after, down_after) = (Duration::from_secs(20), Duration::from_secs(240));
        Self { rule: ScaleRule::Cpu, up: 30, down: 30, up_after, down_after, ..Self::default() }
    }
}

impl Default for Scale {
    /// One worker at most; busier than 70 % for 10 s, or waits of 5 ms; less than 50 % for 120 s.
    fn default() -> Self {
        Self {
            max: WorkerCount::default(),
            rule: ScaleRule::Busy,
            up: 70,
            down: 50,
            up_after: Duration::from_secs(10),
            down_after: Duration::from_secs(120),
            queue: Duration::from_millis(5),
        }
    }
}

/// What scaling goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScaleRule {
    /// Time in handlers, and how long calls wait.
    #[default]
    Busy,
    /// Time of processors. A loop that looks for work uses it, too.
    Cpu,
}
