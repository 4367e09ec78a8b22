//! What the policy remembers.

use std::collections::VecDeque;
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::ids::WorkerId;

use super::{Phase, Plan};

/// Everything that the policy remembers between two events.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) services: Vec<Service>,
    /// When the stop was first asked for.
    pub(super) stopping: Option<Duration>,
    pub(super) said_all_ready: bool,
    /// `Exit` was given out; nothing comes after it.
    pub(super) ended: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub key: ServiceKey,
    pub plan: Plan,
    pub slots: Vec<Slot>,
    /// Counts up: a report of a dead worker can never be taken for its successor's.
    pub next_worker: u32,
    /// When its workers died, oldest first, as far as the restart limit still looks.
    pub deaths: VecDeque<Duration>,
    /// Too many died. Those who live go on; nobody is started.
    pub gave_up: bool,
    pub closed: bool,
    pub said_ready: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub phase: Phase,
    /// `Some` from spawn to death, whatever the phase.
    pub worker: Option<WorkerId>,
    /// When its worker said ready.
    pub ready_since: Option<Duration>,
    /// Deaths in a row without a worker that proved itself between them.
    pub streak: u32,
    pub fuse: Option<Fuse>,
}

/// Something that happens to a worker unless something else happens before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fuse {
    pub at: Duration,
    pub end: End,
}

/// Whose patience ends with a [`Fuse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It did not say ready: kill.
    Start,
    /// It did not finish its calls: terminate.
    Drain,
    /// It did not follow SIGTERM: kill.
    Terminate,
    /// It gave up by itself but did not exit: kill.
    Linger,
}

impl State {
    /// Nothing runs yet. Plans are in the order of their [`ServiceKey`]s.
    #[must_use]
    pub fn new(plans: Vec<Plan>) -> Self {
        let service = |(key, plan): (usize, Plan)| Service {
            key: ServiceKey(key),
            slots: vec![Slot::empty(); usize::from(plan.workers)],
            plan,
            next_worker: 0,
            deaths: VecDeque::new(),
            gave_up: false,
            closed: false,
            said_ready: false,
        };
        let services = plans.into_iter().enumerate().map(service).collect();
        Self { services, stopping: None, said_all_ready: false, ended: false }
    }

    /// What each slot of a service is doing.
    pub fn phases(&self, service: ServiceKey) -> impl Iterator<Item = Phase> {
        self.services.get(service.0).into_iter().flat_map(|service| &service.slots).map(|slot| slot.phase)
    }

    /// How many workers are alive, as far as is known.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.services.iter().map(Service::alive).sum()
    }

    /// The slot of a worker that has not died. `None` for news of the dead, which come late and mean nothing.
    pub(super) fn find(&mut self, key: ServiceKey, worker: WorkerId) -> Option<(&mut Service, usize)> {
        let service = self.services.get_mut(key.0)?;
        let slot = service.slots.iter().position(|slot| slot.worker == Some(worker))?;
        Some((service, slot))
    }
}

impl Service {
    pub fn alive(&self) -> usize {
        self.slots.iter().filter(|slot| slot.worker.is_some()).count()
    }

    pub fn ready(&self) -> usize {
        self.slots.iter().filter(|slot| slot.phase == Phase::Ready).count()
    }

    /// Counts a death, and says whether it was one too many.
    pub fn count_death_over_limit(&mut self, now: Duration) -> bool {
        let Some(limit) = self.plan.restart.limit else { return false };
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|at| now.saturating_sub(*at) > limit.within) {
            self.deaths.pop_front();
        }
        self.deaths.len() >= usize::try_from(limit.deaths).unwrap_or(usize::MAX)
    }
}

impl Slot {
    pub const fn empty() -> Self {
        Self { phase: Phase::Stopped, worker: None, ready_since: None, streak: 0, fuse: None }
    }

    /// Forgets the worker, and says how long to wait for the next: doubling, until one proves itself.
    pub fn pause_after_death(&mut self, plan: &Plan, now: Duration) -> Duration {
        let was_ready_for = self.ready_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        if was_ready_for >= super::PROVEN_AFTER {
            self.streak = 0;
        }
        let factor = 1_u32.checked_shl(self.streak).unwrap_or(u32::MAX);
        self.streak = self.streak.saturating_add(1);
        plan.restart.backoff_min.saturating_mul(factor).min(plan.restart.backoff_max)
    }
}
