//! `load`: an open loop against any running service, by a method's name.

pub(crate) mod arguments;
pub(crate) mod body;
pub(crate) mod rate;
pub(crate) mod summary;
pub(crate) mod threshold;
