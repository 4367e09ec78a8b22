//! A changed file is applied: everything that can fail first, and then everything that is different.

use speedysvc_broker::ServiceKey;
use speedysvc_config::{LogLevel, Service};
use speedysvc_protocol::control::operator::{Level, Reason};

use crate::StartError;
use crate::control::Refusal;
use crate::policy::{Event, Order, Plan, Version};
use crate::reload::{Change, differences};
use crate::run::Supervisor;
use crate::versions::Settings;

/// What a reload did, or would do.
pub(crate) struct Applied {
    /// A sentence for each difference.
    pub(crate) changes: Vec<String>,
    /// Services that were touched, with how often each was rolled back before.
    pub(crate) services: Vec<(ServiceKey, u64)>,
}

/// What the policy must know of a service.
pub(crate) fn plan(service: &Service) -> Plan {
    Plan {
        name: service.name.to_string(),
        workers: service.workers.get(),
        restart: service.restart,
        start_timeout: service.start_timeout,
        drain: service.drain,
        kill: service.kill,
        after: service.after.iter().map(ToString::to_string).collect(),
    }
}

impl Supervisor<'_, '_> {
    /// Reads the file again. `Ok(Err)` when it is wrong: nothing was changed then, and the reason is for the operator.
    pub(crate) fn apply_file(&mut self, dry_run: bool) -> Result<Result<Applied, Refusal>, StartError> {
        if self.state.is_stopping() {
            return Ok(Err((Reason::Stopping, "everything is being stopped".to_owned())));
        }
        let wrong = |why: String| Ok(Err((Reason::Config, why)));
        let mut new = match (self.reread)() {
            Ok(new) => new,
            Err(why) => return wrong(why),
        };
        let changes = match differences(&self.config, &new) {
            Ok(changes) => changes,
            Err(why) => return wrong(why),
        };
        let (changes, sentences): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        if dry_run {
            return Ok(Ok(Applied { changes: sentences, services: Vec::new() }));
        }
        let mut prepared = Vec::new();
        for change in &changes {
            match self.prepare(change) {
                Ok(settings) => prepared.push(settings),
                Err(error) => return wrong(format!("nothing was changed: {error}")),
            }
        }
        self.say_changes(&sentences);
        // First: whoever goes back to the version before changes it again.
        new.web.clone_from(&self.config.web);
        let level_before = std::mem::replace(&mut self.config, new).log.level;
        let mut touched = Vec::new();
        for (change, settings) in changes.into_iter().zip(prepared) {
            touched.extend(self.apply(change, settings, level_before)?);
        }
        self.show();
        Ok(Ok(Applied { changes: sentences, services: touched }))
    }

    fn say_changes(&mut self, sentences: &[String]) {
        let text = if sentences.is_empty() { "nothing is different".to_owned() } else { sentences.join("; ") };
        self.journal.say(Level::Info, &format!("reload: {text}"));
    }

    /// What can fail of a change.
    fn prepare(&self, change: &Change) -> Result<Option<Settings>, StartError> {
        match change {
            Change::Add(service) => self.hands.prepare(service, None).map(Some),
            Change::Renew(service) => self.hands.prepare(service, self.key_of(service.name.as_str())).map(Some),
            // Names of accounts may be wrong.
            Change::Adjust(service) => crate::accounts::resolve(service).map(|_| None),
            Change::Remove(_) | Change::Log(_) | Change::Web => Ok(None),
        }
    }

    fn key_of(&self, name: &str) -> Option<ServiceKey> {
        self.live_keys().into_iter().rev().find(|key| self.hands.name(*key) == name)
    }

    fn apply(
        &mut self,
        change: Change,
        settings: Option<Settings>,
        level_before: LogLevel,
    ) -> Result<Option<(ServiceKey, u64)>, StartError> {
        match (change, settings) {
            (Change::Add(service), Some(settings)) => {
                let version = self.new_version();
                let key = self.hands.add(settings, version)?;
                self.feed(Event::Add(plan(&service), version))?;
                Ok(Some((key, 0)))
            }
            (Change::Renew(service), Some(settings)) => {
                let Some(key) = self.key_of(service.name.as_str()) else { return Ok(None) };
                let before = self.rollbacks(&[key]).pop();
                self.renew(key, settings)?;
                Ok(before)
            }
            (Change::Adjust(service), _) => {
                let Some(key) = self.key_of(service.name.as_str()) else { return Ok(None) };
                let before = self.rollbacks(&[key]).pop();
                self.hands.adjust(key, &service)?;
                self.feed(Event::Order(key, Order::Adjust(plan(&service))))?;
                Ok(before)
            }
            (Change::Remove(name), _) => {
                let Some(key) = self.key_of(&name) else { return Ok(None) };
                self.feed(Event::Order(key, Order::Remove))?;
                Ok(Some((key, 0)))
            }
            (Change::Log(log), _) => {
                if log.level != level_before {
                    let level = Level::named(log.level.as_str()).unwrap_or(Level::Info);
                    self.hands.level = level;
                    self.live_keys().into_iter().for_each(|key| self.hands.set_level(key, level));
                }
                self.journal.configure(log);
                Ok(None)
            }
            (Change::Web, _) => Ok(None),
            (Change::Add(_) | Change::Renew(_), None) => unreachable!("both were prepared"),
        }
    }

    /// Replaces the workers of a service by those of a new version.
    pub(crate) fn renew(&mut self, key: ServiceKey, settings: Settings) -> Result<(), StartError> {
        let version = self.new_version();
        let in_use: Vec<Version> = self.state.versions_in_use(key).collect();
        self.hands.forget_versions(key, |version| in_use.contains(&version));
        let plan = plan(&settings.service);
        self.hands.renew(key, settings, version)?;
        self.feed(Event::Order(key, Order::Renew(plan, version)))
    }

    /// Lets the window see what is in force.
    pub(crate) fn show(&self) {
        let services =
            self.live_keys().into_iter().map(|key| (self.hands.name(key).to_owned(), self.hands.meters(key)));
        self.seen.set(services.collect(), &self.config);
    }

    fn new_version(&mut self) -> Version {
        self.versions += 1;
        Version(self.versions)
    }

    /// The newest version of a service does not start: the settings before are in force again.
    pub(crate) fn roll_back(&mut self, key: ServiceKey, version: Version) -> Result<(), StartError> {
        self.hands.use_version(key, version)?;
        let before = self.hands.service(key).clone();
        if let Some(service) = self.config.services.iter_mut().find(|service| service.name == before.name) {
            *service = before;
        }
        self.show();
        Ok(())
    }
}
