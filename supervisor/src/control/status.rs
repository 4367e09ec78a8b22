//! How everything is: from the policy's state, the broker's pages and the kernel.

use speedysvc_broker::{Look, Peer, ServiceKey};
use speedysvc_protocol::control::operator::{ClientStatus, ServiceStatus, Status, WorkerStatus};
use speedysvc_protocol::ids::{LinkId, WorkerId};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::stats::{MethodCounter, Timing};

use crate::health::{Health, health};
use crate::lines::plain;
use crate::policy::{Phase, ServiceView, SlotView, count};
use crate::run::Supervisor;

/// Most clients of a reply: more than the broker has descriptors for.
const CLIENTS_MAX: usize = 100_000;

impl Supervisor<'_, '_> {
    pub(crate) fn status(&self) -> Status {
        let services: Vec<_> = self.live_keys().into_iter().filter_map(|key| self.service_status(key)).collect();
        let Health { well, troubles, ready, not_ready } = health(&services, self.state.is_stopping());
        Status {
            well,
            troubles,
            ready,
            not_ready,
            stopping: self.state.is_stopping(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.now().as_secs_f64(),
            config: self.config.source.display().to_string(),
            run_dir: self.config.run_dir.display().to_string(),
            services,
            log_lines_lost: self.journal.lost(),
        }
    }

    pub(crate) fn clients(&self) -> Vec<ClientStatus> {
        let of_service = |key: ServiceKey| {
            let service = self.hands.name(key).to_owned();
            let client = move |(link, peer, slots): (LinkId, Peer, usize)| {
                let service = service.clone();
                let count = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
                let in_flight = self.hands.in_flight(key, link).map(count);
                ClientStatus { service, link: link.0, pid: peer.pid, uid: peer.uid, slots: count(slots), in_flight }
            };
            self.hands.links(key).into_iter().map(client)
        };
        self.live_keys().into_iter().flat_map(of_service).take(CLIENTS_MAX).collect()
    }

    fn service_status(&self, key: ServiceKey) -> Option<ServiceStatus> {
        let view = self.state.view(key)?;
        let stats = self.hands.stats(key);
        let all = stats.all_methods();
        let (state, why) = state_of(&view, self.state.is_stopping());
        let death = view.last_death.as_ref();
        let workers = view.slots.iter().filter_map(|slot| Some(self.worker_status(key, slot.worker?, slot)));
        Some(ServiceStatus {
            name: self.hands.name(key).to_owned(),
            state: state.to_owned(),
            why,
            target: view.target,
            scaling: self.sampler.explain(key),
            memory: self.memory.explain(key),
            addresses: self.hands.addresses(key),
            drivers: self.hands.drivers(key).to_vec(),
            clients: self.hands.clients(key),
            calls: all.counter(MethodCounter::Calls),
            errors: all.errors(),
            handler_p50_ns: all.times(Timing::Handler).percentile(0.5),
            handler_p99_ns: all.times(Timing::Handler).percentile(0.99),
            queue_p99_ns: all.times(Timing::Queue).percentile(0.99),
            handler_ns: all.counter(MethodCounter::HandlerNs),
            deaths: view.died,
            last_death: death.map(|(_, line)| line.clone()),
            last_death_s_ago: death.map(|(at, _)| self.now().saturating_sub(*at).as_secs_f64()),
            workers: workers.collect(),
        })
    }

    fn worker_status(&self, key: ServiceKey, worker: WorkerId, slot: &SlotView) -> WorkerStatus {
        let pid = self.hands.pid(key, worker);
        let look = self.hands.look(key, worker);
        WorkerStatus {
            worker: worker.0,
            pid,
            state: phase_word(slot.phase).to_owned(),
            version: slot.version.0,
            ready_s: slot.ready_since.map(|since| self.now().saturating_sub(since).as_secs_f64()),
            loop_state: look.as_ref().map_or("gone", loop_word).to_owned(),
            doing: slot.doing.clone(),
            method: look.and_then(|look| look.method).map(|method| plain(&method)),
            rss: resident(pid),
            pss: self.memory.of(key, worker),
        }
    }
}

fn loop_word(look: &Look) -> &'static str {
    match look.mode {
        Mode::Gone => "gone",
        Mode::Scan | Mode::Woken => "polls",
        Mode::Busy => "busy",
        Mode::Asleep => "sleeps",
    }
}

const fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "draining",
        Phase::BackingOff { .. } => "backing off",
        Phase::Failed => "failed",
    }
}

/// A word, and a sentence where something is not as it should be.
fn state_of(view: &ServiceView, is_stopping: bool) -> (&'static str, String) {
    let with = |phase: fn(Phase) -> bool| view.slots.iter().filter(|slot| phase(slot.phase)).count();
    let (ready, alive) =
        (with(|phase| phase == Phase::Ready), view.slots.iter().filter(|slot| slot.worker.is_some()).count());
    let target = usize::from(view.target);
    let doing = view.slots.iter().find_map(|slot| slot.doing.as_ref()).map(|what| format!("; {what}"));
    let serve = format!("{ready} of {} serve{}", count(target, "worker"), doing.unwrap_or_default());
    if !view.wanted || is_stopping {
        let left = || format!("{} finish their calls", count(alive, "worker"));
        return if alive == 0 { ("stopped", String::new()) } else { ("stopping", left()) };
    }
    if view.failed {
        let last = view.last_death.as_ref().map(|(_, line)| format!("; last: {line}")).unwrap_or_default();
        return ("failed", format!("too many deaths, so no more restarts; {serve}{last}"));
    }
    if !view.waits_for.is_empty() {
        return ("waiting", format!("it comes after {}", view.waits_for.join(", ")));
    }
    if view.rolling && ready >= target {
        return ("rolling", "workers are being replaced, one by one".to_owned());
    }
    if ready >= target {
        return ("ready", String::new());
    }
    let backing_off = with(|phase| matches!(phase, Phase::BackingOff { .. }));
    if backing_off > 0 || view.died > 0 {
        let last = view.last_death.as_ref().map(|(_, line)| format!("; last: {line}")).unwrap_or_default();
        return ("degraded", format!("{serve}{last}"));
    }
    ("starting", serve)
}

/// Resident bytes of a process, as the kernel counts them.
fn resident(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(u64::try_from(rustix::param::page_size()).unwrap_or(4096)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Version;
    use std::time::Duration;

    fn view(phases: &[Phase]) -> ServiceView {
        let slot = |phase: &Phase| {
            let worker = matches!(phase, Phase::Ready | Phase::Starting | Phase::Draining).then_some(WorkerId(1));
            SlotView { worker, phase: *phase, version: Version(0), ready_since: None, doing: None }
        };
        ServiceView {
            wanted: true,
            failed: false,
            waits_for: Vec::new(),
            target: 2,
            version: Version(0),
            rolling: false,
            died: 0,
            rolled_back: 0,
            last_death: None,
            slots: phases.iter().map(slot).collect(),
        }
    }

    #[test]
    fn states_in_words() {
        let word = |view: &ServiceView| state_of(view, false).0;
        let later = Phase::BackingOff { until: Duration::ZERO };
        assert_eq!(word(&view(&[Phase::Ready, Phase::Ready])), "ready");
        assert_eq!(word(&view(&[Phase::Ready, Phase::Starting])), "starting");
        assert_eq!(word(&view(&[Phase::Ready, later])), "degraded");
        let mut slow = view(&[Phase::Ready, Phase::Starting]);
        slow.slots[1].doing = Some("loading the index".to_owned());
        assert_eq!(state_of(&slow, false), ("starting", "1 of 2 workers serve; loading the index".to_owned()));
        let stopped = ServiceView { wanted: false, ..view(&[]) };
        assert_eq!(word(&stopped), "stopped");
        assert_eq!(state_of(&view(&[Phase::Draining]), true).0, "stopping");
        let failed = ServiceView { failed: true, ..view(&[Phase::Failed, Phase::Ready]) };
        assert_eq!(state_of(&failed, false).1, "too many deaths, so no more restarts; 1 of 2 workers serve");
        let waiting = ServiceView { waits_for: vec!["db".to_owned()], ..view(&[]) };
        assert_eq!(state_of(&waiting, false), ("waiting", "it comes after db".to_owned()));
    }
}
