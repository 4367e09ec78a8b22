//! A worker is gone: who takes its place, when, and when nobody does any more.

use std::time::Duration;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

use super::jitter;
use super::state::{Service, State, Wanted};
use super::words::{count, show};
use super::{Action, Phase};

/// A death as it was reported.
pub(super) struct Death {
    pub service: ServiceKey,
    pub worker: WorkerId,
    pub clean: bool,
    pub obituary: String,
}

pub(super) fn died(state: &mut State, death: &Death, now: Duration, todo: &mut Vec<Action>) {
    let (is_stopping, seed) = (state.stopping.is_some(), state.seed);
    let Some((service, index)) = state.find(death.service, death.worker) else { return };
    let who = format!("{} worker {} {}", service.plan.name, death.worker.0, death.obituary);
    let is_leaving = is_stopping || service.wanted != Wanted::Running || service.slots[index].leaving.is_some();
    if is_leaving {
        let slot = service.slots.remove(index);
        // Who never served and was told to go lost nothing, however it went.
        if !death.clean && slot.ready_since.is_some() {
            todo.push(Action::SayOf(service.key, Level::Warn, who));
        }
        return;
    }
    service.died = service.died.saturating_add(1);
    service.last_death = Some((now, who.clone()));
    let slot = &mut service.slots[index];
    slot.worker = None;
    slot.fuse = None;
    slot.outgrown = false;
    let never_served = slot.ready_since.is_none() && slot.version == service.version;
    if never_served && service.before.is_some() {
        service.slots.remove(index);
        roll_back(service, &who, todo);
        return;
    }
    let pause = service.slots[index].pause_after_death(&service.plan, now);
    let by_chance = |seed| jitter::moved(pause, &service.plan.restart, seed, death.service, death.worker);
    let pause = seed.map_or(pause, by_chance);
    service.slots[index].phase = Phase::BackingOff { until: now.saturating_add(pause) };
    if service.gave_up || service.count_death_over_limit(now) {
        give_up(service, &who, todo);
    } else {
        todo.push(Action::SayOf(service.key, Level::Warn, format!("{who}; restarting in {}", show(pause))));
    }
}

/// The new version does not start, and the one before serves still: that one is in force again.
fn roll_back(service: &mut Service, who: &str, todo: &mut Vec<Action>) {
    let Some(before) = service.before.take() else { return };
    service.rolled_back = service.rolled_back.saturating_add(1);
    // Whoever scaled meanwhile is not overruled.
    let is_of_file = service.plan.workers != before.plan.workers && service.target == service.plan.workers;
    service.target = if is_of_file { before.target } else { service.target };
    (service.version, service.plan) = (before.version, before.plan);
    let left = service.slots.iter().filter(|slot| slot.version == before.version && slot.phase == Phase::Ready);
    let left = count(left.count(), "worker");
    let name = &service.plan.name;
    let line = format!("{who}; {name} goes back to the version before, of which {left} serve");
    todo.push(Action::SayOf(service.key, Level::Error, line));
    todo.push(Action::RolledBack(service.key, before.version));
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
            let remedy = format!("`ctl start {name}` tries again");
            format!("{who}; {name} has failed: {deaths} within {within}, and no more restarts; {rest}; {remedy}")
        }
        _ => format!("{who}; {name} has failed before, so it is not restarted; {rest}"),
    };
    todo.push(Action::SayOf(service.key, Level::Error, line));
    service.gave_up = true;
}
