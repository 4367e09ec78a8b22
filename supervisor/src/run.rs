//! The order of start, loop and end.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Resource;
use speedysvc_broker::{Event as Report, Peer, ServiceKey};
use speedysvc_config::{Config, Service};
use speedysvc_protocol::ids::WorkerId;

use crate::StartError;
use crate::folders::{Folders, Reach};
use crate::hands::Hands;
use crate::lines::{Lines, Ration, plain};
use crate::policy::{self, Action, Event, Plan, State, count};
use crate::signals::{Signals, take};

/// Runs every service of `config` until a signal or their failure ends them, and returns the exit code: 0 after a stop
/// that was asked for, 1 after every service has failed.
///
/// `launch` makes the command of a service's worker; standard streams, group and environment are set here. Lines that a
/// start script may wait for go to `out`, all others to standard error. SIGINT and SIGTERM drain; a second one kills.
///
/// # Errors
/// When something could not be started. Nothing is left running then, and no file is left behind.
pub fn run(config: &Config, launch: &dyn Fn(&Service) -> Command, out: &mut dyn Write) -> Result<u8, StartError> {
    raise_descriptor_limit();
    // First of all: a signal during the start must not leave anything behind.
    let signals = Signals::install().map_err(StartError::denied("cannot listen to signals"))?;
    // Unlocked between lines: whatever else of this process speaks to standard error may do so.
    run_with(config, launch, &signals, Lines::new(out, &mut io::stderr()))
}

/// Every link takes four descriptors here and in each worker: the soft limit, made for `select`, is raised to the hard
/// one. Workers inherit it.
fn raise_descriptor_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it there is room for fewer clients, and those that find none are told so.
    let _refused = rustix::process::setrlimit(Resource::Nofile, limit);
}

/// [`run`] with signals and lines of the caller's.
pub(crate) fn run_with(
    config: &Config,
    launch: &dyn Fn(&Service) -> Command,
    signals: &Signals,
    lines: Lines<'_>,
) -> Result<u8, StartError> {
    let mut folders = Folders::default();
    let others = |service: &Service| !service.allow.users.is_empty() || !service.allow.groups.is_empty();
    let reach = if config.services.iter().any(others) { Reach::Passage } else { Reach::Private };
    folders.make(&config.run_dir, reach)?;
    folders.make(&config.run_dir.join(config.namespace.as_str()), reach)?;
    // Declared after the folders, so it is gone before they are removed.
    let hands = Hands::take(config, launch)?;
    let plans = config.services.iter().map(plan).collect();
    let drivers = vec![Vec::new(); config.services.len()];
    let mut supervisor = Supervisor {
        config,
        hands,
        state: State::new(plans),
        signals,
        lines,
        began: Instant::now(),
        drivers,
        complaints: Ration::default(),
        has_started: false,
        exit: None,
    };
    supervisor.feed(Event::Start)?;
    supervisor.has_started = true;
    supervisor.watch()
}

fn plan(service: &Service) -> Plan {
    Plan {
        name: service.name.to_string(),
        workers: service.workers.get(),
        restart: service.restart,
        start_timeout: service.start_timeout,
        drain: service.drain,
    }
}

struct Supervisor<'a, 'l> {
    config: &'a Config,
    hands: Hands<'a>,
    state: State,
    signals: &'a Signals,
    lines: Lines<'l>,
    began: Instant,
    /// What workers said of their drivers, by service, without repetition.
    drivers: Vec<Vec<String>>,
    complaints: Ration,
    has_started: bool,
    exit: Option<u8>,
}

impl Supervisor<'_, '_> {
    fn watch(&mut self) -> Result<u8, StartError> {
        loop {
            if let Some(code) = self.exit {
                self.say_what_was_done();
                return Ok(code);
            }
            let dead = self.wait().map_err(StartError::denied("cannot wait for events"))?;
            // Reports before deaths: last words are heard, and whoever said ready in time was in time.
            for report in self.hands.reports() {
                self.hear(report)?;
            }
            for (service, worker) in dead {
                if let Some(death) = self.hands.bury(service, worker) {
                    self.feed(death)?;
                }
            }
            for _ in 0..take(&self.signals.stop) {
                self.feed(Event::Stop)?;
            }
            if take(&self.signals.reload) > 0 {
                self.lines
                    .say("SIGHUP changes nothing yet: reload comes later; to read the file again, stop and start");
            }
            self.feed(Event::Tick)?;
        }
    }

    /// Sleeps until something happened or is due, and says who died.
    fn wait(&self) -> io::Result<Vec<(ServiceKey, WorkerId)>> {
        let left = policy::next_deadline(&self.state).map(|at| at.saturating_sub(self.now()));
        // A time beyond the kernel's reach is as good as none.
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let (keys, pidfds): (Vec<_>, Vec<_>) = self.hands.watched().unzip();
        let broker = self.hands.broker_fd();
        let mut fds = vec![
            PollFd::new(&self.signals.stop, PollFlags::IN),
            PollFd::new(&self.signals.reload, PollFlags::IN),
            PollFd::new(&broker, PollFlags::IN),
        ];
        let others = fds.len();
        fds.extend(pidfds.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            // A signal: its byte is seen on the next turn.
            Err(rustix::io::Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let dead = fds[others..].iter().zip(keys).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(dead.map(|(_, key)| key).collect())
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn hear(&mut self, report: Report) -> Result<(), StartError> {
        match report {
            Report::Ready { service, worker, driver, why } => {
                let driver = if why.is_empty() { plain(&driver) } else { plain(&format!("{driver} ({why})")) };
                let known = &mut self.drivers[service.0];
                if !known.contains(&driver) {
                    known.push(driver);
                }
                self.feed(Event::Ready { service, worker })
            }
            Report::Failed { service, worker, why } => self.feed(Event::Failed { service, worker, why: plain(&why) }),
            Report::HungUp { service, worker } => self.feed(Event::HungUp { service, worker }),
            Report::Misbehaved { service, link, peer, rule } => {
                let what = format!("broke the protocol and lost its link {}: {}", link.0, plain(&rule));
                self.complain(service, peer, &what);
                Ok(())
            }
            Report::Refused { service, peer, why } => {
                self.complain(service, peer, &format!("was refused: {}", plain(&why)));
                Ok(())
            }
            Report::Crowded { service, peer } => {
                self.complain(service, peer, "was hung up on: its user has too many clients that do not greet");
                Ok(())
            }
            Report::CannotServe { service, worker, link, why } => {
                if let Some(_left_out) = self.complaints.admit(self.now()) {
                    let name = &self.hands.service(service).name;
                    let why = plain(&why);
                    let line = format!("{name}: worker {} has no room for link {}: {why}", worker.0, link.0);
                    self.lines.say(&format!("{line}; its client was hung up on; raise the limits, or start fewer"));
                }
                Ok(())
            }
            // Clients come and go; the broker keeps count.
            Report::Attached { .. } | Report::Detached { .. } => Ok(()),
        }
    }

    /// Says what a client has done; not all of it, as there is no end to what a client can do.
    fn complain(&mut self, service: ServiceKey, peer: Peer, what: &str) {
        if let Some(left_out) = self.complaints.admit(self.now()) {
            let name = &self.hands.service(service).name;
            let before = if left_out > 0 { format!(" (and {left_out} more lines before)") } else { String::new() };
            self.lines.say(&format!("{name}: the client with {peer} {what}{before}"));
        }
    }

    /// Tells the policy, and does what it says, until it has nothing more to say.
    fn feed(&mut self, event: Event) -> Result<(), StartError> {
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
            Action::Spawn(service, worker) => match self.hands.spawn(service, worker) {
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
                self.lines.announce(&line);
            }
            Action::AllReady => {
                let services = &self.config.services;
                let workers = services.iter().map(|service| usize::from(service.workers.get())).sum();
                self.lines.announce(&format!(
                    "ready: {}, {}, run folder {}",
                    count(services.len(), "service"),
                    count(workers, "worker"),
                    self.config.run_dir.display()
                ));
            }
            Action::Say(line) => self.lines.say(&line),
            Action::Exit(code) => self.exit = Some(code),
        }
        Ok(None)
    }

    /// `echo: 1,234 calls, 3 errors; handler p50 1.2 µs, p99 8 µs`, for each service.
    fn say_what_was_done(&mut self) {
        for (number, service) in self.config.services.iter().enumerate() {
            let stats = self.hands.stats(ServiceKey(number));
            self.lines.say(&format!("{}: {stats}", service.name));
        }
    }

    /// `echo: shm://echo, tcp://127.0.0.1:5555; 2 workers; io_uring (Linux 6.18, SINGLE_ISSUER)`.
    fn service_line(&self, key: ServiceKey) -> String {
        let service = self.hands.service(key);
        let mut line = format!("{0}: shm://{0}", service.name);
        for address in self.hands.addresses(key) {
            line.push_str(&format!(", tcp://{address}"));
        }
        let workers = count(usize::from(service.workers.get()), "worker");
        format!("{line}; {workers}; {}", self.drivers[key.0].join(" and "))
    }
}
