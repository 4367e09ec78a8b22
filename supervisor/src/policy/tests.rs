//! One story each. `properties.rs` looks at all orders of events.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::{Restart, RestartLimit};
use speedysvc_protocol::ids::WorkerId;

use super::{Action, Event, Phase, Plan, State, next_deadline, step};

const ECHO: ServiceKey = ServiceKey(0);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn plan(workers: u16) -> Plan {
    let limit = Some(RestartLimit { deaths: 5, within: ms(60_000) });
    Plan {
        name: "echo".to_owned(),
        workers,
        restart: Restart { backoff_min: ms(100), backoff_max: ms(30_000), limit },
        start_timeout: ms(30_000),
        drain: ms(10_000),
    }
}

fn started(plans: Vec<Plan>) -> State {
    let mut state = State::new(plans);
    step(&mut state, Event::Start, ms(0));
    state
}

fn ready(worker: u32) -> Event {
    Event::Ready { service: ECHO, worker: WorkerId(worker) }
}

fn died(worker: u32) -> Event {
    let obituary = "(pid 7) exited with status 1".to_owned();
    Event::Died { service: ECHO, worker: WorkerId(worker), clean: false, obituary }
}

fn spawn(worker: u32) -> Action {
    Action::Spawn(ECHO, WorkerId(worker))
}

fn without_words(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Say(_))).collect()
}

fn words(actions: Vec<Action>) -> String {
    let word = |action| if let Action::Say(line) = action { Some(line) } else { None };
    actions.into_iter().filter_map(word).collect::<Vec<_>>().join("\n")
}

#[test]
fn ready_is_said_once_all_are() {
    let mut state = State::new(vec![plan(2)]);
    assert_eq!(step(&mut state, Event::Start, ms(0)), [spawn(0), spawn(1)]);
    assert_eq!(step(&mut state, ready(0), ms(1)), []);
    assert_eq!(step(&mut state, ready(1), ms(2)), [Action::ServiceReady(ECHO), Action::AllReady]);
    assert_eq!(next_deadline(&state), None, "a healthy engine wakes for nothing");
}

#[test]
fn pauses_double_until_a_worker_proves_itself() {
    let mut state = started(vec![Plan { restart: Restart { limit: None, ..Restart::default() }, ..plan(1) }]);
    let mut now = ms(0);
    for (worker, pause) in (0..).zip([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]) {
        step(&mut state, died(worker), now);
        assert_eq!(next_deadline(&state), Some(now + ms(pause)));
        now += ms(pause);
        assert_eq!(step(&mut state, Event::Tick, now - ms(1)), []);
        assert_eq!(step(&mut state, Event::Tick, now), [spawn(worker + 1)]);
    }
    step(&mut state, ready(11), now);
    step(&mut state, died(11), now + ms(9_999));
    assert_eq!(next_deadline(&state), Some(now + ms(39_999)), "10 s are needed to prove itself");
    now += ms(39_999);
    step(&mut state, Event::Tick, now);
    step(&mut state, ready(12), now);
    step(&mut state, died(12), now + ms(10_000));
    assert_eq!(next_deadline(&state), Some(now + ms(10_100)));
}

#[test]
fn the_fifth_death_within_the_window_fails_the_service_and_the_engine() {
    let mut state = started(vec![plan(1)]);
    let mut now = ms(0);
    for worker in 0..4 {
        let said = words(step(&mut state, died(worker), now));
        let pause = next_deadline(&state).unwrap() - now;
        assert_eq!(
            said,
            format!("echo worker {worker} (pid 7) exited with status 1; restarting in {}", super::show(pause))
        );
        now += pause;
        step(&mut state, Event::Tick, now);
    }
    let actions = step(&mut state, died(4), now);
    assert_eq!(without_words(actions.clone()), [Action::Close(ECHO), Action::Exit(1)]);
    assert!(words(actions).contains("echo has failed: 5 deaths within 60 s"), "the operator is told why");
    assert_eq!(step(&mut state, Event::Tick, now + ms(100_000)), [], "nothing comes after Exit");
}

#[test]
fn deaths_outside_the_window_are_forgotten() {
    let mut state = started(vec![plan(1)]);
    for worker in 0..40 {
        let now = ms(20_000 * u64::from(worker));
        step(&mut state, Event::Tick, now);
        step(&mut state, ready(worker), now);
        step(&mut state, died(worker), now + ms(15_000));
        assert_eq!(state.phases(ECHO).next(), Some(Phase::BackingOff { until: now + ms(15_100) }));
    }
}

#[test]
fn survivors_of_a_failed_service_go_on_and_so_do_its_neighbours() {
    let limit = Some(RestartLimit { deaths: 1, within: ms(60_000) });
    let fragile = Plan { restart: Restart { limit, ..Restart::default() }, ..plan(2) };
    let mut state = started(vec![fragile, plan(1)]);
    step(&mut state, ready(1), ms(1));
    assert_eq!(without_words(step(&mut state, died(0), ms(2))), []);
    assert_eq!(state.phases(ECHO).collect::<Vec<_>>(), [Phase::Failed, Phase::Ready]);
    let last = step(&mut state, died(1), ms(3));
    assert_eq!(without_words(last), [Action::Close(ECHO)], "its clients must not wait for nobody");
    assert_eq!(state.alive(), 1);
}

#[test]
fn a_worker_that_never_says_ready_is_killed_and_counted() {
    let mut state = started(vec![plan(1)]);
    let actions = step(&mut state, Event::Tick, ms(30_000));
    assert_eq!(without_words(actions.clone()), [Action::Kill(ECHO, WorkerId(0))]);
    assert_eq!(words(actions), "echo worker 0 was not ready within 30 s; killing it");
    assert_eq!(step(&mut state, ready(0), ms(30_001)), [], "too late");
    step(&mut state, died(0), ms(30_002));
    assert_eq!(step(&mut state, Event::Tick, ms(30_102)), [spawn(1)]);
}

#[test]
fn stop_drains_then_terminates_then_kills() {
    let mut state = started(vec![plan(1)]);
    step(&mut state, ready(0), ms(1));
    let worker = WorkerId(0);
    let stop = without_words(step(&mut state, Event::Stop, ms(1000)));
    assert_eq!(stop, [Action::Drain(ECHO, worker)], "closing would hang up on who waits for a reply");
    assert_eq!(step(&mut state, Event::Tick, ms(10_999)), []);
    assert_eq!(without_words(step(&mut state, Event::Tick, ms(11_000))), [Action::Terminate(ECHO, worker)]);
    assert_eq!(without_words(step(&mut state, Event::Tick, ms(13_000))), [Action::Kill(ECHO, worker)]);
    assert_eq!(without_words(step(&mut state, died(0), ms(13_001))), [Action::Close(ECHO), Action::Exit(0)]);
}

#[test]
fn a_second_stop_kills_unless_it_is_the_first_one_twice() {
    let mut state = started(vec![plan(1)]);
    step(&mut state, ready(0), ms(1));
    step(&mut state, Event::Stop, ms(1000));
    assert_eq!(step(&mut state, Event::Stop, ms(1001)), [], "`timeout` signals the process and then its group");
    let second = step(&mut state, Event::Stop, ms(1300));
    assert_eq!(without_words(second), [Action::Kill(ECHO, WorkerId(0))]);
}

#[test]
fn a_stop_during_start_waits_briefly_and_for_those_who_made_it() {
    let mut state = started(vec![plan(2)]);
    step(&mut state, Event::Stop, ms(100));
    assert_eq!(step(&mut state, ready(1), ms(200)), [], "its report crossed the order to drain");
    assert_eq!(step(&mut state, Event::Tick, ms(600)), [Action::Terminate(ECHO, WorkerId(0))]);
    assert_eq!(step(&mut state, died(0), ms(601)), [], "nothing was lost, and nothing is said");
    assert_eq!(next_deadline(&state), Some(ms(10_100)), "it may have calls");
}

#[test]
fn a_stop_while_backing_off_ends_at_once() {
    let mut state = started(vec![plan(1)]);
    step(&mut state, died(0), ms(1));
    assert_eq!(step(&mut state, Event::Stop, ms(2)), [Action::Close(ECHO), Action::Exit(0)]);
}

#[test]
fn who_hangs_up_is_given_time_to_exit() {
    let mut state = started(vec![plan(1)]);
    step(&mut state, ready(0), ms(1));
    assert_eq!(step(&mut state, Event::HungUp { service: ECHO, worker: WorkerId(0) }, ms(10)), []);
    assert_eq!(without_words(step(&mut state, Event::Tick, ms(2010))), [Action::Kill(ECHO, WorkerId(0))]);
}
