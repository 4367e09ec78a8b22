//! Futures that are polled on the loop's thread: each when it was woken, from whatever thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use slab::Slab;

use super::Done;
use super::mailbox::{Mailbox, Post};
use super::task::Task;

/// Which future, and which of those that had this key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Woken {
    key: usize,
    generation: u64,
}

struct Running {
    task: Task,
    generation: u64,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What a waker is.
struct Bell {
    woken: Woken,
    /// A wake is on its way to the loop.
    is_rung: AtomicBool,
    mailbox: Arc<Mailbox>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // PAIR woken-or-polled: whoever finds it rung has written before the loop clears it, and polls.
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.mailbox.post(Post::Woken(self.woken));
        }
    }
}

pub(super) struct Executor {
    running: Slab<Running>,
    generation: u64,
    mailbox: Arc<Mailbox>,
}

impl Executor {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self { running: Slab::new(), generation: 0, mailbox }
    }

    /// Begins a future, and gives what came of it when it ends at once.
    pub(super) fn begin(&mut self, task: Task) -> Option<Done> {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = self.running.vacant_entry();
        let key = entry.key();
        let (woken, mailbox) = (Woken { key, generation }, Arc::clone(&self.mailbox));
        let bell = Arc::new(Bell { woken, is_rung: AtomicBool::new(false), mailbox });
        let waker = Waker::from(Arc::clone(&bell));
        entry.insert(Running { task, generation, bell, waker });
        self.poll(key)
    }

    /// A future wants to go on.
    pub(super) fn woken(&mut self, woken: Woken) -> Option<Done> {
        let is_same = self.running.get(woken.key).is_some_and(|running| running.generation == woken.generation);
        if is_same { self.poll(woken.key) } else { None }
    }

    fn poll(&mut self, key: usize) -> Option<Done> {
        let Running { task, bell, waker, .. } = self.running.get_mut(key)?;
        // PAIR woken-or-polled: what was written before a wake that finds it rung is seen by this poll.
        bell.is_rung.swap(false, Ordering::AcqRel);
        let polled = Pin::new(task).poll(&mut Context::from_waker(waker));
        match polled {
            Poll::Pending => None,
            Poll::Ready(done) => {
                self.running.remove(key);
                Some(done)
            }
        }
    }
}
