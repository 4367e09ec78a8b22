//! Everything at once, by chance, under load: workers killed and stopped, reloads, scaling, a disk that is full. What
//! callers were told must fit what ran, and nothing may be left behind.

use std::fmt;
use std::fs;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::caller::Ends;
use super::checker::Tally;
use super::killer::{Deaths, Watch};
use super::load::Load;
use super::plan::Dice;
use super::run::{Options, gather};
use super::stage::{Stage, home};
use crate::harness::{Ended, Engine, Home, SmallDisk, command, look_for, proc};

/// Orders that may be under way at once.
const ORDERS_MAX: usize = 3;
/// Longest time for which a worker stands still, in milliseconds.
const STOP_MAX: u64 = 500;
/// The engine and its workers are slow, not lost, on a machine that is busy.
const PATIENT: &str = "drain = '120s'\nkill = '120s'\nstart_timeout = '120s'\nhang = 'none'\n";
/// How long the engine may take to be well again, once it is left alone.
const SETTLE: Duration = Duration::from_secs(120);

/// What was done to the engine.
#[derive(Clone, Debug, Default)]
pub struct Weather {
    deaths: Deaths,
    stops: u64,
    reloads: u64,
    scalings: u64,
    /// Orders that failed because of a kill, and were said to have failed.
    failed: u64,
    fills: u64,
    disk: String,
}

/// A storm without contradictions.
#[derive(Clone, Debug)]
pub struct Stormed {
    /// How calls ended.
    pub tally: Tally,
    /// What was done.
    pub weather: Weather,
}

impl Weather {
    /// Whether everything was done at least once that a storm consists of.
    #[must_use]
    pub fn had_everything(&self) -> bool {
        let Self { deaths, stops, reloads, scalings, fills, .. } = self;
        !deaths.in_flight.is_empty() && [stops, reloads, scalings, fills].into_iter().all(|count| *count > 0)
    }
}

impl fmt::Display for Stormed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weather { deaths, stops, reloads, scalings, failed, fills, disk } = &self.weather;
        let kills = deaths.in_flight.len();
        writeln!(f, "{kills} workers killed, {stops} stopped for a while, {reloads} reloads, {scalings} scalings")?;
        writeln!(f, "  ({failed} of these orders failed, and said so), the disk full {fills} times ({disk})")?;
        let Tally { right, done, not_started, unknown, unknown_ran, runs, .. } = self.tally;
        writeln!(f, "  {right} calls answered rightly, {not_started} not started, {done} done without their reply,")?;
        write!(f, "  {unknown} unknown ({unknown_ran} of them ran); {runs} runs written down")
    }
}

/// Calls for so long while the engine has no peace, and compares.
///
/// # Errors
/// With a text for people: what contradicts, what never ended, what is left behind.
///
/// # Panics
/// When the engine does not do what every test needs: start, stop.
pub fn storm(options: &Options, span: Duration) -> Result<Stormed, String> {
    let home = home(options, "[log]\ndir = 'log'\nsize = '8KiB'\nkeep = 2\n", PATIENT);
    let disk = SmallDisk::at(&home.path().join("log"), 64, &["engine.log", "chaos.log"]);
    // The disk goes before its folder, and after the engine.
    let mut stage = Stage::set(options, Arc::clone(&home))?;
    // The one kill that it waits for is the storm's end.
    let load = Arc::new(Load::new(options.plan, 1, options.sabotage, options.threads));
    let callers = load.start(&stage.channels);
    let dice = Dice(options.plan.seed ^ 0x73_746F_726D);
    let rage = Rage { engine: &stage.engine, home: &stage.home, disk: &disk, load: &load, options, dice };
    let raged = rage.on(span, callers);
    let (weather, ends) = raged.map_err(|why| format!("{why}; the engine says {:#?}", stage.engine.err()))?;
    stage.stop()?;
    let left = leftovers(&stage.home);
    if !left.is_empty() {
        return Err(format!("left behind: {}", left.join(", ")));
    }
    let tally = stage.judge(&load, &ends, &weather.deaths)?;
    Ok(Stormed { tally, weather })
}

/// What an engine that has ended left behind: processes, sockets, its run folder.
#[must_use]
pub fn leftovers(home: &Home) -> Vec<String> {
    let gone = || home.processes().is_empty().then_some(());
    // Who was told to go may still be going.
    look_for(SETTLE, gone);
    let processes = home.processes().into_iter().map(|pid| format!("process {pid}"));
    let folder = home.run_dir().exists().then(|| format!("the folder {}", home.run_dir().display()));
    processes.chain(folder).collect()
}

struct Rage<'a> {
    engine: &'a Engine,
    home: &'a Home,
    disk: &'a SmallDisk,
    load: &'a Load,
    options: &'a Options,
    dice: Dice,
}

/// What is under way.
#[derive(Default)]
struct Pending {
    /// Workers that stand still, and until when.
    stopped: Vec<(u32, Instant)>,
    orders: Vec<Child>,
    is_full: bool,
    turn: u64,
}

impl Rage<'_> {
    fn on(mut self, span: Duration, callers: Vec<JoinHandle<Ends>>) -> Result<(Weather, Ends), String> {
        let mut weather = Weather { disk: self.disk.about().to_owned(), ..Weather::default() };
        let mut pending = Pending::default();
        let mut watch = Watch::new(self.load, self.options.deadline + SETTLE);
        let begin = Instant::now();
        while begin.elapsed() < span || !weather.had_everything() {
            if self.load.is_well() {
                self.strike(&mut weather, &mut pending)?;
            }
            let pause = Duration::from_millis(20 + self.dice.below(300));
            let over = Instant::now();
            // Nothing moving is noticed here, too.
            watch.until(|| (over.elapsed() >= pause).then_some(())).map_err(|stalled| stalled.to_string())?;
            self.go_on(&mut weather, &mut pending)?;
        }
        self.calm(&mut weather, &mut pending)?;
        self.load.kills.store(1, Ordering::Relaxed);
        let all_over = || callers.iter().all(JoinHandle::is_finished).then_some(());
        watch.until(all_over).map_err(|stalled| stalled.to_string())?;
        Ok((weather, gather(callers)?))
    }

    /// Something happens.
    fn strike(&mut self, weather: &mut Weather, pending: &mut Pending) -> Result<(), String> {
        let workers = self.engine.workers();
        let chosen = usize::try_from(self.dice.below(workers.len().max(1) as u64)).expect("a place");
        let chosen = workers.get(chosen).copied();
        match (self.dice.below(10), chosen) {
            (0..3, Some(pid)) => {
                proc::kill(pid);
                weather.deaths.in_flight.push(self.load.in_flight.load(Ordering::Relaxed));
            }
            (3..6, Some(pid)) => {
                proc::signal(pid, Signal::STOP);
                let until = Instant::now() + Duration::from_millis(self.dice.below(STOP_MAX));
                pending.stopped.push((pid, until));
                weather.stops += 1;
            }
            (6, _) if pending.orders.len() < ORDERS_MAX => {
                pending.turn += 1;
                self.turn(pending.turn)?;
                pending.orders.push(self.order(&["reload"])?);
                weather.reloads += 1;
            }
            (7, _) if pending.orders.len() < ORDERS_MAX => {
                let workers = (1 + self.dice.below(4)).to_string();
                pending.orders.push(self.order(&["scale", "chaos", &workers])?);
                weather.scalings += 1;
            }
            (8, _) if !pending.is_full => {
                self.disk.fill();
                pending.is_full = true;
                weather.fills += 1;
            }
            (9, _) => {
                self.disk.empty();
                pending.is_full = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// Workers whose time is over go on, and orders that have ended are heard.
    fn go_on(&self, weather: &mut Weather, pending: &mut Pending) -> Result<(), String> {
        let now = Instant::now();
        pending.stopped.retain(|(pid, until)| {
            let stays = *until > now;
            if !stays {
                proc::signal(*pid, Signal::CONT);
            }
            stays
        });
        let mut ended = Vec::new();
        for (place, order) in pending.orders.iter_mut().enumerate() {
            if order.try_wait().map_err(|error| error.to_string())?.is_some() {
                ended.push(place);
            }
        }
        for place in ended.into_iter().rev() {
            self.heard(pending.orders.swap_remove(place), weather)?;
        }
        Ok(())
    }

    /// An order is carried out, or says that it failed: a new version whose first worker is killed is taken back.
    fn heard(&self, order: Child, weather: &mut Weather) -> Result<(), String> {
        let ended: Ended = order.wait_with_output().map_err(|error| error.to_string())?.into();
        match ended.code {
            Some(0) => Ok(()),
            Some(1) if !ended.err.is_empty() => {
                weather.failed += 1;
                Ok(())
            }
            _ => Err(format!("an order ended in a way that no kill explains: {ended:?}")),
        }
    }

    /// The storm is over: everybody goes on, there is room on the disk, and the engine gets well.
    fn calm(&self, weather: &mut Weather, pending: &mut Pending) -> Result<(), String> {
        self.disk.empty();
        pending.stopped.iter().for_each(|(pid, _)| proc::signal(*pid, Signal::CONT));
        for order in pending.orders.drain(..) {
            self.heard(order, weather)?;
        }
        self.heard(self.order(&["scale", "chaos", "auto"])?, weather)?;
        self.heard(self.order(&["reload"])?, weather)?;
        let is_well = || {
            let ended: Ended = self.order(&["status", "--json"]).ok()?.wait_with_output().ok()?.into();
            let status: serde_json::Value = serde_json::from_str(&ended.out).ok()?;
            let workers = status["services"][0]["workers"].as_array()?;
            let ready = workers.iter().filter(|worker| worker["state"] == "ready").count();
            (status["well"] == true && ready == self.options.workers && ready == workers.len()).then_some(())
        };
        look_for(SETTLE, is_well).ok_or_else(|| {
            let status = self.order(&["status"]).and_then(|order| order.wait_with_output().map_err(|e| e.to_string()));
            format!("it does not get well again: {:?}", status.map(Ended::from))
        })
    }

    /// Another value of a variable, so that a reload has something to do.
    fn turn(&self, turn: u64) -> Result<(), String> {
        let text = fs::read_to_string(self.home.config()).map_err(|error| error.to_string())?;
        let (before, after) = text.split_once("TURN = '").ok_or("the file has a TURN")?;
        let (_, after) = after.split_once('\'').ok_or("the file has a TURN")?;
        let new = self.home.path().join("service.new");
        let written = fs::write(&new, format!("{before}TURN = '{turn}'{after}"));
        written.and_then(|()| fs::rename(&new, self.home.config())).map_err(|error| error.to_string())
    }

    /// Not marked as one of the home's processes, so that nobody takes it for a worker.
    fn order(&self, words: &[&str]) -> Result<Child, String> {
        let mut ctl = command("speedysvc-engine");
        ctl.arg("ctl").arg("--run-dir").arg(self.home.run_dir()).args(words);
        ctl.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        ctl.spawn().map_err(|error| error.to_string())
    }
}

/// How long storms last that are part of all tests: `SPEEDYSVC_STORM` in seconds, or this.
#[must_use]
pub fn usual_span() -> Duration {
    let said = std::env::var("SPEEDYSVC_STORM");
    let seconds = said.map_or(60, |text| text.parse().expect("SPEEDYSVC_STORM is a number of seconds"));
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_found() {
        let home = Home::new("");
        assert_eq!(leftovers(&home), [""; 0]);
        fs::create_dir(home.run_dir()).unwrap();
        assert_eq!(leftovers(&home), [format!("the folder {}", home.run_dir().display())]);
    }
}
