//! Does what the policy decided, and turns what happened into the policy's events.

mod starting;

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use speedysvc_broker::{Broker, Inherited, Look, Meters, Peer, ServiceKey, ServiceOptions, TakeError};
use speedysvc_config::{Config, Listen, Service};
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::{LinkId, WorkerId};
use speedysvc_protocol::stats::Snapshot;

use crate::obituary::obituary;
use crate::options::{self, level, mark};
use crate::policy::{self, Version};
use crate::spares::{Predecessors, Spares};
use crate::spawn::{Worker, describe};
use crate::versions::Settings;
use crate::{StartError, listen};

/// What makes the command of a service's worker.
pub(crate) type Launch<'a> = &'a dyn Fn(&Service) -> Command;

/// The broker, the workers, and what they need to be started.
pub(crate) struct Hands<'a> {
    run_dir: PathBuf,
    namespace: String,
    launch: Launch<'a>,
    // Before the broker, so that workers are dead when their links go.
    workers: BTreeMap<(ServiceKey, WorkerId), Worker>,
    broker: Broker,
    /// By [`ServiceKey`]; those that were removed stay, empty.
    services: Vec<Kept>,
    /// What workers put before lines that they log.
    mark: String,
    pub(crate) level: Level,
    /// Sockets that we were started with.
    activated: Spares,
    /// Whose workers served when we came.
    predecessors: Predecessors,
}

/// What is kept of a service.
struct Kept {
    name: String,
    versions: BTreeMap<Version, Settings>,
    /// The version of new workers and links.
    current: Version,
    /// Where it listens, with real ports; also while it is stopped.
    addresses: Vec<Listen>,
    open: bool,
    /// What workers said of their drivers, without repetition.
    drivers: Vec<String>,
}

impl Kept {
    fn settings(&self) -> &Settings {
        &self.versions[&self.current]
    }
}

impl<'a> Hands<'a> {
    /// Takes the services' names and binds their addresses, or takes over what is there of a killed engine. No worker
    /// is started yet.
    pub(crate) fn take(config: &Config, launch: Launch<'a>, activated: Spares) -> Result<Self, StartError> {
        let broker = Broker::new().map_err(|source| StartError::Machine { what: "cannot make its broker", source })?;
        let mut hands = Self {
            run_dir: config.run_dir.clone(),
            namespace: config.namespace.to_string(),
            launch,
            workers: BTreeMap::new(),
            broker,
            services: Vec::new(),
            mark: mark(),
            level: level(config),
            activated,
            predecessors: Predecessors::default(),
        };
        for service in &config.services {
            hands.begin(service)?;
        }
        Ok(hands)
    }

    /// All that can fail of a new version. Nothing is changed yet.
    pub(crate) fn prepare(&self, service: &Service, before: Option<ServiceKey>) -> Result<Settings, StartError> {
        let before = before.map(|key| self.services[key.0].settings());
        let command = (self.launch)(service);
        Settings::prepare(service, Path::new(command.get_program()), before, &mut self.activated.again())
    }

    /// Takes a new service's name. Its key is the next one.
    pub(crate) fn add(&mut self, settings: Settings, version: Version) -> Result<ServiceKey, StartError> {
        self.take_over(settings, version, None)
    }

    fn take_over(
        &mut self,
        settings: Settings,
        version: Version,
        inherited: Option<Inherited>,
    ) -> Result<ServiceKey, StartError> {
        let options = self.options(&settings)?;
        let name = settings.service.name.to_string();
        let refused = |why: String| StartError::Refused { service: name.clone(), why };
        let key = self.broker.take_over(options, inherited).map_err(|error| refused(error.to_string()))?;
        assert_eq!(key.0, self.services.len(), "the broker counts services in the order of the file");
        let addresses = settings.listeners.iter().map(|listener| listener.real.clone()).collect();
        let versions = BTreeMap::from([(version, settings)]);
        self.services.push(Kept { name, versions, current: version, addresses, open: true, drivers: Vec::new() });
        Ok(key)
    }

    /// New workers and links are made by this version from now on.
    pub(crate) fn renew(
        &mut self,
        key: ServiceKey,
        mut settings: Settings,
        version: Version,
    ) -> Result<(), StartError> {
        let kept = &mut self.services[key.0];
        if !kept.open {
            kept.addresses = settings.listeners.iter().map(|listener| listener.real.clone()).collect();
            settings.unbind();
        }
        self.services[key.0].versions.insert(version, settings);
        self.use_version(key, version)
    }

    /// Other settings, for which no worker need be started anew.
    pub(crate) fn adjust(&mut self, key: ServiceKey, service: &Service) -> Result<(), StartError> {
        let kept = &mut self.services[key.0];
        let current = kept.current;
        kept.versions.get_mut(&current).expect("the current one is kept").adjust(service)?;
        self.use_version(key, current)
    }

    /// As [`Hands::renew`], with a version that is there.
    pub(crate) fn use_version(&mut self, key: ServiceKey, version: Version) -> Result<(), StartError> {
        let kept = &mut self.services[key.0];
        kept.current = version;
        let settings = kept.settings();
        if kept.open {
            kept.addresses = settings.listeners.iter().map(|listener| listener.real.clone()).collect();
        }
        let options = self.options(self.services[key.0].settings())?;
        let name = self.services[key.0].name.clone();
        self.broker.renew(key, options).map_err(|error| StartError::Refused { service: name, why: error.to_string() })
    }

    /// Forgets what no worker is of any more, nor will be.
    pub(crate) fn forget_versions(&mut self, key: ServiceKey, needed: impl Fn(Version) -> bool) {
        let kept = &mut self.services[key.0];
        let current = kept.current;
        kept.versions.retain(|version, _| *version == current || needed(*version));
    }

    fn options(&self, settings: &Settings) -> Result<ServiceOptions, StartError> {
        options::options(settings, self.run_dir.join(&self.namespace), self.level)
    }

    /// The settings in force of a service.
    pub(crate) fn service(&self, key: ServiceKey) -> &Service {
        &self.services[key.0].settings().service
    }

    pub(crate) fn name(&self, key: ServiceKey) -> &str {
        &self.services[key.0].name
    }

    /// All there ever were, those that were removed included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = ServiceKey> + use<> {
        (0..self.services.len()).map(ServiceKey)
    }

    /// Where a service can be called: `shm://echo`, `tcp://127.0.0.1:5555`.
    pub(crate) fn addresses(&self, key: ServiceKey) -> Vec<String> {
        let kept = &self.services[key.0];
        let listen = kept.addresses.iter().map(Listen::to_string);
        std::iter::once(format!("shm://{}", kept.name)).chain(listen).collect()
    }

    /// What must be said of addresses that other machines reach.
    pub(crate) fn warnings(&self, key: ServiceKey) -> Vec<String> {
        let Kept { name, addresses, .. } = &self.services[key.0];
        addresses.iter().filter(|address| address.reaches_beyond()).map(|open| listen::warning(name, open)).collect()
    }

    /// Sockets that we were started with and that no service listens on.
    pub(crate) fn unused(&self) -> Vec<String> {
        let mut rest = self.activated.again();
        for kept in &self.services {
            for listener in &kept.settings().listeners {
                let _used = rest.take(&kept.name, &listener.asked);
            }
        }
        rest.addresses().map(ToString::to_string).collect()
    }

    /// What a worker said of its driver.
    pub(crate) fn note_driver(&mut self, key: ServiceKey, driver: String) {
        let known = &mut self.services[key.0].drivers;
        if !known.contains(&driver) {
            known.push(driver);
        }
    }

    pub(crate) fn drivers(&self, key: ServiceKey) -> &[String] {
        &self.services[key.0].drivers
    }

    /// All numbers of a service, those of its dead workers included.
    pub(crate) fn stats(&self, key: ServiceKey) -> Snapshot {
        self.broker.meters(key).snapshot()
    }

    /// Where they can be read from another thread.
    pub(crate) fn meters(&self, key: ServiceKey) -> Arc<Meters> {
        self.broker.meters(key)
    }

    pub(crate) fn clients(&self, key: ServiceKey) -> usize {
        self.broker.clients(key)
    }

    /// Who is attached, with their slots.
    pub(crate) fn links(&self, key: ServiceKey) -> Vec<(LinkId, Peer, usize)> {
        self.broker.links(key)
    }

    /// How many calls a client has in flight, where that can be seen.
    pub(crate) fn in_flight(&self, key: ServiceKey, link: LinkId) -> Option<usize> {
        self.broker.in_flight(key, link)
    }

    pub(crate) fn look(&self, key: ServiceKey, worker: WorkerId) -> Option<Look> {
        self.broker.look(key, worker)
    }

    pub(crate) fn pid(&self, key: ServiceKey, worker: WorkerId) -> i32 {
        self.workers.get(&(key, worker)).map_or(0, Worker::pid)
    }

    pub(crate) fn set_level(&mut self, key: ServiceKey, level: Level) {
        self.broker.set_level(key, level);
    }

    /// What workers put before lines that they log.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// Readable when [`Hands::reports`] has something.
    pub(crate) fn broker_fd(&self) -> BorrowedFd<'_> {
        self.broker.as_fd()
    }

    /// What clients and workers told the broker.
    pub(crate) fn reports(&mut self) -> Vec<speedysvc_broker::Event> {
        self.broker.turn()
    }

    /// Everybody who is not reaped.
    pub(crate) fn workers(&self) -> impl Iterator<Item = ((ServiceKey, WorkerId), &Worker)> {
        self.workers.iter().map(|(key, worker)| (*key, worker))
    }

    /// Takes what a worker has written.
    pub(crate) fn read_output(
        &mut self,
        key: (ServiceKey, WorkerId),
        output: usize,
        mut line: impl FnMut(&'static str, &[u8], bool),
    ) {
        let Some(worker) = self.workers.get_mut(&key) else { return };
        let capture = &mut worker.outputs[output];
        let name = capture.name;
        capture.drain(|text, cut| line(name, text, cut));
    }

    /// Our workers serve: those of a killed engine may go. Whether there were any.
    pub(crate) fn relieve(&mut self, key: ServiceKey) -> Result<bool, TakeError> {
        self.own_listeners(key);
        self.broker.relieve(key)
    }

    fn own_listeners(&self, key: ServiceKey) {
        let versions = self.services[key.0].versions.values();
        versions.flat_map(|version| &version.listeners).for_each(|listener| listener.socket.own());
    }

    /// `took over 2 services from the workers of the engine that was process 123`, if so.
    pub(crate) fn taken_over(&self) -> Option<String> {
        self.predecessors.sentence()
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
    /// and then the policy hears of it. Its last lines are given to `line`.
    pub(crate) fn bury(
        &mut self,
        key: ServiceKey,
        worker: WorkerId,
        mut line: impl FnMut(&'static str, &[u8], bool),
    ) -> Option<policy::Event> {
        let mut process = self.workers.remove(&(key, worker))?;
        let pid = process.pid();
        let status = process.reap();
        for capture in &mut process.outputs {
            let name = capture.name;
            capture.drain(|text, cut| line(name, text, cut));
            capture.end(|text, cut| line(name, text, cut));
        }
        let burial = self.broker.bury(key, worker);
        let (clean, how) = match status {
            Ok(status) => (status.success(), describe(status)),
            Err(error) => (false, format!("is gone, and nobody knows how ({error})")),
        };
        Some(policy::Event::Died { service: key, worker, clean, obituary: obituary(pid, &how, &burial) })
    }

    /// Hangs up on a service's clients, takes no new ones, and removes its files.
    pub(crate) fn close(&mut self, key: ServiceKey) {
        self.own_listeners(key);
        let kept = &mut self.services[key.0];
        if std::mem::replace(&mut kept.open, false) {
            kept.versions.values_mut().for_each(Settings::unbind);
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
            drop(self.bury(key, worker, |_, _, _| {}));
        }
        // Where workers of a killed engine serve, and ours never did, they go on: this start has failed.
        let ours: Vec<_> = self.keys().filter(|key| !self.broker.has_predecessors(*key)).collect();
        ours.into_iter().for_each(|key| self.close(key));
    }
}
