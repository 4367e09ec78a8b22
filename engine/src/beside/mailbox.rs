//! What is told the loop from other threads, and the bell that says so.

use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use speedysvc_protocol::shm::doorbell;

use super::Done;
use super::executor::Woken;

#[expect(clippy::large_enum_variant, reason = "a box would be one more allocation for each call")]
pub(super) enum Post {
    /// A call has ended.
    Done(Done),
    /// A future wants to go on.
    Woken(Woken),
}

/// It holds at most one post of each call that is away, so that the limit of those is its own.
pub(crate) struct Mailbox {
    posts: Mutex<Vec<Post>>,
    bell: OwnedFd,
}

impl Mailbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { posts: Mutex::default(), bell: doorbell::bell()? })
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Rings only for the first: the loop takes all of them at once, and whoever came before has rung, or is about to.
    pub(super) fn post(&self, post: Post) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = posts.is_empty();
        posts.push(post);
        drop(posts);
        if is_first {
            // It fails only for a descriptor that is no bell.
            let _never = doorbell::ring(&self.bell);
        }
    }

    pub(super) fn take(&self) -> Vec<Post> {
        mem::take(&mut *self.posts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
