//! What each request of an operator does.

use std::collections::BTreeMap;

use speedysvc_broker::ServiceKey;
use speedysvc_config::WorkerCount;
use speedysvc_protocol::control::operator::{Level, LogQuery, Numbers, Reason, Reply, Request};

use super::{Task, Waiting};
use crate::StartError;
use crate::policy::{Event, Order};
use crate::run::Supervisor;

/// Most sentences of a reply.
const SAID_MAX: usize = 100;

/// Why a request is not obeyed.
pub(crate) type Refusal = (Reason, String);

impl Supervisor<'_, '_> {
    /// Does what an operator asks, and replies at once or when it is done.
    pub(crate) fn answer(&mut self, client: u64, request: Request) -> Result<(), StartError> {
        if !matches!(self.control.client(client).map(|client| &client.task), Some(Task::Idle)) {
            let why = "the request before is still being worked on: connect once more".to_owned();
            self.control.reply(client, &Reply::Refused { reason: Reason::Usage, why });
            return Ok(());
        }
        self.audit(client, &request);
        let since = self.journal.tail().next();
        let begun = match request {
            Request::Status => Ok(Begun::Replied(Reply::Status(self.status()))),
            Request::Clients => Ok(Begun::Replied(Reply::Clients { clients: self.clients() })),
            Request::Stats { service } => self.stats(service.as_deref()),
            Request::Logs(query) => self.logs(query),
            Request::Level { service, level } => self.set_level(service.as_deref(), level),
            Request::Drain => {
                self.feed(Event::Stop)?;
                Ok(Begun::Replied(Reply::Done { said: vec!["stopping".to_owned()] }))
            }
            Request::Start { services } => self.order_all(&services, |_| Order::Start)?,
            Request::Stop { services } if services.is_empty() => {
                let why = "name the services to stop; `drain` stops everything, the engine included".to_owned();
                Err((Reason::Usage, why))
            }
            Request::Stop { services } => self.order_all(&services, |_| Order::Stop)?,
            Request::Restart { services } => self.restart(&services)?,
            Request::Scale { service, workers } => self.scale(&service, workers)?,
            Request::Reload { dry_run } => self.reload(dry_run)?,
        };
        let Some(client) = self.control.client(client) else { return Ok(()) };
        match begun {
            Ok(Begun::Replied(reply)) => client.reply(&reply),
            Ok(Begun::Following(query, reply, next)) => {
                client.reply(&reply);
                client.task = Task::Following(query, next);
            }
            Ok(Begun::Waiting { services, changes }) => {
                client.task = Task::Waiting(Waiting { services, since, changes });
            }
            Err((reason, why)) => client.reply(&Reply::Refused { reason, why }),
        }
        Ok(())
    }

    /// Whoever changes something is named in the log.
    fn audit(&mut self, client: u64, request: &Request) {
        let what = match request {
            Request::Status
            | Request::Clients
            | Request::Stats { .. }
            | Request::Logs(_)
            | Request::Reload { dry_run: true } => return,
            Request::Start { services } => format!("start {}", all_of(services)),
            Request::Stop { services } => format!("stop {}", services.join(", ")),
            Request::Restart { services } => format!("restart {}", all_of(services)),
            Request::Scale { service, workers: Some(workers) } => format!("scale {service} to {workers}"),
            Request::Scale { service, workers: None } => format!("scale {service} to what the file says"),
            Request::Reload { .. } => "reload the file".to_owned(),
            Request::Drain => "stop everything".to_owned(),
            Request::Level { service, level } => {
                format!("log {} from {} up", service.as_deref().unwrap_or("everything"), level.as_str())
            }
        };
        let who = self.control.client(client).map(|client| client.who()).unwrap_or_default();
        let what = crate::lines::plain(&what);
        self.journal.say(Level::Info, &format!("control: {who} asked to {what}"));
    }

    fn stats(&self, service: Option<&str>) -> Result<Begun, Refusal> {
        let keys = match service {
            Some(name) => vec![self.key_named(name)?],
            None => self.live_keys(),
        };
        let numbers = |key: &ServiceKey| (self.hands.name(*key).to_owned(), Numbers::from(&self.hands.stats(*key)));
        let services: BTreeMap<_, _> = keys.iter().map(numbers).collect();
        Ok(Begun::Replied(Reply::Stats { services }))
    }

    fn logs(&self, query: LogQuery) -> Result<Begun, Refusal> {
        let lines = self.journal.tail().last(&query);
        // A service that is gone may still have lines; one that has neither lines nor a name is a slip.
        if let Some(name) = query.service.as_ref().filter(|_| lines.is_empty()) {
            self.key_named(name)?;
        }
        let reply = Reply::Log { lines, missed: 0 };
        let next = self.journal.tail().next();
        Ok(if query.follow { Begun::Following(query, reply, next) } else { Begun::Replied(reply) })
    }

    fn set_level(&mut self, service: Option<&str>, level: Level) -> Result<Begun, Refusal> {
        let keys = match service {
            Some(name) => vec![self.key_named(name)?],
            None => {
                self.hands.level = level;
                self.live_keys()
            }
        };
        let said =
            keys.iter().map(|key| format!("{} logs from {} up", self.hands.name(*key), level.as_str())).collect();
        keys.into_iter().for_each(|key| self.hands.set_level(key, level));
        Ok(Begun::Replied(Reply::Done { said }))
    }

    fn order_all(
        &mut self,
        names: &[String],
        order: impl Fn(ServiceKey) -> Order,
    ) -> Result<Result<Begun, Refusal>, StartError> {
        let keys = match self.keys_named(names) {
            Ok(keys) => keys,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let services = self.rollbacks(&keys);
        for key in keys {
            self.feed(Event::Order(key, order(key)))?;
        }
        Ok(Ok(Begun::Waiting { services, changes: None }))
    }

    fn restart(&mut self, names: &[String]) -> Result<Result<Begun, Refusal>, StartError> {
        let keys = match self.keys_named(names) {
            Ok(keys) => keys,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let services = self.rollbacks(&keys);
        for key in keys {
            let service = self.hands.service(key).clone();
            match self.hands.prepare(&service, Some(key)) {
                Ok(settings) => self.renew(key, settings)?,
                Err(error) => return Ok(Err((Reason::Failed, error.to_string()))),
            }
            self.feed(Event::Order(key, Order::Start))?;
        }
        Ok(Ok(Begun::Waiting { services, changes: None }))
    }

    fn scale(&mut self, name: &str, workers: Option<u16>) -> Result<Result<Begun, Refusal>, StartError> {
        let key = match self.key_named(name) {
            Ok(key) => key,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let by_hand = workers.is_some();
        let workers = match workers.map(WorkerCount::new) {
            None => self.hands.service(key).workers,
            Some(Ok(workers)) => workers,
            Some(Err(refused)) => return Ok(Err((Reason::Usage, format!("workers: {refused}")))),
        };
        let services = self.rollbacks(&[key]);
        self.sampler.set_by_hand(key, by_hand);
        if by_hand || self.hands.service(key).scale.is_none() {
            self.feed(Event::Order(key, Order::Scale(workers.get())))?;
        }
        Ok(Ok(Begun::Waiting { services, changes: None }))
    }

    fn reload(&mut self, dry_run: bool) -> Result<Result<Begun, Refusal>, StartError> {
        let applied = match self.apply_file(dry_run)? {
            Ok(applied) => applied,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if dry_run {
            return Ok(Ok(Begun::Replied(Reply::Reload { changes: applied.changes, said: Vec::new() })));
        }
        Ok(Ok(Begun::Waiting { services: applied.services, changes: Some(applied.changes) }))
    }

    /// Services with how often each was rolled back so far.
    pub(crate) fn rollbacks(&self, keys: &[ServiceKey]) -> Vec<(ServiceKey, u64)> {
        let count = |key: &ServiceKey| self.state.view(*key).map_or(0, |view| view.rolled_back);
        keys.iter().map(|key| (*key, count(key))).collect()
    }

    pub(crate) fn live_keys(&self) -> Vec<ServiceKey> {
        self.hands.keys().filter(|key| self.state.view(*key).is_some()).collect()
    }

    fn key_named(&self, name: &str) -> Result<ServiceKey, Refusal> {
        let known = self.live_keys();
        let found = known.iter().rev().find(|key| self.hands.name(**key) == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|key| self.hands.name(*key)).collect();
            (Reason::Usage, format!("there is no service `{name}`; there are: {}", names.join(", ")))
        })
    }

    fn keys_named(&self, names: &[String]) -> Result<Vec<ServiceKey>, Refusal> {
        if self.state.is_stopping() {
            return Err((Reason::Stopping, "everything is being stopped".to_owned()));
        }
        if names.is_empty() {
            return Ok(self.live_keys());
        }
        names.iter().map(|name| self.key_named(name)).collect()
    }

    /// Replies to those whose services have settled, and tells those who follow the log what is new.
    pub(crate) fn attend(&mut self) {
        let mut replies = Vec::new();
        for (id, client) in self.control.clients() {
            match &client.task {
                Task::Waiting(waiting) => replies.extend(self.conclude(waiting).map(|reply| (id, None, reply))),
                Task::Following(query, from) if client.has_room() => {
                    let (lines, missed) = self.journal.tail().since(*from, query);
                    if !lines.is_empty() || missed > 0 {
                        let next = self.journal.tail().next();
                        replies.push((id, Some(Task::Following(query.clone(), next)), Reply::Log { lines, missed }));
                    }
                }
                Task::Idle | Task::Following(..) => {}
            }
        }
        for (id, task, reply) in replies {
            let Some(client) = self.control.client(id) else { continue };
            client.task = task.unwrap_or(Task::Idle);
            client.reply(&reply);
        }
        self.control.sweep();
    }

    fn conclude(&self, waiting: &Waiting) -> Option<Reply> {
        if !waiting.services.iter().all(|(key, _)| self.state.is_settled(*key)) {
            return None;
        }
        let went_wrong = |(key, before): &(ServiceKey, u64)| {
            self.state.view(*key).is_some_and(|view| view.wanted && view.failed || view.rolled_back > *before)
        };
        let said = self.said_since(waiting.since);
        if waiting.services.iter().any(went_wrong) {
            return Some(Reply::Refused { reason: Reason::Failed, why: said.join("\n") });
        }
        Some(match waiting.changes.clone() {
            Some(changes) => Reply::Reload { changes, said },
            None => Reply::Done { said },
        })
    }

    fn said_since(&self, number: u64) -> Vec<String> {
        let (lines, _) = self.journal.tail().since(number, &LogQuery::default());
        let own = lines.into_iter().filter(|line| line.service.is_none() && !line.text.starts_with("control: "));
        own.map(|line| line.text).take(SAID_MAX).collect()
    }
}

fn all_of(services: &[String]) -> String {
    if services.is_empty() { "all services".to_owned() } else { services.join(", ") }
}

/// What became of a request.
pub(crate) enum Begun {
    /// It is done.
    Replied(Reply),
    /// The first lines, and which come next.
    Following(LogQuery, Reply, u64),
    /// It is done when these have settled.
    Waiting { services: Vec<(ServiceKey, u64)>, changes: Option<Vec<String>> },
}
