//! Random orders of events, in a simulated world that breaks whatever a real one may break: workers die at any time,
//! say things twice, say them after their death, outlive a kill for a while, and stops come whenever they like.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use speedysvc_broker::ServiceKey;
use speedysvc_config::{Restart, RestartLimit};
use speedysvc_protocol::ids::WorkerId;

use super::{Action, Event, KILL_GRACE, PROVEN_AFTER, Phase, Plan, SAME_STOP, State, next_deadline, step};

#[derive(Clone, Debug)]
enum Op {
    /// Of the living, or of anybody if `stale`.
    Ready {
        pick: usize,
        stale: bool,
    },
    Failed {
        pick: usize,
        stale: bool,
    },
    HungUp {
        pick: usize,
        stale: bool,
    },
    Died {
        pick: usize,
        stale: bool,
        clean: bool,
    },
    /// The next spawns fail.
    NoSpawns(u8),
    Stop,
    Wait(Duration),
    /// The supervisor was held up: no tick until the end of this.
    HeldUp(Duration),
}

fn op() -> impl Strategy<Value = Op> {
    let stale = || prop::bool::weighted(0.1);
    let millis = || (0_u64..16, 0_u32..12).prop_map(|(factor, shift)| Duration::from_millis(factor << shift));
    prop_oneof![
        6 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::Ready { pick, stale }),
        1 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::Failed { pick, stale }),
        1 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::HungUp { pick, stale }),
        5 => (any::<usize>(), stale(), any::<bool>()).prop_map(|(pick, stale, clean)| Op::Died { pick, stale, clean }),
        1 => (1_u8..4).prop_map(Op::NoSpawns),
        1 => Just(Op::Stop),
        6 => millis().prop_map(Op::Wait),
        1 => millis().prop_map(Op::HeldUp),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let limit = prop::option::of(
        (1_u32..7, 1_u64..90).prop_map(|(deaths, s)| RestartLimit { deaths, within: Duration::from_secs(s) }),
    );
    let backoff = (1_u64..500, 0_u64..40_000).prop_map(|(min, more)| (min, min + more));
    (1_u16..5, backoff, limit, 1_u64..40_000, 0_u64..20_000).prop_map(|(workers, (min, max), limit, start, drain)| {
        let ms = Duration::from_millis;
        let restart = Restart { backoff_min: ms(min), backoff_max: ms(max), limit };
        Plan { name: "echo".to_owned(), workers, restart, start_timeout: ms(start), drain: ms(drain) }
    })
}

struct World {
    plans: Vec<Plan>,
    state: State,
    now: Duration,
    /// Everybody who was spawned and has not died, and whether they were killed: that may take a while.
    living: BTreeMap<(ServiceKey, WorkerId), bool>,
    spawned: Vec<u32>,
    deaths: Vec<Vec<Duration>>,
    /// Deaths of which no restart is owed yet: when they were, and the shortest pause that is right.
    owed: Vec<Vec<Duration>>,
    stopped_at: Option<Duration>,
    held_up: Duration,
    failing_spawns: u8,
    closed: BTreeSet<ServiceKey>,
    exit: Option<u8>,
}

impl World {
    fn new(plans: Vec<Plan>) -> Self {
        let n = plans.len();
        Self {
            state: State::new(plans.clone()),
            plans,
            now: Duration::ZERO,
            living: BTreeMap::new(),
            spawned: vec![0; n],
            deaths: vec![Vec::new(); n],
            owed: vec![Vec::new(); n],
            stopped_at: None,
            held_up: Duration::ZERO,
            failing_spawns: 0,
            closed: BTreeSet::new(),
            exit: None,
        }
    }

    fn tell(&mut self, event: Event) {
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
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(service, worker) => return self.spawn(service, worker),
            Action::Kill(service, worker) => {
                *self.living.get_mut(&(service, worker)).expect("kills the living only") = true;
            }
            Action::Terminate(service, worker) | Action::Drain(service, worker) => {
                assert!(self.stopped_at.is_some());
                assert!(self.living.contains_key(&(service, worker)), "orders go to the living only");
            }
            Action::Exit(code) => {
                assert!(self.living.is_empty(), "after Exit nobody is alive");
                assert_eq!(self.closed.len(), self.plans.len(), "no client is left waiting");
                assert_eq!(code == 0, self.stopped_at.is_some());
                self.exit = Some(code);
            }
            Action::Close(service) => {
                assert!(self.living.keys().all(|(key, _)| *key != service), "nobody serves any longer");
                assert!(self.closed.insert(service), "closed once");
            }
            Action::ServiceReady(_) | Action::AllReady | Action::Say(_) => {}
        }
        None
    }

    fn spawn(&mut self, service: ServiceKey, worker: WorkerId) -> Option<Event> {
        let (index, plan) = (service.0, &self.plans[service.0]);
        assert_eq!(self.stopped_at, None, "no spawn while stopping");
        assert!(!self.closed.contains(&service), "no spawn for a closed service");
        assert_eq!(worker.0, self.spawned[index], "numbers count up and are never used twice");
        self.spawned[index] += 1;
        self.living.insert((service, worker), false);
        let alive = self.living.keys().filter(|(key, _)| *key == service).count();
        assert!(alive <= usize::from(plan.workers), "never more than {} alive", plan.workers);
        if self.spawned[index] > u32::from(plan.workers) {
            let owed = self.owed[index].iter().position(|until| *until <= self.now);
            let due = owed.expect("no spawn before a pause is over, nor without a death");
            self.owed[index].remove(due);
        }
        assert!(!self.is_over_limit(index), "no spawn once too many died");
        if self.failing_spawns > 0 {
            self.failing_spawns -= 1;
            return Some(Event::NotSpawned { service, worker, why: "out of memory".to_owned() });
        }
        None
    }

    /// Did there ever, at a death, lie as many within the window as the limit says?
    fn is_over_limit(&self, service: usize) -> bool {
        let Some(limit) = self.plans[service].restart.limit else { return false };
        let deaths = &self.deaths[service];
        let n = usize::try_from(limit.deaths).unwrap();
        deaths.windows(n).any(|few| few[n - 1] - few[0] <= limit.within)
    }

    fn bury(&mut self, service: ServiceKey, worker: WorkerId) {
        self.living.remove(&(service, worker)).expect("dies once");
        if self.stopped_at.is_none() {
            self.deaths[service.0].push(self.now);
            self.owed[service.0].push(self.now + self.plans[service.0].restart.backoff_min);
        }
    }

    fn pick(&self, pick: usize, stale: bool) -> Option<(ServiceKey, WorkerId)> {
        if stale {
            let service = pick % self.plans.len();
            let worker = u32::try_from(pick / 7 % 9).unwrap();
            let key = (ServiceKey(service), WorkerId(worker));
            return (!self.living.contains_key(&key)).then_some(key);
        }
        let keys: Vec<_> = self.living.keys().copied().collect();
        (!keys.is_empty()).then(|| keys[pick % keys.len()])
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Ready { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                self.tell(Event::Ready { service, worker });
            }
            Op::Failed { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                self.tell(Event::Failed { service, worker, why: "no model".to_owned() });
            }
            Op::HungUp { pick, stale } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                self.tell(Event::HungUp { service, worker });
            }
            Op::Died { pick, stale, clean } => {
                let Some((service, worker)) = self.pick(pick, stale) else { return };
                if !stale {
                    self.bury(service, worker);
                }
                self.tell(Event::Died { service, worker, clean, obituary: "(pid 7) is gone".to_owned() });
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

    fn tick(&mut self) {
        self.tell(Event::Tick);
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

    /// Everybody gets the kill that their plan promises.
    fn look_for_the_forgotten(&self) {
        let Some(stopped_at) = self.stopped_at else { return };
        for ((service, worker), killed) in &self.living {
            let last = stopped_at + self.plans[service.0].drain + KILL_GRACE + self.held_up;
            assert!(*killed || self.now < last, "{service:?} {worker:?} should be dead");
        }
    }

    fn finish(&mut self) {
        if self.exit.is_some() {
            return;
        }
        self.apply(Op::Stop);
        self.wait(SAME_STOP);
        self.wait(Duration::from_secs(100));
        assert!(self.living.values().all(|killed| *killed));
        while let Some((service, worker)) = self.pick(0, false) {
            assert_eq!(self.exit, None);
            self.bury(service, worker);
            self.tell(Event::Died { service, worker, clean: false, obituary: "was killed".to_owned() });
        }
        assert!(self.exit.is_some(), "ends when nobody is left");
        assert_eq!(next_deadline(&self.state), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_a_promise(
        plans in prop::collection::vec(plan(), 1..4),
        ops in prop::collection::vec(op(), 0..80),
    ) {
        let mut world = World::new(plans);
        world.tell(Event::Start);
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }

    /// With one worker the exact pause is known: an independent, stupid count of it must agree.
    #[test]
    fn pauses_are_exact(
        plan in plan(),
        lives in prop::collection::vec((prop::option::of(0_u64..20_000), 0_u64..3_000), 1..20),
    ) {
        let restart = Restart { limit: None, ..plan.restart };
        let plan = Plan { workers: 1, start_timeout: Duration::MAX, restart, ..plan };
        let mut state = State::new(vec![plan.clone()]);
        let (service, mut now) = (ServiceKey(0), Duration::ZERO);
        step(&mut state, Event::Start, now);
        let mut expected = plan.restart.backoff_min;
        for (worker, (ready_for, start)) in (0..).map(WorkerId).zip(lives) {
            now += Duration::from_millis(start);
            if let Some(ready_for) = ready_for.map(Duration::from_millis) {
                step(&mut state, Event::Ready { service, worker }, now);
                now += ready_for;
                if ready_for >= PROVEN_AFTER {
                    expected = plan.restart.backoff_min;
                }
            }
            step(&mut state, Event::Died { service, worker, clean: true, obituary: String::new() }, now);
            prop_assert_eq!(state.phases(service).next(), Some(Phase::BackingOff { until: now + expected }));
            now += expected;
            prop_assert_eq!(step(&mut state, Event::Tick, now), vec![Action::Spawn(service, WorkerId(worker.0 + 1))]);
            expected = (expected * 2).min(plan.restart.backoff_max);
        }
    }
}
