//! Which flags this kernel takes, found by trying.

use std::io;

use io_uring::IoUring;
use rustix::io::Errno;

use crate::budget::Sizes;

/// From best to plainest; each is tried only when the one before is refused as unknown.
const TIERS: [(&str, Tier); 3] = [
    ("SINGLE_ISSUER, DEFER_TASKRUN, NO_SQARRAY", Tier::NoSqArray),
    ("SINGLE_ISSUER, DEFER_TASKRUN", Tier::Defer),
    ("SINGLE_ISSUER, COOP_TASKRUN", Tier::Coop),
];

#[derive(Clone, Copy)]
enum Tier {
    /// Linux 6.6.
    NoSqArray,
    /// Linux 6.1.
    Defer,
    /// Linux 6.0: the oldest that receives again and again into provided buffers.
    Coop,
}

/// A ring with the best tier that the kernel takes, and the tier's name.
pub(super) fn probe(sizes: Sizes) -> io::Result<(IoUring, &'static str)> {
    let mut refused = io::Error::from(Errno::INVAL);
    for (flags, tier) in TIERS {
        match build(tier, sizes) {
            Ok(ring) => return Ok((ring, flags)),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

fn build(tier: Tier, sizes: Sizes) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.dontfork().setup_clamp().setup_submit_all().setup_cqsize(sizes.completions);
    builder.setup_single_issuer().setup_taskrun_flag();
    match tier {
        Tier::NoSqArray => builder.setup_defer_taskrun().setup_no_sqarray(),
        Tier::Defer => builder.setup_defer_taskrun(),
        Tier::Coop => builder.setup_coop_taskrun(),
    };
    builder.build(sizes.submissions)
}

/// What an operator can do about a kernel that refuses.
pub fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::PERM) => {
            "io_uring is forbidden here: by a container's seccomp profile, or by the sysctl \
             kernel.io_uring_disabled; allow io_uring_setup, io_uring_enter and io_uring_register"
        }
        Some(Errno::NOSYS) => {
            "this kernel, or a container's seccomp profile, has no io_uring; Linux 6.0 is the oldest that serves"
        }
        Some(Errno::INVAL) => "this kernel's io_uring is too old; Linux 6.0 is the oldest that serves",
        Some(Errno::NOMEM) => {
            "the kernel has no memory for a ring: each worker's takes some 300 KiB of what its user may lock; raise \
             the memlock limit (ulimit -l; in systemd LimitMEMLOCK=) or free memory"
        }
        _ => "the kernel refuses to make an io_uring",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a kernel may answer, and what the operator hears: never the error's number alone.
    #[test]
    fn every_refusal_has_a_remedy() {
        for (errno, remedies) in [
            (Errno::PERM, &["seccomp profile", "kernel.io_uring_disabled"][..]),
            (Errno::NOSYS, &["Linux 6.0"]),
            (Errno::INVAL, &["too old", "Linux 6.0"]),
            (Errno::NOMEM, &["ulimit -l", "LimitMEMLOCK="]),
            (Errno::MFILE, &["refuses"]),
        ] {
            let told = remedy(&errno.into());
            assert!(remedies.iter().all(|remedy| told.contains(remedy)), "{errno:?}: {told}");
        }
    }
}
