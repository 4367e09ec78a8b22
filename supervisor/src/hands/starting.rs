//! Starting: of services when the engine starts, and of workers.

use std::path::Path;

use speedysvc_broker::{Inheritance, ServiceKey, inherit};
use speedysvc_config::Service;
use speedysvc_protocol::control::{LOG_MARK_ENV, WORKER_ENV};
use speedysvc_protocol::ids::WorkerId;

use super::Hands;
use crate::StartError;
use crate::policy::Version;
use crate::spawn::Worker;
use crate::systemd::VARIABLES;
use crate::versions::Settings;

/// Where a worker's own clients find its neighbours.
const RUN_DIR_ENV: &str = "SPEEDYSVC_RUN_DIR";
const NAMESPACE_ENV: &str = "SPEEDYSVC_NAMESPACE";

impl Hands<'_> {
    /// A service of the start: workers of a killed engine may still serve it.
    pub(super) fn begin(&mut self, service: &Service) -> Result<(), StartError> {
        let (folder, name) = (self.run_dir.join(&self.namespace), service.name.as_str());
        let mut spares = self.activated.again();
        let inheritance = inherit(&folder, name);
        let inheritance = inheritance.map_err(|source| StartError::Orphans { service: name.to_owned(), source })?;
        let inherited = inheritance.map(|Inheritance { inherited, supervisor, listeners }| {
            spares.add_left(name, listeners);
            self.predecessors.note(supervisor, name);
            inherited
        });
        let command = (self.launch)(service);
        let settings = Settings::prepare(service, Path::new(command.get_program()), None, &mut spares)?;
        self.take_over(settings, Version::default(), inherited).map(drop)
    }

    /// Starts a worker.
    pub(crate) fn spawn(&mut self, key: ServiceKey, worker: WorkerId, version: Version) -> Result<(), StartError> {
        self.open(key)?;
        let settings = self.services[key.0].versions.get(&version).expect("versions in use are kept");
        let service = &settings.service;
        let mut command = settings.pinned((self.launch)(service));
        let program = (self.launch)(service).get_program().to_string_lossy().into_owned();
        for variable in VARIABLES {
            command.env_remove(variable);
        }
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
        settings.bind_again(&addresses, &mut self.activated.again())?;
        kept.open = true;
        self.use_version(key, current)?;
        let name = self.services[key.0].name.clone();
        let opened = self.broker.open(key);
        opened.map_err(|error| StartError::Refused { service: name, why: error.to_string() }).inspect_err(|_| {
            self.services[key.0].open = false;
        })
    }
}
