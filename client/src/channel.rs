//! A connection to a service, as generated clients use it.

mod short;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use speedysvc_protocol::archive::{Arguments, Decode, Sink};
use speedysvc_protocol::context;
use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::hello::Hello;
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::status::{Failure, Outcome};
use speedysvc_protocol::trace::TraceContext;

use crate::address::Environment;
use crate::call::{Answer, Ask};
use crate::clock::{self, Deadline};
pub use crate::error::{CallError, Error};
use crate::in_process::{Faults, InProcess};
use crate::line::Line;
use crate::pending::{Boxed, Started, Starter};
use crate::reply::{read_fallible, read_fallible_bytes, read_plain, read_plain_bytes};
use crate::routes::{Addresses, Routes};
use crate::scratch::{self, Scratch};

/// How long connecting may take when nobody says otherwise.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to a service, shared by all of its clones and by as many threads as like. When it breaks it is made
/// anew.
///
/// It does not survive `fork`: a child connects for itself.
#[derive(Clone)]
pub struct Channel {
    line: Arc<Line>,
    /// In nanoseconds, in place of the service's own.
    timeout_ns: Option<u64>,
    /// In place of the trace of the call that is being served.
    trace: Option<TraceContext>,
}

/// What a call carries beside its arguments.
struct Terms {
    begun_ns: u64,
    deadline: Deadline,
    trace: Option<TraceContext>,
}

impl Channel {
    /// Connects to the service at `service://NAME`, `shm://NAME`, `unix:///PATH/SOCKET` or `tcp://HOST:PORT`; of
    /// several addresses, to the first that answers. Behind `tcp://` and `unix://` addresses may stand
    /// `?compression=lz4` (`snappy`, `zlib`, `none`) and `checksum=crc32c`: without it bodies to other machines are
    /// compressed as the service likes, and none on this machine.
    ///
    /// # Errors
    /// At once when nobody is there; within 5 seconds when somebody is and does not answer; when the service's contract
    /// is another one.
    pub fn connect(contract: &'static Contract, addresses: &(impl Addresses + ?Sized)) -> Result<Self, Error> {
        let routes = Routes::parse(addresses, &Environment::of_process())?;
        Self::open(routes, Hello::typed(contract), CONNECT)
    }

    /// No connection at all: each call runs the service's handler on the calling thread. For unit tests; its attempts
    /// meet these faults.
    ///
    /// # Errors
    /// When the service has another contract.
    pub fn in_process(contract: &'static Contract, service: impl Service, faults: Faults) -> Result<Self, Error> {
        let hello = Hello::typed(contract);
        let service = InProcess::new(Arc::new(service), &hello, faults)?;
        Ok(Self::on(Line::here(hello, service).shared()))
    }

    /// The same for calls that run one at a time, in the order in which they are made, whoever of the service's
    /// workers runs them. Over shared memory the link has one slot: the next call begins when the one before it was
    /// answered, and a started call holds up the others until it is waited for. No call is made again by itself: a
    /// second attempt would come after calls that were made later.
    ///
    /// # Errors
    /// As [`Channel::connect`].
    pub fn connect_in_order(contract: &'static Contract, address: &str) -> Result<Self, Error> {
        let routes = Routes::parse(address, &Environment::of_process())?;
        Self::open(routes, Hello::typed(contract).in_order(), CONNECT)
    }

    /// Connects for one method that is known by name only, of whatever the address serves: a file may give a service
    /// another name than its trait does.
    pub(crate) fn connect_by_name(address: &str, method: &str, timeout: Option<Duration>) -> Result<Self, Error> {
        let routes = Routes::parse(address, &Environment::of_process())?;
        Self::open(routes, Hello::by_name("", method), timeout.unwrap_or(CONNECT))
    }

    fn open(routes: Routes, hello: Hello, timeout: Duration) -> Result<Self, Error> {
        let line = Line::open(routes, hello, Deadline::after(timeout))?.shared();
        line.look_for_better_later();
        Ok(Self::on(line))
    }

    pub(crate) fn on(line: Arc<Line>) -> Self {
        Self { line, timeout_ns: None, trace: None }
    }

    /// The same connection, with this deadline for each call in place of the service's own.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout_ns: Some(clock::whole_ns(timeout)), ..self.clone() }
    }

    /// The same connection, whose calls belong to this trace: each is a child of its span. In place of the trace of the
    /// call that is being served, if there is one.
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self.clone() }
    }

    /// The address in use; when that is not the best one, what the better ones said.
    #[must_use]
    pub fn connected_to(&self) -> String {
        self.line.settled()
    }

    /// Replies over shared memory that a sleeping caller found by itself: its worker stood still between reply and
    /// wake, or died there, or a wake was lost, which is a bug. For tests.
    #[must_use]
    pub fn rescues(&self) -> u64 {
        self.line.rescues.count()
    }

    /// How long a blocking caller sleeps before it looks for itself, in place of 100 ms: longer than any worker stands
    /// still, so that [`Channel::rescues`] counts lost wakes only. For tests.
    pub fn sleep_at_most(&self, longest: Duration) {
        self.line.rescues.sleep_at_most(longest);
    }

    /// Calls a method that has no error of its own; `method` is its place in the contract.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call<W: Arguments, R: Decode>(&self, method: MethodIndex, arguments: &W) -> Result<R, Error> {
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = false;
            read_plain(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }

    /// The same for a method whose result is a byte string.
    ///
    /// # Errors
    /// [`Error`], which says whether the call ran.
    pub fn call_for_bytes<W: Arguments>(&self, method: MethodIndex, arguments: &W) -> Result<Vec<u8>, Error> {
        if let Some(answered) = arguments.byte_string().and_then(|bytes| self.call_short(method, bytes)) {
            return match answered {
                Ok(bytes) => Ok(bytes),
                Err(posted) => self.finish_short(posted, arguments, read_plain_bytes),
            };
        }
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = true;
            read_plain_bytes(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }

    /// Calls a method that has an error of its own.
    ///
    /// # Errors
    /// The method's, or [`Error`], which says whether the call ran.
    pub fn call_fallible<W: Arguments, R: Decode, E: Decode>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Result<R, CallError<E>> {
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = false;
            read_fallible(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }

    /// The same for a method whose result is a byte string.
    ///
    /// # Errors
    /// The method's, or [`Error`], which says whether the call ran.
    pub fn call_fallible_for_bytes<W: Arguments, E: Decode>(
        &self,
        method: MethodIndex,
        arguments: &W,
    ) -> Result<Vec<u8>, CallError<E>> {
        if let Some(answered) = arguments.byte_string().and_then(|bytes| self.call_short(method, bytes)) {
            return match answered {
                Ok(bytes) => Ok(bytes),
                Err(posted) => self.finish_short(posted, arguments, read_fallible_bytes),
            };
        }
        scratch::with(|scratch| {
            scratch.reply.wants_bytes = true;
            read_fallible_bytes(self.exchange(method, arguments, scratch)?, &mut scratch.reply)
        })
    }

    /// Calls the only method of a connection by name; the same codec in and out.
    pub(crate) fn call_bytes(&self, codec: Codec, body: &[u8]) -> Result<(Answer, Vec<u8>), Error> {
        scratch::with(|scratch| {
            let Terms { begun_ns, deadline, trace } = self.terms();
            let ask = Ask { method: MethodIndex(0), codec, body, begun_ns, deadline, trace: trace.as_ref() };
            scratch.reply.wants_bytes = false;
            let answer = self.line.exchange(&ask, &mut scratch.reply)?;
            Ok((answer, scratch.reply.body.as_slice().to_vec()))
        })
    }

    /// When a call begins that is made now, its deadline and its trace. One that is made inside a handler is part of
    /// the call which that serves: it has no more time than is left of it, and belongs to its trace.
    #[inline]
    fn terms(&self) -> Terms {
        let (begun_ns, own) = clock::begin(self.timeout_ns.unwrap_or_else(|| self.line.default_deadline_ns()));
        if self.trace.is_none() && !context::is_serving() {
            return Terms { begun_ns, deadline: own, trace: None };
        }
        let served = context::served();
        let deadline = match &served {
            Some(served) if served.deadline_ns != 0 => own.min(Deadline::at_ns(served.deadline_ns)),
            _ => own,
        };
        let span = self.trace.or_else(|| served.and_then(|served| served.trace));
        Terms { begun_ns, deadline, trace: span.as_ref().map(child) }
    }

    /// Calls that are started with it are published together: their workers are looked for once, when it is dropped or
    /// one of the calls is waited for, not once for each.
    #[must_use]
    pub fn start(&self) -> Starter<'_> {
        Starter::new(self)
    }

    /// Writes a call's arguments and starts it.
    pub(crate) fn begin<W: Arguments>(&self, method: MethodIndex, arguments: &W) -> Boxed {
        scratch::with(|scratch| {
            let Terms { begun_ns, deadline, trace } = self.terms();
            scratch.request.set_limit(self.line.message_max());
            let encoded = arguments.write(&mut scratch.request);
            let ask = |body| Ask { method, codec: W::CODEC, body, begun_ns, deadline, trace: trace.as_ref() };
            let boxed = scratch.boxes.pop().unwrap_or_default();
            match encoded {
                Ok(()) => Started::begin(&self.line, &ask(scratch.request.as_slice()), boxed),
                Err(failure) => Started::failed(&self.line, &ask(&[]), not_sent(failure), boxed),
            }
        })
    }

    /// See [`Starter`].
    pub(crate) fn flush(&self) {
        self.line.flush();
    }

    pub(crate) fn exchange<W: Arguments>(
        &self,
        method: MethodIndex,
        arguments: &W,
        scratch: &mut Scratch,
    ) -> Result<Answer, Error> {
        let Terms { begun_ns, deadline, trace } = self.terms();
        let ask = |body| Ask { method, codec: W::CODEC, body, begun_ns, deadline, trace: trace.as_ref() };
        if self.line.is_large(method) {
            return self.exchange_large(&ask(&[]), arguments, scratch);
        }
        scratch.request.set_limit(self.line.message_max());
        arguments.write(&mut scratch.request).map_err(not_sent)?;
        let ask = ask(scratch.request.as_slice());
        match self.exchange_short(&ask, &mut scratch.reply) {
            Some(Ok(())) => Ok(Answer::Result),
            Some(Err((posted, first))) => self.finish_archived(posted, first, &ask, &mut scratch.reply),
            None => self.line.exchange(&ask, &mut scratch.reply),
        }
    }

    /// A call of a method whose requests are mostly large.
    #[cold]
    fn exchange_large<W: Arguments>(
        &self,
        ask: &Ask<'_>,
        arguments: &W,
        scratch: &mut Scratch,
    ) -> Result<Answer, Error> {
        let write = |sink: &mut dyn Sink| arguments.write_into(sink);
        let written = self.line.exchange_written(ask, &write, &mut scratch.reply);
        if let Some(Ok(answer)) = written {
            return Ok(answer);
        }
        scratch.request.set_limit(self.line.message_max());
        arguments.write(&mut scratch.request).map_err(not_sent)?;
        let ask = Ask { body: scratch.request.as_slice(), ..*ask };
        match written {
            Some(Err(stop)) => self.line.exchange_again(&ask, stop, &mut scratch.reply),
            _ => self.line.exchange(&ask, &mut scratch.reply),
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("connected_to", &self.line.settled()).finish_non_exhaustive()
    }
}

#[cold]
fn child(span: &TraceContext) -> TraceContext {
    span.child()
}

#[cold]
fn not_sent(failure: Failure) -> Error {
    Error::from(failure).with_outcome(Outcome::NotStarted).within("the arguments cannot be sent")
}
