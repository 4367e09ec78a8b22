//! Nothing more to do at once: looking on for a while, sleeping, and how a loop is back from that.

use std::time::Duration;

use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::stats::Counter;

use super::Worker;
use super::draining::LINGER;
use crate::clock::now_ns;
use crate::error::StartError;
use crate::idle::Rest;

/// After so many turns a loop has done what it was woken for, most likely: a client whose call is not taken at once
/// rings twice. Who has work in a later one stays up, so that it need not be rung for each call.
const FEW_TURNS: u32 = 4;

impl Worker {
    /// Phase: nothing more to do at once. Look on for a while, or sleep.
    pub(super) fn rest(&mut self, worked: bool, called: bool) -> Result<(), StartError> {
        if worked {
            self.crowd.does_something_else();
            self.idle.worked(self.runner.take_moved());
            if called || self.woke_in.is_some_and(|turn| self.turns.wrapping_sub(turn) > FEW_TURNS) {
                self.stay_up();
            }
            // Whoever was answered may be back before another whole turn is over, again and again.
            if called && !self.links.has_waiting() && !self.runner.beside.has_done() {
                self.spin();
            }
            return Ok(());
        }
        if self.draining.is_some() {
            return self.rest_draining();
        }
        self.now_ns = now_ns();
        if self.connections.tick(self.now_ns, &self.runner) {
            return Ok(());
        }
        let rest = if self.crowd.allows(self.now_ns) { self.idle.rest(self.now_ns) } else { self.idle.give_way() };
        match rest {
            Rest::Sleep => self.sleep(),
            Rest::Spin => {
                self.stay_up();
                self.spin();
                Ok(())
            }
        }
    }

    /// Leaves all links, looks once more, and sleeps (rule 21). Clients ring because nobody polls their links. That it
    /// sleeps it says only when nothing was found: whoever watches over it must not rest while a handler runs.
    fn sleep(&mut self) -> Result<(), StartError> {
        if self.links.demote_all(&mut self.runner, self.now_ns) {
            self.now_ns = now_ns();
            return Ok(());
        }
        self.connections.rest();
        self.links.say(Mode::Asleep);
        let longest = [self.connections.longest_sleep(self.now_ns), self.links.longest_sleep()];
        self.wait(longest.into_iter().flatten().min())?;
        self.links.say(Mode::Woken);
        self.woke_in = Some(self.turns);
        Ok(())
    }

    /// Says that it looks all the time, and is watched over from here on, unless that is so already. Who is woken for a
    /// call or two, and sleeps again, does without: the clients of its links ring as long as it has not said so, and
    /// all loops hear them. To start the timer takes a tenth of a call that finds both sides asleep (decision 0081).
    pub(super) fn stay_up(&mut self) {
        if self.woke_in.take().is_none() {
            return;
        }
        if self.draining.is_none() {
            self.links.say(Mode::Scan);
        }
        self.watcher.awake(self.now_ns);
    }

    fn rest_draining(&mut self) -> Result<(), StartError> {
        let Some(draining) = &mut self.draining else { return Ok(()) };
        self.now_ns = now_ns();
        if draining.looks(self.now_ns) {
            self.connections.close_quiet();
            return Ok(());
        }
        self.wait(Some(LINGER))
    }

    /// The one place where the loop sleeps. The time has just been looked at.
    fn wait(&mut self, longest: Option<Duration>) -> Result<(), StartError> {
        self.crowd.does_something_else();
        self.driver.wait(longest).map_err(StartError::in_loop("wait"))?;
        let now_ns = now_ns();
        self.runner.meter.count(Counter::Sleeps);
        self.runner.meter.add(Counter::AsleepNs, now_ns.saturating_sub(self.now_ns));
        self.now_ns = now_ns;
        Ok(())
    }
}
