//! Attacks with the bell, the one descriptor that a client may write.

use std::io;
use std::thread;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::hostile::ground::Ground;
use crate::hostile::link::{JSON, Raw, RawLink};

/// Looks at the clock or counter between so many rings.
const BURST: u64 = 1000;
/// Threads that ring.
const RINGERS: usize = 2;
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
        post_long_calls(&mut link);
        rustix::io::write(&bell, &(u64::MAX - 1).to_ne_bytes())?;
        wait_for_all(&link)?;
    }
    fcntl_setfl(&bell, OFlags::NONBLOCK)?;
    ground.say(&format!("rounds: {round}"));
    Ok(())
}

/// Makes the same calls, and does nothing else.
pub fn call(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    ground.say("began");
    let mut round = 0;
    while ground.goes_on(round) {
        round += 1;
        post_long_calls(&mut link);
        link.ring();
        wait_for_all(&link)?;
    }
    Ok(())
}

/// Calls that run long wait in several slots, so that the loop which runs one tells the others of the rest.
fn post_long_calls(link: &mut RawLink) {
    for slot in 0..SLOTS {
        link.post_quietly(slot, &Raw { method: link.method("sleep_ms"), codec: JSON, body: b"1" });
    }
}

fn wait_for_all(link: &RawLink) -> io::Result<()> {
    let answered = (0..SLOTS).all(|slot| link.wait(slot).is_some());
    if answered { Ok(()) } else { Err(io::Error::other("the link was lost, and no rule broken")) }
}

/// Rings from several threads without a pause, and without a request.
pub fn ring(ground: &Ground) -> io::Result<()> {
    let links = (0..RINGERS).map(|_| ground.attach()).collect::<io::Result<Vec<_>>>()?;
    ground.say("began");
    without_a_pause(ground, &links, RawLink::ring);
    Ok(())
}

/// The same with bells that nobody hears.
pub fn ring_own(ground: &Ground) -> io::Result<()> {
    let bells = (0..RINGERS).map(|_| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK));
    let bells = bells.collect::<Result<Vec<_>, _>>()?;
    ground.say("began");
    // As with those of links, a full one has rung.
    without_a_pause(ground, &bells, |bell| _ = rustix::io::write(bell, &1_u64.to_ne_bytes()));
    Ok(())
}

fn without_a_pause<T: Sync>(ground: &Ground, bells: &[T], ring: impl Fn(&T) + Sync) {
    let ring = &ring;
    thread::scope(|scope| {
        for bell in bells {
            scope.spawn(move || {
                let mut rung = 0;
                while ground.goes_on(rung) {
                    (0..BURST).for_each(|_| ring(bell));
                    rung += BURST;
                }
            });
        }
    });
}
