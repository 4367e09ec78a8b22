//! Runs a handler. A panic in it becomes INTERNAL, and the worker lives on.

mod panics;
mod short;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use speedysvc_protocol::archive::{Buffer, Sink};
use speedysvc_protocol::byte_string;
use speedysvc_protocol::context::{self, Context};
use speedysvc_protocol::contract::{Contract, Runs, ServiceSpec};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call, Reply, Service};
use speedysvc_protocol::shm::in_place::InPlace;
use speedysvc_protocol::standard::Standard;
use speedysvc_protocol::stats::{self, Counter};
use speedysvc_protocol::status::{Code, Failure, Status};

use crate::beside::{Asks, Beside, NoRoom, Ticket, TicketId, Way};
use crate::budget::KEEP;
use crate::clock::now_ns;
use crate::drain;
use crate::idle::BYTES_PER_NS;
use crate::meter::Meter;
use crate::predict::Predictor;
use crate::standard;
use crate::timing::Timing;
pub(crate) use panics::panicked;

/// Hears that a handler is about to run which is known to run long, and that it has ended.
pub(crate) trait Elsewhere {
    /// What is waiting here should be looked at by others.
    fn step_aside(&mut self);
    /// This loop looks again.
    fn step_back(&mut self);
    /// Where it is said which method runs, for whoever reads the board after a crash.
    fn running(&self) -> impl Fn(Option<MethodIndex>);
}

/// Room for a reply.
pub(crate) struct Room {
    /// Most bytes.
    pub(crate) limit: usize,
    /// Where it may be written instead of our buffer.
    pub(crate) window: Option<Box<dyn Sink + Send>>,
}

/// Where a call's arguments are.
pub(crate) enum Arguments {
    /// In [`Runner::arguments`].
    Copied,
    /// Where their client wrote them.
    InPlace(InPlace),
}

/// From this many bytes on a reply is worth a window: below, the copy that it saves costs less than making one.
const WINDOW_FROM: usize = 2048;

/// The service with the buffers of the call that it runs: arguments in, reply out, kept from call to call.
pub(crate) struct Runner {
    service: Arc<dyn Service>,
    /// What callers may ask for: the service's own methods, and behind them the standard ones.
    contract: Contract,
    /// How many of them are the service's own.
    own: usize,
    since_ns: u64,
    /// Where each method's handler runs.
    runs: Vec<Runs>,
    /// Calls that do not run here.
    pub(crate) beside: Beside,
    /// The arguments of the next call.
    pub(crate) arguments: Buffer,
    /// The reply of the last call.
    pub(crate) reply: Reply,
    scratch: Buffer,
    predictor: Predictor,
    pub(crate) timing: Timing,
    pub(crate) meter: Rc<Meter>,
    /// Bytes of each method's last reply.
    replied: Vec<usize>,
    /// Bytes of the last call's arguments, and of its reply.
    bytes_in: usize,
    bytes_out: usize,
    /// A handler that was expected to run long has run since that was asked last.
    ran_long: bool,
    /// Bytes of arguments and replies since that was asked last.
    moved: u64,
    /// Who watches over the loop has seen it in one handler for milliseconds.
    held_up: Arc<AtomicBool>,
}

impl Runner {
    pub(crate) fn new(service: Arc<dyn Service>, beside: Beside, meter: Rc<Meter>) -> Self {
        let own = service.contract().methods.len();
        let contract = service.contract().with_standard();
        let methods = contract.methods.len();
        let runs = service.spec().methods.iter().map(|method| method.runs).collect();
        let (predictor, timing, replied) = (Predictor::new(methods), Timing::new(), vec![0; methods]);
        let (arguments, reply, scratch) = (Buffer::new(0), Reply::new(0), Buffer::new(0));
        let (since_ns, bytes_in, bytes_out, ran_long, moved) = (now_ns(), 0, 0, false, 0);
        let held_up = Arc::default();
        Self {
            service,
            contract,
            own,
            since_ns,
            runs,
            beside,
            arguments,
            reply,
            scratch,
            predictor,
            timing,
            meter,
            replied,
            bytes_in,
            bytes_out,
            ran_long,
            moved,
            held_up,
        }
    }

    /// From now on this says that a handler takes milliseconds.
    pub(crate) fn heed(&mut self, held_up: Arc<AtomicBool>) {
        self.held_up = held_up;
    }

    /// Whether a handler was seen to take milliseconds, since that was taken note of: what is known of the time is old.
    #[inline]
    pub(crate) fn was_held_up(&self) -> bool {
        // Nothing else is told by it.
        self.held_up.load(Ordering::Relaxed)
    }

    /// The same, which is noted now.
    #[inline]
    pub(crate) fn take_held_up(&self) -> bool {
        self.was_held_up() && self.held_up.swap(false, Ordering::Relaxed)
    }

    /// Whether this method's calls run beside the loop, wherever they come from.
    #[inline]
    pub(crate) fn way(&self, method: MethodIndex) -> Option<Way> {
        match self.runs.get(usize::from(method.0))? {
            Runs::OnTheLoop => None,
            Runs::Blocking => Some(Way::Blocking),
            Runs::Async => Some(Way::Future),
            Runs::Tokio => Some(Way::Runtime),
        }
    }

    /// The same for a call that came over a socket: also one that is expected to hold up all sockets.
    pub(crate) fn way_of_socket(&self, method: MethodIndex) -> Option<Way> {
        let index = usize::from(method.0);
        // The standard ones are answered here: the service does not know them.
        let is_very_long = || index < self.own && self.predictor.is_very_long(index);
        self.way(method).or_else(|| is_very_long().then_some(Way::InTurn))
    }

    /// Whether there is room beside the loop for one more call with so many bytes of arguments to hold, of messages of
    /// at most so many.
    ///
    /// # Errors
    /// [`NoRoom`] when as many are away as may be.
    #[inline]
    pub(crate) fn admit(&self, asks: &Asks, bytes: usize, limit: usize) -> Result<(), NoRoom> {
        self.beside.admit(asks, bytes, limit).inspect_err(|_| self.meter.count(Counter::BesideFull))
    }

    /// Hands over a call that [`Runner::admit`] lets in, with the arguments where [`Runner::run`] would find them, to
    /// be answered when it is back. The thread serves it just now.
    pub(crate) fn send_away(
        &mut self,
        (codec, arguments): (Codec, Arguments),
        room: Room,
        ticket: impl FnOnce(Context) -> Ticket,
    ) -> TicketId {
        let ticket = ticket(context::current().expect("the source has said which call this is"));
        let mut call = self.beside.take_call();
        call.codec = codec;
        match arguments {
            Arguments::Copied => std::mem::swap(&mut self.arguments, &mut call.arguments),
            Arguments::InPlace(place) => call.in_place = Some((place, self.replies_largely(ticket.method))),
        }
        call.reply.prepare(room.limit, KEEP, room.window);
        call.scratch.trim(KEEP);
        call.scratch.set_limit(rewritten(room.limit));
        self.meter.count(Counter::Beside);
        self.beside.begin(ticket, call)
    }

    /// The next call that is back: its reply is in `self.reply`, as after [`Runner::run`].
    pub(crate) fn take_back(&mut self) -> Option<Ticket> {
        let (ticket, mut done) = self.beside.next_done()?;
        std::mem::swap(&mut self.reply, &mut done.call.reply);
        let index = usize::from(ticket.method.0);
        self.meter.add(Counter::Panics, done.panicked.into());
        match (done.started_ns, self.reply.status()) {
            (Some(started_ns), _) => {
                self.timing.away(ticket.came_ns, started_ns, done.ended_ns);
                if ticket.way == Way::InTurn {
                    self.predictor.took(index, done.ended_ns.saturating_sub(started_ns));
                }
            }
            // It says nothing of how long its method takes.
            (None, status) => self.meter.count_refused(status),
        }
        self.bytes_in = ticket.bytes_in;
        self.bytes_out = self.replied_bytes();
        self.beside.keep(done.call);
        Some(ticket)
    }

    /// What callers may ask for.
    pub(crate) fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The service's declaration.
    pub(crate) fn spec(&self) -> &'static ServiceSpec {
        self.service.spec()
    }

    /// Makes room for the arguments of a call of at most `limit` bytes.
    #[inline]
    pub(crate) fn take_arguments(&mut self, len: usize, limit: usize) -> Result<&mut [u8], Failure> {
        self.arguments.trim(KEEP);
        self.arguments.set_limit(limit);
        self.arguments.room(len).map_err(|failure| Failure::not_started(failure.code, failure.message))
    }

    /// Whether this method is expected to run long.
    #[inline]
    pub(crate) fn is_long(&self, method: MethodIndex) -> bool {
        self.predictor.is_long(usize::from(method.0))
    }

    /// From now on no method is expected to run long, whatever its calls take.
    #[cfg(test)]
    pub(crate) fn learn_nothing(&mut self) {
        self.predictor = Predictor::new(0);
    }

    /// Whether starting a call with so much time left is in vain while others wait: when its method takes longer on
    /// average, nobody would wait for the end of it (decision 0043). Alone, every call is worth a try.
    #[inline]
    pub(crate) fn is_in_vain(&self, method: MethodIndex, left_ns: u64) -> bool {
        self.predictor.takes(usize::from(method.0)).is_in_vain(left_ns)
    }

    /// Whether a handler has run that was expected to run long, since that was taken note of.
    pub(crate) fn ran_long(&self) -> bool {
        self.ran_long
    }

    /// The same, which is noted now.
    pub(crate) fn take_ran_long(&mut self) -> bool {
        std::mem::take(&mut self.ran_long)
    }

    /// Whether replies of this method are so large that they should be written where they are read.
    #[inline]
    pub(crate) fn replies_largely(&self, method: MethodIndex) -> bool {
        self.replied.get(usize::from(method.0)).is_some_and(|bytes| *bytes >= WINDOW_FROM)
    }

    /// Runs the handler; the answer is in `self.reply` afterwards, whatever happens.
    #[inline]
    pub(crate) fn run(
        &mut self,
        method: MethodIndex,
        (codec, arguments): (Codec, Arguments),
        room: Room,
        elsewhere: &mut impl Elsewhere,
    ) {
        let Room { limit, window } = room;
        self.reply.prepare(limit, KEEP, window);
        self.scratch.trim(KEEP);
        self.scratch.set_limit(rewritten(limit));
        let index = usize::from(method.0);
        let started = self.start(index);
        let long = self.predictor.is_long(index);
        if long {
            elsewhere.step_aside();
        }
        elsewhere.running()(Some(method));
        self.call(method, codec, arguments);
        elsewhere.running()(None);
        started.into_iter().for_each(|started| self.end(index, started));
        self.bytes_out = self.replied_bytes();
        if long {
            self.ran_long = true;
            elsewhere.step_back();
        }
    }

    /// A handler starts: when, if it is timed.
    #[inline]
    fn start(&mut self, index: usize) -> Option<u64> {
        let wanted = self.predictor.wants_time(index);
        self.timing.start(now_ns).or_else(|| wanted.then(now_ns))
    }

    /// A handler that started then has ended.
    fn end(&mut self, index: usize, started_ns: u64) {
        let ended_ns = now_ns();
        self.predictor.took(index, ended_ns.saturating_sub(started_ns));
        self.timing.end(started_ns, ended_ns);
    }

    fn replied_bytes(&self) -> usize {
        match self.reply.apart() {
            None => self.reply.in_window().unwrap_or(self.reply.body().len()),
            Some(bytes) => byte_string::archived_len(bytes.len()),
        }
    }

    /// The last call has been answered with this status: counts it, after that. The bytes of its arguments and reply.
    pub(crate) fn answered(&mut self, method: MethodIndex, transport: Counter, status: Status) -> (u64, u64) {
        let (bytes_in, bytes_out) = (self.bytes_in as u64, self.bytes_out as u64);
        if let Some(replied) = self.replied.get_mut(usize::from(method.0)) {
            *replied = self.bytes_out;
        }
        let times = self.timing.take();
        self.moved += bytes_in + bytes_out;
        self.reply.let_go();
        self.meter.answered(method, transport, &stats::Call { status, bytes_in, bytes_out, times });
        (bytes_in, bytes_out)
    }

    /// Whoever was answered is back so much later than a client of ours, as if it had more bytes to copy.
    pub(crate) fn back_later(&mut self, ns: u64) {
        self.moved += ns * BYTES_PER_NS;
    }

    /// Bytes of arguments and replies since this was asked last.
    pub(crate) fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    #[inline]
    fn call(&mut self, method: MethodIndex, codec: Codec, arguments: Arguments) {
        let body = match arguments {
            Arguments::Copied => Body::Own(self.arguments.as_slice()),
            Arguments::InPlace(place) => Body::InPlace { place, reply_over: self.replies_largely(method) },
        };
        self.bytes_in = body.bytes().len();
        let call = Call { codec, body, scratch: &mut self.scratch, reply: &mut self.reply };
        // A handler that panicked may leave its own state in the middle of a change: that is between it and its author,
        // as with any panic that a thread's owner survives. Our buffers are rewritten before they are read.
        let ended = catch_unwind(AssertUnwindSafe(|| match Standard::at(method, self.own) {
            None => self.service.call(method, call),
            Some(which) => standard::answer(which, self.service.spec(), call, self.since_ns),
        }));
        self.end_call(ended);
    }

    #[inline]
    fn end_call(&mut self, ended: std::thread::Result<Result<(), Failure>>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => self.reply.fail(&failure),
            Err(panic) => self.panicked(panic.as_ref()),
        }
    }

    #[cold]
    fn panicked(&mut self, panic: &(dyn Any + Send)) {
        self.meter.count(Counter::Panics);
        self.reply.fail(&panicked(panic));
    }
}

/// What a call is told that [`Runner::is_in_vain`], and that has waited since then where that is known. Who waits
/// behind it will have waited for as long: that is the queue.
#[cold]
pub(crate) fn in_vain(since_ns: Option<u64>, now_ns: u64) -> Failure {
    let text =
        "less time was left for it than its method takes, and others wait: the service has more to do than it can";
    let failure = Failure::not_started(Code::DeadlineExceeded, text);
    match since_ns {
        Some(since_ns) => failure.later(drain::half_of(now_ns.saturating_sub(since_ns))),
        None => failure,
    }
}

/// Room for arguments that came as JSON, as an archive: digits of a list take two bytes in JSON and eight there. Nobody
/// sends the archive, so this bounds our memory and not what a caller may ask.
fn rewritten(message_max: usize) -> usize {
    message_max.saturating_mul(4).saturating_add(4096)
}
