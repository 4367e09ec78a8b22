//! Clients that are killed at a chosen point. Each says `ready` there, and waits.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::geteuid;
use speedysvc_protocol::status::Status;

use crate::harness::poll::let_pass;
use crate::hostile::attacks::Attack;
use crate::hostile::ground::Ground;
use crate::hostile::layout::request;
use crate::hostile::link::{JSON, Raw, RawLink};

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

/// Attaches, and gives its link to a child that outlives it: its own user's, or another's.
pub fn bequeath(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    link.call(0, "echo", b"\"hi\"");
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut child = Command::new(std::env::current_exe()?);
    let verb = clap::ValueEnum::to_possible_value(&Attack::Inherit).expect("every attack has a name");
    child.arg(verb.get_name()).args(["--step", &ground.step.to_string()]).stdin(Stdio::from(theirs));
    if let Some(heir) = ground.heir {
        child.uid(heir).gid(heir);
    }
    child.spawn()?;
    link.bequeath(&ours)?;
    wait_to_be_killed()
}

/// Calls on the link that comes over its standard input, and waits until that is hung up; with a step, it breaks a rule
/// before.
pub fn inherit(ground: &Ground) -> io::Result<()> {
    let mut link = RawLink::inherit(io::stdin())?;
    let reply = link.call(0, "echo", b"\"hi\"");
    if reply.is_none_or(|reply| reply.status != Status::Ok) {
        return Err(io::Error::other(format!("a call on another's link was answered with {reply:?}")));
    }
    ground.say(&format!("ready: called as user {}", geteuid().as_raw()));
    if ground.step > 0 {
        link.store(0, request::SEQ, 0);
        link.ring();
    }
    poll(&mut [PollFd::new(&link.socket, PollFlags::IN | PollFlags::RDHUP)], None)?;
    if link.is_over() {
        ground.say("hung up");
    }
    Ok(())
}
