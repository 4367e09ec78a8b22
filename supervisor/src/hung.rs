//! Looks for loops that are awake and do not move, as often as the rule of the watchdog wants.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::ids::WorkerId;

use crate::StartError;
use crate::policy::{Event, Phase};
use crate::run::Supervisor;

impl Supervisor<'_, '_> {
    /// Those who can hang.
    fn serving(&self) -> impl Iterator<Item = ((ServiceKey, WorkerId), Duration)> {
        self.hands.keys().flat_map(|key| {
            let slots = self.state.view(key).map(|view| view.slots).unwrap_or_default();
            let ready = slots.into_iter().filter(|slot| slot.phase == Phase::Ready);
            let hang = self.hands.service(key).hang;
            ready.filter_map(move |slot| Some(((key, slot.worker?), hang?)))
        })
    }

    pub(crate) fn next_look(&self) -> Option<Duration> {
        self.serving().next().map(|_| self.watchdog.next())
    }

    pub(crate) fn look_for_the_hung(&mut self) -> Result<(), StartError> {
        let now = self.now();
        if self.next_look().is_none_or(|next| next > now) {
            return Ok(());
        }
        let seen: Vec<_> =
            self.serving().filter_map(|(key, hang)| Some((key, hang, self.hands.look(key.0, key.1)?))).collect();
        for ((service, worker), how) in self.watchdog.look(seen.into_iter(), now) {
            self.feed(Event::Hung { service, worker, how })?;
        }
        Ok(())
    }
}
