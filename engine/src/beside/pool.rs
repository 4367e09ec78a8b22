//! Threads for handlers that block. They are started when they are needed, and stay.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use speedysvc_protocol::context::Context;
use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::service::{OwnedCall, Service};
use speedysvc_protocol::status::{Code, Failure};

use super::mailbox::{Mailbox, Post};
use super::{Done, Names};
use crate::budget::BLOCKING_THREADS;
use crate::clock::now_ns;
use crate::dispatch::panicked;

/// A call that waits for a thread.
pub(super) struct Job {
    pub(super) ticket: usize,
    pub(super) method: MethodIndex,
    pub(super) service: Arc<dyn Service>,
    pub(super) call: OwnedCall,
    pub(super) context: Context,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Queue {
    /// As soon as a thread is free.
    Any,
    /// When a thread is free, and none of its kind runs.
    InTurn,
}

#[derive(Default)]
struct State {
    any: VecDeque<Job>,
    in_turn: VecDeque<Job>,
    /// One of `in_turn` runs.
    turn_taken: bool,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl State {
    fn next(&mut self) -> Option<(Queue, Job)> {
        if !self.turn_taken
            && let Some(job) = self.in_turn.pop_front()
        {
            self.turn_taken = true;
            return Some((Queue::InTurn, job));
        }
        self.any.pop_front().map(|job| (Queue::Any, job))
    }

    /// Jobs that could begin if there were threads.
    fn ready(&self) -> usize {
        self.any.len() + usize::from(!self.turn_taken && !self.in_turn.is_empty())
    }
}

struct Shared {
    state: Mutex<State>,
    /// A job is there, or the end.
    wake: Condvar,
    mailbox: Arc<Mailbox>,
    names: Names,
}

pub(super) struct Pool(Arc<Shared>);

impl Pool {
    pub(super) fn new(mailbox: Arc<Mailbox>, names: Names) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), mailbox, names }))
    }

    pub(super) fn names(&self) -> &Names {
        &self.0.names
    }

    /// Runs a job when it is its turn.
    pub(super) fn run(&self, queue: Queue, job: Job) {
        let mut state = self.0.lock();
        match queue {
            Queue::Any => state.any.push_back(job),
            Queue::InTurn => state.in_turn.push_back(job),
        }
        // One more than run handlers that block: what came over a socket must not wait for those.
        if state.ready() > state.idle && state.threads <= BLOCKING_THREADS {
            let (number, shared) = (state.threads, Arc::clone(&self.0));
            let started = thread::Builder::new().name("speedysvc-beside".to_owned()).spawn(move || shared.work(number));
            match started {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    let jobs = std::mem::take(&mut state.any).into_iter().chain(std::mem::take(&mut state.in_turn));
                    let text = format!("the worker has no thread for it: {error}");
                    for job in jobs {
                        let failure = Failure::not_started(Code::ResourceExhausted, text.clone());
                        self.0.mailbox.post(Post::Done(refused(job, &failure)));
                    }
                }
                // Those that there are will come to it.
                Err(_) => {}
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        // Nobody waits for them: when a worker ends in good order nothing runs, and else its process ends.
        self.0.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, number: usize) {
        while let Some((queue, job)) = self.wait() {
            let done = self.serve(number, job);
            self.mailbox.post(Post::Done(done));
            if queue == Queue::InTurn {
                self.lock().turn_taken = false;
            }
        }
    }

    fn wait(&self) -> Option<(Queue, Job)> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                return Some(job);
            }
            if state.ended {
                return None;
            }
            state.idle += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn serve(&self, number: usize, job: Job) -> Done {
        let started_ns = now_ns();
        let deadline_ns = job.context.served().deadline_ns;
        if job.context.is_given_up() {
            return refused(job, &Failure::not_started(Code::Cancelled, "cancelled before it started"));
        }
        if deadline_ns != 0 && deadline_ns <= started_ns {
            let text = "the deadline passed before it started";
            return refused(job, &Failure::not_started(Code::DeadlineExceeded, text));
        }
        let Job { ticket, method, service, mut call, context } = job;
        let entered = context.enter();
        self.names.say(number, Some(method));
        // As on the loop: what a handler that panicked leaves behind is between it and its author.
        let ended = catch_unwind(AssertUnwindSafe(|| service.call(method, call.call())));
        self.names.say(number, None);
        drop(entered);
        let has_panicked = ended.is_err();
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => call.reply.fail(&failure),
            Err(panic) => call.reply.fail(&panicked(panic.as_ref())),
        }
        Done { ticket, call, panicked: has_panicked, started_ns, ended_ns: now_ns() }
    }
}

fn refused(mut job: Job, failure: &Failure) -> Done {
    job.call.reply.fail(failure);
    let now_ns = now_ns();
    Done { ticket: job.ticket, call: job.call, panicked: false, started_ns: now_ns, ended_ns: now_ns }
}
