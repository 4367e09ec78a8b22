//! THE LOOP. One turn is a list of phases; each phase has its own file.

mod back;
mod draining;
mod resting;
mod spinning;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Once};

use speedysvc_protocol::control::{Order, Report};
use speedysvc_protocol::crowd::Watch;
use speedysvc_protocol::ids::LinkId;
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::shm::link::WorkerLink;
use speedysvc_protocol::stats::Counter;

use crate::bells::{Bells, Rang};
use crate::beside::Runtime;
use crate::boot::Parts;
use crate::clock::now_ns;
use crate::control::{Control, Equipment, Heard};
use crate::dispatch::Runner;
use crate::driver::{Completion, Driver};
use crate::error::StartError;
use crate::idle::Idle;
use crate::log;
use crate::orphan::Leaving;
use crate::source::shm::{LinkBells, Links};
use crate::source::tcp::Connections;
use crate::watcher::Watcher;
use draining::Draining;

/// Serves until the broker says that it is enough, or is gone. `control` is the worker's end of its control socket;
/// `signals` becomes readable when this process is asked to end; `runtime` is for handlers that need one.
///
/// # Errors
/// [`StartError`] when the worker cannot begin, or the kernel refuses something that the loop cannot do without.
pub fn serve(
    service: Arc<dyn Service>,
    control: OwnedFd,
    signals: Option<&UnixStream>,
    runtime: Option<Arc<dyn Runtime>>,
) -> Result<(), StartError> {
    let control = Control::new(control);
    let failed = |error: &StartError| Report::Failed { why: error.to_string() };
    let equipment = control.equipment().inspect_err(|error| control.report(&failed(error)))?;
    let mut worker = match Worker::new(service, control, equipment, signals, runtime) {
        Ok(worker) => worker,
        Err((error, control)) => {
            control.report(&failed(&error));
            return Err(error);
        }
    };
    while !worker.is_done() {
        worker.turn()?;
    }
    Ok(())
}

struct Worker {
    driver: Box<dyn Driver>,
    bells: Bells,
    control: Control,
    runner: Runner,
    links: Links,
    connections: Connections,
    idle: Idle,
    watcher: Watcher,
    /// It outlives its supervisor for a while.
    leaving: Option<Leaving>,
    crowd: Watch,
    draining: Option<Draining>,
    now_ns: u64,
    turns: u32,
    /// The turn in which it woke, unless it has said since that it looks all the time.
    woke_in: Option<u32>,
    /// The epoll descriptor became readable; true at first, because something may have rung before we watched.
    rang: bool,
    /// Who rang; empty between two looks at the bells, and kept so that hearing allocates nothing.
    heard: Vec<Rang>,
}

/// Turns with work between two looks at the clock; a turn without work looks each time.
const CLOCK_EVERY: u32 = 8;

/// After a call that took longer than this the bells are heard: it rang while nobody looked, most likely.
const BELLS_NS: u64 = 20_000;

/// Looks at the bells in one turn, so that a client that never stops ringing cannot keep us from the sockets.
const BELL_LOOKS: usize = 4;

impl Worker {
    fn new(
        service: Arc<dyn Service>,
        control: Control,
        equipment: Equipment,
        signals: Option<&UnixStream>,
        runtime: Option<Arc<dyn Runtime>>,
    ) -> Result<Self, (StartError, Control)> {
        match Parts::new(service, &control, equipment, signals, runtime) {
            Err(error) => Err((error, control)),
            Ok(Parts { driver, bells, runner, links, connections, idle, watcher, leaving }) => {
                let (crowd, draining, now_ns, turns, woke_in, rang) = (Watch::new(), None, now_ns(), 0, None, true);
                Ok(Self {
                    driver,
                    bells,
                    control,
                    runner,
                    links,
                    connections,
                    idle,
                    watcher,
                    leaving,
                    crowd,
                    draining,
                    now_ns,
                    turns,
                    woke_in,
                    rang,
                    heard: Vec::new(),
                })
            }
        }
    }

    fn is_done(&self) -> bool {
        self.draining.as_ref().is_some_and(|draining| {
            let is_home = self.runner.beside.is_empty();
            draining.is_fetched(self.links.holds_replies(), self.now_ns) && is_home && self.connections.is_empty()
        })
    }

    /// One turn: enter the kernel, hear what happened, look at the slots, serve the sockets, enter the kernel, rest.
    fn turn(&mut self) -> Result<(), StartError> {
        self.turns = self.turns.wrapping_add(1);
        self.runner.meter.count(Counter::Turns);
        if self.turns.is_multiple_of(CLOCK_EVERY) {
            self.now_ns = now_ns();
            self.connections.tick(self.now_ns, &self.runner);
        }
        self.come_back();
        self.enter()?;
        let mut worked = self.reap()?;
        if self.rang {
            worked |= self.hear_bells()?;
        }
        worked |= self.links.look_at_muted(&mut self.runner, self.now_ns, &self.bells);
        let called = self.links.sweep(&mut self.runner, self.now_ns);
        worked |= called | self.serve_next();
        worked |= self.take_back();
        worked |= self.serve_sockets();
        self.tell_broker();
        self.enter()?;
        self.rest(worked, called)
    }

    /// Phase: the kernel takes what is to be sent, and hands over what has come. Before a turn, so that this is handled
    /// in it; and behind it, so that replies go out.
    fn enter(&mut self) -> Result<(), StartError> {
        if self.driver.wants_submitting() {
            self.driver.submit().map_err(StartError::in_loop("submission"))?;
            self.note_overflows();
        }
        Ok(())
    }

    /// The kernel has kept completions in a slower place: nothing is lost, but the budget is wrong. Said at once, as
    /// whoever is killed says nothing at its end.
    fn note_overflows(&self) {
        let overflows = self.driver.overflows();
        if overflows > 0 {
            static SAID: Once = Once::new();
            SAID.call_once(|| eprintln!("speedysvc: the completion queue was too small: please report this"));
            self.runner.meter.set(Counter::CqOverflows, overflows.into());
        }
    }

    /// Phase: what the driver has done for us.
    fn reap(&mut self) -> Result<bool, StartError> {
        let mut worked = false;
        while let Some(completion) = self.driver.reap() {
            worked = true;
            self.runner.meter.count(Counter::Completions);
            if let Completion::Watched { more } = completion {
                self.rang = true;
                if !more {
                    self.driver.watch(self.bells.as_fd()).map_err(StartError::in_loop("bells"))?;
                }
            } else {
                self.connections.completed(completion, &mut *self.driver);
            }
        }
        Ok(worked)
    }

    /// Phase: who rang? Orders first, then all belled links are taken over before any handler runs (rule 20).
    fn hear_bells(&mut self) -> Result<bool, StartError> {
        self.rang = false;
        for look in 0..BELL_LOOKS {
            // A handler of the last look may have taken so long that this loop was said to be busy.
            self.come_back();
            let mut rang = std::mem::take(&mut self.heard);
            rang.extend(self.bells.heard().map_err(StartError::in_loop("bells"))?);
            if rang.is_empty() {
                self.heard = rang;
                return Ok(look > 0);
            }
            self.now_ns = now_ns();
            let is_pool = rang.contains(&Rang::Pool);
            for who in rang.drain(..) {
                who.counter().into_iter().for_each(|counter| self.runner.meter.count(counter));
                match who {
                    Rang::Control => self.obey()?,
                    Rang::Signal | Rang::Leave => self.drain(),
                    Rang::Knock => self.connections.knock(),
                    Rang::Beside => self.runner.beside.hear(),
                    Rang::Link(link) => self.hear_link(link),
                    Rang::Passed(bell) if self.draining.is_some() => self.links.look_for_passed_fetches(bell),
                    Rang::Passed(bell) => self.links.adopt_passed(bell, self.now_ns),
                    Rang::Pool => {}
                }
            }
            self.heard = rang;
            if is_pool && self.draining.is_none() {
                self.links.look_around(self.now_ns);
            }
            self.links.look_at_belled(&mut self.runner, self.now_ns);
        }
        // Somebody may still be ringing: the next turn looks again.
        self.rang = true;
        Ok(true)
    }

    /// Phase: one of the calls that run long. What came meanwhile has rung, and is heard in the order of coming before
    /// the next.
    fn serve_next(&mut self) -> bool {
        if self.links.has_waiting() {
            self.stay_up();
        }
        let Some(served) = self.links.serve_next(&mut self.runner) else { return false };
        self.now_ns = served.ended_ns;
        self.rang |= served.took_ns > BELLS_NS;
        true
    }

    /// Phase: what has come over sockets.
    fn serve_sockets(&mut self) -> bool {
        if self.connections.has_waiting() {
            self.stay_up();
        }
        self.connections.serve(&mut self.runner, &mut self.links, &mut *self.driver)
    }

    fn obey(&mut self) -> Result<(), StartError> {
        loop {
            match self.control.hear() {
                Heard::Nothing => return Ok(()),
                Heard::Nonsense(_) | Heard::Gone => {
                    self.bells.remove(&self.control);
                    if self.leaving.is_none() {
                        self.drain();
                    }
                    return Ok(());
                }
                Heard::Order(Order::Link { link, geometry, uid, inner_bell, .. }, descriptors) => {
                    if let Err(error) = self.attach((link, uid, inner_bell), geometry, descriptors) {
                        // Its client must not wait for a loop that cannot see it.
                        self.control.report(&Report::CannotServe { link, why: error.to_string() });
                    }
                }
                Heard::Order(Order::Unlink { link }, _) => self.detach(link),
                Heard::Order(Order::Drain, _) => self.drain(),
                Heard::Order(Order::Later, _) => {}
                Heard::Order(Order::Level { level }, _) => log::set_level(level),
                Heard::Order(Order::Start(_), _) => {
                    return Err(StartError::Control("a second start order came".to_owned()));
                }
            }
        }
    }

    fn attach(
        &mut self,
        (id, uid, inner_bell): (LinkId, u32, u16),
        geometry: Geometry,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), StartError> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next();
        let (Some(request), Some(reply), Some(theirs), Some(ours)) = (next(), next(), next(), next()) else {
            return Err(StartError::Control("a link came without its descriptors".to_owned()));
        };
        let client = next();
        let link = WorkerLink::map(geometry, request, reply).map_err(StartError::resource("a link"))?;
        self.bells.add(&theirs, Rang::Link(id)).map_err(StartError::resource("a link's bell"))?;
        if let Some(bell) = self.links.inner_bells.meet(inner_bell, ours) {
            self.bells.add(bell, Rang::Passed(inner_bell)).map_err(StartError::resource("an inner bell"))?;
        }
        self.links.add(id, uid, link, LinkBells { theirs, inner: None, _client: client }, inner_bell);
        self.watcher.attached();
        Ok(())
    }

    fn detach(&mut self, id: LinkId) {
        self.runner.beside.look_for_cancels(id, true);
        if let Some(bells) = self.links.remove(id) {
            bells.leave(&self.bells);
            self.watcher.detached();
            self.connections.descriptor_freed();
        }
    }

    /// Finishes what has begun: links go to other workers, connections hear GOODBYE.
    fn drain(&mut self) {
        if self.draining.is_some() {
            return;
        }
        self.links.demote_all(&mut self.runner, self.now_ns);
        self.links.leave_waiting();
        // Not gone as long as it holds replies, or calls that are to have one: nobody else can hand them out.
        let holds = self.links.holds_replies() || !self.runner.beside.is_empty();
        self.links.say(if holds { Mode::Busy } else { Mode::Gone });
        self.connections.drain();
        self.now_ns = now_ns();
        self.draining = Some(Draining::begin(self.now_ns));
    }

    fn tell_broker(&mut self) {
        for bells in std::mem::take(&mut self.links.silenced) {
            bells.leave(&self.bells);
            self.watcher.detached();
        }
        for report in std::mem::take(&mut self.links.reports) {
            self.control.report(&report);
        }
    }
}
