//! The calls in flight on a connection, and who of their waiters reads for all. Pure; the sockets are elsewhere.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::{Arc, Condvar};
use std::task::Waker;
use std::thread::Thread;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::hello::Refusal;
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Status};

use super::frames::{Frame, Spares};
use super::outbox::Outbox;

/// A call whose reply has not been taken.
struct InFlight {
    /// Its caller, while it sleeps; else it is awake and will look by itself.
    sleeper: Option<Thread>,
    /// The task that waits for it, and until when.
    task: Option<(Waker, u64)>,
    reply: Option<(Status, Buffer)>,
    /// Where its frame begins in the stream, and its length.
    begins: u64,
    len: usize,
}

/// Why a connection is of no use any more.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) code: Code,
    pub(super) why: String,
}

/// The most calls in flight on a connection. Each holds room for its reply.
pub(super) const IN_FLIGHT_MAX: usize = 65_536;

/// Spreads numbers that count up, and are chosen here: nobody can make them collide.
#[derive(Default)]
pub(super) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio (Knuth, volume 3, section 6.4).
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// A connection's state.
#[derive(Default)]
pub(super) struct Calls {
    next_id: u64,
    in_flight: HashMap<u64, InFlight, BuildHasherDefault<Spread>>,
    pub(super) outbox: Outbox,
    /// Somebody reads from the socket.
    pub(super) reading: bool,
    /// Somebody writes to the socket.
    pub(super) writing: bool,
    /// So many wait for the writing role.
    pub(super) want_to_write: usize,
    /// The service takes no new calls here; those in flight will be answered.
    pub(super) goodbye: bool,
    pub(super) broken: Option<Broken>,
    /// Buffers of replies that were taken, to be read into again.
    pub(super) spares: Spares,
    /// How many calls have a caller that sleeps.
    sleepers: usize,
    /// How many calls have a task that waits.
    tasks: usize,
    /// No task's time ends earlier.
    earliest_ns: u64,
    /// Tasks to be woken once the lock on this is free.
    pub(super) due: Vec<Waker>,
    /// The thread that reads for tasks sleeps on this.
    pub(super) reader: Arc<Condvar>,
    /// That thread runs...
    pub(super) has_reader: bool,
    /// ...until there are no tasks and no more to come.
    pub(super) closing: bool,
}

impl Calls {
    /// Whether there is room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight.len() >= IN_FLIGHT_MAX
    }

    /// How many calls there have been.
    pub(super) fn made(&self) -> u64 {
        self.next_id
    }

    /// Has this task woken when the reply comes, when time is up or when the connection breaks.
    pub(super) fn set_task(&mut self, id: CallId, waker: &Waker, deadline_ns: u64) {
        if let Some(call) = self.in_flight.get_mut(&id.0) {
            self.earliest_ns = if self.tasks == 0 { deadline_ns } else { self.earliest_ns.min(deadline_ns) };
            self.tasks += usize::from(call.task.is_none());
            let old = call.task.replace((waker.clone(), deadline_ns));
            self.due.extend(old.map(|(waker, _)| waker).filter(|old| !old.will_wake(waker)));
        }
    }

    pub(super) fn has_tasks(&self) -> bool {
        self.tasks > 0
    }

    /// When the first task's time may be up.
    pub(super) fn earliest_ns(&self) -> u64 {
        self.earliest_ns
    }

    /// Has the tasks woken whose time is up.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if self.tasks > 0 && now_ns >= self.earliest_ns {
            self.wake_tasks(now_ns);
            let left = self.in_flight.values().filter_map(|call| call.task.as_ref());
            self.earliest_ns = left.map(|(_, deadline_ns)| *deadline_ns).min().unwrap_or(u64::MAX);
        }
    }

    /// Has the tasks woken whose deadlines are not after this.
    fn wake_tasks(&mut self, until_ns: u64) {
        for call in self.in_flight.values_mut() {
            if let Some((waker, _)) = call.task.take_if(|(_, deadline_ns)| *deadline_ns <= until_ns) {
                self.tasks -= 1;
                self.due.push(waker);
            }
        }
    }

    /// The next call's id.
    pub(super) fn next_id(&mut self) -> CallId {
        self.next_id += 1;
        CallId(self.next_id)
    }

    /// Notes a new call, of which so many bytes begin there in the stream.
    pub(super) fn begin(&mut self, id: CallId, begins: u64, len: usize) {
        let call = InFlight { sleeper: None, task: None, reply: None, begins, len };
        self.in_flight.insert(id.0, call);
    }

    /// Forgets a call; what is answered to it from now on is ignored.
    pub(super) fn end(&mut self, id: CallId) {
        if let Some(call) = self.in_flight.remove(&id.0) {
            self.ended(call);
        }
    }

    fn ended(&mut self, call: InFlight) {
        self.sleepers -= usize::from(call.sleeper.is_some());
        if let Some((waker, _)) = call.task {
            self.tasks -= 1;
            // Not dropped under the lock: with its last waker a task may be dropped, and with that another call.
            self.due.push(waker);
        }
    }

    /// Whether certainly nothing of a call has been sent.
    pub(super) fn is_unsent(&self, id: CallId) -> bool {
        self.in_flight.get(&id.0).is_some_and(|call| self.outbox.is_unsent(call.begins))
    }

    /// Forgets a call of which nothing has been sent, so that nothing ever is. `false` when something may have been.
    pub(super) fn withdraw(&mut self, id: CallId) -> bool {
        if !self.is_unsent(id) {
            return false;
        }
        let (begins, len) = self.in_flight.get(&id.0).map_or((0, 0), |call| (call.begins, call.len));
        self.outbox.withdraw(begins, len);
        for call in self.in_flight.values_mut().filter(|call| call.begins > begins) {
            call.begins -= len as u64;
        }
        self.end(id);
        true
    }

    /// Takes a call's reply, if it has come; its body changes places with what is in `reply`.
    pub(super) fn take(&mut self, id: CallId, reply: &mut Buffer) -> Option<Status> {
        let Entry::Occupied(mut call) = self.in_flight.entry(id.0) else { return None };
        let (status, body) = call.get_mut().reply.take()?;
        let call = call.remove();
        self.spares.keep(mem::replace(reply, body));
        self.ended(call);
        Some(status)
    }

    /// Whether no call waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// A caller goes to sleep, or is awake again.
    pub(super) fn set_sleeper(&mut self, id: CallId, sleeper: Option<Thread>) {
        if let Some(call) = self.in_flight.get_mut(&id.0) {
            self.sleepers -= usize::from(call.sleeper.is_some());
            self.sleepers += usize::from(sleeper.is_some());
            call.sleeper = sleeper;
        }
    }

    /// Gives a frame to whom it belongs, or says why the connection cannot go on.
    pub(super) fn accept(&mut self, frame: Frame) -> Result<(), Broken> {
        match frame.kind {
            Kind::Reply { id, status } => {
                // A reply to nobody is a late one.
                if let Some(call) = self.in_flight.get_mut(&id.0) {
                    call.reply = Some((status, frame.body));
                    self.sleepers -= usize::from(wake(call));
                    if let Some((waker, _)) = call.task.take() {
                        self.tasks -= 1;
                        self.due.push(waker);
                    }
                }
            }
            Kind::Goodbye => self.goodbye = true,
            Kind::Refused => return Err(given_up(frame.body.as_slice())),
            other => {
                let why = format!("the service sent a frame that it may not: {other:?}");
                return Err(Broken { code: Code::Internal, why });
            }
        }
        Ok(())
    }

    /// The connection is of no use any more; everybody is told. What was said first stays.
    pub(super) fn break_off(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
        self.sleepers -= self.in_flight.values_mut().map(wake).filter(|slept| *slept).count();
        self.wake_tasks(u64::MAX);
        self.reader.notify_one();
    }

    /// Wakes one sleeping caller to read for all, when nobody does, or to send what waits. Callers that are awake look
    /// by themselves.
    pub(super) fn pass_on(&mut self) {
        if self.reading && (self.writing || self.outbox.is_empty()) {
            return;
        }
        if self.has_tasks() {
            return self.reader.notify_one();
        }
        if self.sleepers == 0 {
            return;
        }
        if let Some(next) = self.in_flight.values_mut().find(|call| call.sleeper.is_some() && call.reply.is_none()) {
            self.sleepers -= usize::from(wake(next));
        }
    }
}

/// The service ends the connection and says why: what was sent to it was changed on its way.
fn given_up(body: &[u8]) -> Broken {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { code, message }) => Broken { code, why: format!("the service closed the connection: {message}") },
        Err(error) => Broken { code: Code::Internal, why: format!("the service refused, and why is unclear: {error}") },
    }
}

/// Whether its caller slept.
fn wake(call: &mut InFlight) -> bool {
    let sleeper = call.sleeper.take();
    sleeper.as_ref().map(Thread::unpark).is_some()
}
