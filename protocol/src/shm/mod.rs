//! Room 1: memory that another process maps too.
//!
//! Who may write what (`docs/protocol.md` has the whole layout):
//!
//! | memory | written by | mapped read-only by |
//! |---|---|---|
//! | request lines ([`layout::RequestLine`]) | the client | |
//! | arena | client and workers, never a control word | |
//! | reply lines, claim words, poller word ([`layout`]) | workers; the supervisor after a death | the client |
//! | board ([`board`]) | each loop its own line | clients |
//! | stats page ([`stats_page`], [`peer_rows`]), one for each loop | that loop | broker and supervisor |
//!
//! A call's way: [`slot::Caller::post`] → [`claim::Taker::claim`] → handler → [`claim::Taker::publish`] →
//! [`slot::Caller::poll`]. Waking is in [`wake`], and after a death [`verdict`] tells the callers.
//!
//! Nothing here forms a reference to arena bytes or believes a word that a peer can write: control words are atomics,
//! each loaded once into a local and then judged; arena bytes are only copied, by raw pointers ([`segment`]).

pub mod board;
pub mod claim;
#[cfg(not(loom))]
pub mod doorbell;
pub mod due;
mod few;
#[cfg(not(loom))]
pub mod handover;
#[cfg(not(loom))]
pub mod in_place;
pub mod layout;
#[cfg(not(loom))]
mod lines;
#[cfg(not(loom))]
pub mod link;
pub mod looks;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(not(loom))]
pub mod peer_rows;
#[cfg(all(test, not(loom)))]
mod peer_rows_tests;
mod prefetch;
#[cfg(not(loom))]
pub mod segment;
pub mod seq;
pub mod slot;
#[cfg(not(loom))]
pub mod stats_page;
#[cfg(all(test, not(loom)))]
mod stats_page_tests;
#[cfg(all(test, not(loom)))]
mod steps_tests;
mod sync;
pub mod verdict;
pub mod wake;
#[cfg(not(loom))]
pub mod window;

use thiserror::Error;

/// A rule of the slot protocol that a client broke. It loses its link; nobody else's suffers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PeerFault {
    /// A request's sequence went backwards, or beyond 48 bits.
    #[error("a request's sequence number went backwards or past its range")]
    Sequence,
    /// A granted buffer is not inside the arena.
    #[error("a granted buffer of {capacity} bytes at {offset} is not inside the arena of {arena} bytes")]
    Grant {
        /// Where the client said that it begins.
        offset: u64,
        /// How large it said that it is.
        capacity: u64,
        /// How large the arena is.
        arena: u64,
    },
    /// A request is longer than the buffer it says it is in.
    #[error("a request of {len} bytes is longer than its buffer of {capacity} bytes")]
    Length {
        /// What the client said.
        len: u32,
        /// What the buffer holds.
        capacity: u64,
    },
}
