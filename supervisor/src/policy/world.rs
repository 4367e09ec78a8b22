//! A simulated world for `properties.rs`: it does what the policy says, and holds it to its promises.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::ids::WorkerId;

use super::properties::Op;
use super::{
    ALIVE_MAX, Action, EXTENSION_MAX, Event, KILL_GRACE, Order, Phase, Plan, SAME_STOP, State, Version, next_deadline,
    step,
};

/// A worker that was spawned and has not died.
#[derive(Clone, Copy, Default)]
struct Life {
    ready: bool,
    /// Told to go.
    leaving: Option<Duration>,
    /// That may take a while.
    killed: bool,
    /// It said that it cannot serve, or hung up.
    gave_up: bool,
    /// How long it may take to say ready.
    patience: Duration,
}

/// What the world knows of a service, from orders and actions alone.
#[derive(Clone)]
struct Known {
    plan: Plan,
    wanted: bool,
    target: u16,
    version: Version,
    spawned: u32,
    deaths: Vec<Duration>,
    failed: bool,
}

pub(super) struct World {
    services: Vec<Known>,
    state: State,
    now: Duration,
    living: BTreeMap<(ServiceKey, WorkerId), Life>,
    stopped_at: Option<Duration>,
    held_up: Duration,
    failing_spawns: u8,
    closed: BTreeSet<ServiceKey>,
    exit: Option<u8>,
    /// The newest version that was ever asked for.
    newest: u32,
}

impl World {
    pub(super) fn new(plans: Vec<Plan>) -> Self {
        let known = |plan: &Plan| Known {
            wanted: true,
            target: plan.workers,
            version: Version(0),
            spawned: 0,
            deaths: Vec::new(),
            failed: false,
            plan: plan.clone(),
        };
        Self {
            services: plans.iter().map(known).collect(),
            state: State::new(plans).with_chance(7),
            now: Duration::ZERO,
            living: BTreeMap::new(),
            stopped_at: None,
            held_up: Duration::ZERO,
            failing_spawns: 0,
            closed: BTreeSet::new(),
            exit: None,
            newest: 0,
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if let Event::NotSpawned { service, worker, .. } = event {
                self.bury(service, worker);
            }
            for action in step(&mut self.state, event, self.now) {
                assert_eq!(self.exit, None, "nothing comes after Exit");
                events.extend(self.act(action));
            }
        }
        assert_eq!(self.state.alive(), self.living.len(), "the policy knows who is alive");
        for index in 0..self.services.len() {
            let failed = self.state.view(ServiceKey(index)).is_some_and(|view| view.failed);
            let known = &mut self.services[index];
            assert!(!failed || known.failed || is_over_limit(known), "gives up only over the limit");
            known.failed = failed;
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(service, worker, version) => return self.spawn(service, worker, version),
            Action::Kill(service, worker) => self.kill((service, worker)),
            Action::Drain(service, worker) => self.drain(service, worker),
            Action::Terminate(service, worker) => {
                let life = self.living.get(&(service, worker)).expect("orders go to the living only");
                assert!(life.leaving.is_some(), "only who was asked to go is terminated");
            }
            Action::Exit(code) => {
                assert!(self.living.is_empty(), "after Exit nobody is alive");
                assert_eq!(self.closed.len(), self.services.len(), "no client is left waiting");
                assert_eq!(code == 0, self.stopped_at.is_some());
                self.exit = Some(code);
            }
            Action::Close(service) => {
                assert!(self.living.keys().all(|(key, _)| *key != service), "nobody serves any longer");
                assert!(self.closed.insert(service), "closed once");
            }
            Action::RolledBack(service, version) => {
                let known = &mut self.services[service.0];
                assert!(version < known.version, "back means back");
                known.version = version;
            }
            Action::Forget(_) => panic!("nobody removed anything"),
            Action::ServiceReady(_) | Action::AllReady | Action::Say(..) | Action::SayOf(..) => {}
        }
        None
    }

    fn spawn(&mut self, service: ServiceKey, worker: WorkerId, version: Version) -> Option<Event> {
        let known = &mut self.services[service.0];
        assert_eq!(self.stopped_at, None, "no spawn while stopping");
        assert!(known.wanted, "no spawn of what is not wanted");
        assert_eq!(worker.0, known.spawned, "numbers count up and are never used twice");
        assert_eq!(version, known.version, "always the newest version that works");
        known.spawned += 1;
        self.closed.remove(&service);
        let patience = self.now + known.plan.start_timeout;
        self.living.insert((service, worker), Life { patience, ..Life::default() });
        let lives = || self.living.iter().filter(|((key, _), _)| *key == service).map(|(_, life)| life);
        let staying = lives().filter(|life| life.leaving.is_none() && !life.gave_up && !life.killed).count();
        assert!(staying <= usize::from(known.target) + 1, "at most one more than {}", known.target);
        assert!(lives().count() <= ALIVE_MAX);
        if self.failing_spawns > 0 {
            self.failing_spawns -= 1;
            return Some(Event::NotSpawned { service, worker, why: "out of memory".to_owned() });
        }
        None
    }

    /// Whoever starts has all the time that it was promised.
    fn kill(&mut self, who: (ServiceKey, WorkerId)) {
        let life = self.living.get_mut(&who).expect("kills the living only");
        let is_wanted = self.stopped_at.is_none() && life.leaving.is_none();
        let starts = is_wanted && !life.ready && !life.gave_up;
        assert!(!starts || life.patience <= self.now, "{who:?} had time until {:?}", life.patience);
        life.killed = true;
    }

    /// Whoever serves is told to go only when enough others serve.
    fn drain(&mut self, service: ServiceKey, worker: WorkerId) {
        let now = self.now;
        let life = self.living.get_mut(&(service, worker)).expect("orders go to the living only");
        assert!(life.leaving.replace(now).is_none(), "told once");
        let served = life.ready;
        let known = &self.services[service.0];
        let others = self.living.iter().filter(|((key, _), life)| *key == service && life.leaving.is_none());
        let serving = others.filter(|(_, life)| life.ready && !life.killed).count();
        let enough = serving >= usize::from(known.target);
        assert!(self.stopped_at.is_some() || !known.wanted || !served || enough, "{serving} serve of {}", known.target);
    }

    fn bury(&mut self, service: ServiceKey, worker: WorkerId) {
        let life = self.living.remove(&(service, worker)).expect("dies once");
        let known = &mut self.services[service.0];
        if self.stopped_at.is_none() && known.wanted && life.leaving.is_none() {
            known.deaths.push(self.now);
        }
    }

    fn pick(&self, pick: usize, stale: bool) -> Option<(ServiceKey, WorkerId)> {
        if stale {
            let service = pick % self.services.len();
            let worker = u32::try_from(pick / 7 % 9).unwrap();
            let key = (ServiceKey(service), WorkerId(worker));
            return (!self.living.contains_key(&key)).then_some(key);
        }
        let keys: Vec<_> = self.living.keys().copied().collect();
        (!keys.is_empty()).then(|| keys[pick % keys.len()])
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Ready { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                if let Some(life) = self.living.get_mut(&(service, worker)) {
                    life.ready = true;
                }
                self.tell(Event::Ready { service, worker });
            }
            Op::NeedsTime { pick, stale, more } => self.ask_for_time(pick, stale, more),
            Op::Failed { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                self.living.entry((service, worker)).and_modify(|life| life.gave_up = true);
                self.tell(Event::Failed { service, worker, why: "no model".to_owned() });
            }
            Op::HungUp { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                self.living.entry((service, worker)).and_modify(|life| life.gave_up = true);
                self.tell(Event::HungUp { service, worker });
            }
            Op::Died { pick, stale, clean } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                if !stale {
                    self.bury(service, worker);
                }
                self.tell(Event::Died { service, worker, clean, obituary: "(pid 7) is gone".to_owned() });
            }
            Op::Start(pick) => self.order(pick, true, |_| Order::Start),
            Op::Halt(pick) => self.order(pick, false, |_| Order::Stop),
            Op::Scale(pick, workers) => {
                let index = pick % self.services.len();
                self.services[index].target = workers;
                self.tell(Event::Order(ServiceKey(index), Order::Scale(workers)));
            }
            Op::Renew(pick) => self.renew(pick % self.services.len()),
            Op::Hung(pick) => {
                let Some((service, worker)) = self.pick(pick, false) else { return };
                self.tell(Event::Hung { service, worker, how: "has not moved".to_owned() });
            }
            Op::TooLarge(pick) => {
                let Some((service, worker)) = self.pick(pick, false) else { return };
                self.tell(Event::TooLarge { service, worker, how: "is large".to_owned() });
            }
            Op::NoSpawns(count) => self.failing_spawns = count,
            Op::Stop => {
                if self.exit.is_none() {
                    self.stopped_at.get_or_insert(self.now);
                }
                self.tell(Event::Stop);
            }
            Op::Wait(time) => self.wait(time),
            Op::HeldUp(time) => {
                self.now += time;
                self.held_up += time;
                self.tick();
            }
        }
    }

    fn renew(&mut self, index: usize) {
        let known = &mut self.services[index];
        if self.stopped_at.is_none() && self.exit.is_none() {
            // What was rolled back does not come again.
            known.version = Version(known.version.0.max(self.newest) + 1);
            self.newest = known.version.0;
            if std::mem::take(&mut known.failed) {
                known.deaths.clear();
            }
        }
        let order = Order::Renew(known.plan.clone(), known.version);
        self.tell(Event::Order(ServiceKey(index), order));
    }

    fn ask_for_time(&mut self, pick: usize, stale: bool, more: Duration) {
        let Some((service, worker)) = self.pick(pick, stale) else { return };
        let patience = self.now + more.min(EXTENSION_MAX);
        self.living.entry((service, worker)).and_modify(|life| life.patience = life.patience.max(patience));
        self.tell(Event::NeedsTime { service, worker, more, what: "loading".to_owned() });
    }

    fn tick(&mut self) {
        // Times of nothing are over at the next tick.
        for _ in 0..5 {
            self.tell(Event::Tick);
            if next_deadline(&self.state).is_none_or(|at| at > self.now) {
                break;
            }
        }
        let next = next_deadline(&self.state);
        assert!(next.is_none_or(|at| at > self.now), "after a tick nothing is due: {next:?} at {:?}", self.now);
        self.look_for_the_forgotten();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.tick();
        while let Some(next) = next_deadline(&self.state).filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = until;
    }

    fn order(&mut self, pick: usize, wanted: bool, order: impl Fn(&Plan) -> Order) {
        let index = pick % self.services.len();
        let known = &mut self.services[index];
        if self.stopped_at.is_none() && self.exit.is_none() {
            if !wanted || known.failed {
                known.deaths.clear();
            }
            known.failed = false;
            known.wanted = wanted;
        }
        let order = order(&known.plan);
        self.tell(Event::Order(ServiceKey(index), order));
    }

    /// Everybody gets the kill that their plan promises.
    fn look_for_the_forgotten(&self) {
        for ((service, worker), life) in &self.living {
            let plan = &self.services[service.0].plan;
            let Some(told) = life.leaving.or(self.stopped_at) else {
                let is_done = life.ready || life.gave_up || life.killed;
                assert!(is_done || self.now < life.patience, "{service:?} {worker:?} should be ready or dead");
                continue;
            };
            // Whoever gave up or was hung before has a shorter fuse.
            let last = told + plan.drain.max(KILL_GRACE) + plan.kill + self.held_up;
            assert!(life.killed || self.now < last.max(told + SAME_STOP), "{service:?} {worker:?} should be dead");
        }
    }

    /// From here on everybody does as told: all that are wanted get what they should have, and no more.
    pub(super) fn settle(&mut self) {
        self.failing_spawns = 0;
        for _ in 0..1000 {
            self.apply_all_ready();
            if let Some(next) = next_deadline(&self.state) {
                self.now = self.now.max(next);
                self.tick();
            }
            self.apply_all_ready();
            if self.exit.is_some() || (0..self.services.len()).all(|index| self.state.is_settled(ServiceKey(index))) {
                break;
            }
        }
        for (index, known) in self.services.iter().enumerate().filter(|_| self.exit.is_none()) {
            let view = self.state.view(ServiceKey(index)).expect("nobody removed it");
            let alive = view.slots.iter().filter(|slot| slot.worker.is_some()).count();
            if self.stopped_at.is_some() || !known.wanted {
                assert_eq!(alive, 0);
            } else if !view.failed {
                assert_eq!(alive, usize::from(known.target), "{view:?}");
                assert!(view.slots.iter().all(|slot| slot.phase == Phase::Ready && slot.version == known.version));
            }
        }
    }

    /// Whoever should be dead dies, and everybody else says ready.
    fn apply_all_ready(&mut self) {
        let is_done = |(_, life): (&_, &Life)| life.ready && !life.killed && !life.gave_up && life.leaving.is_none();
        while self.stopped_at.is_some() && !self.living.is_empty() || !self.living.iter().all(is_done) {
            self.apply_to_all();
        }
    }

    fn apply_to_all(&mut self) {
        for ((service, worker), life) in self.living.clone() {
            if !self.living.contains_key(&(service, worker)) {
                continue;
            }
            if life.killed || life.gave_up || life.leaving.is_some() || self.stopped_at.is_some() {
                self.bury(service, worker);
                let obituary = "is gone".to_owned();
                self.tell(Event::Died { service, worker, clean: true, obituary });
            } else {
                self.living.get_mut(&(service, worker)).expect("it lives").ready = true;
                self.tell(Event::Ready { service, worker });
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if self.exit.is_some() {
            return;
        }
        self.apply(Op::Stop);
        self.wait(SAME_STOP);
        self.wait(Duration::from_secs(100));
        assert!(self.living.values().all(|life| life.killed));
        while let Some((service, worker)) = self.pick(0, false) {
            assert_eq!(self.exit, None);
            self.bury(service, worker);
            self.tell(Event::Died { service, worker, clean: false, obituary: "was killed".to_owned() });
        }
        assert!(self.exit.is_some(), "ends when nobody is left");
        assert_eq!(next_deadline(&self.state), None);
    }
}

/// Did there ever, at a death, lie as many within the window as the limit says?
fn is_over_limit(known: &Known) -> bool {
    let Some(limit) = known.plan.restart.limit else { return false };
    let n = usize::try_from(limit.deaths).unwrap();
    known.deaths.windows(n).any(|few| few[n - 1] - few[0] <= limit.within)
}
