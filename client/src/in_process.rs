//! A service in its caller's own process, for unit tests: no engine and no sockets, but the same codecs, contract check
//! and retries. Time does not pass: what a script says of delays and what retries pause is only counted.

mod asyncs;
mod faults;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::context::{self, CallName, Context, Peer, Served};
use speedysvc_protocol::contract::Runs;
use speedysvc_protocol::hello::{Hello, LIBRARY, Welcome};
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::service::{OwnedCall, Reply as Answered, Service};
use speedysvc_protocol::status::{Code, Failure, Outcome, RetryAfter, Status};
use speedysvc_protocol::trace::TraceContext;
use speedysvc_protocol::wire::Wire;

use crate::call::{Again, Agreed, Answer, Ask, Stop};
use crate::clock::{self, Deadline};
use crate::error::Error;
use crate::reply::Reply;
use crate::retry::{Budget, Failed, Moment, Retries};

pub use faults::{Fault, Faults};

/// As over shared memory, when the file says nothing else.
const MESSAGE_MAX: usize = 64 << 20;
const DEADLINE_US: u64 = 30_000_000;

pub(crate) struct InProcess {
    pub(crate) agreed: Agreed,
    service: Arc<dyn Service>,
    state: Mutex<State>,
}

struct State {
    faults: Faults,
    budget: Budget,
    /// Time that was counted, in nanoseconds.
    now_ns: u64,
    calls: u64,
}

impl InProcess {
    /// Greets the service as over any transport.
    pub(crate) fn new(service: Arc<dyn Service>, hello: &Hello, faults: Faults) -> Result<Self, Error> {
        let (version, methods) =
            hello.answer(service.contract()).map_err(|refusal| Error::from(Failure::from(refusal)))?;
        let welcome = Welcome {
            version,
            library: LIBRARY.to_owned(),
            message_max: MESSAGE_MAX as u64,
            deadline_us: DEADLINE_US,
            methods,
            wire: Wire::default(),
        };
        let agreed = Agreed::new(welcome, hello.methods.len())?;
        let state = State { faults, budget: Budget::new(0), now_ns: 0, calls: 0 };
        Ok(Self { agreed, service, state: Mutex::new(state) })
    }

    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes a call with all its attempts.
    pub(crate) fn call(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Stop> {
        self.agreed.check_size(ask.body.len())?;
        let deadline = {
            let mut state = self.state();
            state.calls += 1;
            Deadline::after_ns(state.now_ns, clock::timeout_of(ask.begun_ns, ask.deadline))
        };
        let mut retries = Retries::default();
        loop {
            let fault = self.state().faults.next();
            let stop = match self.attempt(ask, fault, deadline, reply) {
                Ok(answer) => return Ok(answer),
                Err(stop) => stop,
            };
            let mut state = self.state();
            let at = Moment {
                now_ns: state.now_ns,
                deadline,
                is_idempotent: self.agreed.is_idempotent(ask.method),
                calls: state.calls,
                luck: state.faults.luck(),
            };
            match retries.after(Failed::Call(stop), at, &mut state.budget) {
                Ok(pause) => state.wait(pause),
                // All attempts have been made here.
                Err(error) => return Err(Stop { error, again: Again::Never }),
            };
        }
    }

    fn attempt(
        &self,
        ask: &Ask<'_>,
        fault: Option<Fault>,
        deadline: Deadline,
        reply: &mut Reply,
    ) -> Result<Answer, Stop> {
        let lost = || Error::unknown(Code::Unavailable, "the connection broke, as the test's faults say");
        match fault {
            Some(Fault::Refuse(code)) => {
                return Err(Stop::told(Error::not_started(code, "refused, as the test's faults say")));
            }
            Some(Fault::Busy(time)) => {
                let full = Failure::not_started(Code::ResourceExhausted, "no room, as the test's faults say");
                return Err(Stop::told(full.later(RetryAfter::at_least(time)).into()));
            }
            Some(Fault::LoseRequest) => return Err(lost().into()),
            Some(Fault::LoseReply) => {
                // It ran, whatever came of it, and nobody hears of that.
                let _unheard = self.run(ask, reply);
                return Err(lost().into());
            }
            Some(Fault::Delay(time)) => {
                let ran = self.run(ask, reply);
                if self.state().wait(time) >= deadline.ns() {
                    return Err(Error::unknown(Code::DeadlineExceeded, "the service has not answered in time").into());
                }
                return ran;
            }
            None => {}
        }
        self.run(ask, reply)
    }

    /// Runs the handler as a worker does.
    fn run(&self, ask: &Ask<'_>, reply: &mut Reply) -> Result<Answer, Stop> {
        let method = self.agreed.given(ask.method)?.index;
        let [mut arguments, scratch] = [(); 2].map(|()| Buffer::new(MESSAGE_MAX));
        // Archives are read where they are aligned, which the caller's need not be.
        arguments.append(ask.body).map_err(Error::from)?;
        let (codec, in_place) = (ask.codec, None);
        let call = OwnedCall { codec, arguments, in_place, scratch, reply: Answered::new(MESSAGE_MAX) };
        let _in = ask.trace.map(|trace| in_trace(trace).enter());
        let mut answered = match catch_unwind(AssertUnwindSafe(|| self.handle(method, call))) {
            Ok(Ok(call)) => call.reply,
            Ok(Err(failure)) => return Err(Stop::told(failure.into())),
            Err(_panic) => {
                return Err(Error::done(Code::Internal, "the handler panicked: its text is above").into());
            }
        };
        let answer = match answered.status() {
            Status::Ok => Answer::Result,
            Status::Application => Answer::Application,
            Status::Failed(code, outcome) => {
                return Err(Stop::told(Failure::from_wire(code, outcome, answered.body()).into()));
            }
            Status::Later(code, after) => {
                let failure = Failure::from_wire(code, Outcome::NotStarted, answered.body());
                return Err(Stop::told(failure.later(after).into()));
            }
            Status::Need => unreachable!("it is said by transports only"),
        };
        reply.body = answered.replace_body(Buffer::new(0));
        Ok(answer)
    }

    fn handle(&self, method: MethodIndex, mut call: OwnedCall) -> Result<OwnedCall, Failure> {
        let service = Arc::clone(&self.service);
        match self.service.spec().methods.get(usize::from(method.0)).map(|spec| spec.runs) {
            Some(Runs::Async) => Ok(asyncs::run(service.begin(method, call))),
            Some(Runs::Tokio) => asyncs::run_in_tokio(service, method, call),
            Some(Runs::OnTheLoop | Runs::Blocking) | None => service.call(method, call.call()).map(|()| call),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a handler sees of a call that belongs to a trace. The rest of its context is its caller's, as without one.
fn in_trace(trace: &TraceContext) -> Context {
    let alone = Served { call: CallName::InProcess, peer: Peer::Unknown, deadline_ns: 0, trace: None };
    Context::new(Served { trace: Some(*trace), ..context::served().unwrap_or(alone) })
}

impl State {
    /// Counts this time, and says what the time is then.
    fn wait(&mut self, time: Duration) -> u64 {
        self.now_ns = self.now_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        self.now_ns
    }
}
