//! One io_uring, set up as ours is, or with other flags to compare them.

use std::io;

use io_uring::squeue::Entry;
use io_uring::{Builder, CompletionQueue, IoUring, SubmissionQueue, Submitter, cqueue};
use rustix::io::Errno;

/// The same numbers as ours.
const SUBMISSIONS: u32 = 256;
const COMPLETIONS: u32 = 16_384;

/// How a server waits for completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// In the kernel, until there is one.
    Sleeping,
    /// By looking at the queues' shared memory; the kernel is entered only when that says that there is work for it.
    Spinning,
}

/// Setup flags, from none to most: each rung has what its name says, and what does not contradict it of those before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Rung {
    /// None.
    Plain,
    /// COOP_TASKRUN and TASKRUN_FLAG (Linux 5.19).
    Coop,
    /// And SINGLE_ISSUER (6.0).
    Single,
    /// DEFER_TASKRUN in place of COOP_TASKRUN (6.1).
    Defer,
    /// And NO_SQARRAY (6.6): what ours takes. Without it where the kernel is older.
    NoSqArray,
    /// And a registered ring descriptor, which spares the kernel its look-up (5.18).
    Registered,
}

/// The two queues of a ring that lives as long as the process: whatever the kernel has under way stays valid.
pub(super) struct Queue {
    pub(super) submitter: Submitter<'static>,
    submissions: SubmissionQueue<'static>,
    completions: CompletionQueue<'static>,
}

impl Queue {
    pub(super) fn new(rung: Rung) -> io::Result<Self> {
        let ring = ring(rung).or_else(|error| if rung == Rung::NoSqArray { ring(Rung::Defer) } else { Err(error) })?;
        let (mut submitter, submissions, completions) = Box::leak(Box::new(ring)).split();
        if rung == Rung::Registered {
            submitter.register_ring_fd()?;
        }
        Ok(Self { submitter, submissions, completions })
    }

    /// Queues an operation for the next turn.
    ///
    /// # Safety
    ///
    /// The memory that it names must stay valid until its last completion has been taken.
    pub(super) unsafe fn push(&mut self, entry: &Entry) -> io::Result<()> {
        // SAFETY: the caller's promise is the same.
        while unsafe { self.submissions.push(entry) }.is_err() {
            self.enter(0)?;
        }
        Ok(())
    }

    /// The next completion that is already here.
    pub(super) fn next(&mut self) -> Option<cqueue::Entry> {
        self.completions.next()
    }

    /// Hands over what is queued, and comes back when there may be completions.
    pub(super) fn turn(&mut self, turn: Turn) -> io::Result<()> {
        match turn {
            Turn::Sleeping => self.enter(1),
            Turn::Spinning => self.spin(),
        }
    }

    fn spin(&mut self) -> io::Result<()> {
        self.completions.sync();
        while self.completions.is_empty() || !self.submissions.is_empty() {
            let is_wanted = self.submissions.taskrun() || self.submissions.cq_overflow();
            if is_wanted || !self.submissions.is_empty() {
                self.enter(0)?;
            } else {
                std::hint::spin_loop();
            }
            self.completions.sync();
        }
        Ok(())
    }

    fn enter(&mut self, wanted: usize) -> io::Result<()> {
        // Both: the kernel counts completions that it does not know to be taken as reasons not to wait.
        self.submissions.sync();
        self.completions.sync();
        // With work for it, `submit_and_wait(0)` lets the kernel do that work (GETEVENTS), too.
        let entered = self.submitter.submit_and_wait(wanted);
        self.submissions.sync();
        self.completions.sync();
        match entered.map_err(|error| (Errno::from_io_error(&error), error)) {
            // A signal: SIGSTOP and SIGCONT, which probes send, are enough. Or a full completion queue: take from it.
            Ok(_) | Err((Some(Errno::INTR | Errno::BUSY | Errno::AGAIN), _)) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }
}

fn ring(rung: Rung) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.dontfork().setup_clamp().setup_submit_all().setup_cqsize(COMPLETIONS);
    let add = |from: Rung, flag: fn(&mut Builder) -> &mut Builder, builder: &mut Builder| {
        if rung >= from {
            flag(builder);
        }
    };
    add(Rung::Coop, Builder::setup_taskrun_flag, &mut builder);
    add(Rung::Single, Builder::setup_single_issuer, &mut builder);
    add(Rung::Defer, Builder::setup_defer_taskrun, &mut builder);
    add(Rung::NoSqArray, Builder::setup_no_sqarray, &mut builder);
    if matches!(rung, Rung::Coop | Rung::Single) {
        builder.setup_coop_taskrun();
    }
    builder.build(SUBMISSIONS)
}
