//! One event at a time.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

use super::deaths::{Death, died};
use super::reconcile::{reconcile, spawn};
use super::state::{Before, End, Fuse, Service, State, Wanted};
use super::words::{count, show};
use super::{Action, EXTENSION_MAX, Event, KILL_GRACE, Order, Phase, Plan, SAME_STOP, Version};

/// Takes one event and says what to do. `now` must not go back.
pub fn step(state: &mut State, event: Event, now: Duration) -> Vec<Action> {
    let mut todo = Vec::new();
    if state.ended {
        return todo;
    }
    match event {
        Event::Start => {}
        Event::Add(plan, version) => state.add(plan, version),
        Event::Order(service, order) => obey(state, service, order, &mut todo),
        Event::Ready { service, worker } => ready(state, service, worker, now, &mut todo),
        Event::NeedsTime { service, worker, more, what } => {
            needs_time(state, (service, worker), more, what, now, &mut todo);
        }
        Event::Failed { service, worker, why } => gives_up(state, service, worker, Some(why), now, &mut todo),
        Event::HungUp { service, worker } => gives_up(state, service, worker, None, now, &mut todo),
        Event::Hung { service, worker, how } => hung(state, service, worker, &how, &mut todo),
        Event::TooLarge { service, worker, how } => too_large(state, service, worker, &how, &mut todo),
        Event::Died { service, worker, clean, obituary } => {
            died(state, &Death { service, worker, clean, obituary }, now, &mut todo);
        }
        Event::NotSpawned { service, worker, why } => {
            let obituary = format!("could not be started: {why}");
            died(state, &Death { service, worker, clean: false, obituary }, now, &mut todo);
        }
        Event::Stop => stop(state, now, &mut todo),
        Event::Tick => tick(state, now, &mut todo),
    }
    reconcile(state, now, &mut todo);
    end_if_nobody_is_left(state, &mut todo);
    todo
}

/// When the next [`Event::Tick`] has something to do.
#[must_use]
pub fn next_deadline(state: &State) -> Option<Duration> {
    if state.ended {
        return None;
    }
    let slots = state.services.iter().flat_map(|service| &service.slots);
    slots
        .filter_map(|slot| match slot.phase {
            Phase::BackingOff { until } => Some(until),
            _ => slot.fuse.map(|fuse| fuse.at),
        })
        .min()
}

/// What an operator or a new file wants. While everything ends, nothing else matters.
fn obey(state: &mut State, key: ServiceKey, order: Order, todo: &mut Vec<Action>) {
    if state.stopping.is_some() {
        return;
    }
    let Some(service) = state.services.get_mut(key.0) else { return };
    if matches!(service.wanted, Wanted::Removed | Wanted::Forgotten) {
        return;
    }
    match order {
        Order::Start => {
            revive(service);
            service.wanted = Wanted::Running;
        }
        Order::Stop | Order::Remove => {
            if service.wanted == Wanted::Running && service.alive() > 0 {
                let workers = count(service.alive(), "worker");
                let line = format!("{} is being stopped: waiting for the calls in {workers}", service.plan.name);
                todo.push(Action::SayOf(service.key, Level::Info, line));
            }
            service.wanted = if order == Order::Stop { Wanted::Stopped } else { Wanted::Removed };
            // The next start is a new beginning.
            (service.started, service.said_ready, service.before) = (false, false, None);
            service.deaths.clear();
            service.gave_up = false;
        }
        Order::Scale(workers) => service.target = workers,
        Order::Adjust(plan) => adjust(service, plan),
        Order::Renew(plan, version) => renew(service, plan, version),
    }
}

/// A failed service gets a new chance; others do not notice.
fn revive(service: &mut Service) {
    if service.gave_up {
        service.gave_up = false;
        service.deaths.clear();
        service.slots.retain(|slot| slot.phase != Phase::Failed);
    }
}

fn adjust(service: &mut Service, plan: Plan) {
    // Whoever scaled by hand is not overruled by a file that says what it said before.
    if plan.workers != service.plan.workers {
        service.target = plan.workers;
    }
    service.plan = plan;
}

fn renew(service: &mut Service, plan: Plan, version: Version) {
    if service.before.is_none() && service.ready() > 0 {
        let (plan, target) = (service.plan.clone(), service.target);
        service.before = Some(Before { version: service.version, plan, target });
    }
    revive(service);
    adjust(service, plan);
    service.version = version;
}

fn ready(state: &mut State, key: ServiceKey, worker: WorkerId, now: Duration, todo: &mut Vec<Action>) {
    let Some((service, index)) = state.find(key, worker) else { return };
    let drain = service.plan.drain;
    let slot = &mut service.slots[index];
    match (slot.phase, &mut slot.fuse) {
        (Phase::Starting, _) => {
            slot.phase = Phase::Ready;
            slot.ready_since = Some(now);
            (slot.fuse, slot.doing) = (None, None);
        }
        // Its report crossed the order to drain: it may have calls, which have the time that everybody's have.
        (Phase::Draining, Some(fuse)) if fuse.end == End::Drain && slot.ready_since.is_none() => {
            slot.ready_since = Some(now);
            fuse.at = slot.leaving.unwrap_or(now).saturating_add(drain);
            return;
        }
        // Its end is on the way, or it said so twice.
        _ => return,
    }
    let (ready, all) = (service.ready(), usize::from(service.target));
    if service.said_ready {
        let name = &service.plan.name;
        // One more than wanted there is only while one replaces another.
        let more = ready > all;
        let all = count(all, "worker");
        let how = if more { "it takes the place of an older one".to_owned() } else { format!("{ready} of {all} are") };
        todo.push(Action::SayOf(service.key, Level::Info, format!("{name} worker {} is ready; {how}", worker.0)));
    } else if ready >= all {
        service.said_ready = true;
        todo.push(Action::ServiceReady(key));
    }
    if !state.said_all_ready && state.services.iter().all(|service| service.said_ready) {
        state.said_all_ready = true;
        todo.push(Action::AllReady);
    }
}

/// Who starts may ask for time, as often as it likes, and never has less for it than before: as systemd's
/// `EXTEND_TIMEOUT_USEC`. Everybody else has said all that there is to say.
fn needs_time(
    state: &mut State,
    (key, worker): (ServiceKey, WorkerId),
    more: Duration,
    what: String,
    now: Duration,
    todo: &mut Vec<Action>,
) {
    let Some((service, index)) = state.find(key, worker) else { return };
    let slot = &mut service.slots[index];
    let (Phase::Starting, Some(fuse)) = (slot.phase, &mut slot.fuse) else { return };
    let more = more.min(EXTENSION_MAX);
    fuse.at = fuse.at.max(now.saturating_add(more));
    // Said once: how far it is `status` tells.
    if slot.doing.is_none() {
        let (name, may) = (&service.plan.name, show(more));
        todo.push(Action::SayOf(
            service.key,
            Level::Info,
            format!("{name} worker {} asks for {may} until it is ready: {what}", worker.0),
        ));
    }
    slot.doing = Some(what);
}

/// A worker will not serve any longer, and is about to exit.
fn gives_up(
    state: &mut State,
    key: ServiceKey,
    worker: WorkerId,
    why: Option<String>,
    now: Duration,
    todo: &mut Vec<Action>,
) {
    let Some((service, index)) = state.find(key, worker) else { return };
    if let Some(why) = why {
        todo.push(Action::SayOf(
            service.key,
            Level::Error,
            format!("{} worker {} cannot serve: {why}", service.plan.name, worker.0),
        ));
    }
    let slot = &mut service.slots[index];
    // Who is draining already has a fuse, or was killed.
    if slot.phase != Phase::Draining {
        slot.phase = Phase::Draining;
        slot.fuse = Some(Fuse { at: now.saturating_add(KILL_GRACE), end: End::Linger });
    }
}

/// Only who serves can be called hung: everybody else has a fuse.
fn hung(state: &mut State, key: ServiceKey, worker: WorkerId, how: &str, todo: &mut Vec<Action>) {
    let Some((service, index)) = state.find(key, worker) else { return };
    let slot = &mut service.slots[index];
    if slot.phase == Phase::Ready {
        slot.phase = Phase::Draining;
        todo.push(Action::SayOf(
            service.key,
            Level::Warn,
            format!("{} worker {}: its loop {how}; killing it", service.plan.name, worker.0),
        ));
        todo.push(Action::Kill(key, worker));
    }
}

/// The next one comes first: see `reconcile.rs`.
fn too_large(state: &mut State, key: ServiceKey, worker: WorkerId, how: &str, todo: &mut Vec<Action>) {
    let Some((service, index)) = state.find(key, worker) else { return };
    let slot = &mut service.slots[index];
    if slot.phase == Phase::Ready && !std::mem::replace(&mut slot.outgrown, true) {
        let line = format!("{} worker {} {how}: it ends when another serves", service.plan.name, worker.0);
        todo.push(Action::SayOf(service.key, Level::Warn, line));
    }
}

fn stop(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    match state.stopping {
        None => begin_stop(state, now, todo),
        Some(since) if now.saturating_sub(since) < SAME_STOP => {}
        Some(_) => kill_all(state, now, todo),
    }
}

/// The rest is done by winding down: see `reconcile.rs`.
fn begin_stop(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    state.stopping = Some(now);
    let alive = state.alive();
    if alive > 0 {
        let workers = count(alive, "worker");
        let line = format!("stopping: waiting for the calls in {workers}; a second signal kills at once");
        todo.push(Action::Say(Level::Info, line));
    }
}

fn kill_all(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    todo.push(Action::Say(Level::Warn, format!("stopping at once: killing {}", count(state.alive(), "worker"))));
    for service in &mut state.services {
        for slot in &mut service.slots {
            slot.fuse = None;
            slot.phase = Phase::Draining;
            slot.leaving.get_or_insert(now);
            todo.extend(slot.worker.map(|worker| Action::Kill(service.key, worker)));
        }
    }
}

fn tick(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    let is_stopping = state.stopping.is_some();
    for service in &mut state.services {
        for index in 0..service.slots.len() {
            let slot = &service.slots[index];
            if let Some(worker) = slot.worker {
                if let Some(fuse) = slot.fuse.filter(|fuse| fuse.at <= now) {
                    burn(service, index, worker, fuse.end, now, todo);
                }
            } else if !is_stopping && matches!(slot.phase, Phase::BackingOff { until } if until <= now) {
                spawn(service, index, now, todo);
            }
        }
    }
}

/// A fuse has burnt down.
fn burn(service: &mut Service, index: usize, worker: WorkerId, end: End, now: Duration, todo: &mut Vec<Action>) {
    let plan = &service.plan;
    let slot = &mut service.slots[index];
    let served = slot.ready_since.is_some();
    let doing = slot.doing.take();
    slot.phase = Phase::Draining;
    slot.fuse = None;
    let mut say = |what: String| {
        todo.push(Action::SayOf(service.key, Level::Warn, format!("{} worker {} {what}", plan.name, worker.0)))
    };
    match end {
        End::Start => say(match doing {
            None => format!("was not ready within {}; killing it", show(plan.start_timeout)),
            Some(what) => format!("was not ready in the time that it asked for last ({what}); killing it"),
        }),
        End::Drain if served => say(format!("had calls left after {}; terminating it", show(plan.drain))),
        End::Drain => {}
        End::Terminate => say(format!("was terminated and lives on after {}; killing it", show(plan.kill))),
        End::Linger => say(format!("gave up and did not exit within {}; killing it", show(KILL_GRACE))),
    }
    if end == End::Drain {
        slot.fuse = Some(Fuse { at: now.saturating_add(plan.kill), end: End::Terminate });
        todo.push(Action::Terminate(service.key, worker));
    } else {
        todo.push(Action::Kill(service.key, worker));
    }
}

fn end_if_nobody_is_left(state: &mut State, todo: &mut Vec<Action>) {
    if state.alive() > 0 {
        return;
    }
    if state.stopping.is_some() {
        state.ended = true;
        todo.push(Action::Exit(0));
    } else if state.services.iter().any(|service| service.gave_up) && !has_hope(state) {
        state.ended = true;
        todo.push(Action::Say(Level::Error, "every service has failed: nothing is left to run".to_owned()));
        todo.push(Action::Exit(1));
    }
}

/// Whether a service is left that has not failed, and does not wait for one that has.
fn has_hope(state: &State) -> bool {
    let is_hopeless = |service: &Service| service.gave_up || service.wanted == Wanted::Forgotten;
    let waits_in_vain = |service: &Service| {
        state.waits_for(service).any(|name| state.named(name).is_none_or(|other| other.gave_up || !other.started))
    };
    state.services.iter().any(|service| !is_hopeless(service) && !waits_in_vain(service))
}
