//! Handlers that are `async fn`, run to their end while their caller waits.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::service::{Begun, OwnedCall, Service};
use speedysvc_protocol::status::Failure;

/// Runs one that needs no runtime, on the calling thread.
pub(super) fn run(mut begun: Begun) -> OwnedCall {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match begun.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(call) => return call,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one that needs tokio: on a thread of its own, as the caller's may be in a runtime already, and none runs inside
/// another.
#[cfg(feature = "tokio")]
pub(super) fn run_in_tokio(
    service: Arc<dyn Service>,
    method: MethodIndex,
    call: OwnedCall,
) -> Result<OwnedCall, Failure> {
    use speedysvc_protocol::context;
    use speedysvc_protocol::status::Code;

    let context = context::current();
    let ran = thread::scope(|scope| {
        let run = || {
            let _in = context.map(context::Context::enter);
            crate::server::run_in_tokio(|| service.begin(method, call))
        };
        scope.spawn(run).join()
    });
    let no_runtime = |why| Failure::not_started(Code::Internal, format!("the runtime cannot run it: {why}"));
    ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(no_runtime)
}

#[cfg(not(feature = "tokio"))]
pub(super) fn run_in_tokio(_: Arc<dyn Service>, _: MethodIndex, _: OwnedCall) -> Result<OwnedCall, Failure> {
    use speedysvc_protocol::status::Code;

    let text = "its handler needs a runtime: turn the feature `tokio` of speedysvc on";
    Err(Failure::not_started(Code::FailedPrecondition, text))
}
