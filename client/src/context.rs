//! What a handler may ask of the call that it serves.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use speedysvc_protocol::context;
use speedysvc_protocol::trace::TraceContext;

use crate::clock::now_ns;

/// The call that the calling code serves: until when, whether anybody still waits for it, and whose it is.
///
/// ```no_run
/// # fn next_piece() -> Option<u8> { None }
/// // In a handler, or in what it calls:
/// let context = speedysvc::context();
/// while let Some(piece) = next_piece() {
///     if context.is_cancelled() {
///         break; // nobody waits for the rest
///     }
/// }
/// ```
///
/// Elsewhere there is no call: then there is no deadline, and nothing is cancelled, so that code which asks runs there
/// as well, as in a test that calls a handler directly.
///
/// Calls that are made inside a handler belong to its call. On a thread that the handler has started nothing is known
/// of it, unless it [enters](Context::enter) the context that was handed to it.
#[must_use]
pub fn context() -> Context {
    Context(context::current())
}

/// A call as its handler sees it: see [`context()`]. Clones are of the same call, and may go to other threads.
#[derive(Clone)]
pub struct Context(Option<context::Context>);

impl Context {
    /// What the caller has left to wait: zero when that is over; `None` when there is no deadline.
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        let deadline_ns = self.deadline_ns()?;
        Some(Duration::from_nanos(deadline_ns.saturating_sub(now_ns())))
    }

    /// Whether nobody waits for the result any more: the caller has dropped the call, its deadline has passed, or its
    /// link or connection is gone. (A socket whose peer merely sends no more is not gone: it may still read.)
    ///
    /// A handler of a call that came over a socket hears of drops and lost connections only when it runs beside the
    /// loop (`#[method(blocking)]`, `async fn`): while it is on the loop nobody reads the socket. Deadlines it always
    /// hears of.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let is_over = || self.deadline_ns().is_some_and(|deadline_ns| deadline_ns <= now_ns());
        self.0.as_ref().is_some_and(context::Context::is_given_up) || is_over()
    }

    /// The call as the log names it, such as `link 3 call 17`; `None` outside of calls.
    #[must_use]
    pub fn call(&self) -> Option<CallName> {
        self.0.as_ref().map(|context| CallName(context.served().call))
    }

    /// The trace that the call belongs to, with the call's own span: lines of the log name both, and calls that are
    /// made here are children of that span. `None` when the caller gave none.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(|context| context.served().trace)
    }

    /// Who calls; `None` outside of calls.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        self.0.as_ref().map(|context| Peer::from(context.served().peer))
    }

    /// Until the end of what it returns this thread serves the call: [`context()`] gives it, lines of the log name it,
    /// and calls that are made here belong to it.
    #[must_use = "the thread serves the call only while this lives"]
    pub fn enter(&self) -> impl Sized + use<> {
        self.0.clone().map(context::Context::enter)
    }

    fn deadline_ns(&self) -> Option<u64> {
        self.0.as_ref().map(|context| context.served().deadline_ns).filter(|deadline_ns| *deadline_ns != 0)
    }
}

/// A call as the log names it: `link 3 call 17` over shared memory, `frame 9` over a socket, `http`. Two calls of a
/// service may have the same name: over sockets it is the client that counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallName(context::CallName);

impl fmt::Display for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who calls, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Peer {
    /// A process of this machine: its user's number.
    User(u32),
    /// Over TCP: where from.
    Address(SocketAddr),
    /// The kernel did not say.
    Unknown,
}

impl From<context::Peer> for Peer {
    fn from(peer: context::Peer) -> Self {
        match peer {
            context::Peer::User(uid) => Self::User(uid),
            context::Peer::Address { ip, port } => {
                Self::Address(SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), port))
            }
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "user {uid}"),
            Self::Address(address) => address.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = (self.call(), self.peer(), self.time_left(), self.is_cancelled());
        f.debug_tuple("Context").field(&shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use speedysvc_protocol::context::Served;
    use speedysvc_protocol::ids::CallId;

    use super::*;

    fn of_frame(deadline_ns: u64) -> Context {
        let call = context::CallName::Frame(CallId(9));
        Context(Some(context::Context::new(Served { call, peer: context::Peer::User(7), deadline_ns, trace: None })))
    }

    #[test]
    fn outside_of_calls_nothing_is_over() {
        let outside = context();
        assert_eq!(
            (outside.time_left(), outside.is_cancelled(), outside.call(), outside.peer()),
            (None, false, None, None)
        );
        let _in = outside.enter();
        assert!(!context().is_cancelled());
    }

    #[test]
    fn a_call_is_over_when_its_time_is_or_its_caller_says_so() {
        let later = now_ns() + 3_600_000_000_000;
        let context = of_frame(later);
        assert!(context.time_left().is_some_and(|left| left > Duration::from_secs(3_000)) && !context.is_cancelled());
        context.0.as_ref().unwrap().given_up().set();
        assert!(context.is_cancelled());
        let late = of_frame(1);
        assert_eq!((late.time_left(), late.is_cancelled()), (Some(Duration::ZERO), true));
        assert_eq!((of_frame(0).time_left(), of_frame(0).is_cancelled()), (None, false));
    }

    #[test]
    fn callers_are_shown_as_people_write_them() {
        let of = |ip: &str| match ip.parse().unwrap() {
            std::net::IpAddr::V4(ip) => context::Peer::Address { ip: ip.to_ipv6_mapped().octets(), port: 9 },
            std::net::IpAddr::V6(ip) => context::Peer::Address { ip: ip.octets(), port: 9 },
        };
        assert_eq!(Peer::from(of("10.0.0.7")).to_string(), "10.0.0.7:9");
        assert_eq!(Peer::from(of("fd00::1")).to_string(), "[fd00::1]:9");
        assert_eq!(Peer::from(context::Peer::User(7)).to_string(), "user 7");
    }

    #[test]
    fn another_thread_serves_the_call_that_it_enters() {
        let given = of_frame(0);
        let seen = std::thread::spawn(move || {
            let before = context().call();
            let entered = given.enter();
            let inside = context().call().map(|call| call.to_string());
            drop(entered);
            (before, inside, context().call())
        });
        assert_eq!(seen.join().unwrap(), (None, Some("frame 9".to_owned()), None));
    }
}
