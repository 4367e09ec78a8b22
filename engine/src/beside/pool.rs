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
use super::queue::FairQueue;
use super::room::Caller;
use super::{Done, Names};
use crate::budget::BLOCKING_THREADS;
use crate::clock::now_ns;
use crate::dispatch::{in_vain, panicked};
use crate::predict::{Predictor, Takes};

/// A call that waits for a thread.
pub(super) struct Job {
    pub(super) ticket: usize,
    pub(super) caller: Caller,
    pub(super) method: MethodIndex,
    pub(super) service: Arc<dyn Service>,
    pub(super) call: OwnedCall,
    pub(super) context: Context,
    /// When it came.
    pub(super) came_ns: u64,
}

impl Job {
    /// Why it is not begun at this time, when others wait and its method takes so long (decision 0043).
    pub(super) fn refusal(&self, now_ns: u64, others_wait: bool, takes: Takes) -> Option<Failure> {
        let deadline_ns = self.context.served().deadline_ns;
        if self.context.is_given_up() {
            return Some(Failure::not_started(Code::Cancelled, "cancelled before it started"));
        }
        if deadline_ns == 0 {
            return None;
        }
        if deadline_ns <= now_ns {
            return Some(Failure::not_started(Code::DeadlineExceeded, "the deadline passed before it started"));
        }
        let is_in_vain = others_wait && takes.is_in_vain(deadline_ns - now_ns);
        is_in_vain.then(|| in_vain(Some(self.came_ns), now_ns))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Queue {
    /// As soon as a thread is free.
    Any,
    /// When a thread is free, and none of its kind runs.
    InTurn,
}

struct State {
    any: FairQueue<Caller, Job>,
    in_turn: VecDeque<Job>,
    /// One of `in_turn` runs.
    turn_taken: bool,
    /// How long methods take here.
    predictor: Predictor,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl State {
    fn new(methods: usize) -> Self {
        let (any, in_turn, predictor) = (FairQueue::default(), VecDeque::new(), Predictor::new(methods));
        Self { any, in_turn, turn_taken: false, predictor, threads: 0, idle: 0, ended: false }
    }

    fn next(&mut self) -> Option<(Queue, Job)> {
        if !self.turn_taken
            && let Some(job) = self.in_turn.pop_front()
        {
            self.turn_taken = true;
            return Some((Queue::InTurn, job));
        }
        self.any.pop().map(|job| (Queue::Any, job))
    }

    /// Whether others wait that this one would hold up.
    fn others_wait(&self, queue: Queue) -> bool {
        match queue {
            Queue::Any => self.any.len() > 0,
            Queue::InTurn => !self.in_turn.is_empty(),
        }
    }

    /// Jobs that could begin if there were threads.
    fn ready(&self) -> usize {
        self.any.len() + usize::from(!self.turn_taken && !self.in_turn.is_empty())
    }
}

/// The job whose turn it is, and why it is not begun.
struct Next {
    queue: Queue,
    job: Job,
    refusal: Option<Failure>,
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
    /// For a service with so many methods.
    pub(super) fn new(methods: usize, mailbox: Arc<Mailbox>, names: Names) -> Self {
        let state = Mutex::new(State::new(methods));
        Self(Arc::new(Shared { state, wake: Condvar::new(), mailbox, names }))
    }

    pub(super) fn names(&self) -> &Names {
        &self.0.names
    }

    /// Runs a job when it is its turn.
    pub(super) fn run(&self, queue: Queue, job: Job) {
        let mut state = self.0.lock();
        match queue {
            Queue::Any => state.any.push(job.caller, job),
            Queue::InTurn => state.in_turn.push_back(job),
        }
        // One more than run handlers that block: what came over a socket must not wait for those.
        if state.ready() > state.idle && state.threads <= BLOCKING_THREADS {
            let (number, shared) = (state.threads, Arc::clone(&self.0));
            let started = thread::Builder::new().name("speedysvc-beside".to_owned()).spawn(move || shared.work(number));
            match started {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    let any = std::iter::from_fn(|| state.any.pop()).collect::<Vec<_>>();
                    let jobs = any.into_iter().chain(std::mem::take(&mut state.in_turn));
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
        while let Some(Next { queue, job, refusal }) = self.wait() {
            let method = usize::from(job.method.0);
            let done = match refusal {
                Some(failure) => refused(job, &failure),
                None => self.serve(number, job),
            };
            let took_ns = done.started_ns.map(|started_ns| done.ended_ns.saturating_sub(started_ns));
            self.mailbox.post(Post::Done(done));
            let mut state = self.lock();
            if let Some(took_ns) = took_ns {
                state.predictor.took(method, took_ns);
            }
            state.turn_taken &= queue != Queue::InTurn;
        }
    }

    fn wait(&self) -> Option<Next> {
        let mut state = self.lock();
        loop {
            if let Some((queue, job)) = state.next() {
                let takes = state.predictor.takes(usize::from(job.method.0));
                let refusal = job.refusal(now_ns(), state.others_wait(queue), takes);
                return Some(Next { queue, job, refusal });
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
        let Job { ticket, method, service, mut call, context, .. } = job;
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
        Done { ticket, call, panicked: has_panicked, started_ns: Some(started_ns), ended_ns: now_ns() }
    }
}

fn refused(mut job: Job, failure: &Failure) -> Done {
    job.call.reply.fail(failure);
    Done { ticket: job.ticket, call: job.call, panicked: false, started_ns: None, ended_ns: now_ns() }
}
