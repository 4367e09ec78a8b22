//! What the policy remembers.

use std::collections::VecDeque;
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::ids::WorkerId;

use super::{Phase, Plan, Version};

/// Everything that the policy remembers between two events. Numbers and names only, so that it can be handed on.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) services: Vec<Service>,
    /// When the stop was first asked for.
    pub(super) stopping: Option<Duration>,
    pub(super) said_all_ready: bool,
    /// `Exit` was given out; nothing comes after it.
    pub(super) ended: bool,
    /// What moves pauses by chance; `None` leaves them as they are.
    pub(super) seed: Option<u64>,
}

/// Whether a service is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Running,
    Stopped,
    /// Stopped, and not to come back.
    Removed,
    /// Removed, and nobody is left.
    Forgotten,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub key: ServiceKey,
    pub plan: Plan,
    pub wanted: Wanted,
    /// How many workers there should be.
    pub target: u16,
    /// What new workers are started as.
    pub version: Version,
    /// Where to go back to while workers of an earlier version serve.
    pub before: Option<Before>,
    pub slots: Vec<Slot>,
    /// Counts up: a report of a dead worker can never be taken for its successor's.
    pub next_worker: u32,
    /// When its workers died, oldest first, as far as the restart limit still looks.
    pub deaths: VecDeque<Duration>,
    /// Too many died. Those who live go on; nobody is started.
    pub gave_up: bool,
    pub closed: bool,
    /// Somebody was started since it was last wanted: what it comes after does not hold it back any more.
    pub started: bool,
    pub said_ready: bool,
    pub died: u64,
    pub rolled_back: u64,
    pub last_death: Option<(Duration, String)>,
}

/// A version that was known to serve.
#[derive(Clone, Debug)]
pub(super) struct Before {
    pub version: Version,
    pub plan: Plan,
    pub target: u16,
}

#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub phase: Phase,
    /// `Some` from spawn to death, whatever the phase.
    pub worker: Option<WorkerId>,
    pub version: Version,
    /// When its worker was told to go; nobody takes its place.
    pub leaving: Option<Duration>,
    /// When its worker said ready.
    pub ready_since: Option<Duration>,
    /// Deaths in a row without a worker that proved itself between them.
    pub streak: u32,
    pub fuse: Option<Fuse>,
    /// What its worker does while it starts, if it has asked for time.
    pub doing: Option<String>,
    /// Its worker has more memory than it may have, and goes as soon as another serves.
    pub outgrown: bool,
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

/// A service, for whoever wants to see it.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Whether it is to run.
    pub wanted: bool,
    /// Whether too many of its workers died.
    pub failed: bool,
    /// What it waits for before it starts.
    pub waits_for: Vec<String>,
    /// How many workers it should have.
    pub target: u16,
    /// The version of new workers.
    pub version: Version,
    /// Whether workers are being replaced by another version.
    pub rolling: bool,
    /// How many workers died that were to stay.
    pub died: u64,
    /// How often a new version was given up.
    pub rolled_back: u64,
    /// The last of these deaths: when, and the line that told of it.
    pub last_death: Option<(Duration, String)>,
    /// The places of its workers.
    pub slots: Vec<SlotView>,
}

/// A place for a worker.
#[derive(Clone, Debug)]
pub struct SlotView {
    /// Whoever is in it.
    pub worker: Option<WorkerId>,
    /// What it is doing.
    pub phase: Phase,
    /// Its version.
    pub version: Version,
    /// When its worker said ready.
    pub ready_since: Option<Duration>,
    /// What its worker says that it does while it starts.
    pub doing: Option<String>,
}

impl State {
    /// Nothing runs yet. Plans are in the order of their [`ServiceKey`]s.
    #[must_use]
    pub fn new(plans: Vec<Plan>) -> Self {
        let mut state = Self { services: Vec::new(), stopping: None, said_all_ready: false, ended: false, seed: None };
        plans.into_iter().for_each(|plan| state.add(plan, Version::default()));
        state
    }

    /// Moves pauses before restarts by chance, which is all in the seed.
    #[must_use]
    pub fn with_chance(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    pub(super) fn add(&mut self, plan: Plan, version: Version) {
        self.services.push(Service {
            key: ServiceKey(self.services.len()),
            wanted: Wanted::Running,
            target: plan.workers,
            plan,
            version,
            before: None,
            slots: Vec::new(),
            next_worker: 0,
            deaths: VecDeque::new(),
            gave_up: false,
            closed: false,
            started: false,
            said_ready: false,
            died: 0,
            rolled_back: 0,
            last_death: None,
        });
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

    /// Whether everything is to end.
    #[must_use]
    pub const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// A service as it is now; `None` after it was removed.
    #[must_use]
    pub fn view(&self, key: ServiceKey) -> Option<ServiceView> {
        let service = self.services.get(key.0).filter(|service| service.wanted != Wanted::Forgotten)?;
        let slot = |slot: &Slot| SlotView {
            worker: slot.worker,
            phase: slot.phase,
            version: slot.version,
            ready_since: slot.ready_since,
            doing: slot.doing.clone(),
        };
        Some(ServiceView {
            wanted: service.wanted == Wanted::Running,
            failed: service.gave_up,
            waits_for: self.waits_for(service).map(str::to_owned).collect(),
            target: service.target,
            version: service.version,
            rolling: service.before.is_some(),
            died: service.died,
            rolled_back: service.rolled_back,
            last_death: service.last_death.clone(),
            slots: service.slots.iter().map(slot).collect(),
        })
    }

    /// Whether a worker is to be replaced for its size; `None` for news of the dead.
    #[must_use]
    pub fn is_outgrown(&self, key: ServiceKey, worker: WorkerId) -> Option<bool> {
        let slots = &self.services.get(key.0)?.slots;
        slots.iter().find(|slot| slot.worker == Some(worker)).map(|slot| slot.outgrown)
    }

    /// Versions that a worker has, that the next one gets, or that may come back.
    pub fn versions_in_use(&self, key: ServiceKey) -> impl Iterator<Item = Version> {
        self.services.get(key.0).into_iter().flat_map(|service| {
            let before = service.before.as_ref().map(|before| before.version);
            service.slots.iter().map(|slot| slot.version).chain([service.version]).chain(before)
        })
    }

    /// Whether nothing more is under way with a service: it has all it should have, has failed, or is stopped.
    #[must_use]
    pub fn is_settled(&self, key: ServiceKey) -> bool {
        let Some(service) = self.services.get(key.0) else { return true };
        if service.wanted != Wanted::Running || self.is_stopping() {
            return service.alive() == 0;
        }
        let is_well = |slot: &Slot| slot.phase == Phase::Ready && slot.version == service.version;
        let all = service.slots.len() == usize::from(service.target) && service.slots.iter().all(is_well);
        all || service.gave_up
    }

    /// Those services that hold back one which has not been started yet.
    pub(super) fn waits_for<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a str> {
        let names = service.plan.after.iter().filter(|_| !service.started && service.wanted == Wanted::Running);
        // Whoever is not there any more holds nobody back.
        let holds = |name: &&String| self.named(name).is_some_and(|other| !other.said_ready);
        names.filter(holds).map(String::as_str)
    }

    pub(super) fn named(&self, name: &str) -> Option<&Service> {
        let is_there = |service: &&Service| !matches!(service.wanted, Wanted::Removed | Wanted::Forgotten);
        self.services.iter().filter(is_there).find(|service| service.plan.name == name)
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

    /// How many slots are to stay.
    pub fn staying(&self) -> usize {
        self.slots.iter().filter(|slot| slot.leaving.is_none()).count()
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
    pub const fn empty(version: Version) -> Self {
        Self {
            phase: Phase::Starting,
            worker: None,
            version,
            leaving: None,
            ready_since: None,
            streak: 0,
            fuse: None,
            doing: None,
            outgrown: false,
        }
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
