//! The order of start, loop and end.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use speedysvc_broker::ServiceKey;
use speedysvc_config::{Config, Service};
use speedysvc_protocol::control::operator::{Level, Reason};
use speedysvc_protocol::ids::WorkerId;

use crate::StartError;
use crate::apply::plan;
use crate::control::Control;
use crate::descriptors;
use crate::folders::{Folders, Reach};
use crate::hands::{Hands, Launch};
use crate::journal::{Detached, Journal, Origin};
use crate::lines::{Lines, Ration};
use crate::memory::Memory;
use crate::policy::{self, Event, State};
use crate::sampler::Sampler;
use crate::seen::Seen;
use crate::signals::{Signals, take};
use crate::spares::Spares;
use crate::systemd::{Notifier, activated};
use crate::watchdog::Watchdog;

/// What an engine is made of beside its file.
pub struct Parts<'a> {
    /// Makes the command of a service's worker; standard streams, group and environment are set by the supervisor.
    pub launch: &'a dyn Fn(&Service) -> Command,
    /// Reads the file again, for a reload; or says what is wrong with it.
    pub reread: &'a dyn Fn() -> Result<Config, String>,
    /// Lines that a start script may wait for; all others go to standard error.
    pub out: &'a mut dyn Write,
    /// Where numbers and settings are shown.
    pub seen: Arc<Seen>,
}

/// Reads the file again.
type Reread<'a> = &'a dyn Fn() -> Result<Config, String>;

/// Runs every service of `config` until a signal or their failure ends them, and returns the exit code: 0 after a stop
/// that was asked for, 1 after every service has failed. SIGINT and SIGTERM drain; a second one kills; SIGHUP reloads.
///
/// # Errors
/// When something could not be started. Nothing is left running then, and no file is left behind.
pub fn run(config: Config, parts: Parts<'_>) -> Result<u8, StartError> {
    descriptors::raise_limit();
    // First of all: a signal during the start must not leave anything behind.
    let signals = Signals::install().map_err(StartError::denied("cannot listen to signals"))?;
    let lost = Arc::default();
    let err = Detached::new(io::stderr(), Arc::clone(&lost));
    let mut err = err.map_err(StartError::denied("cannot start a thread"))?;
    let mut journal = Journal::new(Lines::new(parts.out, &mut err), config.log.clone(), lost);
    let notifier = Notifier::new(|name| std::env::var_os(name), std::process::id());
    let notifier = notifier.map_err(StartError::denied("cannot speak to NOTIFY_SOCKET"))?;
    let (activated, unusable) = activated(|name| std::env::var_os(name), std::process::id());
    unusable.iter().for_each(|line| journal.say(Level::Warn, line));
    run_with(config, (parts.launch, parts.reread), &signals, journal, (activated, notifier), parts.seen)
}

/// [`run`] with signals and a log of the caller's.
pub(crate) fn run_with(
    config: Config,
    (launch, reread): (Launch<'_>, Reread<'_>),
    signals: &Signals,
    journal: Journal<'_>,
    (activated, notifier): (Spares, Notifier),
    seen: Arc<Seen>,
) -> Result<u8, StartError> {
    let mut folders = Folders::default();
    let others = |service: &Service| !service.allow.users.is_empty() || !service.allow.groups.is_empty();
    let reach = if config.services.iter().any(others) { Reach::Passage } else { Reach::Private };
    folders.make(&config.run_dir, reach)?;
    let folder = config.run_dir.join(config.namespace.as_str());
    folders.make(&folder, reach)?;
    // Declared after the folders, so that both are gone before these are removed.
    let control = Control::take(&folder)?;
    folders.inherit(&folder);
    let hands = Hands::take(&config, launch, activated)?;
    let plans = config.services.iter().map(plan).collect();
    let mut supervisor = Supervisor {
        config,
        reread,
        hands,
        state: State::new(plans).with_chance(RandomState::new().hash_one(())),
        control,
        signals,
        journal,
        seen,
        watchdog: Watchdog::default(),
        sampler: Sampler::default(),
        memory: Memory::default(),
        notifier,
        began: Instant::now(),
        complaints: Ration::default(),
        versions: 0,
        has_started: false,
        exit: None,
    };
    if let Some(taken_over) = supervisor.hands.taken_over() {
        supervisor.journal.say(Level::Warn, &taken_over);
    }
    for address in supervisor.hands.unused() {
        let line = format!("this process was started with a socket at {address}, where no service of the file listens");
        supervisor.journal.say(Level::Warn, &line);
    }
    supervisor.feed(Event::Start)?;
    supervisor.has_started = true;
    supervisor.show();
    supervisor.watch()
}

/// What is kept of a running engine. What a successor would have to be told is `config`, `state` and `hands`.
pub(crate) struct Supervisor<'a, 'l> {
    /// In force.
    pub(crate) config: Config,
    pub(crate) reread: &'a dyn Fn() -> Result<Config, String>,
    pub(crate) hands: Hands<'a>,
    pub(crate) state: State,
    pub(crate) control: Control,
    signals: &'a Signals,
    pub(crate) journal: Journal<'l>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) watchdog: Watchdog,
    pub(crate) sampler: Sampler,
    pub(crate) memory: Memory,
    pub(crate) notifier: Notifier,
    began: Instant,
    pub(crate) complaints: Ration,
    /// The number of the newest version of anything.
    pub(crate) versions: u32,
    pub(crate) has_started: bool,
    pub(crate) exit: Option<u8>,
}

/// What a wait found.
#[derive(Clone, Copy)]
enum Found {
    Output((ServiceKey, WorkerId), usize),
    Dead((ServiceKey, WorkerId)),
    Visitor,
    Operator(u64),
    /// Signals and the broker are looked at anyway.
    Other,
}

impl Supervisor<'_, '_> {
    /// THE LOOP: wait, hear, bury, obey, look at the time, answer.
    fn watch(&mut self) -> Result<u8, StartError> {
        loop {
            if let Some(code) = self.exit {
                self.say_what_was_done();
                return Ok(code);
            }
            let found = self.wait().map_err(StartError::denied("cannot wait for events"))?;
            // What was written comes before the end of its writer.
            self.read_outputs(&found);
            // Reports before deaths: last words are heard, and whoever said ready in time was in time.
            for report in self.hands.reports() {
                self.hear(report)?;
            }
            self.bury(&found)?;
            if take(&self.signals.reload) > 0 {
                self.reload_by_signal()?;
            }
            for _ in 0..take(&self.signals.stop) {
                self.feed(Event::Stop)?;
            }
            self.feed(Event::Tick)?;
            self.look_for_the_hung()?;
            self.sample()?;
            self.weigh()?;
            self.hear_operators(&found)?;
            self.attend();
            self.notify();
        }
    }

    /// Sleeps until something happened or is due.
    fn wait(&self) -> io::Result<Vec<Found>> {
        let due = policy::next_deadline(&self.state)
            .into_iter()
            .chain(self.next_look())
            .chain(self.next_sample())
            .chain(self.next_weighing())
            .chain(self.next_notice())
            .min();
        // A time beyond the kernel's reach is as good as none.
        let timeout = due.and_then(|at| Timespec::try_from(at.saturating_sub(self.now())).ok());
        let broker = self.hands.broker_fd();
        let listener = self.control.listener();
        let mut found = vec![Found::Other, Found::Other, Found::Other, Found::Visitor];
        let mut fds = vec![
            PollFd::new(&self.signals.stop, PollFlags::IN),
            PollFd::new(&self.signals.reload, PollFlags::IN),
            PollFd::new(&broker, PollFlags::IN),
            PollFd::new(&listener, PollFlags::IN),
        ];
        for (id, client) in self.control.clients() {
            let also = if client.has_output() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(client, PollFlags::IN | also));
            found.push(Found::Operator(id));
        }
        for (key, worker) in self.hands.workers() {
            fds.push(PollFd::from_borrowed_fd(worker.pidfd(), PollFlags::IN));
            found.push(Found::Dead(key));
            for (index, output) in worker.outputs.iter().enumerate().filter(|(_, output)| output.is_open()) {
                fds.push(PollFd::new(output, PollFlags::IN));
                found.push(Found::Output(key, index));
            }
        }
        match poll(&mut fds, timeout.as_ref()) {
            // A signal: its byte is seen on the next turn.
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let ready = fds.iter().zip(found).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, found)| found).collect())
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn read_outputs(&mut self, found: &[Found]) {
        let now = self.now();
        for found in found {
            let Found::Output(key, output) = *found else { continue };
            let (service, mark) = (self.hands.name(key.0).to_owned(), self.hands.mark().to_owned());
            let journal = &mut self.journal;
            self.hands.read_output(key, output, |output, text, cut| {
                let origin = Origin { service: &service, worker: key.1.0, output, mark: &mark };
                journal.worker_wrote(text, cut, &origin, now);
            });
        }
    }

    fn bury(&mut self, found: &[Found]) -> Result<(), StartError> {
        for found in found {
            let Found::Dead((service, worker)) = *found else { continue };
            let now = self.now();
            let (name, mark) = (self.hands.name(service).to_owned(), self.hands.mark().to_owned());
            let journal = &mut self.journal;
            let death = self.hands.bury(service, worker, |output, text, cut| {
                let origin = Origin { service: &name, worker: worker.0, output, mark: &mark };
                journal.worker_wrote(text, cut, &origin, now);
            });
            self.journal.worker_ended(&name, worker.0);
            if let Some(death) = death {
                self.feed(death)?;
            }
        }
        Ok(())
    }

    fn hear_operators(&mut self, found: &[Found]) -> Result<(), StartError> {
        for found in found {
            match *found {
                Found::Visitor => self.control.accept(),
                Found::Operator(id) => {
                    for request in self.control.hear(id) {
                        self.answer(id, request)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reload_by_signal(&mut self) -> Result<(), StartError> {
        self.notifier.reloading();
        let applied = self.apply_file(false)?;
        self.notifier.ready();
        match applied {
            Ok(_) | Err((Reason::Stopping, _)) => {}
            Err((_, why)) => self.journal.say(Level::Error, &format!("SIGHUP: {why}")),
        }
        Ok(())
    }
}
