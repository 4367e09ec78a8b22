//! Attacks on the rendezvous socket.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use speedysvc_protocol::hello::Hello;

use crate::harness::PATIENCE;
use crate::hostile::ground::Ground;
use crate::hostile::link::hears;

/// Most descriptors that the kernel takes in one message.
const RIGHTS_MAX: usize = 253;

/// Connects, and says nothing, or half of something, or something else; holds on to all of it.
pub fn mute(ground: &Ground) -> io::Result<()> {
    let hello = serde_json::to_vec(&Hello::by_name("", "echo"))?;
    let words: [&[u8]; 5] = [b"", &hello[..hello.len() / 2], b"GET / HTTP/1.1\r\n\r\n", &[0xFF; 4096], b"{}"];
    let mut held = Vec::new();
    ground.say("began");
    while ground.goes_on(held.len() as u64) {
        let socket = ground.connect()?;
        let word = words[held.len() % words.len()];
        if !word.is_empty() {
            rustix::net::send(&socket, word, SendFlags::NOSIGNAL)?;
        }
        held.push(socket);
    }
    let spoken = held.iter().enumerate().filter(|(place, _)| place % words.len() != 0);
    let hung_up = spoken.filter(|(_, socket)| hears(socket, PATIENCE)).count();
    ground.say(&format!("connected: {}; hung up on: {hung_up}", held.len()));
    Ok(())
}

/// Connects, says nothing and holds on to all of it, where there is room for `step`: which ones were hung up on.
pub fn silent(ground: &Ground) -> io::Result<()> {
    ground.say("began");
    let held = (0..ground.rounds()).map(|_| ground.connect()).collect::<io::Result<Vec<_>>>()?;
    let (first, last) = held.split_at(held.len().saturating_sub(ground.step));
    // Who goes does so when another is accepted: with the last of these all others have been.
    let gone = first.iter().filter(|socket| hears(socket, PATIENCE)).count();
    let others = last.iter().filter(|socket| hears(socket, Duration::ZERO)).count();
    ground.say(&format!("first: {}; hung up on: {gone}; and of those after them: {others}", first.len()));
    Ok(())
}

/// Connects again and again, and holds on to as many as its descriptors allow.
pub fn connects(ground: &Ground) -> io::Result<()> {
    let mut held = Vec::new();
    let (mut round, mut refused) = (0_u64, 0_u64);
    ground.say("began");
    while ground.goes_on(round) {
        round += 1;
        match ground.connect() {
            Ok(socket) => held.push(socket),
            Err(_) => refused += 1,
        }
        if held.len() == 900 {
            held.clear();
        }
    }
    ground.say(&format!("connects: {round}, of which failed: {refused}"));
    Ok(())
}

/// Attaches and leaves again, without a call.
pub fn attaches(ground: &Ground) -> io::Result<()> {
    let mut round = 0_u64;
    ground.say("began");
    while ground.goes_on(round) {
        round += 1;
        drop(ground.attach()?);
    }
    ground.say(&format!("attached: {round}"));
    Ok(())
}

/// One of each kind that a server might be foolish enough to map or to wait for.
fn kinds() -> io::Result<Vec<OwnedFd>> {
    let (read, write) = rustix::pipe::pipe()?;
    let unsealed = rustix::fs::memfd_create("hostile", MemfdFlags::CLOEXEC)?;
    let zero: OwnedFd = File::open("/dev/zero")?.into();
    let folder: OwnedFd = File::open("/proc/self")?.into();
    Ok(vec![read, write, unsealed, zero, folder])
}

fn send_with(socket: &OwnedFd, text: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RIGHTS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(files)), "the space is for the most");
    loop {
        match sendmsg(socket, &[IoSlice::new(text)], &mut ancillary, SendFlags::NOSIGNAL) {
            // The kernel counts what was sent and not received yet, on the sender's account: as many as it may open.
            Err(Errno::TOOMANYREFS) => std::thread::yield_now(),
            sent => return sent.map(drop).map_err(Into::into),
        }
    }
}

/// Greets with descriptors, 253 at a time, and sends more of them behind the greeting.
pub fn descriptors(ground: &Ground) -> io::Result<()> {
    let hello = serde_json::to_vec(&Hello::by_name("", "echo"))?;
    let kinds = kinds()?;
    let files: Vec<BorrowedFd<'_>> = kinds.iter().map(AsFd::as_fd).cycle().take(RIGHTS_MAX).collect();
    let (mut round, mut sent, mut lost) = (0_u64, 0, 0);
    ground.say("began");
    while ground.goes_on(round) {
        round += 1;
        let socket = ground.connect()?;
        send_with(&socket, &hello, &files)?;
        sent += files.len();
        // The welcome, whose descriptors are dropped here.
        hears(&socket, PATIENCE);
        rustix::net::recv(&socket, &mut [0_u8; 65536][..], rustix::net::RecvFlags::empty())?;
        // More, until the broker hangs up.
        while send_with(&socket, b"more", &files).is_ok() {
            sent += files.len();
        }
        lost += 1;
    }
    ground.say(&format!("descriptors sent: {sent}; links lost: {lost}"));
    Ok(())
}
