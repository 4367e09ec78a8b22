//! Room for many connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open descriptors to what the system lets this process have.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // It cannot fail: the hard limit is ours to use. If it did, connecting would say which descriptor was too many.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
}
