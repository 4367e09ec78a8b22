//! Is it well? Is it ready? A pure function from what is known of the services to the answers of `ctl status`,
//! `/healthz` and `/readyz`.

use speedysvc_protocol::control::operator::ServiceStatus;

/// The answers, with a sentence for each reason against them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Every wanted service has all its workers.
    pub(crate) well: bool,
    /// Why not.
    pub(crate) troubles: Vec<String>,
    /// Calls should be sent here: every wanted service has somebody who serves, and nothing is being stopped.
    pub(crate) ready: bool,
    /// Why not.
    pub(crate) not_ready: Vec<String>,
}

/// Judges all services, of an engine that is or is not being stopped.
pub(crate) fn health(services: &[ServiceStatus], is_stopping: bool) -> Health {
    let troubles: Vec<String> = services.iter().filter(|service| !is_well(service)).map(trouble).collect();
    let mut not_ready: Vec<String> = services.iter().filter(|service| !is_served(service)).map(trouble).collect();
    if is_stopping {
        not_ready.insert(0, "everything is being stopped".to_owned());
    }
    Health { well: troubles.is_empty() && !is_stopping, troubles, ready: not_ready.is_empty(), not_ready }
}

fn is_well(service: &ServiceStatus) -> bool {
    matches!(service.state.as_str(), "ready" | "rolling") || is_stopped_on_purpose(service)
}

/// One worker is enough: who has fewer workers than wanted is slow at worst, and sending nothing helps nobody.
fn is_served(service: &ServiceStatus) -> bool {
    service.workers.iter().any(|worker| worker.state == "ready") || is_stopped_on_purpose(service)
}

/// An operator's decision about one service says nothing about the others.
fn is_stopped_on_purpose(service: &ServiceStatus) -> bool {
    matches!(service.state.as_str(), "stopped" | "stopping")
}

fn trouble(service: &ServiceStatus) -> String {
    let ServiceStatus { name, state, why, .. } = service;
    if why.is_empty() { format!("{name} is {state}") } else { format!("{name} is {state}: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_protocol::control::operator::WorkerStatus;

    fn service(name: &str, state: &str, workers: &[&str]) -> ServiceStatus {
        let worker = |state: &&str| WorkerStatus { state: (*state).to_owned(), ..WorkerStatus::default() };
        ServiceStatus {
            name: name.to_owned(),
            state: state.to_owned(),
            workers: workers.iter().map(worker).collect(),
            ..ServiceStatus::default()
        }
    }

    #[test]
    fn well_is_all_workers_and_ready_is_one() {
        let judge = |state, workers: &[&str]| {
            let Health { well, ready, .. } =
                health(&[service("a", "ready", &["ready"]), service("b", state, workers)], false);
            (well, ready)
        };
        assert_eq!(judge("ready", &["ready", "ready"]), (true, true));
        assert_eq!(judge("rolling", &["ready", "draining", "starting"]), (true, true));
        assert_eq!(judge("degraded", &["ready"]), (false, true));
        assert_eq!(judge("failed", &["ready"]), (false, true));
        assert_eq!(judge("degraded", &["starting"]), (false, false));
        assert_eq!(judge("failed", &[]), (false, false));
        assert_eq!(judge("starting", &["starting"]), (false, false));
        assert_eq!(judge("waiting", &[]), (false, false));
        assert_eq!(judge("stopped", &[]), (true, true));
        assert_eq!(judge("stopping", &["draining"]), (true, true));
    }

    #[test]
    fn whatever_is_against_it_is_said() {
        let failed = ServiceStatus { why: "too many deaths".to_owned(), ..service("b", "failed", &[]) };
        let seen = health(&[service("a", "starting", &[]), failed], false);
        assert_eq!(seen.troubles, ["a is starting", "b is failed: too many deaths"]);
        assert_eq!(seen.not_ready, seen.troubles);
        let seen = health(&[service("a", "stopping", &["draining"])], true);
        assert_eq!((seen.well, seen.ready, seen.troubles.len()), (false, false, 0));
        assert_eq!(seen.not_ready, ["everything is being stopped"]);
    }
}
