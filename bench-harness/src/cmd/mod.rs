//! One file per verb.

pub(crate) mod compare;
pub(crate) mod crowd;
pub(crate) mod drive;
pub(crate) mod env;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod report;
pub(crate) mod serve;
pub(crate) mod verify;
