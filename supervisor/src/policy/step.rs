//! One event at a time.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::ids::WorkerId;

use super::state::{End, Fuse, Service, State};
use super::words::{count, show};
use super::{Action, Event, KILL_GRACE, Phase, SAME_STOP, UNREADY_GRACE};

/// Takes one event and says what to do. `now` must not go back.
pub fn step(state: &mut State, event: Event, now: Duration) -> Vec<Action> {
    let mut todo = Vec::new();
    if state.ended {
        return todo;
    }
    match event {
        Event::Start => start(state, now, &mut todo),
        Event::Ready { service, worker } => ready(state, service, worker, now, &mut todo),
        Event::Failed { service, worker, why } => gives_up(state, service, worker, Some(why), now, &mut todo),
        Event::HungUp { service, worker } => gives_up(state, service, worker, None, now, &mut todo),
        Event::Died { service, worker, clean, obituary } => {
            died(state, service, worker, clean, &obituary, now, &mut todo);
        }
        Event::NotSpawned { service, worker, why } => {
            died(state, service, worker, false, &format!("could not be started: {why}"), now, &mut todo);
        }
        Event::Stop => stop(state, now, &mut todo),
        Event::Tick => tick(state, now, &mut todo),
    }
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

fn start(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    for service in &mut state.services {
        for slot in 0..service.slots.len() {
            spawn(service, slot, now, todo);
        }
    }
}

fn spawn(service: &mut Service, slot: usize, now: Duration, todo: &mut Vec<Action>) {
    let worker = WorkerId(service.next_worker);
    // At one death per millisecond this lasts for seven weeks; the restart limit does not let it come to that.
    service.next_worker += 1;
    let slot = &mut service.slots[slot];
    slot.phase = Phase::Starting;
    slot.worker = Some(worker);
    slot.ready_since = None;
    slot.fuse = Some(Fuse { at: now.saturating_add(service.plan.start_timeout), end: End::Start });
    todo.push(Action::Spawn(service.key, worker));
}

fn ready(state: &mut State, key: ServiceKey, worker: WorkerId, now: Duration, todo: &mut Vec<Action>) {
    let stopping = state.stopping;
    let Some((service, index)) = state.find(key, worker) else { return };
    let drain = service.plan.drain;
    let slot = &mut service.slots[index];
    match (slot.phase, stopping, &mut slot.fuse) {
        (Phase::Starting, None, _) => {
            slot.phase = Phase::Ready;
            slot.ready_since = Some(now);
            slot.fuse = None;
        }
        // Its report crossed the order to drain: it may have calls, which have the time that everybody's have.
        (Phase::Draining, Some(since), Some(fuse)) if fuse.end == End::Drain => {
            slot.ready_since = Some(now);
            fuse.at = since.saturating_add(drain);
            return;
        }
        // Its end is on the way, or it said so twice.
        _ => return,
    }
    let (ready, all) = (service.ready(), service.slots.len());
    if service.said_ready {
        let name = &service.plan.name;
        todo.push(Action::Say(format!("{name} worker {} is ready; {ready} of {} are", worker.0, count(all, "worker"))));
    } else if ready == all {
        service.said_ready = true;
        todo.push(Action::ServiceReady(key));
    }
    if !state.said_all_ready && state.services.iter().all(|service| service.said_ready) {
        state.said_all_ready = true;
        todo.push(Action::AllReady);
    }
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
        todo.push(Action::Say(format!("{} worker {} cannot serve: {why}", service.plan.name, worker.0)));
    }
    let slot = &mut service.slots[index];
    // Who is draining already has a fuse, or was killed.
    if slot.phase != Phase::Draining {
        slot.phase = Phase::Draining;
        slot.fuse = Some(Fuse { at: now.saturating_add(KILL_GRACE), end: End::Linger });
    }
}

fn died(
    state: &mut State,
    key: ServiceKey,
    worker: WorkerId,
    clean: bool,
    obituary: &str,
    now: Duration,
    todo: &mut Vec<Action>,
) {
    let is_stopping = state.stopping.is_some();
    let Some((service, index)) = state.find(key, worker) else { return };
    let slot = &mut service.slots[index];
    slot.worker = None;
    slot.fuse = None;
    let who = format!("{} worker {} {obituary}", service.plan.name, worker.0);
    if is_stopping {
        slot.phase = Phase::Stopped;
        // Who never served and was told to go lost nothing, however it went.
        if !clean && slot.ready_since.is_some() {
            todo.push(Action::Say(who));
        }
        close_if_nobody_serves(service, todo);
        return;
    }
    let pause = slot.pause_after_death(&service.plan, now);
    slot.phase = Phase::BackingOff { until: now.saturating_add(pause) };
    if service.gave_up || service.count_death_over_limit(now) {
        give_up(service, &who, todo);
    } else {
        todo.push(Action::Say(format!("{who}; restarting in {}", show(pause))));
    }
}

/// Too many of a service's workers died. Those who live go on: fewer workers are better than none.
fn give_up(service: &mut Service, who: &str, todo: &mut Vec<Action>) {
    for slot in service.slots.iter_mut().filter(|slot| slot.worker.is_none()) {
        slot.phase = Phase::Failed;
    }
    let (alive, all) = (service.alive(), count(service.slots.len(), "worker"));
    let (name, rest) = (&service.plan.name, format!("{alive} of its {all} left"));
    let line = match service.plan.restart.limit {
        Some(limit) if !service.gave_up => {
            let deaths = count(service.deaths.len(), "death");
            let within = show(limit.within);
            format!("{who}; {name} has failed: {deaths} within {within}, and no more restarts; {rest}")
        }
        _ => format!("{who}; {name} has failed before, so it is not restarted; {rest}"),
    };
    todo.push(Action::Say(line));
    service.gave_up = true;
    close_if_nobody_serves(service, todo);
}

/// Not before: closing hangs up on the clients, and those of a draining worker wait for their replies.
fn close_if_nobody_serves(service: &mut Service, todo: &mut Vec<Action>) {
    if service.alive() == 0 && !service.closed {
        service.closed = true;
        todo.push(Action::Close(service.key));
    }
}

fn stop(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    match state.stopping {
        None => begin_stop(state, now, todo),
        Some(since) if now.saturating_sub(since) < SAME_STOP => {}
        Some(_) => kill_all(state, todo),
    }
}

fn begin_stop(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    state.stopping = Some(now);
    let alive = state.alive();
    if alive > 0 {
        todo.push(Action::Say(format!(
            "stopping: waiting for the calls in {}; a second signal kills at once",
            count(alive, "worker")
        )));
    }
    for service in &mut state.services {
        close_if_nobody_serves(service, todo);
        for slot in &mut service.slots {
            let patience = match slot.phase {
                Phase::Starting => service.plan.drain.min(UNREADY_GRACE),
                Phase::Ready => service.plan.drain,
                Phase::BackingOff { .. } => {
                    slot.phase = Phase::Stopped;
                    continue;
                }
                Phase::Draining | Phase::Stopped | Phase::Failed => continue,
            };
            slot.phase = Phase::Draining;
            slot.fuse = Some(Fuse { at: now.saturating_add(patience), end: End::Drain });
            todo.extend(slot.worker.map(|worker| Action::Drain(service.key, worker)));
        }
    }
}

fn kill_all(state: &mut State, todo: &mut Vec<Action>) {
    todo.push(Action::Say(format!("stopping at once: killing {}", count(state.alive(), "worker"))));
    for service in &mut state.services {
        for slot in &mut service.slots {
            slot.fuse = None;
            todo.extend(slot.worker.map(|worker| Action::Kill(service.key, worker)));
        }
    }
}

fn tick(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    for service in &mut state.services {
        for index in 0..service.slots.len() {
            let slot = &service.slots[index];
            if let Some(worker) = slot.worker {
                if let Some(fuse) = slot.fuse.filter(|fuse| fuse.at <= now) {
                    burn(service, index, worker, fuse.end, now, todo);
                }
            } else if matches!(slot.phase, Phase::BackingOff { until } if until <= now) {
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
    slot.phase = Phase::Draining;
    slot.fuse = None;
    let mut say = |what: String| todo.push(Action::Say(format!("{} worker {} {what}", plan.name, worker.0)));
    match end {
        End::Start => say(format!("was not ready within {}; killing it", show(plan.start_timeout))),
        End::Drain if served => say(format!("had calls left after {}; terminating it", show(plan.drain))),
        End::Drain => {}
        End::Terminate => say(format!("was terminated and lives on after {}; killing it", show(KILL_GRACE))),
        End::Linger => say(format!("gave up and did not exit within {}; killing it", show(KILL_GRACE))),
    }
    if end == End::Drain {
        slot.fuse = Some(Fuse { at: now.saturating_add(KILL_GRACE), end: End::Terminate });
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
    } else if state.services.iter().all(|service| service.gave_up) {
        state.ended = true;
        todo.push(Action::Say("every service has failed: nothing is left to run".to_owned()));
        todo.push(Action::Exit(1));
    }
}
