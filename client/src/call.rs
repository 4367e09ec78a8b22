//! What both transports take and give: one attempt at a call.

use std::sync::Arc;
use std::time::Duration;

use speedysvc_protocol::hello::{Given, Welcome};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::status::{Code, Outcome};
use speedysvc_protocol::trace::TraceContext;
use speedysvc_protocol::wire::Wire;

use crate::clock::Deadline;
use crate::error::Error;

/// What a service that names no deadline gives its calls.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// One call.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The method's place in the client's own contract.
    pub(crate) method: MethodIndex,
    pub(crate) codec: Codec,
    pub(crate) body: &'a [u8],
    /// When the call began.
    pub(crate) begun_ns: u64,
    pub(crate) deadline: Deadline,
    /// The trace that it belongs to, with a span id of its own.
    pub(crate) trace: Option<&'a TraceContext>,
}

/// A call that outlives the function that began it: with its arguments, as it may have to be made again.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: MethodIndex,
    pub(crate) codec: Codec,
    body: Body,
    pub(crate) begun_ns: u64,
    pub(crate) deadline: Deadline,
    trace: Option<Box<TraceContext>>,
}

/// Bytes that need no memory of their own.
const SHORT: usize = 64;

#[derive(Clone)]
enum Body {
    Short(usize, [u8; SHORT]),
    Long(Arc<[u8]>),
}

impl Request {
    #[inline]
    pub(crate) fn new(ask: &Ask<'_>) -> Self {
        let Ask { method, codec, body, begun_ns, deadline, trace } = *ask;
        let body = if body.len() <= SHORT {
            let mut short = [0; SHORT];
            short[..body.len()].copy_from_slice(body);
            Body::Short(body.len(), short)
        } else {
            Body::Long(body.into())
        };
        Self { method, codec, body, begun_ns, deadline, trace: trace.copied().map(Box::new) }
    }

    #[inline]
    pub(crate) fn ask(&self) -> Ask<'_> {
        let body = match &self.body {
            Body::Short(len, bytes) => &bytes[..*len],
            Body::Long(bytes) => bytes,
        };
        let Self { method, codec, begun_ns, deadline, ref trace, .. } = *self;
        Ask { method, codec, body, begun_ns, deadline, trace: trace.as_deref() }
    }
}

/// What the body of a reply is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The method's result.
    Result,
    /// The method's own error.
    Application,
}

/// Why an attempt gave no reply.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) error: Error,
    pub(crate) again: Again,
}

/// Whether the call may be made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Again {
    Never,
    /// It has certainly not started, and may on another connection.
    NotStarted,
    /// It has not started, for want of room: not before the time that its error says.
    Later,
    /// A worker was lost, and with it the answer: it may have run.
    IfIdempotent,
}

impl Stop {
    /// Whether the call is not made again, whatever luck and budget there are, at this time or later.
    #[inline]
    pub(crate) fn is_final(&self, now_ns: u64, deadline: Deadline) -> bool {
        match self.again {
            Again::Never => true,
            Again::Later => self.error.retry_after().is_some_and(|after| deadline <= Deadline::after_ns(now_ns, after)),
            Again::NotStarted | Again::IfIdempotent => false,
        }
    }

    /// A call that did not start because the connection is of no use any more.
    pub(crate) fn again(message: impl Into<String>) -> Self {
        Self { error: Error::not_started(Code::Unavailable, message), again: Again::NotStarted }
    }

    /// What a service said of a call that failed. One that it is about to leave may be taken by another worker; of one
    /// that ran only a reply can be lost. What was full may have room later, if it says when.
    pub(crate) fn told(error: Error) -> Self {
        match (error.code(), error.outcome()) {
            (Code::Unavailable, Outcome::NotStarted) => Self { error, again: Again::NotStarted },
            (Code::ResourceExhausted, Outcome::NotStarted) if error.retry_after().is_some() => {
                Self { error, again: Again::Later }
            }
            (Code::DataLoss, Outcome::Done) => Self { error, again: Again::IfIdempotent },
            _ => error.into(),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        let lost = error.code() == Code::Unavailable && error.outcome() == Outcome::Unknown;
        Self { error, again: if lost { Again::IfIdempotent } else { Again::Never } }
    }
}

/// What the service's welcome said.
#[derive(Clone, Debug)]
pub(crate) struct Agreed {
    /// Largest body, in bytes, both ways.
    pub(crate) message_max: usize,
    /// Deadline of calls that bring none.
    pub(crate) deadline: Duration,
    /// How frames are.
    pub(crate) wire: Wire,
    /// The service's words for the client's methods, by their place in the client's contract.
    methods: Vec<Given>,
}

impl Agreed {
    /// Reads a welcome to a greeting that wanted so many methods.
    pub(crate) fn new(welcome: Welcome, wanted: usize) -> Result<Self, Error> {
        if welcome.methods.len() != wanted {
            let message = format!("the service agreed on {} methods, not on {wanted}", welcome.methods.len());
            return Err(Error::not_started(Code::Internal, message));
        }
        let deadline = match welcome.deadline_us {
            0 => DEFAULT_DEADLINE,
            micros => Duration::from_micros(micros),
        };
        // Bodies have 32 bits of length on the wire, whatever a service allows.
        let message_max = usize::try_from(welcome.message_max.min(u64::from(u32::MAX))).unwrap_or(usize::MAX);
        Ok(Self { message_max, deadline, wire: welcome.wire, methods: welcome.methods })
    }

    /// The service's words for a method.
    #[inline]
    pub(crate) fn given(&self, method: MethodIndex) -> Result<Given, Error> {
        self.methods.get(usize::from(method.0)).copied().ok_or_else(|| no_method(method))
    }

    /// Whether the service says that running this method twice does no more than running it once.
    pub(crate) fn is_idempotent(&self, method: MethodIndex) -> bool {
        self.methods.get(usize::from(method.0)).is_some_and(|given| given.idempotent)
    }

    /// How many methods were agreed on.
    pub(crate) fn methods(&self) -> usize {
        self.methods.len()
    }

    /// Refuses a body that is too large for this connection, which stays as it is.
    #[inline]
    pub(crate) fn check_size(&self, len: usize) -> Result<(), Error> {
        if len <= self.message_max { Ok(()) } else { Err(too_large(len, self.message_max)) }
    }
}

#[cold]
pub(crate) fn no_method(method: MethodIndex) -> Error {
    Error::not_started(Code::Unimplemented, format!("the contract has no method number {}", method.0))
}

#[cold]
fn too_large(len: usize, limit: usize) -> Error {
    let message = format!("a request of {len} bytes is over the service's limit of {limit} bytes");
    Error::not_started(Code::ResourceExhausted, message)
}
