//! Whether others had this thread's processor while it was away.
//!
//! On a virtual machine most holes in one's time are the hypervisor's: the processor itself was away, with whoever was
//! on it. The kernel knows the difference: it counts how long a thread that could have run waited for a processor.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::HOLE_NS;

/// Who waited for at least so long since it asked last may have lost that to others. Who looks all the time waits for
/// next to nothing; who sleeps and wakes waits a little each time, and asks for the count rather too often.
const WAITED_NS: u64 = HOLE_NS / 2;

thread_local! {
    static WAITS: Cell<Waits> = const { Cell::new(Waits { before_ns: None }) };
}

/// How long a thread had waited for a processor, in all its life, at its last hole.
#[derive(Clone, Copy, Debug)]
struct Waits {
    before_ns: Option<u64>,
}

impl Waits {
    /// Whether others may have had the processor, given the wait in all its life until now. What is not known may be.
    fn since_the_last(&mut self, now_ns: Option<u64>) -> bool {
        let before_ns = std::mem::replace(&mut self.before_ns, now_ns);
        now_ns.zip(before_ns).is_none_or(|(now, before)| now.saturating_sub(before) >= WAITED_NS)
    }
}

/// Whether the calling thread may have lost its last hole to other threads, as far as the kernel tells. A few
/// microseconds.
pub(super) fn lost_to_others() -> bool {
    let now_ns = schedstat().ok().and_then(|text| waited_ns(&String::from_utf8_lossy(&text)));
    WAITS.with(|waits| {
        let mut known = waits.get();
        let lost = known.since_the_last(now_ns);
        waits.set(known);
        lost
    })
}

/// Three system calls, and no descriptor that each thread keeps.
fn schedstat() -> io::Result<[u8; 64]> {
    let mut text = [b' '; 64];
    File::open("/proc/thread-self/schedstat")?.read_at(&mut text, 0)?;
    Ok(text)
}

/// `5023131 80345 12`: time on a processor, time waiting for one, slices. Source: the kernel's `sched-stats.rst`. A
/// kernel that does not count has zeros, as has a thread that has not run for a tick yet.
fn waited_ns(schedstat: &str) -> Option<u64> {
    let mut fields = schedstat.split_ascii_whitespace().map(str::parse::<u64>);
    let ran_ns = fields.next()?.ok()?;
    fields.next()?.ok().filter(|_| ran_ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_without_a_wait_is_nobodys() {
        let mut waits = Waits { before_ns: None };
        assert!(waits.since_the_last(Some(7)), "nothing to compare with");
        assert!(!waits.since_the_last(Some(7)));
        assert!(!waits.since_the_last(Some(6 + WAITED_NS)));
        assert!(waits.since_the_last(Some(6 + 2 * WAITED_NS)));
        assert!(!waits.since_the_last(Some(0)), "counted back: no wait");
    }

    #[test]
    fn what_the_kernel_does_not_tell_may_have_been_others() {
        let mut waits = Waits { before_ns: Some(7) };
        assert!(waits.since_the_last(None) && waits.since_the_last(Some(7)) && !waits.since_the_last(Some(7)));
    }

    #[test]
    fn the_second_field_is_the_wait() {
        assert_eq!(waited_ns("5023131 80345 12\n"), Some(80_345));
        for unknown in ["0 0 0\n", "", "5023131\n", "x 1 2", "1 x 2"] {
            assert_eq!(waited_ns(unknown), None, "{unknown:?}");
        }
        // A new thread has not run for a tick yet.
        let here = || String::from_utf8_lossy(&schedstat().unwrap()).into_owned();
        assert!((0..1_000_000).any(|_| waited_ns(&here()).is_some()), "{}", here());
    }
}
