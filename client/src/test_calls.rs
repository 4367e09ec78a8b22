//! For tests of both transports: started calls, and the smallest executor.

use std::future::poll_fn;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll as poll_fds};
use speedysvc_protocol::ids::{Codec, MethodIndex};

use crate::address::Environment;
use crate::call::Ask;
use crate::clock::{Deadline, now_ns};
use crate::error::Error;
use crate::line::Line;
use crate::pending::{Boxed, Started, started};
use crate::reply::Reply;
use crate::routes::Routes;

/// How long a server of a test waits for its client.
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// Waits until somebody connects.
pub(crate) fn wait_for_client(listener: impl AsFd) {
    let come = poll_fds(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&PATIENCE));
    assert_eq!(come, Ok(1), "waited in vain for a client");
}

/// One address that needs no surroundings.
pub(crate) fn routes(address: &str) -> Routes {
    Routes::parse(address, &Environment::default()).unwrap()
}

/// Starts a call as a starter that is dropped at once does.
pub(crate) fn start(line: &Arc<Line>, body: &[u8], timeout: Duration) -> Boxed {
    let started = begin(line, body, timeout);
    line.flush();
    started
}

pub(crate) fn begin(line: &Arc<Line>, body: &[u8], timeout: Duration) -> Boxed {
    let (begun_ns, deadline) = (now_ns(), Deadline::after(timeout));
    let ask = Ask { method: MethodIndex(0), codec: Codec::Json, body, begun_ns, deadline, trace: None };
    Started::begin(line, &ask, Boxed::default())
}

pub(crate) fn wait(mut boxed: Boxed) -> Result<Vec<u8>, Error> {
    let mut reply = Reply::new();
    started(&mut boxed).wait(&mut reply).map(|_| reply.body.as_slice().to_vec())
}

pub(crate) fn poll(boxed: &mut Boxed, context: &mut Context<'_>) -> Poll<Result<Vec<u8>, Error>> {
    let mut reply = Reply::new();
    started(boxed).poll(context, &mut reply).map(|answer| answer.map(|_| reply.body.as_slice().to_vec()))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor: it sleeps until it is woken, and never looks by itself.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        thread::park();
    }
}

pub(crate) fn awaited(mut started: Boxed) -> Result<Vec<u8>, Error> {
    block_on(poll_fn(|context| poll(&mut started, context)))
}
