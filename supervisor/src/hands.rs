//! Does what the policy decided, and turns what happened into the policy's events.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;

use speedysvc_broker::{Broker, Burial, ServiceKey, ServiceOptions};
use speedysvc_config::{Config, DriverChoice, Service};
use speedysvc_protocol::control::{DriverWish, WORKER_ENV};
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::stats::Snapshot;

use crate::lines::plain;
use crate::policy::{self, count};
use crate::spawn::{Worker, describe};
use crate::{StartError, accounts, listen};

/// Where a worker's own clients find its neighbours.
const RUN_DIR_ENV: &str = "SPEEDYSVC_RUN_DIR";
const NAMESPACE_ENV: &str = "SPEEDYSVC_NAMESPACE";

/// The broker, the workers, and what they need to be started.
pub(crate) struct Hands<'a> {
    config: &'a Config,
    launch: &'a dyn Fn(&Service) -> Command,
    // Before the broker, so that workers are dead when their links go.
    workers: BTreeMap<(ServiceKey, WorkerId), Worker>,
    broker: Broker,
    /// By service.
    addresses: Vec<Vec<SocketAddr>>,
    open: Vec<ServiceKey>,
}

impl<'a> Hands<'a> {
    /// Takes the services' names and binds their addresses. No worker is started yet.
    pub(crate) fn take(config: &'a Config, launch: &'a dyn Fn(&Service) -> Command) -> Result<Self, StartError> {
        let broker = Broker::new().map_err(|source| StartError::Machine { what: "cannot make its broker", source })?;
        let workers = BTreeMap::new();
        let mut hands = Self { config, launch, workers, broker, addresses: Vec::new(), open: Vec::new() };
        for service in &config.services {
            hands.take_service(service)?;
        }
        Ok(hands)
    }

    fn take_service(&mut self, service: &Service) -> Result<(), StartError> {
        let allow = accounts::resolve(service)?;
        let (listeners, addresses) = listen::bind(service)?;
        let options = ServiceOptions {
            name: service.name.to_string(),
            folder: self.config.run_dir.join(self.config.namespace.as_str()),
            slots: service.limits.slots.get(),
            shm_message_max: service.limits.shm_message.bytes(),
            tcp_message_max: service.limits.tcp_message.bytes(),
            deadline: service.limits.deadline,
            spin: service.spin.get(),
            driver: wish(service.driver),
            allow,
            listeners,
        };
        let refused = |why: String| StartError::Refused { service: service.name.to_string(), why };
        let key = self.broker.add_service(options).map_err(|error| refused(error.to_string()))?;
        assert_eq!(key.0, self.addresses.len(), "the broker counts services in the order of the file");
        self.addresses.push(addresses);
        self.open.push(key);
        Ok(())
    }

    pub(crate) fn service(&self, key: ServiceKey) -> &'a Service {
        &self.config.services[key.0]
    }

    /// Where a service listens, with real ports.
    pub(crate) fn addresses(&self, key: ServiceKey) -> &[SocketAddr] {
        &self.addresses[key.0]
    }

    /// All numbers of a service, those of its dead workers included.
    pub(crate) fn stats(&self, key: ServiceKey) -> Snapshot {
        self.broker.meters(key).snapshot()
    }

    /// Readable when [`Hands::reports`] has something.
    pub(crate) fn broker_fd(&self) -> BorrowedFd<'_> {
        self.broker.as_fd()
    }

    /// What clients and workers told the broker.
    pub(crate) fn reports(&mut self) -> Vec<speedysvc_broker::Event> {
        self.broker.turn()
    }

    /// Everybody who is not reaped, with the descriptor that tells of their death.
    pub(crate) fn watched(&self) -> impl Iterator<Item = ((ServiceKey, WorkerId), BorrowedFd<'_>)> {
        self.workers.iter().map(|(key, worker)| (*key, worker.pidfd()))
    }

    /// Starts a worker.
    pub(crate) fn spawn(&mut self, key: ServiceKey, worker: WorkerId) -> Result<(), StartError> {
        let service = self.service(key);
        let mut command = (self.launch)(service);
        command.envs(service.env.iter().map(|(name, value)| (name, value)));
        // After the file's: a worker that believes another number, or looks elsewhere, would not work.
        command
            .env(WORKER_ENV, worker.0.to_string())
            .env(RUN_DIR_ENV, &self.config.run_dir)
            .env(NAMESPACE_ENV, self.config.namespace.as_str());
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| StartError::Spawn { service: service.name.to_string(), program, source };
        let control = match self.broker.admit(key, worker) {
            Ok(control) => control,
            Err(error) => return Err(failed(error)),
        };
        match Worker::spawn(command, control) {
            Ok(process) => {
                self.workers.insert((key, worker), process);
                Ok(())
            }
            Err(error) => {
                // It was admitted and never lived: it has no calls.
                self.broker.bury(key, worker);
                Err(failed(error))
            }
        }
    }

    pub(crate) fn drain(&mut self, key: ServiceKey, worker: WorkerId) {
        self.broker.drain(key, worker);
    }

    pub(crate) fn terminate(&self, key: ServiceKey, worker: WorkerId) {
        self.workers.get(&(key, worker)).into_iter().for_each(Worker::terminate);
    }

    pub(crate) fn kill(&self, key: ServiceKey, worker: WorkerId) {
        self.workers.get(&(key, worker)).into_iter().for_each(Worker::kill);
    }

    /// After its pidfd told of a death. In this order: what it left behind is killed, the broker settles its calls,
    /// and then the policy hears of it.
    pub(crate) fn bury(&mut self, key: ServiceKey, worker: WorkerId) -> Option<policy::Event> {
        let process = self.workers.remove(&(key, worker))?;
        let pid = process.pid();
        let status = process.reap();
        let burial = self.broker.bury(key, worker);
        let (clean, how) = match status {
            Ok(status) => (status.success(), describe(status)),
            Err(error) => (false, format!("is gone, and nobody knows how ({error})")),
        };
        Some(policy::Event::Died { service: key, worker, clean, obituary: obituary(pid, &how, &burial) })
    }

    /// Hangs up on a service's clients, takes no new ones, and removes its files.
    pub(crate) fn close(&mut self, key: ServiceKey) {
        if let Some(place) = self.open.iter().position(|open| *open == key) {
            self.open.remove(place);
            self.broker.close(key);
        }
    }
}

impl Drop for Hands<'_> {
    fn drop(&mut self) {
        // After a clean stop nobody is left here. Otherwise all get their signal before the first is waited for.
        self.workers.values().for_each(Worker::kill);
        let left: Vec<_> = self.workers.keys().copied().collect();
        for (key, worker) in left {
            // There is no policy any more that wants to hear of it.
            drop(self.bury(key, worker));
        }
        for key in self.open.clone() {
            self.close(key);
        }
    }
}

/// `(pid 1234) was killed by signal 9 (SIGKILL) while it ran `echo`; 5 calls were told "unknown"`.
fn obituary(pid: i32, how: &str, burial: &Burial) -> String {
    let mut text = format!("(pid {pid}) {how}");
    if let Some(method) = &burial.last_method {
        text.push_str(&format!(" while it ran `{}`", plain(method)));
    }
    if burial.unknown > 0 {
        let was = if burial.unknown == 1 { "was" } else { "were" };
        text.push_str(&format!("; {} {was} told \"unknown\"", count(burial.unknown, "call")));
        if let Some(first) = burial.callers.first() {
            let others = burial.callers.len() - 1;
            let more = if others > 0 { format!(" and {}", count(others, "other client")) } else { String::new() };
            text.push_str(&format!(", of {first}{more}"));
        }
    }
    text
}

/// What the file says of the driver, in the words that workers hear.
fn wish(choice: DriverChoice) -> DriverWish {
    match choice {
        DriverChoice::Auto => DriverWish::Auto,
        DriverChoice::IoUring => DriverWish::IoUring,
        DriverChoice::Epoll => DriverWish::Epoll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_broker::Peer;

    #[test]
    fn obituaries_read_well() {
        let peer = |pid| Peer { pid, uid: 65534 };
        let burial = |unknown, method: Option<&str>| Burial {
            unknown,
            last_method: method.map(str::to_owned),
            callers: Vec::new(),
        };
        let killed = "was killed by signal 9 (SIGKILL)";
        assert_eq!(
            obituary(1234, killed, &burial(5, Some("echo"))),
            "(pid 1234) was killed by signal 9 (SIGKILL) while it ran `echo`; 5 calls were told \"unknown\""
        );
        assert_eq!(obituary(7, "exited with status 1", &burial(0, None)), "(pid 7) exited with status 1");
        assert!(obituary(7, killed, &burial(1, None)).ends_with("; 1 call was told \"unknown\""));
        let of = |callers| obituary(7, killed, &Burial { callers, ..burial(2, None) });
        assert!(of(vec![peer(8)]).ends_with("told \"unknown\", of pid 8 (user 65534)"));
        assert!(of(vec![peer(8), peer(9)]).ends_with(", of pid 8 (user 65534) and 1 other client"));
    }
}
