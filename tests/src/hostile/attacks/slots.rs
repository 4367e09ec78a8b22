//! Attacks with more of what everybody may do.

use std::io;

use rustix::process::Resource;
use speedysvc_protocol::status::{Code, Outcome, Status};

use crate::harness::{proc, wait_for};
use crate::hostile::ground::Ground;
use crate::hostile::link::{JSON, Raw, RawLink, RawReply};
use crate::test_service::TestServiceClient;

/// One call, as anybody would make it.
pub fn visit(ground: &Ground) -> io::Result<()> {
    ground.say("began");
    let reply = ground.attach()?.call(0, "echo", b"\"hi\"");
    match reply {
        Some(reply) if reply.status == Status::Ok => Ok(()),
        other => Err(io::Error::other(format!("a plain call was answered with {other:?}"))),
    }
}

/// Attaches as programs do, by the client library, where this process has no memory left for a link; and with what it
/// had before.
pub fn poor(ground: &Ground) -> io::Result<()> {
    let (me, address) = (std::process::id(), format!("shm://{}", ground.path().display()));
    ground.say("began");
    // Less than the arena of a link, and enough for everything else.
    let before = proc::limit(me, Resource::As, Some(proc::mapped_bytes(me) + (16 << 20)));
    match TestServiceClient::connect(&address) {
        Ok(_) => return Err(io::Error::other("there was memory")),
        Err(error) => ground.say(&format!("refused: {error}")),
    }
    proc::limit(me, Resource::As, before);
    let answer = TestServiceClient::connect(&address).and_then(|client| client.echo("hi"));
    answer.map(drop).map_err(io::Error::other)
}

/// Attaches once a round, asks in every slot, and reads no answer; half of the answers do not fit, and are never
/// fetched. Holds on to all of it, until its time is over if it has one.
pub fn hoard(ground: &Ground) -> io::Result<()> {
    let mut held: Vec<RawLink> = Vec::new();
    let mut refused = 0_u64;
    ground.say("began");
    while held.len() as u64 + refused < ground.rounds() {
        match ground.attach() {
            Ok(mut link) => {
                for slot in 0..link.slots {
                    let (name, body) = if slot % 2 == 0 { ("echo", &b"\"hi\""[..]) } else { ("big", &b"100000"[..]) };
                    link.post(slot, &Raw { method: link.method(name), codec: JSON, body });
                }
                held.push(link);
            }
            Err(_) => refused += 1,
        }
    }
    // All was answered, or refused for want of room, though nobody looks.
    for link in &held {
        for slot in 0..link.slots {
            if link.wait(slot).is_none() {
                return Err(io::Error::other("a link was lost without a rule broken"));
            }
        }
    }
    ground.say(&format!("links: {}; refused: {refused}", held.len()));
    wait_for("the end of its time", || !ground.goes_on(u64::MAX));
    Ok(())
}

/// Asks for what does not fit, and fetches nothing of it, until no more is held for it. Keeps that for its time, if it
/// has one.
pub fn leave_unfetched(ground: &Ground) -> io::Result<()> {
    const FULL: Status = Status::Failed(Code::ResourceExhausted, Outcome::Done);
    let mut link = ground.attach()?;
    ground.say("began");
    let (mut held, mut slots) = (0, 0..link.slots);
    loop {
        let slot = slots.next().ok_or_else(|| io::Error::other(format!("{held} bytes are held, and there is room")))?;
        match link.call(slot, "big", b"100000") {
            Some(RawReply { status: Status::Need, len }) => held += u64::from(len),
            Some(RawReply { status: FULL, .. }) => break,
            other => return Err(io::Error::other(format!("held {held}, and then answered with {other:?}"))),
        }
    }
    ground.say(&format!("held: {held}"));
    wait_for("the end of its time", || !ground.goes_on(u64::MAX));
    Ok(())
}

/// Keeps so many slots of so many links busy: a new call as soon as one is answered.
pub fn flood(ground: &Ground, links: usize, slots: usize, (method, json): (&str, &str)) -> io::Result<()> {
    let mut links = (0..links).map(|_| ground.attach()).collect::<io::Result<Vec<_>>>()?;
    let mut answers = 0;
    for link in &mut links {
        for slot in 0..link.slots.min(slots) {
            link.post(slot, &Raw { method: link.method(method), codec: JSON, body: json.as_bytes() });
        }
    }
    ground.say("began");
    while ground.goes_on(answers) {
        for link in &mut links {
            let mut posted = false;
            for slot in 0..link.slots.min(slots) {
                if link.poll(slot).is_some() {
                    answers += 1;
                    posted = true;
                    link.post_quietly(slot, &Raw { method: link.method(method), codec: JSON, body: json.as_bytes() });
                }
            }
            if posted {
                link.ring();
            } else if link.is_over() {
                return Err(io::Error::other("a link was lost without a rule broken"));
            }
        }
    }
    ground.say(&format!("answers: {answers}"));
    Ok(())
}
