//! A line to a service: the connection of the moment, made anew when it broke, and calls that are made again when they
//! have certainly not started.

mod rounds;
mod way_back;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::status::Code;

use crate::address::Address;
use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::{Deadline, now_ns, whole_ns};
use crate::connection::Connection;
use crate::error::Error;
use crate::in_process::InProcess;
use crate::reply::Reply;
use crate::retry::{Budget, Failed, Moment, Retries};
use crate::routes::{Routes, Settled, texts};
use crate::shm::{Rescues, ShmConnection, Write};
use rounds::Rounds;

/// Shared by all clones of a channel.
pub(crate) struct Line {
    routes: Routes,
    hello: Hello,
    /// The first link, if it leads to the best address, stays here, whole or broken, as long as the line: a call finds
    /// it by one load. That costs the memory of one dead link at most.
    first: Option<Arc<ShmConnection>>,
    /// Any other connection. A call borrows it for two locked instructions, on lines of its thread's own.
    later: ArcSwapOption<Connection>,
    state: Mutex<State>,
    /// An attempt to connect has ended.
    attempted: Condvar,
    pub(crate) rescues: Arc<Rescues>,
    /// Of the last welcome: the default deadline in nanoseconds, and the largest message.
    deadline_ns: AtomicU64,
    message_max: AtomicU64,
    /// Itself, for the thread that looks for a better address.
    me: OnceLock<Weak<Self>>,
}

struct State {
    /// For all calls of all clones.
    budget: Budget,
    /// Calls on connections that are gone.
    past_calls: u64,
    /// What the service said of its methods last.
    agreed: Agreed,
    /// Where the service could be when the connection was made, the best first.
    list: Vec<Address>,
    /// The place of the address in use...
    place: usize,
    /// ...and why not a better one.
    passed_over: String,
    /// A thread looks for a better one.
    looks_for_better: bool,
    /// One thread connects, and the others wait for it.
    connecting: bool,
    /// Attempts that have ended.
    attempts: u64,
    /// Why the last of them failed.
    failure: Option<Error>,
    rounds: Rounds,
}

impl State {
    fn new(agreed: Agreed, list: Vec<Address>, place: usize, passed_over: String) -> Self {
        Self {
            budget: Budget::new(now_ns()),
            past_calls: 0,
            agreed,
            list,
            place,
            passed_over,
            looks_for_better: false,
            connecting: false,
            attempts: 0,
            failure: None,
            rounds: Rounds::default(),
        }
    }
}

impl Line {
    /// Connects.
    pub(crate) fn open(routes: Routes, hello: Hello, deadline: Deadline) -> Result<Self, Error> {
        let rescues = Arc::default();
        let opened = routes.open(deadline, |address, until| Connection::open(address, &hello, until, &rescues))?;
        Ok(Self::on(routes, hello, opened, rescues))
    }

    /// To a service in this process.
    pub(crate) fn here(hello: Hello, service: InProcess) -> Self {
        let found = Connection::Here(Arc::new(service));
        let settled = Settled { list: Vec::new(), place: 0, found, passed_over: Vec::new() };
        Self::on(Routes::none(), hello, settled, Arc::default())
    }

    fn on(routes: Routes, hello: Hello, settled: Settled<Connection>, rescues: Arc<Rescues>) -> Self {
        let Settled { list, place, found, passed_over } = settled;
        let agreed = found.agreed().clone();
        let (first, later) = match found {
            Connection::Shm(link) if place == 0 => (Some(link), None),
            other => (None, Some(Arc::new(other))),
        };
        let line = Self {
            routes,
            hello,
            first,
            later: ArcSwapOption::new(later),
            state: Mutex::new(State::new(agreed.clone(), list, place, texts(&passed_over))),
            attempted: Condvar::new(),
            rescues,
            deadline_ns: AtomicU64::new(0),
            message_max: AtomicU64::new(0),
            me: OnceLock::new(),
        };
        line.agree(&agreed);
        line
    }

    /// The deadline of calls that bring none, in nanoseconds.
    #[inline]
    pub(crate) fn default_deadline_ns(&self) -> u64 {
        self.deadline_ns.load(Ordering::Relaxed)
    }

    /// The largest message that the service takes, as far as is known.
    #[inline]
    pub(crate) fn message_max(&self) -> usize {
        usize::try_from(self.message_max.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Makes a call, and makes it again while it has certainly not started and the deadline allows.
    #[inline]
    pub(crate) fn exchange(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Error> {
        // Known without another look at the clock. Sent all the same, it might still be begun: a loop looks at the
        // clock only now and then.
        if ask.deadline.ns() <= ask.begun_ns {
            return Err(no_time());
        }
        match self.attempt(ask, reply) {
            Ok(answer) => Ok(answer),
            Err(failed) => self.retry(ask, reply, failed),
        }
    }

    /// Whether [`exchange_written`](Self::exchange_written) is worth while for a method.
    #[inline]
    pub(crate) fn is_large(&self, method: MethodIndex) -> bool {
        self.first.as_ref().is_some_and(|first| first.is_large(method))
    }

    /// One attempt with arguments that are written where they are read, in place of the `body` of `ask`. `None` when
    /// nothing came of it, and the call is to be made in the usual way.
    pub(crate) fn exchange_written(
        &self,
        ask: &Ask<'_>,
        write: &Write<'_>,
        reply: &mut Reply,
    ) -> Option<Result<Answer, Stop>> {
        let first = self.first.as_ref().filter(|first| first.is_usable() && ask.deadline.ns() > ask.begun_ns)?;
        first.call_written(ask, write, reply)
    }

    /// Makes a call again whose first attempt ended so, if that is allowed.
    pub(crate) fn exchange_again(&self, ask: &Ask<'_>, stop: Stop, reply: &mut Reply) -> Result<Answer, Error> {
        self.retry(ask, reply, Failed::Call(stop))
    }

    /// One attempt, on the connection of the moment.
    #[inline]
    fn attempt(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Failed> {
        if let Some(first) = self.first() {
            return first.call(ask, reply).map_err(Failed::Call);
        }
        if let Some(later) = self.later.load().as_ref().filter(|later| later.is_usable()) {
            return later.call(ask, reply).map_err(Failed::Call);
        }
        let connection = self.connect(ask.deadline).map_err(Failed::Connect)?;
        connection.call(ask, reply).map_err(Failed::Call)
    }

    #[cold]
    fn retry(&self, ask: &Ask<'_>, reply: &mut Reply, mut failed: Failed) -> Result<Answer, Error> {
        let mut retries = Retries::default();
        loop {
            let pause = self.after(&mut retries, failed, ask.method, ask.deadline)?;
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            failed = match ask.deadline.left() {
                None => Failed::Connect(no_time_again()),
                Some(_) => match self.attempt(ask, reply) {
                    Ok(answer) => return Ok(answer),
                    Err(failed) => failed,
                },
            };
        }
    }

    /// After an attempt at a call: the pause before the next one, or why there is none.
    #[cold]
    pub(crate) fn after(
        &self,
        retries: &mut Retries,
        failed: Failed,
        method: MethodIndex,
        deadline: Deadline,
    ) -> Result<Duration, Error> {
        // The same call again would come after calls that were made later.
        if self.hello.in_order {
            return Err(failed.into_error());
        }
        let now_ns = now_ns();
        let failed = retries.unless_final(failed, now_ns, deadline)?;
        let later = self.later.load_full();
        let of_first = self.first.as_ref().map_or(0, |first| first.calls());
        let of_later = later.map_or(0, |later| later.calls());
        let mut state = self.state();
        let at = Moment {
            now_ns,
            deadline,
            is_idempotent: state.agreed.is_idempotent(method),
            calls: state.past_calls + of_first + of_later,
            luck: way_back::luck(),
        };
        retries.after(failed, at, &mut state.budget)
    }

    /// Makes a new connection, or waits until another thread has.
    #[cold]
    fn connect(&self, deadline: Deadline) -> Result<Arc<Connection>, Error> {
        let mut state = self.state();
        let found = state.attempts;
        loop {
            if let Some(connection) = self.later.load_full().filter(|connection| connection.is_usable()) {
                return Ok(connection);
            }
            if !state.connecting {
                break;
            }
            let Some(left) = deadline.left() else {
                let message = format!("{}: no connection in time", self.routes);
                return Err(Error::not_started(Code::DeadlineExceeded, message));
            };
            state = self.attempted.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            // What failed for another fails for us, unless it was only short of time.
            let failure = state.failure.as_ref().filter(|failure| failure.code() != Code::DeadlineExceeded);
            if let (true, Some(failure)) = (state.attempts > found, failure) {
                return Err(failure.clone());
            }
        }
        state.connecting = true;
        drop(state);
        // Calls under way keep the old one until they end.
        self.close(None);
        let open = |address: &_, until| Connection::open(address, &self.hello, until, &self.rescues).map(Arc::new);
        let opened = self.note(self.routes.open(deadline, open));
        self.look_for_better_later();
        opened
    }

    /// The first link, of use or not.
    #[inline]
    pub(crate) fn first_link(&self) -> Option<&Arc<ShmConnection>> {
        self.first.as_ref()
    }

    /// The first link, as long as it is of use.
    #[inline]
    pub(crate) fn first(&self) -> Option<&Arc<ShmConnection>> {
        self.first.as_ref().filter(|first| first.is_usable())
    }

    /// The connection of the moment, for a call that outlives the function that began it.
    pub(crate) fn usable(&self) -> Option<Connection> {
        match self.first() {
            Some(first) => Some(Connection::Shm(Arc::clone(first))),
            None => self.later.load().as_deref().filter(|later| later.is_usable()).cloned(),
        }
    }

    /// The connection of the moment, or a new one.
    pub(crate) fn connection(&self, deadline: Deadline) -> Result<Connection, Error> {
        self.usable().map_or_else(|| self.connect(deadline).map(|made| Connection::clone(&made)), Ok)
    }

    /// Published calls whose worker nobody has looked for yet are looked for now.
    pub(crate) fn flush(&self) {
        match &self.first {
            Some(first) if first.is_usable() => first.look_if_owed(),
            _ => match self.later.load().as_deref() {
                Some(Connection::Shm(later)) => later.look_if_owed(),
                Some(Connection::Tcp(later)) => later.flush(),
                Some(Connection::Here(_)) | None => {}
            },
        }
    }

    /// Another connection takes the place of the one there was, whose threads end when its calls have.
    fn close(&self, new: Option<Arc<Connection>>) {
        if let Some(old) = self.later.swap(new) {
            self.state().past_calls += old.calls();
            old.close();
        }
        if let Some(first) = self.first.as_ref() {
            first.close();
        }
    }

    fn note(&self, opened: Result<Settled<Arc<Connection>>, Error>) -> Result<Arc<Connection>, Error> {
        let mut state = self.state();
        state.connecting = false;
        state.attempts += 1;
        state.failure = opened.as_ref().err().cloned();
        let opened = opened.map(|Settled { list, place, found: connection, passed_over }| {
            self.agree(connection.agreed());
            state.agreed = connection.agreed().clone();
            (state.list, state.place, state.passed_over) = (list, place, texts(&passed_over));
            self.later.store(Some(Arc::clone(&connection)));
            connection
        });
        self.attempted.notify_all();
        opened
    }

    fn agree(&self, Agreed { deadline, message_max, .. }: &Agreed) {
        self.deadline_ns.store(whole_ns(*deadline), Ordering::Relaxed);
        self.message_max.store(*message_max as u64, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close(None);
    }
}

#[cold]
pub(crate) fn no_time() -> Error {
    Error::not_started(Code::DeadlineExceeded, "there was no time for the call when it was made")
}

#[cold]
pub(crate) fn no_time_again() -> Error {
    Error::not_started(Code::DeadlineExceeded, "the time was up before it could be made again")
}
