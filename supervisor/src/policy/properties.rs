//! Random orders of events, in a simulated world that breaks whatever a real one may break: workers die at any time,
//! say things twice, say them after their death, outlive a kill for a while, and stops come whenever they like.

use std::time::Duration;

use proptest::prelude::*;
use speedysvc_broker::ServiceKey;
use speedysvc_config::{Restart, RestartLimit};
use speedysvc_protocol::ids::WorkerId;

use super::world::World;
use super::{Action, Event, PROVEN_AFTER, Phase, Plan, State, Version, step};

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// Of the living, or of anybody if `stale`.
    Ready {
        pick: usize,
        stale: bool,
    },
    NeedsTime {
        pick: usize,
        stale: bool,
        more: Duration,
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
    Start(usize),
    Halt(usize),
    Scale(usize, u16),
    Renew(usize),
    Hung(usize),
    TooLarge(usize),
    Wait(Duration),
    /// The supervisor was held up: no tick until the end of this.
    HeldUp(Duration),
}

fn op() -> impl Strategy<Value = Op> {
    let stale = || prop::bool::weighted(0.1);
    let millis = || (0_u64..16, 0_u32..12).prop_map(|(factor, shift)| Duration::from_millis(factor << shift));
    prop_oneof![
        6 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::Ready { pick, stale }),
        3 => (any::<usize>(), stale(), millis()).prop_map(|(pick, stale, more)| Op::NeedsTime { pick, stale, more }),
        1 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::Failed { pick, stale }),
        1 => (any::<usize>(), stale()).prop_map(|(pick, stale)| Op::HungUp { pick, stale }),
        5 => (any::<usize>(), stale(), any::<bool>()).prop_map(|(pick, stale, clean)| Op::Died { pick, stale, clean }),
        1 => (1_u8..4).prop_map(Op::NoSpawns),
        1 => Just(Op::Stop),
        2 => any::<usize>().prop_map(Op::Start),
        1 => any::<usize>().prop_map(Op::Halt),
        2 => (any::<usize>(), 1_u16..6).prop_map(|(pick, workers)| Op::Scale(pick, workers)),
        3 => any::<usize>().prop_map(Op::Renew),
        1 => any::<usize>().prop_map(Op::Hung),
        2 => any::<usize>().prop_map(Op::TooLarge),
        6 => millis().prop_map(Op::Wait),
        1 => millis().prop_map(Op::HeldUp),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let limit = prop::option::of(
        (1_u32..7, 1_u64..90).prop_map(|(deaths, s)| RestartLimit { deaths, within: Duration::from_secs(s) }),
    );
    let backoff = (1_u64..500, 0_u64..40_000).prop_map(|(min, more)| (min, min + more));
    let times = (1_u64..40_000, 0_u64..20_000, 0_u64..5_000);
    (1_u16..5, backoff, limit, times).prop_map(|(workers, (min, max), limit, (start, drain, kill))| {
        let ms = Duration::from_millis;
        let restart = Restart { backoff_min: ms(min), backoff_max: ms(max), limit };
        let (start_timeout, drain, kill) = (ms(start), ms(drain), ms(kill));
        Plan { name: "echo".to_owned(), workers, restart, start_timeout, drain, kill, after: Vec::new() }
    })
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
        world.settle();
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
            let next = Action::Spawn(service, WorkerId(worker.0 + 1), Version(0));
            prop_assert_eq!(step(&mut state, Event::Tick, now), vec![next]);
            expected = (expected * 2).min(plan.restart.backoff_max);
        }
    }
}
