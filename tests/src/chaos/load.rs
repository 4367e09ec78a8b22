//! The callers: threads that make all calls of a plan, and go on until the last kill has been made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use speedysvc::__private::Channel;

use super::caller::{Caller, Ends};
use super::checker::Told;
use super::plan::Plan;
use super::sabotage::Sabotage;

/// When a call takes this long its reply may be there and its wake lost. Nobody may die then: who buries the dead wakes
/// their callers, also for replies that were there, and the loss would not be found.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// What the threads share with each other and with who watches them.
#[derive(Debug)]
pub struct Load {
    plan: Plan,
    sabotage: Option<Sabotage>,
    kills_wanted: u64,
    /// Workers killed so far.
    pub kills: AtomicU64,
    next: AtomicU64,
    /// Calls under way.
    pub in_flight: AtomicU64,
    /// Calls that are over.
    pub over: AtomicU64,
    /// Of these, answered rightly.
    pub right: AtomicU64,
    begin: Instant,
    /// Since when each thread waits, in nanoseconds from the beginning; 0 while it does not.
    since: Vec<AtomicU64>,
}

impl Load {
    /// A load of so many threads, with nothing made yet.
    #[must_use]
    pub fn new(plan: Plan, kills_wanted: u64, sabotage: Option<Sabotage>, threads: usize) -> Self {
        let zero = AtomicU64::default;
        let (kills, next, in_flight, over, right) = (zero(), zero(), zero(), zero(), zero());
        let (begin, since) = (Instant::now(), (0..threads).map(|_| zero()).collect());
        Self { plan, sabotage, kills_wanted, kills, next, in_flight, over, right, begin, since }
    }

    /// Whether no call takes suspiciously long. Who takes workers away waits for that.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let now = self.begin.elapsed();
        let since = self.since.iter().map(|since| since.load(Ordering::Relaxed)).filter(|since| *since > 0);
        since.min().is_none_or(|since| now.saturating_sub(Duration::from_nanos(since)) < SUSPICIOUS)
    }

    /// Calls that were begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// The next call's number, until there are enough calls and enough kills.
    fn take_number(&self) -> Option<u64> {
        let more = |next: u64| {
            let enough = next >= self.plan.calls && self.kills.load(Ordering::Relaxed) >= self.kills_wanted;
            (!enough).then_some(next + 1)
        };
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()
    }

    /// Starts the callers, who take turns with the channels.
    ///
    /// # Panics
    /// When a thread cannot be started.
    #[must_use]
    pub fn start(self: &Arc<Self>, channels: &[Channel]) -> Vec<JoinHandle<Ends>> {
        let channels = channels.iter().cycle().take(self.since.len());
        let start = |(number, channel): (usize, &Channel)| {
            let (load, channel) = (Arc::clone(self), channel.clone());
            let named = thread::Builder::new().name(format!("caller-{number}"));
            named.spawn(move || load.work(number, channel)).expect("a thread can be started")
        };
        channels.enumerate().map(start).collect()
    }

    fn work(&self, number: usize, channel: Channel) -> Ends {
        let mut caller = Caller::new(channel, self.plan);
        let since = &self.since[number];
        while let Some(id) = self.take_number() {
            let now = u64::try_from(self.begin.elapsed().as_nanos()).expect("a run of less than 500 years");
            since.store(now.max(1), Ordering::Relaxed);
            let told = caller.make(id, &self.in_flight);
            since.store(0, Ordering::Relaxed);
            self.over.fetch_add(1, Ordering::Relaxed);
            self.right.fetch_add(u64::from(told == Told::Right), Ordering::Relaxed);
        }
        self.spoil(&mut caller.ends);
        caller.ends
    }

    /// The mistakes on purpose that a caller makes.
    fn spoil(&self, ends: &mut Ends) {
        match self.sabotage {
            Some(Sabotage::Forget(forgotten)) => ends.verdicts.retain(|verdict| verdict.id != forgotten),
            Some(Sabotage::Lie(about)) => {
                let lies = ends.verdicts.iter_mut().filter(|verdict| verdict.id == about);
                lies.for_each(|verdict| verdict.told = Told::NotStarted);
            }
            _ => {}
        }
    }
}
