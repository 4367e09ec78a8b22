//! Does what the policy decided, and turns what happened into the policy's events.

use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use speedysvc_broker::{Broker, Look, ServiceKey, ServiceOptions};
use speedysvc_config::{Config, Listen, Service};
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::control::{LOG_MARK_ENV, WORKER_ENV};
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::stats::Snapshot;

use crate::obituary::obituary;
use crate::options::{self, level, mark};
use crate::policy::{self, Version};
use crate::spawn::{Worker, describe};
use crate::versions::Settings;
use crate::{StartError, listen};

/// Where a worker's own clients find its neighbours.
const RUN_DIR_ENV: &str = "SPEEDYSVC_RUN_DIR";
const NAMESPACE_ENV: &str = "SPEEDYSVC_NAMESPACE";

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
    /// Takes the services' names and binds their addresses. No worker is started yet.
    pub(crate) fn take(config: &Config, launch: Launch<'a>) -> Result<Self, StartError> {
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
        };
        for service in &config.services {
            let settings = hands.prepare(service, None)?;
            hands.add(settings, Version::default())?;
        }
        Ok(hands)
    }

    /// All that can fail of a new version. Nothing is changed yet.
    pub(crate) fn prepare(&self, service: &Service, before: Option<ServiceKey>) -> Result<Settings, StartError> {
        let before = before.map(|key| self.services[key.0].settings());
        let command = (self.launch)(service);
        Settings::prepare(service, Path::new(command.get_program()), before)
    }

    /// Takes a new service's name. Its key is the next one.
    pub(crate) fn add(&mut self, settings: Settings, version: Version) -> Result<ServiceKey, StartError> {
        let options = self.options(&settings)?;
        let name = settings.service.name.to_string();
        let refused = |why: String| StartError::Refused { service: name.clone(), why };
        let key = self.broker.add_service(options).map_err(|error| refused(error.to_string()))?;
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

    pub(crate) fn clients(&self, key: ServiceKey) -> usize {
        self.broker.clients(key)
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

    /// Starts a worker.
    pub(crate) fn spawn(&mut self, key: ServiceKey, worker: WorkerId, version: Version) -> Result<(), StartError> {
        self.open(key)?;
        let settings = self.services[key.0].versions.get(&version).expect("versions in use are kept");
        let service = &settings.service;
        let mut command = settings.pinned((self.launch)(service));
        let program = (self.launch)(service).get_program().to_string_lossy().into_owned();
        command.envs(service.env.iter().map(|(name, value)| (name, value)));
        // After the file's: a worker that believes another number, or looks elsewhere, would not work.
        command
            .env(WORKER_ENV, worker.0.to_string())
            .env(LOG_MARK_ENV, &self.mark)
            .env(RUN_DIR_ENV, &self.run_dir)
            .env(NAMESPACE_ENV, &self.namespace);
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

    /// Takes clients again, at the addresses that it had.
    fn open(&mut self, key: ServiceKey) -> Result<(), StartError> {
        let kept = &mut self.services[key.0];
        if kept.open {
            return Ok(());
        }
        let (current, addresses) = (kept.current, kept.addresses.clone());
        let settings = kept.versions.get_mut(&current).expect("the current one is kept");
        settings.unbind();
        settings.bind_again(&addresses)?;
        kept.open = true;
        self.use_version(key, current)?;
        let name = self.services[key.0].name.clone();
        let opened = self.broker.open(key);
        opened.map_err(|error| StartError::Refused { service: name, why: error.to_string() }).inspect_err(|_| {
            self.services[key.0].open = false;
        })
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
        self.keys().for_each(|key| self.close(key));
    }
}
