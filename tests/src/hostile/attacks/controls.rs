//! What attacks are compared with.

use std::hint;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::hostile::ground::Ground;

/// Burns the share of a processor that it was given, and touches nothing. It is spread over the time as evenly as an
/// attack's that waits for each answer: an idle processor takes longer to wake.
pub fn spin(ground: &Ground) -> io::Result<()> {
    const TURNS: u64 = 1 << 8;
    const REST: Duration = Duration::from_micros(200);
    ground.say("began");
    let (begin, burnt_before) = (Instant::now(), burnt());
    let mut round = 0;
    while ground.goes_on(round) {
        round += 1;
        let due = begin.elapsed().mul_f64(ground.share);
        if ground.share >= 1.0 || burnt() - burnt_before < due {
            (0..TURNS).for_each(|_| hint::spin_loop());
        } else {
            thread::park_timeout(REST);
        }
    }
    Ok(())
}

/// What this thread has had of a processor.
fn burnt() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it does not run backwards")
}
