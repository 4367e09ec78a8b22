//! One story each. `properties.rs` looks at all orders of events.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_config::{Restart, RestartLimit};
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

use super::{Action, Event, Order, Phase, Plan, State, Version, next_deadline, step};

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
        kill: ms(2000),
        after: Vec::new(),
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
    Action::Spawn(ECHO, WorkerId(worker), Version(0))
}

fn without_words(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Say(..) | Action::SayOf(..))).collect()
}

fn said(action: Action) -> Option<(Level, String)> {
    if let Action::Say(level, line) | Action::SayOf(_, level, line) = action { Some((level, line)) } else { None }
}

fn words(actions: Vec<Action>) -> String {
    actions.into_iter().filter_map(said).map(|(_, line)| line).collect::<Vec<_>>().join("\n")
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

/// Whoever is woken reads what is worse than `info`: there is nothing in it but what went wrong.
#[test]
fn lines_are_as_bad_as_what_they_tell() {
    let levels = |all: Vec<Action>| all.into_iter().filter_map(said).map(|(level, _)| level).collect::<Vec<_>>();
    let limit = Some(RestartLimit { deaths: 2, within: ms(60_000) });
    let fragile = Plan { restart: Restart { limit, ..Restart::default() }, ..plan(1) };
    let mut state = started(vec![fragile.clone()]);
    step(&mut state, ready(0), ms(1));
    step(&mut state, Event::Order(ECHO, Order::Renew(fragile, Version(1))), ms(2));
    let mut rolled = step(&mut state, ready(1), ms(3));
    assert_eq!(words(rolled.clone()), "echo worker 1 is ready; it takes the place of an older one");
    rolled.extend(step(&mut state, died(0), ms(4)));
    assert_eq!(levels(rolled), [Level::Info, Level::Warn, Level::Info], "ready, an exit with status 1, and done");
    assert_eq!(levels(step(&mut state, died(1), ms(5))), [Level::Warn]);
    step(&mut state, Event::Tick, ms(1000));
    assert_eq!(levels(step(&mut state, died(2), ms(1001))), [Level::Error, Level::Error], "its end, and the engine's");
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

fn needs_time(more: Duration) -> Event {
    Event::NeedsTime { service: ECHO, worker: WorkerId(0), more, what: "loading the index".to_owned() }
}

#[test]
fn who_asks_for_time_has_it_as_often_as_it_asks() {
    let mut state = started(vec![plan(1)]);
    let said = words(step(&mut state, needs_time(ms(20_000)), ms(1000)));
    assert_eq!(said, "echo worker 0 asks for 20 s until it is ready: loading the index");
    assert_eq!(next_deadline(&state), Some(ms(30_000)), "never less than it had");
    for now in (25_000..1_000_000).step_by(19_000).map(ms) {
        assert_eq!(step(&mut state, needs_time(ms(20_000)), now), [], "said once");
        assert_eq!(next_deadline(&state), Some(now + ms(20_000)));
    }
    let view = state.view(ECHO).unwrap();
    assert_eq!(view.slots[0].doing.as_deref(), Some("loading the index"));
    let end = next_deadline(&state).unwrap();
    let actions = step(&mut state, Event::Tick, end);
    let line = "echo worker 0 was not ready in the time that it asked for last (loading the index); killing it";
    assert_eq!(actions, [Action::SayOf(ECHO, Level::Warn, line.to_owned()), Action::Kill(ECHO, WorkerId(0))]);
    assert_eq!(step(&mut state, needs_time(ms(20_000)), end), [], "too late");
}

#[test]
fn time_is_for_those_who_start_and_an_hour_at_most() {
    let mut state = started(vec![plan(1)]);
    step(&mut state, needs_time(Duration::MAX), ms(0));
    assert_eq!(next_deadline(&state), Some(super::EXTENSION_MAX));
    step(&mut state, ready(0), ms(10));
    assert_eq!(step(&mut state, needs_time(ms(1)), ms(20)), []);
    assert_eq!((next_deadline(&state), &state.view(ECHO).unwrap().slots[0].doing), (None, &None));
    step(&mut state, Event::Order(ECHO, Order::Stop), ms(30));
    let drained = next_deadline(&state);
    step(&mut state, needs_time(ms(900_000)), ms(40));
    assert_eq!(next_deadline(&state), drained, "who was told to go has the time of a drain");
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

/// What is left to do when everybody does as told at once: workers get ready, those that drain exit.
fn obediently(state: &mut State, actions: Vec<Action>, now: Duration) -> Vec<Action> {
    let mut seen = Vec::new();
    let mut todo = std::collections::VecDeque::from(actions);
    while let Some(action) = todo.pop_front() {
        seen.push(action.clone());
        match action {
            Action::Spawn(service, worker, _) => todo.extend(step(state, Event::Ready { service, worker }, now)),
            Action::Drain(service, worker) => {
                let obituary = "(pid 7) exited with status 0".to_owned();
                todo.extend(step(state, Event::Died { service, worker, clean: true, obituary }, now));
            }
            _ => {}
        }
    }
    seen
}

fn order(state: &mut State, order: Order, now: Duration) -> Vec<Action> {
    step(state, Event::Order(ECHO, order), now)
}

fn running(plans: Vec<Plan>) -> State {
    let mut state = State::new(plans);
    let actions = step(&mut state, Event::Start, ms(0));
    obediently(&mut state, actions, ms(1));
    state
}

#[test]
fn a_new_version_is_ready_before_an_old_worker_goes() {
    let mut state = running(vec![plan(2)]);
    let renew = Order::Renew(plan(2), Version(1));
    assert_eq!(order(&mut state, renew, ms(10)), [Action::Spawn(ECHO, WorkerId(2), Version(1))]);
    assert_eq!(without_words(step(&mut state, ready(2), ms(11))), [Action::Drain(ECHO, WorkerId(0))]);
    assert_eq!(step(&mut state, Event::Tick, ms(12)), [], "one at a time");
    let gone = Event::Died { service: ECHO, worker: WorkerId(0), clean: true, obituary: String::new() };
    let next = step(&mut state, gone, ms(13));
    assert_eq!(next, [Action::Spawn(ECHO, WorkerId(3), Version(1))]);
    let seen = obediently(&mut state, next, ms(14));
    assert!(words(seen).contains("echo: the new version runs in 2 workers"));
    assert!(state.is_settled(ECHO));
    assert_eq!(state.phases(ECHO).collect::<Vec<_>>(), [Phase::Ready; 2]);
}

#[test]
fn who_is_too_large_goes_when_another_serves() {
    let mut state = running(vec![plan(2)]);
    let too_large = |worker| Event::TooLarge { service: ECHO, worker: WorkerId(worker), how: "is large".to_owned() };
    let actions = step(&mut state, too_large(1), ms(1));
    assert_eq!(without_words(actions), [spawn(2)], "the next one first");
    assert_eq!(step(&mut state, too_large(1), ms(2)), [], "once");
    // Another one has grown, too: one at a time.
    assert_eq!(without_words(step(&mut state, too_large(0), ms(2))), []);
    assert!(without_words(step(&mut state, died(2), ms(3))).is_empty(), "and nobody is lost when that one dies");
    assert_eq!(without_words(step(&mut state, Event::Tick, ms(200))), [spawn(3)]);
    let actions = step(&mut state, ready(3), ms(300));
    assert_eq!(without_words(actions), [Action::Drain(ECHO, WorkerId(0))], "the oldest");
    assert_eq!(without_words(step(&mut state, died(0), ms(400))), [spawn(4)], "and then the other");
    assert_eq!(without_words(step(&mut state, ready(4), ms(500))), [Action::Drain(ECHO, WorkerId(1))]);
    assert_eq!(without_words(step(&mut state, died(1), ms(600))), []);
    assert!(state.is_settled(ECHO) && state.is_outgrown(ECHO, WorkerId(1)).is_none());
}

#[test]
fn a_version_that_does_not_start_is_taken_back() {
    let mut state = running(vec![plan(2)]);
    let actions = order(&mut state, Order::Renew(Plan { workers: 5, ..plan(2) }, Version(1)), ms(10));
    assert_eq!(actions.len(), 3, "two more are wanted, and one comes beside those that are replaced");
    let actions = step(&mut state, died(2), ms(11));
    assert!(actions.contains(&Action::RolledBack(ECHO, Version(0))), "{actions:?}");
    assert!(words(actions.clone()).contains("echo goes back to the version before, of which 2 workers serve"));
    obediently(&mut state, actions, ms(12));
    for worker in [3, 4] {
        step(&mut state, died(worker), ms(13));
    }
    assert!(state.is_settled(ECHO), "{state:?}");
    assert_eq!(state.view(ECHO).unwrap().slots.iter().filter(|slot| slot.version == Version(0)).count(), 2);
}

#[test]
fn a_stopped_service_comes_back_and_a_failed_one_gets_a_new_chance() {
    let mut state = running(vec![plan(1), plan(1)]);
    let actions = order(&mut state, Order::Stop, ms(10));
    let seen = obediently(&mut state, actions, ms(11));
    assert_eq!(without_words(seen), [Action::Drain(ECHO, WorkerId(0)), Action::Close(ECHO)]);
    assert!(state.is_settled(ECHO) && state.alive() == 1);
    assert_eq!(order(&mut state, Order::Stop, ms(12)), [], "twice is once");
    assert_eq!(order(&mut state, Order::Start, ms(13)), [spawn(1)]);
    assert_eq!(order(&mut state, Order::Start, ms(13)), []);
    for worker in 1..6 {
        step(&mut state, died(worker), ms(20_000));
        step(&mut state, Event::Tick, ms(20_000) + Duration::from_secs(u64::from(worker)));
    }
    assert!(state.view(ECHO).unwrap().failed);
    assert_eq!(order(&mut state, Order::Start, ms(30_000)), [spawn(6)]);
    assert!(!state.view(ECHO).unwrap().failed);
}

#[test]
fn scaling_starts_what_is_missing_and_lets_the_youngest_go() {
    let mut state = running(vec![plan(1)]);
    let actions = order(&mut state, Order::Scale(3), ms(10));
    assert_eq!(actions, [spawn(1), spawn(2)]);
    obediently(&mut state, actions, ms(11));
    let actions = order(&mut state, Order::Scale(2), ms(12));
    assert_eq!(actions, [Action::Drain(ECHO, WorkerId(2))]);
}

#[test]
fn who_comes_after_another_starts_later_and_stops_earlier() {
    let web = Plan { name: "web".to_owned(), after: vec!["echo".to_owned()], ..plan(1) };
    let mut state = State::new(vec![web, plan(1)]);
    let (web, echo) = (ServiceKey(0), ServiceKey(1));
    let id = WorkerId(0);
    assert_eq!(step(&mut state, Event::Start, ms(0)), [Action::Spawn(echo, id, Version(0))]);
    let actions = step(&mut state, Event::Ready { service: echo, worker: id }, ms(1));
    assert_eq!(actions, [Action::ServiceReady(echo), Action::Spawn(web, id, Version(0))]);
    step(&mut state, Event::Ready { service: web, worker: id }, ms(2));
    assert_eq!(without_words(step(&mut state, Event::Stop, ms(3))), [Action::Drain(web, id)]);
    let gone = |service| Event::Died { service, worker: id, clean: true, obituary: String::new() };
    let actions = step(&mut state, gone(web), ms(4));
    assert_eq!(actions, [Action::Close(web), Action::Drain(echo, id)]);
    assert_eq!(step(&mut state, gone(echo), ms(5)), [Action::Close(echo), Action::Exit(0)]);
}

#[test]
fn a_hung_worker_is_killed_and_counted() {
    let mut state = running(vec![plan(1)]);
    let hung = Event::Hung { service: ECHO, worker: WorkerId(0), how: "has not moved for 60 s".to_owned() };
    let actions = step(&mut state, hung.clone(), ms(10));
    assert_eq!(words(actions.clone()), "echo worker 0: its loop has not moved for 60 s; killing it");
    assert_eq!(without_words(actions), [Action::Kill(ECHO, WorkerId(0))]);
    assert_eq!(step(&mut state, hung, ms(11)), [], "once");
    step(&mut state, died(0), ms(12));
    assert_eq!(state.phases(ECHO).next(), Some(Phase::BackingOff { until: ms(112) }));
}

#[test]
fn a_removed_service_is_forgotten_when_its_calls_are_done() {
    let mut state = running(vec![plan(1), plan(1)]);
    let actions = order(&mut state, Order::Remove, ms(10));
    let seen = without_words(obediently(&mut state, actions, ms(11)));
    assert_eq!(seen, [Action::Drain(ECHO, WorkerId(0)), Action::Close(ECHO), Action::Forget(ECHO)]);
    assert!(state.view(ECHO).is_none());
    assert_eq!(order(&mut state, Order::Start, ms(12)), []);
    let plan = Plan { name: "third".to_owned(), ..plan(1) };
    let actions = step(&mut state, Event::Add(plan, Version(4)), ms(13));
    assert_eq!(actions, [Action::Spawn(ServiceKey(2), WorkerId(0), Version(4))]);
}
