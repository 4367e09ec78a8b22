//! What keeps a link for a started call, as long as the call lives.

use std::ops::Deref;
use std::sync::Arc;

use super::ShmConnection;
use crate::line::Line;

/// A link, and whoever holds it.
#[derive(Clone)]
pub(crate) enum Home {
    /// The first link of this line. The call needs the line as well, so one count keeps both: each costs a locked
    /// instruction when the call begins and when it ends.
    First(Arc<Line>),
    Other(Arc<ShmConnection>),
}

impl Home {
    #[inline]
    pub(super) fn link(&self) -> &Arc<ShmConnection> {
        match self {
            Self::First(line) => line.first_link().expect("it stays as long as the line"),
            Self::Other(link) => link,
        }
    }

    /// The line that is held by this.
    pub(crate) fn line(&self) -> Option<&Arc<Line>> {
        match self {
            Self::First(line) => Some(line),
            Self::Other(_) => None,
        }
    }
}

impl Deref for Home {
    type Target = ShmConnection;

    #[inline]
    fn deref(&self) -> &ShmConnection {
        self.link()
    }
}
