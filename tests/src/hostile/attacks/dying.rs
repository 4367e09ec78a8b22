//! Clients that are killed at a chosen point. Each says `ready` there, and waits.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use crate::harness::poll::let_pass;
use crate::hostile::attacks::Attack;
use crate::hostile::ground::Ground;
use crate::hostile::layout::request;
use crate::hostile::link::{JSON, Raw, hears};

fn wait_to_be_killed() -> ! {
    loop {
        let_pass(Duration::from_secs(3600));
    }
}

/// Makes a good call, and then only the first stores of the next.
pub fn stall(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    link.call(0, "echo", b"\"hi\"");
    let stores = link.stores(0, &Raw { method: link.method("echo"), codec: JSON, body: b"\"half written\"" });
    stores.iter().take(ground.step).for_each(|(word, value)| link.store(0, *word, *value));
    if ground.step > stores.len() {
        link.ring();
    }
    ground.say(&format!("ready after {} of {} stores", ground.step.min(stores.len()), stores.len()));
    wait_to_be_killed()
}

/// Sleeps for a call that its handler takes long for.
pub fn asleep(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    let seq = link.post(0, &Raw { method: link.method("sleep_ms"), codec: JSON, body: b"200" });
    link.store(0, request::SLEEP, seq << 8 | 1);
    ground.say("ready");
    wait_to_be_killed()
}

/// Has a call in every slot.
pub fn fill(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    for slot in 0..link.slots {
        link.post(slot, &Raw { method: link.method("sleep_ms"), codec: JSON, body: b"1" });
    }
    ground.say("ready");
    wait_to_be_killed()
}

/// Attaches, and gives its socket to a child that outlives it.
pub fn bequeath(ground: &Ground) -> io::Result<()> {
    let link = ground.attach()?;
    let mut child = Command::new(std::env::current_exe()?);
    let verb = clap::ValueEnum::to_possible_value(&Attack::Inherit).expect("every attack has a name");
    child.arg(verb.get_name()).arg("--socket").arg(ground.path());
    child.stdin(Stdio::from(link.socket.try_clone()?)).spawn()?;
    wait_to_be_killed()
}

/// Holds the socket that is its standard input.
pub fn inherit(ground: &Ground) -> io::Result<()> {
    ground.say("ready");
    let socket = io::stdin();
    poll(&mut [PollFd::new(&socket, PollFlags::IN | PollFlags::RDHUP)], None)?;
    if hears(&socket, Duration::ZERO) {
        ground.say("hung up");
    }
    Ok(())
}
