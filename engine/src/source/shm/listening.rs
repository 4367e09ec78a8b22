//! Which links' clients are listened to: who rings for nothing is left out of the wait for a while, and looked at once
//! a millisecond instead (rule 29). Whether that is so decides [`BellBudget`].

use std::os::fd::OwnedFd;
use std::time::Duration;

use speedysvc_protocol::control::Report;
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::stats::Counter;

use super::{Attached, Links};
use crate::bells::{Bells, Rang};
use crate::dispatch::Runner;
use crate::share::bell_budget::BellBudget;

/// Between two looks at links whose clients are not listened to. A loop that wakes for them has less of a processor
/// left when others need it: with 1 ms a neighbour noticed where all processors were busy (decision 0087).
const TICK: Duration = Duration::from_millis(4);
const TICK_NS: u64 = 4_000_000;

/// The descriptors by which a link rings here.
pub(crate) struct LinkBells {
    /// The client's. It is never written or read here: its holder can make either wait for ever.
    pub(crate) theirs: OwnedFd,
    /// Of a link that was the last with its inner bell: that.
    pub(crate) inner: Option<OwnedFd>,
    /// Held open, so that without a supervisor the client is hung up on when its last worker has gone.
    pub(crate) _client: Option<OwnedFd>,
}

impl LinkBells {
    /// Takes them out of the set.
    pub(crate) fn leave(&self, bells: &Bells) {
        bells.remove(&self.theirs);
        self.inner.iter().for_each(|inner| bells.remove(inner));
    }
}

/// Of one link.
pub(super) struct Listening {
    budget: BellBudget,
    is_muted: bool,
    /// The broker knows that it was.
    is_told: bool,
}

impl Listening {
    pub(super) fn new(now_ns: u64) -> Self {
        Self { budget: BellBudget::new(now_ns), is_muted: false, is_told: false }
    }
}

impl Attached {
    /// Changes whenever any loop claims a request of this link.
    fn claims(&self) -> u64 {
        let slots = 0..self.link.geometry().slots();
        slots.map(|slot| self.link.slot(slot).claimed().word()).fold(0, u64::wrapping_add)
    }
}

impl Links {
    /// A client's bell was heard: its link is taken over, as by any bell, and what it costs is noted.
    pub(crate) fn client_rang(&mut self, id: LinkId, now_ns: u64, bells: &Bells) {
        self.note_bell(id, now_ns, bells);
        self.adopt_belled(id, now_ns);
    }

    /// If that was once more in vain than it may be, the client is not listened to for a while.
    fn note_bell(&mut self, id: LinkId, now_ns: u64, bells: &Bells) {
        let Some(key) = self.keys.get(&id).copied() else { return };
        let attached = &mut self.all[key];
        let claims = attached.claims();
        let waits = attached.ready().next().is_some();
        if attached.listening.budget.heard(now_ns, claims, || waits) || attached.listening.is_muted {
            return;
        }
        bells.remove(&attached.bells.theirs);
        attached.listening.is_muted = true;
        self.muted.push(key);
        self.meter.count(Counter::BellsMuted);
        if !std::mem::replace(&mut self.all[key].listening.is_told, true) {
            self.reports.push(Report::Muted { link: id });
        }
    }

    /// Once a tick: links whose clients are not listened to are taken over when a request lies there, as if they had
    /// rung, and listened to again when they may be. Whether there was any.
    pub(crate) fn look_at_muted(&mut self, runner: &mut Runner, now_ns: u64, bells: &Bells) -> bool {
        if self.muted.is_empty() || now_ns < self.muted_look_ns {
            return false;
        }
        self.muted_look_ns = now_ns + TICK_NS;
        let mut muted = std::mem::take(&mut self.muted);
        muted.retain(|key| {
            let attached = &mut self.all[*key];
            let claims = attached.claims();
            if attached.listening.budget.is_heard_again(now_ns, claims) {
                // What was rung meanwhile is heard now. When there is no memory for it, it is tried again.
                attached.listening.is_muted = bells.add(&attached.bells.theirs, Rang::Link(attached.id)).is_err();
            }
            let stays = attached.listening.is_muted;
            if attached.ready().next().is_some() {
                self.adopt(*key, now_ns);
                self.belled.push(*key);
            }
            stays
        });
        self.muted = muted;
        let any = !self.belled.is_empty();
        if any {
            self.look_at_belled(runner, now_ns);
        }
        any
    }

    /// How long the loop may sleep at most.
    pub(crate) fn longest_sleep(&self) -> Option<Duration> {
        (!self.muted.is_empty()).then_some(TICK)
    }
}
