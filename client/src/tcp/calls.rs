//! The calls in flight on a connection, and who of their waiters reads for all. Pure; the sockets are elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Condvar};

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
    reply: Option<(Status, Buffer)>,
}

/// Why a connection is of no use any more.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) code: Code,
    pub(super) why: String,
}

/// A connection's state. There are as many calls as threads that wait, and no other queue.
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
}

impl Calls {
    /// Notes a new call: its id, and what its caller may sleep on.
    pub(super) fn begin(&mut self) -> (CallId, Arc<Condvar>) {
        self.next_id += 1;
        let wake = Arc::new(Condvar::new());
        let call = InFlight { wake: Arc::clone(&wake), sleeps: false, reply: None };
        self.in_flight.insert(self.next_id, call);
        (CallId(self.next_id), wake)
    }

    /// Forgets a call; what is answered to it from now on is ignored.
    pub(super) fn end(&mut self, id: CallId) {
        self.in_flight.remove(&id.0);
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
    }

    /// Wakes one sleeping caller to read for all, when nobody does. Callers that are awake look by themselves.
    pub(super) fn pass_on_reading(&self) {
        if self.reading {
            return;
        }
        if let Some(next) = self.in_flight.values().find(|call| call.sleeps && call.reply.is_none()) {
            next.wake.notify_one();
        }
    }
}
