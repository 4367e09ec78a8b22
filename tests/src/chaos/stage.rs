//! What a run and a storm have in common: an engine with clients, its end, and the comparison of what callers were told
//! with what ran.

use std::sync::Arc;
use std::time::Duration;

use speedysvc::__private::Channel;

use super::caller::{Ends, connect};
use super::checker::{Bounds, Tally, check};
use super::killer::Deaths;
use super::load::Load;
use super::plan::Plan;
use super::record;
use super::run::{Options, Transport};
use super::service::{RECORD_ENV, SABOTAGE_ENV};
use crate::harness::{Engine, Home, program};

/// An engine, and the connections that callers share.
pub(super) struct Stage<'o> {
    // First, so that it is dead when the home is cleaned.
    pub(super) engine: Engine,
    pub(super) home: Arc<Home>,
    pub(super) channels: Vec<Channel>,
    options: &'o Options,
}

impl<'o> Stage<'o> {
    /// Starts the engine of this home, and connects.
    pub(super) fn set(options: &'o Options, home: Arc<Home>) -> Result<Self, String> {
        let engine = home.start();
        let address = match options.transport {
            Transport::Shm => engine.address("chaos"),
            Transport::Tcp => engine.tcp_address("chaos"),
        };
        let channels = (0..options.clients).map(|_| connect(&address, options.deadline)).collect::<Result<Vec<_>, _>>();
        let channels = channels.map_err(|error| error.to_string())?;
        channels.iter().for_each(|channel| channel.sleep_at_most(options.sleep));
        Ok(Self { engine, home, channels, options })
    }

    /// Lets the engine end, which it must do well.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        match self.engine.stop() {
            0 => Ok(()),
            code => Err(format!("the engine ended with {code}: {:#?}", self.engine.err())),
        }
    }

    /// How calls ended, or what contradicts.
    pub(super) fn judge(&self, load: &Load, ends: &Ends, deaths: &Deaths) -> Result<Tally, String> {
        let records = record::read(&self.home.path().join("record")).map_err(|error| error.to_string())?;
        let tally = check(load.begun(), &ends.verdicts, &records, bounds(self.options, deaths));
        // What they were told in words says most, also of what no kill explains.
        let tally = tally.map_err(|wrong| format!("{wrong}{}", ends.in_words()))?;
        refuse_surprises(self.options, ends, &self.channels)?;
        Ok(tally)
    }
}

/// A folder with the file; `above` stands before the service's table, and `more` at its end.
pub(super) fn home(options: &Options, above: &str, more: &str) -> Arc<Home> {
    let Options { workers, plan: Plan { message_max, .. }, .. } = options;
    let home = Home::new("");
    let record = home.path().join("record");
    let sabotage = options.sabotage.map_or_else(String::new, |sabotage| format!(", {SABOTAGE_ENV} = '{sabotage}'"));
    let toml = format!(
        "{above}\
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
    home.rewrite(&toml);
    home
}

/// What a kill excuses.
fn bounds(options: &Options, deaths: &Deaths) -> Bounds {
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

/// What no kill explains: wakes that were lost, other errors, calls over their deadline.
fn refuse_surprises(options: &Options, ends: &Ends, channels: &[Channel]) -> Result<(), String> {
    let lost = channels.iter().map(Channel::rescues).sum::<u64>();
    if lost > 0 {
        return Err(format!("{lost} callers slept through their replies: wakes were lost"));
    }
    if let Some(first) = ends.surprises.first() {
        return Err(format!("{} calls failed in a way that no kill explains, such as {first}", ends.surprises.len()));
    }
    // A little more than the deadline itself: the thread that must notice may have to wait for a processor.
    let late = options.deadline + Duration::from_secs(2);
    if let Some(slow) = ends.slowest.first().filter(|slow| slow.took > late) {
        return Err(format!("{:?} took {:?}, over its deadline of {:?}", slow.call, slow.took, options.deadline));
    }
    Ok(())
}
