//! A tokio runtime for handlers that use its libraries: one thread beside the loop, which starts with the first of
//! their calls. Compiled with the feature `tokio` only.

use std::sync::{Mutex, PoisonError};
use std::thread;

use speedysvc_core::{Begin, Runtime};
use tokio::runtime::{Builder, Runtime as TokioRuntime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};

/// The way to the runtime's thread, once it is there. The engine bounds what is under way in it.
#[derive(Default)]
pub(super) struct Tokio(Mutex<Option<UnboundedSender<Begin>>>);

impl Runtime for Tokio {
    fn run(&self, begin: Begin) -> Result<(), String> {
        let mut way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = match &*way {
            Some(jobs) => jobs,
            None => way.insert(start()?),
        };
        jobs.send(begin).map_err(|_| "the runtime's thread has ended".to_owned())
    }
}

fn runtime() -> Result<TokioRuntime, String> {
    Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// For unit tests: one future, and no longer than it runs.
pub(super) fn run<F: Future>(begin: impl FnOnce() -> F) -> Result<F::Output, String> {
    let runtime = runtime()?;
    Ok(LocalSet::new().block_on(&runtime, async { begin().await }))
}

fn start() -> Result<UnboundedSender<Begin>, String> {
    let runtime = runtime()?;
    let (jobs, calls) = unbounded_channel();
    let thread = thread::Builder::new().name("speedysvc-tokio".to_owned());
    let started = thread.spawn(move || LocalSet::new().block_on(&runtime, run_all(calls)));
    started.map(|_| jobs).map_err(|error| error.to_string())
}

/// Until the worker has gone, which waits for all of its calls before.
async fn run_all(mut calls: UnboundedReceiver<Begin>) {
    while let Some(begin) = calls.recv().await {
        // Nobody waits for it here: it tells the loop when it has ended.
        drop(spawn_local(begin()));
    }
}
