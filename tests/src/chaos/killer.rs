//! Kills workers while calls are in flight, waits for their successors, and notices when nothing moves any more.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::load::Load;
use super::plan::Dice;
use crate::harness::{Engine, look_for, proc};

/// At one moment of so many all workers die at once.
const ALL_AT_ONCE: u64 = 6;
/// How often a line says how far the run has come.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// How long a look lasts at most. Whoever looks comes back with what it sees after that.
const LOOK: Duration = Duration::from_secs(1);

/// What happened to whom.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    /// For each killed worker: calls in flight at that moment.
    pub in_flight: Vec<u64>,
    /// The longest that it took until there were as many workers as before.
    pub slowest_return: Duration,
}

/// No call has ended for longer than any call may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stalled {
    in_flight: u64,
    for_at_least: Duration,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight, for_at_least } = self;
        write!(f, "nothing moves: {in_flight} calls are in flight, and none has ended for {for_at_least:?}")
    }
}

/// Watches a load.
#[derive(Debug)]
pub struct Watch<'a> {
    load: &'a Load,
    /// Longer than any call may take.
    patience: Duration,
    over: u64,
    moved: Instant,
    begin: Instant,
    said: Instant,
}

impl<'a> Watch<'a> {
    /// A watch over this load.
    #[must_use]
    pub fn new(load: &'a Load, patience: Duration) -> Self {
        let now = Instant::now();
        Self { load, patience, over: 0, moved: now, begin: now, said: now }
    }

    /// Looks until something is there, or nothing moves.
    ///
    /// # Errors
    /// When no call ends for longer than any may take.
    pub fn until<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Result<T, Stalled> {
        loop {
            if let Some(found) = look_for(LOOK, &mut look) {
                return Ok(found);
            }
            self.tell();
            self.check_movement()?;
        }
    }

    fn check_movement(&mut self) -> Result<(), Stalled> {
        let over = self.load.over.load(Ordering::Relaxed);
        if over != self.over {
            (self.over, self.moved) = (over, Instant::now());
        }
        let for_at_least = self.moved.elapsed();
        if for_at_least < self.patience {
            return Ok(());
        }
        Err(Stalled { in_flight: self.load.in_flight.load(Ordering::Relaxed), for_at_least })
    }

    fn tell(&mut self) {
        if self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.said = Instant::now();
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (over, right, kills) = (of(&self.load.over), of(&self.load.right), of(&self.load.kills));
        let (failed, seconds) = (over - right.min(over), self.begin.elapsed().as_secs());
        eprintln!("{seconds} s: {over} calls over, {failed} of them not answered, {kills} workers killed");
    }
}

/// Who dies when.
#[derive(Clone, Copy, Debug)]
pub struct Killer {
    /// Calls that must be in flight when a worker dies.
    pub in_flight_min: u64,
    /// Workers that there are.
    pub workers: usize,
    /// Workers to kill.
    pub kills: u64,
    /// The kills are spread over so many calls.
    pub calls: u64,
    /// Whether the worker with the most connections dies, where calls are bound to them; else any.
    pub busiest: bool,
    /// Chooses.
    pub dice: Dice,
}

impl Killer {
    /// Kills until there have been enough.
    ///
    /// # Errors
    /// When nothing moves any more.
    pub fn work(mut self, engine: &Engine, load: &Load, watch: &mut Watch<'_>) -> Result<Deaths, Stalled> {
        let mut deaths = Deaths::default();
        let mut moment = 0;
        while load.kills.load(Ordering::Relaxed) < self.kills {
            moment += 1;
            let made = load.kills.load(Ordering::Relaxed);
            let due = (made + 1) * self.calls / (self.kills + 1);
            watch.until(|| (load.over.load(Ordering::Relaxed) >= due).then_some(()))?;
            let victims = self.choose(&engine.workers(), moment % ALL_AT_ONCE == 0);
            let in_flight = watch.until(|| {
                let count = load.in_flight.load(Ordering::Relaxed);
                (count >= self.in_flight_min && load.is_well()).then_some(count)
            })?;
            victims.iter().copied().for_each(proc::kill);
            let begin = Instant::now();
            watch.until(|| self.are_replaced(&victims, &engine.workers()).then_some(()))?;
            deaths.slowest_return = deaths.slowest_return.max(begin.elapsed());
            deaths.in_flight.extend(victims.iter().map(|_| in_flight));
            load.kills.fetch_add(victims.len() as u64, Ordering::Relaxed);
        }
        Ok(deaths)
    }

    fn choose(&mut self, workers: &[u32], all: bool) -> Vec<u32> {
        if all {
            return workers.to_vec();
        }
        if self.busiest {
            // All else that a worker has open is the same in each.
            return workers.iter().copied().max_by_key(|pid| descriptors(*pid)).into_iter().collect();
        }
        let place = usize::try_from(self.dice.below(workers.len() as u64)).expect("a place");
        workers.get(place).copied().into_iter().collect()
    }

    fn are_replaced(&self, victims: &[u32], now: &[u32]) -> bool {
        now.len() == self.workers && victims.iter().all(|victim| !now.contains(victim))
    }
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
