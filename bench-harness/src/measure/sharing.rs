//! Whether somebody else uses the cores of our processors: how much six additions gain by not waiting for each other.
//!
//! A virtual machine's processor may be one of two threads of a core, whose other one is somebody else's. While that
//! one is busy, whatever lives by doing much at once takes up to 1.5 times its time, and whatever waits for a cache
//! line does not: no account of this machine shows it, and a ratio of the former to the latter changes by it.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::job::Cpus;

/// Looks by which it is learnt what cores of one's own show: on the reference machine others are away for some
/// milliseconds at a time, at worst for a sixteenth of the time.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(4);
/// Whoever waits for others to leave does so no longer.
const LONGEST: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(1);

/// Looks at the cores for two seconds; nothing where they cannot be looked at.
pub(crate) fn looks(cpus: Cpus) -> io::Result<Vec<f64>> {
    let looking = thread::Builder::new().spawn(move || {
        let look = |_| {
            thread::sleep(PAUSE);
            sharing(cpus).transpose()
        };
        (0..LOOKS).filter_map(look).collect::<io::Result<Vec<f64>>>()
    })?;
    looking.join().map_err(|_| io::Error::other("the probing thread panicked"))?
}

/// Waits until others show no more than this, or for long enough.
pub(crate) fn wait(cpus: Cpus, own: f64) -> io::Result<()> {
    let begin = Instant::now();
    while sharing(cpus)?.is_some_and(|part| part > own) && begin.elapsed() < LONGEST {
        thread::sleep(AGAIN);
    }
    Ok(())
}

/// The longer of the two processors' times for additions that do not wait, as a part of that for those that do.
/// On the reference machine 0.25 alone, and 0.35 to 0.5 beside somebody. `None` where nobody has written the additions
/// down.
#[cfg(target_arch = "x86_64")]
pub(crate) fn sharing(cpus: Cpus) -> io::Result<Option<f64>> {
    let other = thread::Builder::new().name("probe".into()).spawn(move || of_one(cpus.server))?;
    let here = of_one(cpus.client);
    let other = other.join().map_err(|_| io::Error::other("the probe's thread panicked"))?;
    Ok(Some(here?.max(other?)))
}

/// As above.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn sharing(_cpus: Cpus) -> io::Result<Option<f64>> {
    Ok(None)
}

/// The median of some batches: an interrupt hits one.
#[cfg(target_arch = "x86_64")]
fn of_one(cpu: usize) -> io::Result<f64> {
    const BATCHES: u32 = 31;

    super::cpus::pin_thread(cpu)?;
    let parts: Vec<f64> = (0..BATCHES).map(|_| batch()).map(|(at_once, in_turn)| at_once / in_turn).collect();
    Ok(crate::stats::quantile::median(&parts))
}

/// Seconds of additions that do not wait and of as many that do; some microseconds each.
#[cfg(target_arch = "x86_64")]
fn batch() -> (f64, f64) {
    use crate::floors::width;

    const TURNS: u32 = 80;

    let time = |work: fn(u32)| {
        let begin = Instant::now();
        work(TURNS);
        begin.elapsed().as_secs_f64()
    };
    (time(width::at_once), time(width::in_turn))
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    /// Whatever else runs, in one of so many batches nothing did.
    #[test]
    fn what_need_not_wait_takes_less() {
        let least = |(one, other): (f64, f64), (at_once, in_turn): (f64, f64)| (one.min(at_once), other.min(in_turn));
        let (at_once, in_turn) = (0..1_000).map(|_| super::batch()).reduce(least).expect("there are some");
        assert!((0.1..0.8).contains(&(at_once / in_turn)), "{at_once} {in_turn}");
    }
}
