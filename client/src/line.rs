//! A line to a service: the connection of the moment, made anew when it broke, and calls that are made again when they
//! have certainly not started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::status::Code;

use crate::address::Address;
use crate::call::{Agreed, Answer, Ask, Stop};
use crate::clock::Deadline;
use crate::connection::Connection;
use crate::error::Error;

/// How long a call whose connection broke goes on trying to connect: a service that is started again is back by then.
/// Calls that find no connection to begin with fail at once.
const COMES_BACK: Duration = Duration::from_secs(1);
/// The pause before the second retry; the first needs none, the others wait twice as long each...
const PAUSE: Duration = Duration::from_millis(10);
/// ...up to this.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// Shared by all clones of a channel.
pub(crate) struct Line {
    address: Address,
    hello: Hello,
    state: Mutex<State>,
    /// An attempt to connect has ended.
    attempted: Condvar,
    rescues: Arc<AtomicU64>,
    /// Of the last welcome: the default deadline in microseconds, and the largest message.
    deadline_us: AtomicU64,
    message_max: AtomicU64,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Connection>>,
    /// One thread connects, and the others wait for it.
    connecting: bool,
    /// Attempts that have ended.
    attempts: u64,
    /// Why the last of them failed.
    failure: Option<Error>,
}

impl Line {
    /// Connects.
    pub(crate) fn open(address: Address, hello: Hello, deadline: Deadline) -> Result<Self, Error> {
        let line = Self {
            address,
            hello,
            state: Mutex::default(),
            attempted: Condvar::new(),
            rescues: Arc::default(),
            deadline_us: AtomicU64::new(0),
            message_max: AtomicU64::new(0),
        };
        line.connection(deadline)?;
        Ok(line)
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The deadline of calls that bring none.
    pub(crate) fn default_deadline(&self) -> Duration {
        Duration::from_micros(self.deadline_us.load(Ordering::Relaxed))
    }

    /// The largest message that the service takes, as far as is known.
    pub(crate) fn message_max(&self) -> usize {
        usize::try_from(self.message_max.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Replies that a sleeping caller found by itself, because a wake was lost. Anything but 0 is a bug.
    pub(crate) fn rescues(&self) -> u64 {
        self.rescues.load(Ordering::Relaxed)
    }

    /// Makes a call, and makes it again while it has certainly not started and the deadline allows.
    pub(crate) fn exchange(&self, ask: &Ask<'_>, reply: &mut Buffer) -> Result<Answer, Error> {
        // Known without another look at the clock. Sent all the same, it might still be begun: a loop looks at the
        // clock only now and then.
        if ask.deadline.ns() <= ask.begun_ns {
            let message = "there was no time for the call when it was made";
            return Err(Error::not_started(Code::DeadlineExceeded, message));
        }
        let mut comes_back: Option<Deadline> = None;
        let mut pause = Duration::ZERO;
        loop {
            let stop = match self.connection(ask.deadline) {
                Ok(connection) => match connection.call(ask, reply) {
                    Ok(answer) => return Ok(answer),
                    Err(stop) => {
                        comes_back.get_or_insert_with(|| Deadline::after(COMES_BACK));
                        stop
                    }
                },
                Err(error) => {
                    let hope = comes_back.is_some_and(|until| until.left().is_some());
                    Stop { again: hope && error.code() == Code::Unavailable, error }
                }
            };
            if !stop.again || ask.deadline.left().is_none_or(|left| left <= pause) {
                return Err(stop.error);
            }
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            pause = (pause * 2).clamp(PAUSE, PAUSE_MAX);
        }
    }

    /// The current connection, or a new one.
    fn connection(&self, deadline: Deadline) -> Result<Arc<Connection>, Error> {
        let mut state = self.state();
        let found = state.attempts;
        loop {
            if let Some(connection) = state.current.as_ref().filter(|connection| connection.is_usable()) {
                return Ok(Arc::clone(connection));
            }
            if !state.connecting {
                break;
            }
            let Some(left) = deadline.left() else {
                let message = format!("{}: no connection in time", self.address);
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
        // Calls under way keep the old one until they end.
        state.current = None;
        drop(state);
        let opened = Connection::open(&self.address, &self.hello, deadline, &self.rescues).map(Arc::new);
        self.note(&opened);
        opened
    }

    fn note(&self, opened: &Result<Arc<Connection>, Error>) {
        let mut state = self.state();
        state.connecting = false;
        state.attempts += 1;
        state.failure = opened.as_ref().err().cloned();
        if let Ok(connection) = opened {
            let Agreed { deadline, message_max, .. } = connection.agreed();
            self.deadline_us.store(u64::try_from(deadline.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.message_max.store(*message_max as u64, Ordering::Relaxed);
            state.current = Some(Arc::clone(connection));
        }
        self.attempted.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
