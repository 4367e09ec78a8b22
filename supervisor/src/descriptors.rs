//! How many descriptors the engine and its workers may have.

use rustix::process::Resource;

/// Every link takes four descriptors here and in each worker: the soft limit, made for `select`, is raised to the hard
/// one. Workers inherit it.
pub(crate) fn raise_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it there is room for fewer clients, and those that find none are told so.
    let _refused = rustix::process::setrlimit(Resource::Nofile, limit);
}
