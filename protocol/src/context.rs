//! Which call the code on this thread serves: what a handler may ask of it, and what calls made inside it inherit.
//!
//! A loop says it before each handler, so it costs a few stores. What needs more, whether the caller still waits, is
//! put together when somebody asks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ids::{CallId, LinkId};
use crate::shm::link::Cancels;
use crate::shm::seq::Seq;
use crate::trace::TraceContext;

thread_local! {
    /// Written before each handler. It stays behind a handler of the loop: nobody else asks on its thread.
    static SERVED: Now = const { Now { call: Cell::new(CallName::InProcess), rest: Cell::new(None) } };
    /// The same call, when it is served beside the loop or in pieces.
    static OWNED: RefCell<Option<Context>> = const { RefCell::new(None) };
    /// Where the clients of this thread's loop give their calls up.
    static LINKS: RefCell<HashMap<LinkId, Cancels>> = RefCell::new(HashMap::new());
}

/// A call as its transport names it, and as the log does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallName {
    /// Over shared memory: the client's link, and the call's slot and its number there.
    Shm {
        /// The link.
        link: LinkId,
        /// The slot.
        slot: usize,
        /// The number.
        seq: Seq,
    },
    /// In a frame of a socket, with the number that the client gave it.
    Frame(CallId),
    /// Over HTTP, where calls have no number.
    Http,
    /// In the caller's own process: a unit test's.
    InProcess,
}

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shm { link, seq, .. } => write!(f, "link {} call {}", link.0, seq.word()),
            Self::Frame(id) => write!(f, "frame {}", id.0),
            Self::Http => f.write_str("http"),
            Self::InProcess => f.write_str("in process"),
        }
    }
}

/// Who calls, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// A process of this machine: its user's number.
    User(u32),
    /// Over TCP: where from.
    Address {
        /// As IPv6 has it, where IPv4 has its place, too (RFC 4291 section 2.5.5.2).
        ip: [u8; 16],
        /// The port.
        port: u16,
    },
    /// The kernel did not say.
    Unknown,
}

/// What is known of a call from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Served {
    /// Which.
    pub call: CallName,
    /// Whose.
    pub peer: Peer,
    /// `CLOCK_MONOTONIC` in nanoseconds; 0 for none.
    pub deadline_ns: u64,
    /// The trace that it belongs to, with the call's own span.
    pub trace: Option<TraceContext>,
}

/// A [`Served`], if any, in two parts: of calls that came together only the names differ.
struct Now {
    call: Cell<CallName>,
    rest: Cell<Option<(Peer, u64, Option<TraceContext>)>>,
}

impl Now {
    #[inline]
    fn get(&self) -> Option<Served> {
        let call = self.call.get();
        self.rest.get().map(|(peer, deadline_ns, trace)| Served { call, peer, deadline_ns, trace })
    }

    #[inline]
    fn set(&self, served: Option<Served>) {
        self.rest.set(served.map(|Served { peer, deadline_ns, trace, .. }| (peer, deadline_ns, trace)));
        served.into_iter().for_each(|served| self.call.set(served.call));
    }

    fn replace(&self, served: Option<Served>) -> Option<Served> {
        let before = self.get();
        self.set(served);
        before
    }
}

/// A call and its caller, for as long as somebody wants to know of it, on whatever thread.
#[derive(Clone, Debug)]
pub struct Context {
    served: Served,
    /// In shared memory the caller says itself that it has given up.
    slot: Option<(Cancels, usize, Seq)>,
    given_up: GivenUp,
}

/// The loop has heard that a caller has given its call up.
#[derive(Clone, Default, Debug)]
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// It has.
    pub fn set(&self) {
        // Nothing else is told by it: whoever asks too early asks again.
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The next handler on this thread serves this call.
#[inline]
pub fn serve(served: Served) {
    SERVED.with(|now| now.set(Some(served)));
}

/// The next handler on this thread serves this call, of which all else is as of the one that was said last.
#[inline]
pub fn serve_another(call: CallName) {
    SERVED.with(|now| now.call.set(call));
}

/// The call that this thread serves; `None` on a thread that a handler has started.
#[inline]
#[must_use]
pub fn served() -> Option<Served> {
    SERVED.with(Now::get)
}

/// Whether it serves one.
#[inline]
#[must_use]
pub fn is_serving() -> bool {
    SERVED.with(|now| now.rest.get().is_some())
}

/// The same with what it takes to ask for its caller.
#[must_use]
pub fn current() -> Option<Context> {
    OWNED.with_borrow(Clone::clone).or_else(|| served().map(Context::new))
}

/// From now on calls of this client may be served on this thread.
pub fn know_link(link: LinkId, cancels: Cancels) {
    LINKS.with_borrow_mut(|links| links.insert(link, cancels));
}

/// They may not any more.
pub fn forget_link(link: LinkId) {
    LINKS.with_borrow_mut(|links| links.remove(&link));
}

impl Context {
    /// Of a call that this thread's loop has taken.
    #[must_use]
    pub fn new(served: Served) -> Self {
        let slot = match served.call {
            CallName::Shm { link, slot, seq } => {
                LINKS.with_borrow(|links| links.get(&link).map(|cancels| (cancels.clone(), slot, seq)))
            }
            CallName::Frame(_) | CallName::Http | CallName::InProcess => None,
        };
        Self { served, slot, given_up: GivenUp::default() }
    }

    /// Which call, whose, and until when.
    #[must_use]
    pub fn served(&self) -> Served {
        self.served
    }

    /// How the loop tells that the caller has given up.
    #[must_use]
    pub fn given_up(&self) -> &GivenUp {
        &self.given_up
    }

    /// Whether the caller has said that it waits no more, or is gone.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        let in_slot = self.slot.as_ref().is_some_and(|(cancels, slot, seq)| cancels.has(*slot, *seq));
        in_slot || self.given_up.0.load(Ordering::Relaxed)
    }

    /// Until the end of what it returns, this thread serves the call.
    pub fn enter(self) -> Entered {
        let before = (SERVED.with(|now| now.replace(Some(self.served))), OWNED.replace(Some(self)));
        Entered { before, on_this_thread: PhantomData }
    }
}

/// While it lives, a thread serves a call.
#[must_use = "the thread serves the call only while this lives"]
#[derive(Debug)]
pub struct Entered {
    before: (Option<Served>, Option<Context>),
    /// What was there before belongs to this thread.
    on_this_thread: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        SERVED.with(|now| now.set(self.before.0));
        OWNED.set(self.before.1.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::layout::Geometry;
    use crate::shm::link::{ClientLink, LinkFiles, WorkerLink};

    fn frame(id: u64, deadline_ns: u64) -> Served {
        Served { call: CallName::Frame(CallId(id)), peer: Peer::User(7), deadline_ns, trace: None }
    }

    #[test]
    fn a_thread_serves_a_call_until_the_next_and_other_threads_do_not() {
        serve(frame(1, 5));
        assert_eq!(served().map(|served| served.deadline_ns), Some(5));
        assert!(std::thread::spawn(|| served().is_none() && current().is_none()).join().unwrap());
        serve(frame(2, 9));
        assert_eq!(current().map(|context| context.served()), Some(frame(2, 9)));
        serve_another(CallName::Frame(CallId(3)));
        assert_eq!(served(), Some(frame(3, 9)));
    }

    #[test]
    fn who_enters_a_call_leaves_it_again_and_may_take_it_along() {
        serve(frame(1, 5));
        let other = Context::new(frame(2, 6));
        let flag = other.given_up().clone();
        {
            let _in = other.clone().enter();
            assert_eq!(served(), Some(frame(2, 6)));
            {
                let _deeper = Context::new(frame(3, 1)).enter();
                assert_eq!(served(), Some(frame(3, 1)));
            }
            let mine = current().unwrap();
            assert!(!mine.is_given_up());
            flag.set();
            assert!(mine.is_given_up(), "whoever asked shares it");
        }
        assert_eq!(served(), Some(frame(1, 5)));
        assert!(!current().unwrap().is_given_up());
        let moved = std::thread::spawn(move || {
            let _in = other.enter();
            served()
        });
        assert_eq!(moved.join().unwrap(), Some(frame(2, 6)));
    }

    #[test]
    fn a_client_in_shared_memory_gives_up_where_the_handler_looks() {
        let geometry = Geometry::new(2, 1 << 14).unwrap();
        let files = LinkFiles::create(geometry).unwrap();
        let client = ClientLink::map(geometry, &files.request, &files.reply_read_only).unwrap();
        let worker = WorkerLink::map(geometry, &files.request, &files.reply).unwrap();
        let (link, seq) = (LinkId(3), Seq::from_word(1).unwrap());
        know_link(link, worker.cancels());
        serve(Served { call: CallName::Shm { link, slot: 1, seq }, peer: Peer::User(7), deadline_ns: 0, trace: None });
        let context = current().unwrap();
        let _other_slot = client.slot(0).give_up(Seq::from_word(2).unwrap());
        assert!(!context.is_given_up());
        let _unclaimed = client.slot(1).give_up(seq);
        assert!(context.is_given_up());
        forget_link(link);
        assert!(!current().unwrap().is_given_up(), "its link is not known any more");
    }
}
