//! Attacks with the bell, the one descriptor that a client may write.

use std::io;
use std::thread;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::hostile::ground::Ground;
use crate::hostile::link::{JSON, Raw};

/// Looks at the clock or counter between so many rings.
const BURST: u64 = 1000;
/// Slots with a call each.
const SLOTS: usize = 4;

/// Makes calls whose ring fills the bell, while writes to it wait: whoever writes it now waits until it is drained,
/// which is not before all calls are answered. And then drains it, while reads of it wait.
pub fn abuse(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    let bell = link.files[2].try_clone()?;
    ground.say("began");
    let mut round = 0;
    while ground.goes_on(round) {
        round += 1;
        // The flag lies in the open file, which is the engine's, too.
        fcntl_setfl(&bell, OFlags::NONBLOCK)?;
        match rustix::io::read(&bell, &mut [0_u8; 8][..]) {
            Ok(_) | Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        fcntl_setfl(&bell, OFlags::empty())?;
        // Calls that run long wait in several slots, so that the loop which runs one tells the others of the rest.
        for slot in 0..SLOTS {
            link.post_quietly(slot, &Raw { method: link.method("sleep_ms"), codec: JSON, body: b"1" });
        }
        rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes())?;
        for slot in 0..SLOTS {
            link.wait(slot).ok_or_else(|| io::Error::other("a full bell cost the link"))?;
        }
    }
    fcntl_setfl(&bell, OFlags::NONBLOCK)?;
    ground.say(&format!("rounds: {round}"));
    Ok(())
}

/// Rings from several threads without a pause, and without a request.
pub fn ring(ground: &Ground) -> io::Result<()> {
    const THREADS: u64 = 2;
    let links = (0..THREADS).map(|_| ground.attach()).collect::<io::Result<Vec<_>>>()?;
    ground.say("began");
    thread::scope(|scope| {
        for link in &links {
            scope.spawn(move || {
                let mut rung = 0;
                while ground.goes_on(rung) {
                    (0..BURST).for_each(|_| link.ring());
                    rung += BURST;
                }
            });
        }
    });
    Ok(())
}
