//! Calls that are started now and waited for later: by a thread, or by a task of any runtime.

mod starter;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use speedysvc_protocol::archive::Buffer;

use crate::call::{Answer, Ask, Request, Stop};
use crate::connection::Connection;
use crate::error::Error;
use crate::line::{Line, no_time, no_time_again};
use crate::reply::Reply;
use crate::retry::{Failed, Retries};
use crate::scratch::{self, Scratch};
use crate::shm::{self, Home, ShortFlight};
use crate::tcp;

pub use starter::Starter;

/// A call that has been started. `.await` it in any runtime, or [`wait`](Pending::wait) for it.
///
/// It runs whether somebody waits for it or not; its deadline counts from its start. Dropping it cancels it: a call
/// that no worker has begun is not run any more, and the reply to one that has begun is thrown away.
///
/// A link has so many slots: 64, if the service says nothing else. A call that finds none stands in line, and goes out
/// in its turn when another has been waited for. So wait for more calls than there are slots in the order of their
/// starts, or for all of them at once, as runtimes do with many tasks; otherwise the last ones find no slot until their
/// time is up. More than 65,536 calls in line are refused, and more bytes of arguments than four of the service's
/// largest messages have, or 256 MiB if that is more.
///
/// What has certainly not begun is made again as for blocking calls, for example when a service is just being started
/// anew; tasks are not held up by that. Over TCP, starting a call waits while the service takes no more bytes.
#[must_use = "a call that is dropped is cancelled"]
pub struct Pending<T, E = Error> {
    /// Until it has ended.
    call: Option<Call>,
    read: fn(Answer, &mut Reply) -> Result<T, E>,
}

/// A started call as it was started.
pub(crate) enum Call {
    Short(ShortFlight),
    Usual(Boxed),
    /// The same, whose result is a byte string.
    UsualForBytes(Boxed),
}

/// Two words, which fit into registers.
const _: () = assert!(size_of::<Option<Call>>() == 2 * size_of::<usize>());

impl Call {
    /// As one that was started in the usual way, and whether its result is a byte string.
    fn usual(self, scratch: &mut Scratch) -> (Boxed, bool) {
        match self {
            Self::Usual(boxed) => (boxed, false),
            Self::UsualForBytes(boxed) => (boxed, true),
            Self::Short(flight) => (Started::resume(flight, scratch.boxes.pop().unwrap_or_default()), true),
        }
    }
}

impl<T: 'static, E> Pending<T, E> {
    /// The result of a call that went the short way, if it is there and is a byte string: then `T` is that.
    #[inline]
    fn answered(&mut self) -> Option<T> {
        let Some(Call::Short(flight)) = &mut self.call else { return None };
        let mut bytes = Some(flight.answered()?);
        // Known when this is compiled: it becomes a move.
        (&mut bytes as &mut dyn Any).downcast_mut().and_then(Option::take)
    }
}

impl<T: 'static, E: From<Error>> Pending<T, E> {
    /// Waits for the result, without a runtime.
    ///
    /// # Errors
    /// As the method's blocking form.
    pub fn wait(mut self) -> Result<T, E> {
        if let Some(result) = self.answered() {
            return Ok(result);
        }
        scratch::with(|scratch| {
            let (mut boxed, for_bytes) = self.call.take().expect(OVER).usual(scratch);
            scratch.reply.wants_bytes = for_bytes;
            let answer = started(&mut boxed).wait(&mut scratch.reply);
            scratch.keep_box(boxed);
            (self.read)(answer?, &mut scratch.reply)
        })
    }
}

impl<T: 'static, E: From<Error>> Future for Pending<T, E> {
    type Output = Result<T, E>;

    /// # Panics
    /// When it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.answered() {
            return Poll::Ready(Ok(result));
        }
        scratch::with(|scratch| {
            let (mut boxed, for_bytes) = self.call.take().expect(OVER).usual(scratch);
            scratch.reply.wants_bytes = for_bytes;
            match started(&mut boxed).poll(context, &mut scratch.reply) {
                Poll::Pending => {
                    self.call = Some(if for_bytes { Call::UsualForBytes(boxed) } else { Call::Usual(boxed) });
                    Poll::Pending
                }
                Poll::Ready(answer) => {
                    scratch.keep_box(boxed);
                    Poll::Ready((self.read)(answer?, &mut scratch.reply))
                }
            }
        })
    }
}

impl<T, E> fmt::Debug for Pending<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// A started call in its box, as it is a few hundred bytes, and callers move it about; or a box for one.
pub(crate) type Boxed = Box<Option<Started>>;

const OVER: &str = "a call that has ended was polled again";

#[inline]
pub(crate) fn started(boxed: &mut Boxed) -> &mut Started {
    boxed.as_mut().as_mut().expect(OVER)
}

/// A started call, whatever its types.
pub(crate) struct Started {
    /// `None` while the flight holds it.
    line: Option<Arc<Line>>,
    request: Request,
    stage: Stage,
    /// From the first attempt on that failed.
    retries: Option<Box<Retries>>,
}

enum Stage {
    Shm(shm::Flight),
    Tcp(tcp::Flight),
    /// A service in this process has answered.
    Here(Answer, Buffer),
    /// It certainly has not started, and will be made again.
    Again {
        pause: Duration,
        round: Option<u64>,
    },
    Failed(Error),
    Over,
}

impl Started {
    /// Begins a call in this box, which is empty.
    #[inline]
    pub(crate) fn begin(line: &Arc<Line>, ask: &Ask<'_>, mut boxed: Boxed) -> Boxed {
        let started = boxed.insert(Self::new(line, ask, Stage::Again { pause: Duration::ZERO, round: None }));
        if ask.deadline.ns() <= ask.begun_ns {
            started.stage = Stage::Failed(no_time());
        } else if line.first().is_some() {
            let home = started.line.take().map(Home::First);
            home.into_iter().for_each(|home| started.attempt_shm(home));
        } else if let Some(connection) = line.usable() {
            started.attempt(&connection);
        }
        boxed
    }

    /// A call that was started in the short way, and goes on in the usual one, in this box.
    pub(crate) fn resume(flight: ShortFlight, mut boxed: Boxed) -> Boxed {
        let (request, flight) = flight.into_parts();
        *boxed = Some(Self { line: None, request, stage: Stage::Shm(flight), retries: None });
        boxed
    }

    /// A call that cannot even be tried.
    pub(crate) fn failed(line: &Arc<Line>, ask: &Ask<'_>, error: Error, mut boxed: Boxed) -> Boxed {
        *boxed = Some(Self::new(line, ask, Stage::Failed(error)));
        boxed
    }

    #[inline]
    fn new(line: &Arc<Line>, ask: &Ask<'_>, stage: Stage) -> Self {
        Self { line: Some(Arc::clone(line)), request: Request::new(ask), stage, retries: None }
    }

    fn attempt(&mut self, connection: &Connection) {
        if self.retries.is_some() && self.request.deadline.left().is_none() {
            return self.fail(Failed::Connect(no_time_again()));
        }
        match connection {
            Connection::Shm(link) => self.attempt_shm(Home::Other(Arc::clone(link))),
            Connection::Tcp(connection) => match tcp::Flight::start(connection, &self.request) {
                Ok(flight) => self.stage = Stage::Tcp(flight),
                Err(stop) => self.fail(Failed::Call(stop)),
            },
            Connection::Here(service) => {
                let mut reply = Reply::new();
                match service.call(&self.request.ask(), &mut reply) {
                    Ok(answer) => self.stage = Stage::Here(answer, reply.body),
                    Err(stop) => self.fail(Failed::Call(stop)),
                }
            }
        }
    }

    #[inline]
    fn attempt_shm(&mut self, home: Home) {
        match shm::Flight::start(home, &self.request) {
            Ok(flight) => self.stage = Stage::Shm(flight),
            Err(lost) => self.fail_at(lost),
        }
    }

    /// The line, held apart from the flight: that may end.
    fn hold_line(&mut self) -> &Arc<Line> {
        let of_flight = || match &self.stage {
            Stage::Shm(flight) => flight.home().and_then(Home::line).cloned(),
            _ => None,
        };
        self.line = self.line.take().or_else(of_flight);
        self.line.as_ref().expect("either holds it")
    }

    /// The error of a first attempt that will stay the only one, as far as that is known without a look at the clock:
    /// who is refused by many should not pay for more than an answer.
    fn judge_first(&self, lost: (Stop, Home)) -> Result<Error, (Stop, Home)> {
        let Request { begun_ns, deadline, .. } = self.request;
        if self.retries.is_none() && lost.0.is_final(begun_ns, deadline) { Ok(lost.0.error) } else { Err(lost) }
    }

    #[cold]
    fn fail_at(&mut self, (stop, home): (Stop, Home)) {
        self.line = self.line.take().or_else(|| home.line().cloned());
        drop(home);
        self.fail(Failed::Call(stop));
    }

    #[cold]
    fn fail(&mut self, failed: Failed) {
        let Request { method, deadline, .. } = self.request;
        let line = Arc::clone(self.hold_line());
        self.stage = match line.after(self.retries.get_or_insert_default(), failed, method, deadline) {
            Ok(pause) => Stage::Again { pause, round: None },
            Err(error) => Stage::Failed(error),
        };
    }

    /// Waits for the end of the call, which is not polled after that.
    #[inline]
    pub(crate) fn wait(&mut self, reply: &mut Reply) -> Result<Answer, Error> {
        if let Stage::Shm(flight) = &mut self.stage {
            match flight.answered(reply) {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(lost)) => match self.judge_first(lost) {
                    Ok(error) => return Err(error),
                    Err(lost) => self.fail_at(lost),
                },
                None => {}
            }
        }
        self.wait_long(reply)
    }

    fn wait_long(&mut self, reply: &mut Reply) -> Result<Answer, Error> {
        let line = Arc::clone(self.hold_line());
        loop {
            let ended = match &mut self.stage {
                Stage::Shm(flight) => flight.wait(reply),
                Stage::Tcp(flight) => flight.wait(reply),
                Stage::Here(answer, body) => {
                    mem::swap(&mut reply.body, body);
                    Ok(*answer)
                }
                Stage::Again { pause, .. } => {
                    thread::sleep(*pause);
                    match line.connection(self.request.deadline) {
                        Ok(connection) => self.attempt(&connection),
                        Err(error) => self.fail(Failed::Connect(error)),
                    }
                    // What was begun again is looked for at once: we are about to wait.
                    line.flush();
                    continue;
                }
                Stage::Failed(_) | Stage::Over => return Err(self.failure()),
            };
            match ended {
                Ok(answer) => {
                    self.stage = Stage::Over;
                    return Ok(answer);
                }
                Err(stop) => self.fail(Failed::Call(stop)),
            }
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>, reply: &mut Reply) -> Poll<Result<Answer, Error>> {
        self.hold_line();
        loop {
            let polled = match &mut self.stage {
                Stage::Shm(flight) => flight.poll(context, reply),
                Stage::Tcp(flight) => flight.poll(context, reply),
                Stage::Here(answer, body) => {
                    mem::swap(&mut reply.body, body);
                    Poll::Ready(Ok(*answer))
                }
                Stage::Again { pause, round } => {
                    let deadline = self.request.deadline;
                    let line = self.line.as_ref().expect("it is held");
                    match line.poll_connection(round, *pause, deadline, context.waker()) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(connection)) => self.attempt(&connection),
                        Poll::Ready(Err(error)) => self.fail(Failed::Connect(error)),
                    }
                    continue;
                }
                Stage::Failed(_) | Stage::Over => return Poll::Ready(Err(self.failure())),
            };
            match polled {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(answer)) => {
                    self.stage = Stage::Over;
                    return Poll::Ready(Ok(answer));
                }
                Poll::Ready(Err(stop)) => self.fail(Failed::Call(stop)),
            }
        }
    }

    fn failure(&mut self) -> Error {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Failed(error) => error,
            _ => panic!("{OVER}"),
        }
    }
}
