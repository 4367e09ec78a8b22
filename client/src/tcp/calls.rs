//! The calls in flight on a connection, and who of their waiters reads for all. Pure; the sockets are elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Condvar};
use std::task::Waker;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::Kind;
use speedysvc_protocol::ids::CallId;
use speedysvc_protocol::status::{Code, Status};

use super::frames::Frame;

/// A call whose reply has not been taken.
struct InFlight {
    wake: Arc<Condvar>,
    /// Whether its caller sleeps on `wake`; else it is awake and will look by itself.
    sleeps: bool,
    /// The task that waits for it, and until when.
    task: Option<(Waker, u64)>,
    reply: Option<(Status, Buffer)>,
}

/// Why a connection is of no use any more.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) code: Code,
    pub(super) why: String,
}

/// The most calls in flight on a connection. Each holds room for its reply.
pub(super) const IN_FLIGHT_MAX: usize = 65_536;

/// A connection's state.
#[derive(Default)]
pub(super) struct Calls {
    next_id: u64,
    in_flight: HashMap<u64, InFlight>,
    /// Somebody reads from the socket.
    pub(super) reading: bool,
    /// Somebody writes to the socket.
    pub(super) writing: bool,
    /// The service takes no new calls here; those in flight will be answered.
    pub(super) goodbye: bool,
    pub(super) broken: Option<Broken>,
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

    /// Notes a new call: its id, and what its caller may sleep on.
    pub(super) fn begin(&mut self) -> (CallId, Arc<Condvar>) {
        self.next_id += 1;
        let wake = Arc::new(Condvar::new());
        let call = InFlight { wake: Arc::clone(&wake), sleeps: false, task: None, reply: None };
        self.in_flight.insert(self.next_id, call);
        (CallId(self.next_id), wake)
    }

    /// Forgets a call; what is answered to it from now on is ignored.
    pub(super) fn end(&mut self, id: CallId) {
        if let Some((waker, _)) = self.in_flight.remove(&id.0).and_then(|call| call.task) {
            self.tasks -= 1;
            // Not dropped under the lock: with its last waker a task may be dropped, and with that another call.
            self.due.push(waker);
        }
    }

    /// Takes a call's reply, if it has come.
    pub(super) fn take(&mut self, id: CallId) -> Option<(Status, Buffer)> {
        let reply = self.in_flight.get_mut(&id.0)?.reply.take()?;
        self.end(id);
        Some(reply)
    }

    /// Whether no call waits for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// A caller goes to sleep, or is awake again.
    pub(super) fn set_sleeps(&mut self, id: CallId, sleeps: bool) {
        if let Some(call) = self.in_flight.get_mut(&id.0) {
            call.sleeps = sleeps;
        }
    }

    /// Gives a frame to whom it belongs, or says why the connection cannot go on.
    pub(super) fn accept(&mut self, frame: Frame) -> Result<(), Broken> {
        match frame.kind {
            Kind::Reply { id, status } => {
                // A reply to nobody is a late one.
                if let Some(call) = self.in_flight.get_mut(&id.0) {
                    call.reply = Some((status, frame.body));
                    call.wake.notify_one();
                    if let Some((waker, _)) = call.task.take() {
                        self.tasks -= 1;
                        self.due.push(waker);
                    }
                }
            }
            Kind::Goodbye => self.goodbye = true,
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
        for call in self.in_flight.values() {
            call.wake.notify_one();
        }
        self.wake_tasks(u64::MAX);
        self.reader.notify_one();
    }

    /// Wakes one sleeping caller to read for all, when nobody does. Callers that are awake look by themselves.
    pub(super) fn pass_on_reading(&self) {
        if self.reading {
            return;
        }
        if self.has_tasks() {
            return self.reader.notify_one();
        }
        if let Some(next) = self.in_flight.values().find(|call| call.sleeps && call.reply.is_none()) {
            next.wake.notify_one();
        }
    }
}
