//! How many workers there should be, and of which version: what is missing is started, and what is not needed goes.
//!
//! A version is replaced one worker at a time: a new one is started beside those that serve, and one of the old ones
//! goes when it is ready. So there is never fewer than the wanted number, and at most one more. A worker that has grown
//! too large is replaced in the same way.

use std::time::Duration;

use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;

use super::state::{End, Fuse, Service, Slot, State, Wanted};
use super::{ALIVE_MAX, Action, Phase, UNREADY_GRACE};

/// After every event: brings all services nearer to what is wanted.
pub(super) fn reconcile(state: &mut State, now: Duration, todo: &mut Vec<Action>) {
    for index in 0..state.services.len() {
        let wanted = state.services[index].wanted;
        if state.stopping.is_some() || wanted != Wanted::Running {
            let leaves = wanted != Wanted::Running || !is_needed(state, index);
            wind_down(&mut state.services[index], leaves, now, todo);
            continue;
        }
        let is_held = state.waits_for(&state.services[index]).next().is_some();
        let service = &mut state.services[index];
        if service.gave_up && service.alive() == 0 {
            close(service, todo);
        } else if !is_held && !service.gave_up {
            fill(service, now, todo);
        }
    }
}

/// Whether somebody who comes after this service is still alive, and may be in the middle of calling it.
fn is_needed(state: &State, index: usize) -> bool {
    let name = &state.services[index].plan.name;
    state.services.iter().any(|other| other.alive() > 0 && other.plan.after.contains(name))
}

/// Towards nobody.
fn wind_down(service: &mut Service, leaves: bool, now: Duration, todo: &mut Vec<Action>) {
    service.slots.retain(|slot| slot.worker.is_some());
    for index in (0..service.slots.len()).filter(|_| leaves) {
        retire(service, index, now, todo);
    }
    if service.slots.is_empty() {
        close(service, todo);
        if service.wanted == Wanted::Removed {
            service.wanted = Wanted::Forgotten;
            todo.push(Action::Forget(service.key));
        }
    }
}

/// Not before nobody serves: closing hangs up on clients, and those of a draining worker wait for their replies.
fn close(service: &mut Service, todo: &mut Vec<Action>) {
    if !service.closed {
        service.closed = true;
        todo.push(Action::Close(service.key));
    }
}

/// Towards as many as wanted, all of the newest version.
fn fill(service: &mut Service, now: Duration, todo: &mut Vec<Action>) {
    let target = usize::from(service.target);
    let version = service.version;
    // Whoever is of an earlier version and serves nobody need not be waited for.
    replace_unready(service, now, todo);
    while service.staying() < target && service.alive() < ALIVE_MAX {
        spawn_new(service, now, todo);
    }
    let is_old = |slot: &&Slot| slot.leaving.is_none() && (slot.version != version || slot.outgrown);
    let rolling = service.slots.iter().any(|slot| is_old(&slot));
    while service.staying() > target + usize::from(rolling) {
        let Some(victim) = least_needed(service) else { break };
        dismiss(service, victim, now, todo);
    }
    if !rolling {
        settle(service, todo);
        return;
    }
    let is_pending = |slot: &Slot| slot.leaving.is_none() && slot.version == version && slot.phase != Phase::Ready;
    if service.slots.iter().any(is_pending) {
        return;
    }
    if service.staying() > target {
        let oldest = (0..service.slots.len()).filter(|index| is_old(&&service.slots[*index]));
        let oldest = oldest.min_by_key(|index| service.slots[*index].worker);
        oldest.into_iter().for_each(|index| dismiss(service, index, now, todo));
    } else if service.slots.iter().all(|slot| slot.leaving.is_none()) {
        spawn_new(service, now, todo);
    }
}

/// While one version replaces another, slots of the old one that do not serve are given up.
fn replace_unready(service: &mut Service, now: Duration, todo: &mut Vec<Action>) {
    let version = service.version;
    let is_stale = |slot: &Slot| slot.leaving.is_none() && slot.version != version && slot.phase != Phase::Ready;
    while let Some(index) = service.slots.iter().position(is_stale) {
        dismiss(service, index, now, todo);
    }
}

/// No version but the newest is left.
fn settle(service: &mut Service, todo: &mut Vec<Action>) {
    let all_ready = service.slots.iter().all(|slot| slot.version == service.version && slot.phase == Phase::Ready);
    if service.before.is_some() && all_ready {
        service.before = None;
        let workers = super::count(service.slots.len(), "worker");
        let line = format!("{}: the new version runs in {workers}", service.plan.name);
        todo.push(Action::SayOf(service.key, Level::Info, line));
    }
}

/// Of those who are to stay: one that does not serve, else one that is too large, else the youngest.
fn least_needed(service: &Service) -> Option<usize> {
    let staying = (0..service.slots.len()).filter(|index| service.slots[*index].leaving.is_none());
    staying.max_by_key(|index| {
        let slot = &service.slots[*index];
        (slot.phase != Phase::Ready, slot.worker.is_none(), slot.outgrown, slot.worker)
    })
}

/// Its worker is told to go; without one the slot is gone at once.
fn dismiss(service: &mut Service, index: usize, now: Duration, todo: &mut Vec<Action>) {
    if service.slots[index].worker.is_some() {
        retire(service, index, now, todo);
    } else {
        service.slots.remove(index);
    }
}

fn retire(service: &mut Service, index: usize, now: Duration, todo: &mut Vec<Action>) {
    let drain = service.plan.drain;
    let slot = &mut service.slots[index];
    slot.leaving.get_or_insert(now);
    let patience = match slot.phase {
        Phase::Starting => drain.min(UNREADY_GRACE),
        Phase::Ready => drain,
        // Who is draining already has a fuse, or was killed.
        Phase::Draining | Phase::BackingOff { .. } | Phase::Failed => return,
    };
    slot.phase = Phase::Draining;
    slot.fuse = Some(Fuse { at: now.saturating_add(patience), end: End::Drain });
    todo.extend(slot.worker.map(|worker| Action::Drain(service.key, worker)));
}

fn spawn_new(service: &mut Service, now: Duration, todo: &mut Vec<Action>) {
    service.slots.push(Slot::empty(service.version));
    spawn(service, service.slots.len() - 1, now, todo);
}

/// Starts a worker in a slot that has none.
pub(super) fn spawn(service: &mut Service, slot: usize, now: Duration, todo: &mut Vec<Action>) {
    (service.started, service.closed) = (true, false);
    let worker = WorkerId(service.next_worker);
    // At one death per millisecond this lasts for seven weeks; the restart limit does not let it come to that.
    service.next_worker += 1;
    let slot = &mut service.slots[slot];
    slot.phase = Phase::Starting;
    slot.outgrown = false;
    slot.worker = Some(worker);
    slot.version = service.version;
    slot.ready_since = None;
    slot.doing = None;
    slot.fuse = Some(Fuse { at: now.saturating_add(service.plan.start_timeout), end: End::Start });
    todo.push(Action::Spawn(service.key, worker, service.version));
}
