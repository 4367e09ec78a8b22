//! Attacks on the control words of requests.

use std::io;

use speedysvc_protocol::status::Status;

use crate::hostile::ground::Ground;
use crate::hostile::layout::{self, BUFFER, request};
use crate::hostile::link::{JSON, RawLink};

/// Indexes below this may be real methods, of which some end their worker when asked.
const METHODS: u64 = 64;

/// Every head word that names no method: all indexes, codecs and flags. Each is answered, and none costs the link.
pub fn heads(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    let (mut round, mut answers) = (0_u64, 0_u64);
    ground.say("began");
    while ground.goes_on(round) {
        let slots = link.slots;
        for slot in 0..slots {
            let number = round + slot as u64;
            let method = (METHODS + number) % (1 << 16);
            let codec = [JSON, 1, 0, 3, 255][usize::try_from(number % 5).expect("small")];
            let flags = number.wrapping_mul(0x9E37_79B9) >> 8 & 0xFF;
            let len = [0, 1, 40, 41, BUFFER][usize::try_from(number % 7 % 5).expect("small")];
            let method = if method < METHODS { method + METHODS } else { method };
            let head = method | u64::from(codec) << 16 | flags << 24 | len << 32;
            link.post_words(slot, &[(request::HEAD, head), (request::GRANT, layout::grant(0, BUFFER))]);
        }
        link.ring();
        for slot in 0..slots {
            let reply = link.wait(slot).ok_or_else(|| io::Error::other("a head that means nothing cost the link"))?;
            if !matches!(reply.status, Status::Failed(..)) {
                return Err(io::Error::other(format!("there is such a method: {reply:?}")));
            }
            answers += 1;
        }
        round += slots as u64;
    }
    ground.say(&format!("answers: {answers}"));
    Ok(())
}

/// A broken rule: what it is called, the words that break it, and whether it costs the link.
type Lie = (&'static str, Vec<(u64, u64)>, bool);

fn lies_of(link: &RawLink) -> Vec<Lie> {
    let (echo, seq, end) = (link.method("echo"), link.seq(0), link.arena / 64);
    let posted = |head: u64, grant: u64| vec![(request::HEAD, head), (request::GRANT, grant), (request::SEQ, seq + 1)];
    let long = |len: u64| layout::head(echo, JSON, false, 0) | len << 32;
    let page = layout::grant(0, BUFFER);
    vec![
        ("a number of zero", vec![(request::SEQ, 0)], true),
        ("a number that went back", vec![(request::SEQ, seq - 1)], true),
        ("a number of 49 bits", vec![(request::SEQ, 1 << 48)], true),
        ("a number of all ones", vec![(request::SEQ, u64::MAX)], true),
        ("a grant of all ones", posted(long(41), u64::MAX), true),
        ("a grant at the end", posted(long(41), end | 1 << 32), true),
        ("a grant one unit too large", posted(long(41), (end + 1) << 32), true),
        ("a length over its grant", posted(long(BUFFER + 1), page), true),
        ("a length of 4 GiB", posted(long(u64::from(u32::MAX)), page), true),
        ("a length without a grant", posted(long(41), 0), true),
        // These are odd, and harm nobody.
        ("a number far ahead", vec![(request::SEQ, (1 << 48) - 1)], false),
        ("a cancel of all ones", [vec![(request::CANCEL, u64::MAX)], posted(long(0), page)].concat(), false),
        ("a sleep of all ones", [vec![(request::SLEEP, u64::MAX)], posted(long(0), page)].concat(), false),
        ("a sleep for another call", [vec![(request::SLEEP, 7 << 8 | 1)], posted(long(0), page)].concat(), false),
        ("a deadline in the past", [vec![(request::DEADLINE, 1)], posted(long(0), page)].concat(), false),
        ("a fetch from nobody", posted(layout::head(0, 0, true, 0), page), false),
        ("a fetch from a loop that never was", posted(layout::head(u16::MAX, 0, true, 0), page), false),
        ("a fetch of what was never held", posted(layout::head(1, 0, true, 0), page), false),
    ]
}

/// Breaks each rule once, and says whether it cost the link.
pub fn lies(ground: &Ground) -> io::Result<()> {
    let count = { lies_of(&good(ground)?).len() };
    ground.say("began");
    let mut round = 0;
    while ground.goes_on(round) {
        round += 1;
        for number in 0..count {
            let link = good(ground)?;
            let (name, words, costs_the_link) = lies_of(&link).swap_remove(number);
            words.iter().for_each(|(word, value)| link.store(0, *word, *value));
            link.ring();
            if costs_the_link {
                link.wait_for_the_end();
                ground.say(&format!("lost for {name}"));
            } else {
                let seq = words.iter().rev().find(|(word, _)| *word == request::SEQ).map(|(_, seq)| *seq);
                link.wait_for_number(0, seq.expect("it was posted"));
                ground.say(&format!("answered {name}"));
            }
        }
    }
    Ok(())
}

/// A link on which one good call was made.
fn good(ground: &Ground) -> io::Result<RawLink> {
    let mut link = ground.attach()?;
    let reply = link.call(0, "echo", b"\"hi\"");
    let is_good = reply.is_some_and(|reply| reply.status == Status::Ok);
    if is_good { Ok(link) } else { Err(io::Error::other(format!("a good call failed: {reply:?}"))) }
}
