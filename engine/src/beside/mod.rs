//! Calls that run beside the loop: handlers that block, on a pool of threads; handlers that are `async fn`, in pieces;
//! and what runs long and came over a socket, one at a time. The loop hands them over, goes on, and answers when they
//! are back (decision 0041).

mod executor;
mod mailbox;
mod pool;
mod queue;
mod room;
mod task;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;

use slab::Slab;
use speedysvc_protocol::context::Context;
use speedysvc_protocol::ids::{CallId, Incarnation, LinkId, MethodIndex};
use speedysvc_protocol::service::{OwnedCall, Service};
use speedysvc_protocol::shm::claim::Request;
use speedysvc_protocol::shm::layout::INLINE;
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::status::{Code, Failure, RetryAfter, Status};

use crate::budget::{BESIDE_MESSAGES, BLOCKING_QUEUED, FUTURES, SPARE_CALLS};
use crate::clock::now_ns;
use crate::driver::Tag;
use executor::Executor;
use mailbox::{Mailbox, Post};
use pool::{Job, Pool, Queue};
pub(crate) use room::Caller;
use room::{Full, Room};
use task::{Cancel, Task};

// What a call is told that finds no room. Short enough for a reply's own line in shared memory ([`INLINE`]), as a
// service that has too much to do should not fetch lines of buffers to say so; docs/guide.md says more.
const ALL_BLOCKING: &str = "too many blocking calls: add workers";
const ALL_FUTURES: &str = "too many async calls: try again later";
const YOURS: &str = "too many calls of yours: wait for some";
const HELD: &str = "arguments fill the memory: try later";
const _: () = assert!(ALL_BLOCKING.len() <= INLINE && ALL_FUTURES.len() <= INLINE);
const _: () = assert!(YOURS.len() <= INLINE && HELD.len() <= INLINE);

/// A runtime for handlers that use its libraries. It lives outside of the engine, which knows none.
pub trait Runtime: Send + Sync {
    /// Runs the future that `begin` makes, on one thread of its own, where it is made.
    ///
    /// # Errors
    /// Why it cannot.
    fn run(&self, begin: Begin) -> Result<(), String>;
}

/// Makes a future where it will run.
pub type Begin = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A call that asks for room beside the loop. It is all that a refusal takes: what a call needs that goes is made then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    pub(crate) way: Way,
    pub(crate) caller: Caller,
    /// About.
    pub(crate) now_ns: u64,
}

/// What a call is told that finds no room. A reply is made of it as it is: no memory is taken for a call that is
/// refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom {
    /// Short enough for a reply's own line.
    pub(crate) why: &'static str,
    after: RetryAfter,
}

impl NoRoom {
    /// What a reply says of it.
    pub(crate) fn status(self) -> Status {
        Status::Later(Code::ResourceExhausted, self.after)
    }
}

impl From<NoRoom> for Failure {
    fn from(full: NoRoom) -> Self {
        Self::not_started(Code::ResourceExhausted, full.why).later(full.after)
    }
}

/// How a call runs that does not run on the loop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// On a thread of the pool.
    Blocking,
    /// On a thread of the pool, when no other such call does.
    InTurn,
    /// In pieces on the loop.
    Future,
    /// In pieces in the runtime.
    Runtime,
}

/// Where the answer goes.
pub(crate) enum ReplyTo {
    /// To a slot, which is claimed until then.
    Slot { key: usize, link: LinkId, slot: usize, request: Request },
    /// To a connection, with the number that the client gave the call.
    Frame { tag: Tag, id: CallId },
    /// To a connection.
    Http { tag: Tag },
}

/// What the loop remembers of a call that is away.
pub(crate) struct Ticket {
    pub(crate) to: ReplyTo,
    pub(crate) method: MethodIndex,
    pub(crate) way: Way,
    /// When it came, for what it waited.
    pub(crate) came_ns: u64,
    pub(crate) bytes_in: usize,
    /// Those of them that take memory of ours.
    held: usize,
    context: Context,
    cancel: Arc<Cancel>,
}

impl Ticket {
    pub(crate) fn new(to: ReplyTo, method: MethodIndex, way: Way, came_ns: u64, context: Context) -> Self {
        Self { to, method, way, came_ns, bytes_in: 0, held: 0, context, cancel: Arc::default() }
    }
}

/// A call that has ended; its answer is in its reply.
pub(crate) struct Done {
    ticket: usize,
    pub(crate) call: OwnedCall,
    pub(crate) panicked: bool,
    /// When its handler began; nothing of a call that was refused before.
    pub(crate) started_ns: Option<u64>,
    pub(crate) ended_ns: u64,
}

/// The number of a call that is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TicketId(usize);

pub(crate) struct Beside {
    service: Arc<dyn Service>,
    tickets: Slab<Ticket>,
    /// Room for those of them that wait for a thread or run on one...
    blocking: Room,
    /// ...and for those that are futures.
    futures: Room,
    /// Bytes of arguments that all of them hold.
    held: usize,
    mailbox: Arc<Mailbox>,
    pool: Pool,
    executor: Executor,
    runtime: Option<Arc<dyn Runtime>>,
    /// Those that have ended and are not answered yet.
    done: VecDeque<Done>,
    /// Buffers of calls that were answered, for the next ones.
    spare: Vec<OwnedCall>,
}

/// What names the methods that run beside the loop, for whoever reads the board after a crash.
#[derive(Clone)]
pub(crate) struct Names {
    pub(crate) board: Option<Arc<Board>>,
    pub(crate) me: Incarnation,
}

impl Names {
    /// Says which method the thread with this number runs.
    fn say(&self, thread: usize, method: Option<MethodIndex>) {
        if let Some(board) = &self.board {
            board.line(self.me.0.get()).set_running_beside(thread, method.map(|method| method.0));
        }
    }
}

impl Beside {
    pub(crate) fn new(service: Arc<dyn Service>, runtime: Option<Arc<dyn Runtime>>, names: Names) -> io::Result<Self> {
        let mailbox = Arc::new(Mailbox::new()?);
        let pool = Pool::new(service.contract().methods.len(), Arc::clone(&mailbox), names.clone());
        let executor = Executor::new(Arc::clone(&mailbox));
        let (tickets, done, spare) = (Slab::new(), VecDeque::new(), Vec::new());
        let (blocking, futures) = (Room::new(BLOCKING_QUEUED), Room::new(FUTURES));
        Ok(Self { service, tickets, blocking, futures, held: 0, mailbox, pool, executor, runtime, done, spare })
    }

    /// The bell by which what is beside the loop rings for it.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.mailbox.bell()
    }

    /// Whether nothing is away.
    pub(crate) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// Whether there is room for one more call with so many bytes of arguments, of messages of at most so many.
    ///
    /// # Errors
    /// Which limit is reached, and when to try again.
    #[inline]
    pub(crate) fn admit(&self, call: &Asks, bytes: usize, message_max: usize) -> Result<(), NoRoom> {
        let room = match call.way {
            // One for each connection, which has held its bytes before.
            Way::InTurn => return Ok(()),
            Way::Blocking => &self.blocking,
            Way::Future | Way::Runtime => &self.futures,
        };
        let why = match (room.admit(call.caller), call.way) {
            (Err(Full::All), Way::Blocking) => ALL_BLOCKING,
            (Err(Full::All), _) => ALL_FUTURES,
            (Err(Full::Yours), _) => YOURS,
            (Ok(()), _) if self.held.saturating_add(bytes) > message_max.saturating_mul(BESIDE_MESSAGES) => HELD,
            (Ok(()), _) => return Ok(()),
        };
        Err(NoRoom { why, after: room.retry_after(call.now_ns) })
    }

    /// The room that a call of this kind takes.
    fn room(&mut self, way: Way) -> Option<&mut Room> {
        match way {
            Way::Blocking => Some(&mut self.blocking),
            Way::Future | Way::Runtime => Some(&mut self.futures),
            Way::InTurn => None,
        }
    }

    /// Buffers for a call.
    pub(crate) fn take_call(&mut self) -> OwnedCall {
        self.spare.pop().unwrap_or_default()
    }

    /// Hands a call over. What `admit` said is not asked again.
    pub(crate) fn begin(&mut self, mut ticket: Ticket, call: OwnedCall) -> TicketId {
        ticket.bytes_in = call.len();
        ticket.held = if call.in_place.is_some() { 0 } else { ticket.bytes_in };
        self.held += ticket.held;
        let (way, method, came_ns, caller) = (ticket.way, ticket.method, ticket.came_ns, Caller::of(&ticket.to));
        if let Some(room) = self.room(way) {
            room.enter(caller, now_ns());
        }
        let (context, cancel) = (ticket.context.clone(), Arc::clone(&ticket.cancel));
        let number = self.tickets.insert(ticket);
        let service = Arc::clone(&self.service);
        match way {
            Way::Blocking | Way::InTurn => {
                let queue = if way == Way::InTurn { Queue::InTurn } else { Queue::Any };
                self.pool.run(queue, Job { ticket: number, caller, method, service, call, context, came_ns });
            }
            Way::Future => {
                let future = service.begin(method, call);
                let task = Task::new(number, future, context, cancel);
                let done = self.executor.begin(task);
                self.done.extend(done);
            }
            Way::Runtime => self.begin_in_runtime(number, method, call, context, cancel),
        }
        TicketId(number)
    }

    fn begin_in_runtime(
        &mut self,
        number: usize,
        method: MethodIndex,
        call: OwnedCall,
        context: Context,
        cancel: Arc<Cancel>,
    ) {
        let (service, mailbox) = (Arc::clone(&self.service), Arc::clone(&self.mailbox));
        let names = self.pool.names().clone();
        let begin: Begin = Box::new(move || {
            let future = service.begin(method, call);
            let task = Task::new(number, future, context, cancel).named(names, method);
            Box::pin(async move { mailbox.post(Post::Done(task.await)) })
        });
        // A worker does not start without the runtime that its methods need.
        let runtime = self.runtime.as_ref().ok_or_else(|| "there is none".to_owned());
        if let Err(why) = runtime.and_then(|runtime| runtime.run(begin)) {
            let failure = Failure::not_started(Code::Internal, format!("the runtime cannot run it: {why}"));
            self.done.push_back(task::failed(number, &failure));
        }
    }

    /// Somebody rang: takes what has ended, and goes on with what was woken.
    pub(crate) fn hear(&mut self) {
        for post in self.mailbox.take() {
            match post {
                Post::Done(done) => self.done.push_back(done),
                Post::Woken(woken) => self.done.extend(self.executor.woken(woken)),
            }
        }
    }

    /// Whether a call has ended whose caller waits.
    #[inline]
    pub(crate) fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// The next call that has ended, with what was remembered of it.
    pub(crate) fn next_done(&mut self) -> Option<(Ticket, Done)> {
        let done = self.done.pop_front()?;
        let ticket = self.tickets.remove(done.ticket);
        self.held -= ticket.held;
        if let Some(room) = self.room(ticket.way) {
            room.leave(Caller::of(&ticket.to), done.ended_ns);
        }
        Some((ticket, done))
    }

    /// The call was answered: its buffers serve the next.
    pub(crate) fn keep(&mut self, mut call: OwnedCall) {
        // One that did not start has it still.
        call.in_place = None;
        if self.spare.len() < SPARE_CALLS {
            self.spare.push(call);
        }
    }

    /// The caller has given this call up, if it is still away.
    pub(crate) fn cancel(&self, id: TicketId) {
        if let Some(ticket) = self.tickets.get(id.0) {
            ticket.context.given_up().set();
            ticket.cancel.wake();
        }
    }

    /// A link's client rang, maybe because it has given a call up; or it is gone, and with it all of its callers.
    pub(crate) fn look_for_cancels(&self, link: LinkId, is_gone: bool) {
        for (_, ticket) in &self.tickets {
            let is_here = matches!(ticket.to, ReplyTo::Slot { link: other, .. } if other == link);
            if is_here && is_gone {
                ticket.context.given_up().set();
            }
            if is_here && ticket.context.is_given_up() {
                ticket.cancel.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests;
