//! A run: engine, callers, killer, record, verdict.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::caller::{Ends, Slow};
use super::checker::Tally;
use super::killer::{Deaths, Killer, Watch};
use super::load::Load;
use super::plan::{Dice, Plan};
use super::sabotage::Sabotage;
use super::stage::{Stage, home};
use crate::harness::{Engine, let_pass};

/// How the calls travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Shared memory.
    Shm,
    /// TCP on the loopback device.
    Tcp,
}

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// How the calls travel.
    pub transport: Transport,
    /// Seed, calls, sizes.
    pub plan: Plan,
    /// Workers to kill at least.
    pub kills: u64,
    /// Threads that call: as many calls are in flight.
    pub threads: usize,
    /// Connections that they share.
    pub clients: usize,
    /// Worker processes.
    pub workers: usize,
    /// Calls that must be in flight when a worker is killed.
    pub in_flight_min: u64,
    /// Of each call. One that takes longer fails the run.
    pub deadline: Duration,
    /// How long a caller sleeps before it looks for itself: shorter than a deadline, and longer than any worker stands
    /// still. Who finds its reply then was not woken, and never would have been.
    pub sleep: Duration,
    /// A mistake on purpose.
    pub sabotage: Option<Sabotage>,
    /// How long everything is left as it is when nothing moves any more, for whoever wants to look.
    pub linger: Duration,
}

/// What a run without contradictions was like.
#[derive(Clone, Debug)]
pub struct Report {
    /// How calls ended.
    pub tally: Tally,
    /// Who was killed when.
    pub deaths: Deaths,
    /// How calls ended for their threads.
    pub ends: Ends,
    /// When the first call was made.
    pub begin: Instant,
    /// The calls' time.
    pub took: Duration,
}

impl Report {
    /// Calls that were made and judged.
    #[must_use]
    pub fn calls(&self) -> u64 {
        let Tally { right, done, not_started, unknown, .. } = self.tally;
        right + done + not_started + unknown
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tally, deaths, .. } = self;
        let Tally { right, done, not_started, unknown, unknown_ran, runs, .. } = tally;
        let calls = self.calls();
        let fewest = deaths.in_flight.iter().min().copied().unwrap_or_default();
        writeln!(f, "{calls} calls in {:.1} s, {runs} runs written down", self.took.as_secs_f64())?;
        writeln!(f, "  answered rightly    {right}")?;
        writeln!(f, "  not started         {not_started}")?;
        writeln!(f, "  unknown             {unknown} ({unknown_ran} of them ran)")?;
        writeln!(f, "  done, reply lost    {done}")?;
        // With any there would be no report.
        writeln!(f, "  lost wakes          0")?;
        for Slow { took, end, call } in &self.ends.slowest {
            writeln!(f, "  slow                {took:?}, to {:?}: {call:?}", end.duration_since(self.begin))?;
        }
        writeln!(f, "  workers killed      {}, with at least {fewest} calls in flight", deaths.in_flight.len())?;
        write!(f, "  slowest return      {:?}{}", deaths.slowest_return, self.ends.in_words())
    }
}

/// Makes the calls, kills the workers, and compares.
///
/// # Errors
/// With a text for people: what contradicts, what never ended, what nobody expected.
///
/// # Panics
/// When the engine does not do what every test needs: start, replace workers, stop.
pub fn run(options: &Options) -> Result<Report, String> {
    let mut stage = Stage::set(options, home(options, "", ""))?;
    let load = Arc::new(Load::new(options.plan, options.kills, options.sabotage, options.threads));
    let begin = Instant::now();
    let callers = load.start(&stage.channels);
    let fought = fight(options, &stage.engine, &load, callers);
    let (deaths, ends) = fought.map_err(|why| linger(options, &stage.engine, why))?;
    let took = begin.elapsed();
    stage.stop()?;
    stage.engine.wait_for_no_worker();
    let tally = stage.judge(&load, &ends, &deaths)?;
    Ok(Report { tally, deaths, ends, begin, took })
}

/// The kills, and then the end of all callers.
fn fight(
    options: &Options,
    engine: &Engine,
    load: &Load,
    callers: Vec<JoinHandle<Ends>>,
) -> Result<(Deaths, Ends), String> {
    let mut watch = Watch::new(load, options.deadline + Duration::from_secs(10));
    let (kills, workers) = (options.kills, options.workers);
    let dice = Dice(options.plan.seed ^ 0x6B69_6C6C);
    let (in_flight_min, calls) = (options.in_flight_min, options.plan.calls);
    let busiest = options.transport == Transport::Tcp;
    let killer = Killer { in_flight_min, workers, kills, calls, busiest, dice };
    let deaths = killer.work(engine, load, &mut watch).map_err(|stalled| stalled.to_string())?;
    let all_over = || callers.iter().all(JoinHandle::is_finished).then_some(());
    watch.until(all_over).map_err(|stalled| stalled.to_string())?;
    Ok((deaths, gather(callers)?))
}

/// What all callers have to tell.
pub(super) fn gather(callers: Vec<JoinHandle<Ends>>) -> Result<Ends, String> {
    let mut all = Ends::default();
    for caller in callers {
        let ends = caller.join().map_err(|_| "a caller panicked".to_owned())?;
        all.verdicts.extend(ends.verdicts);
        all.surprises.extend(ends.surprises);
        ends.slowest.into_iter().for_each(|slow| all.note_time(slow));
        ends.errors.into_iter().for_each(|(words, count)| *all.errors.entry(words).or_default() += count);
    }
    Ok(all)
}

/// Everything stays as it is for a while, and then the text goes on.
fn linger(options: &Options, engine: &Engine, why: String) -> String {
    eprintln!("{why}\nengine {}, workers {:?}; its words: {:#?}", engine.pid(), engine.workers(), engine.err());
    let_pass(options.linger);
    why
}
