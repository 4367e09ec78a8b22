//! A run: engine, callers, killer, record, verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use speedysvc::__private::Channel;

use super::caller::{Ends, Slow, connect};
use super::checker::{Bounds, Tally, check};
use super::killer::{Deaths, Killer, Watch};
use super::load::Load;
use super::plan::{Dice, Plan};
use super::record;
use super::sabotage::Sabotage;
use super::service::{RECORD_ENV, SABOTAGE_ENV};
use crate::harness::{Engine, Home, let_pass, program};

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
    /// Each kind of error and how often it came.
    pub errors: BTreeMap<String, u64>,
    /// The calls that took longest.
    pub slowest: Vec<Slow>,
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
        for Slow { took, end, call } in &self.slowest {
            writeln!(f, "  slow                {took:?}, to {:?}: {call:?}", end.duration_since(self.begin))?;
        }
        writeln!(f, "  workers killed      {}, with at least {fewest} calls in flight", deaths.in_flight.len())?;
        write!(f, "  slowest return      {:?}", deaths.slowest_return)?;
        self.errors.iter().try_for_each(|(words, count)| write!(f, "\n  {count} times: {words}"))
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
    let home = home(options, "", "");
    let mut engine = home.start();
    let address = match options.transport {
        Transport::Shm => engine.address("chaos"),
        Transport::Tcp => engine.tcp_address("chaos"),
    };
    let channels = (0..options.clients).map(|_| connect(&address, options.deadline)).collect::<Result<Vec<_>, _>>();
    let channels = channels.map_err(|error| error.to_string())?;
    let load = Arc::new(Load::new(options.plan, options.kills, options.sabotage));
    let begin = Instant::now();
    let callers = load.start(options.threads, &channels);
    let fought = fight(options, &engine, &load, callers);
    let (deaths, ends) = fought.map_err(|why| linger(options, &engine, why))?;
    let took = begin.elapsed();
    let code = engine.stop();
    if code != 0 {
        return Err(format!("the engine ended with {code}: {:#?}", engine.err()));
    }
    engine.wait_for_no_worker();
    let records = record::read(&home.path().join("record")).map_err(|error| error.to_string())?;
    let tally = check(load.begun(), &ends.verdicts, &records, bounds(options, &deaths));
    let tally = tally.map_err(|wrong| wrong.to_string())?;
    refuse_surprises(options, &ends, &channels, 0)?;
    Ok(Report { tally, deaths, errors: ends.errors, slowest: ends.slowest, begin, took })
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

/// A folder with the file; `above` stands before the service's table, and `more` at its end.
pub(super) fn home(options: &Options, above: &str, more: &str) -> Arc<Home> {
    let Options { workers, plan: Plan { message_max, .. }, .. } = options;
    let home = Home::new("");
    let record = home.path().join("record");
    let sabotage = options.sabotage.map_or_else(String::new, |sabotage| format!(", {SABOTAGE_ENV} = '{sabotage}'"));
    let toml = format!(
        "run_dir = 'run'\n\
         {above}\
         [service.chaos]\n\
         program = '{program}'\n\
         workers = {workers}\n\
         listen = ['tcp://127.0.0.1:0']\n\
         restart = {{ backoff = '10ms..100ms', limit = 'none' }}\n\
         limits = {{ shm_message = '{message_max}B', tcp_message = '{message_max}B' }}\n\
         env = {{ {RECORD_ENV} = '{record}', TURN = '0'{sabotage} }}\n\
         {more}",
        program = program("chaos-service").display(),
        record = record.display(),
    );
    std::fs::write(home.config(), toml).expect("the file can be written");
    home
}

/// What a kill excuses.
pub(super) fn bounds(options: &Options, deaths: &Deaths) -> Bounds {
    let killed = deaths.in_flight.len() as u64;
    let everybody = killed * options.threads as u64;
    match options.transport {
        // A worker has one call in its hand; what it has not taken is for the others. Replies too large for their
        // buffers may wait in it for as many callers as there are.
        Transport::Shm => Bounds { unknown: killed, not_started: 0, lost: everybody },
        // All calls on the connections of a dead worker, and those whose new connection it had just accepted.
        Transport::Tcp => Bounds { unknown: everybody, not_started: everybody, lost: 0 },
    }
}

/// What no kill explains: other errors, calls over their deadline, wakes that were lost.
///
/// A wake is late, not lost, when its worker stood still between a reply and the wake for it: `stood_still` times that
/// may have been, and far more seldom it is. How often it was.
pub(super) fn refuse_surprises(
    options: &Options,
    ends: &Ends,
    channels: &[Channel],
    stood_still: u64,
) -> Result<u64, String> {
    if let Some(first) = ends.surprises.first() {
        return Err(format!("{} calls failed in a way that no kill explains, such as {first}", ends.surprises.len()));
    }
    // A little more than the deadline itself: the thread that must notice may have to wait for a processor.
    let late = options.deadline + Duration::from_secs(2);
    if let Some(slow) = ends.slowest.first().filter(|slow| slow.took > late) {
        return Err(format!("{:?} took {:?}, over its deadline of {:?}", slow.call, slow.took, options.deadline));
    }
    match channels.iter().map(Channel::rescues).sum::<u64>() {
        count if count <= stood_still => Ok(count),
        count => Err(format!("{count} callers slept through their replies: wakes were lost")),
    }
}
