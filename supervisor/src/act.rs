//! Tells the policy what happened, and does what it says.

use std::collections::VecDeque;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::control::operator::Level;

use crate::StartError;
use crate::policy::{self, Action, Event, count};
use crate::run::Supervisor;

impl Supervisor<'_, '_> {
    /// Tells the policy, and does what it says, until it has nothing more to say.
    pub(crate) fn feed(&mut self, event: Event) -> Result<(), StartError> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            for action in policy::step(&mut self.state, event, now) {
                events.extend(self.act(action)?);
            }
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Option<Event>, StartError> {
        match action {
            Action::Spawn(service, worker, version) => match self.hands.spawn(service, worker, version) {
                Ok(()) => {}
                // During the start a program that cannot run is the file's mistake. Later it may come back.
                Err(error) if !self.has_started => return Err(error),
                Err(error) => return Ok(Some(Event::NotSpawned { service, worker, why: error.cause() })),
            },
            Action::Drain(service, worker) => self.hands.drain(service, worker),
            Action::Terminate(service, worker) => self.hands.terminate(service, worker),
            Action::Kill(service, worker) => self.hands.kill(service, worker),
            Action::Close(service) => self.hands.close(service),
            Action::ServiceReady(service) => {
                let line = self.service_line(service);
                self.journal.announce(&line);
                self.relieve(service);
                let (name, warnings) = (self.hands.name(service), self.hands.warnings(service));
                warnings.iter().for_each(|line| self.journal.say_of(name, Level::Warn, line));
            }
            Action::AllReady => {
                self.announce_all();
                self.notifier.ready();
            }
            Action::RolledBack(service, version) => self.roll_back(service, version)?,
            Action::Forget(service) => {
                let line = format!("{} is stopped, and not in the file any more", self.hands.name(service));
                self.journal.say(Level::Info, &line);
            }
            Action::Say(level, line) => self.journal.say(level, &line),
            Action::SayOf(service, level, line) => self.journal.say_of(self.hands.name(service), level, &line),
            Action::Exit(code) => self.exit = Some(code),
        }
        Ok(None)
    }

    /// The workers of a killed engine are not needed any more.
    fn relieve(&mut self, service: ServiceKey) {
        let name = self.hands.name(service).to_owned();
        match self.hands.relieve(service) {
            Ok(false) => {}
            Ok(true) => {
                let line =
                    format!("{name}: its workers serve; those of the killed engine finish their calls and leave");
                self.journal.say(Level::Info, &line);
            }
            Err(error) => {
                let line =
                    format!("{name}: should this engine be killed, the next one would not find its workers: {error}");
                self.journal.say(Level::Error, &line);
            }
        }
    }

    fn announce_all(&mut self) {
        let services = &self.config.services;
        let workers = services.iter().map(|service| usize::from(service.workers.get())).sum();
        self.journal.announce(&format!(
            "ready: {}, {}, run folder {}",
            count(services.len(), "service"),
            count(workers, "worker"),
            self.config.run_dir.display()
        ));
    }

    /// `echo: 1,234 calls, 3 errors; handler p50 1.2 µs, p99 8 µs`, for each service.
    pub(crate) fn say_what_was_done(&mut self) {
        for key in self.hands.keys() {
            let line = format!("{}: {}", self.hands.name(key), self.hands.stats(key));
            self.journal.say(Level::Info, &line);
        }
    }

    /// `echo: shm://echo, tcp://127.0.0.1:5555; 2 workers; io_uring (Linux 6.18, SINGLE_ISSUER)`.
    fn service_line(&self, key: ServiceKey) -> String {
        let target = self.state.view(key).map_or(0, |view| view.target);
        let workers = count(usize::from(target), "worker");
        let addresses = self.hands.addresses(key).join(", ");
        format!("{}: {addresses}; {workers}; {}", self.hands.name(key), self.hands.drivers(key).join(" and "))
    }
}
