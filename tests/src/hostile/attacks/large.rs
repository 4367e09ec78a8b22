//! Attacks on requests that are large enough to be read where they lie, if their client is trusted.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::mm::ProtFlags;
use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::status::Status;

use crate::hostile::ground::Ground;
use crate::hostile::layout::{self, BUFFER, request};
use crate::hostile::link::{ARCHIVE, JSON, RawLink};
use crate::hostile::memory::Mapping;

/// Bytes of a buffer.
const SIZE: u64 = 64 * 1024;
/// Slots that are in use at the same time.
const SLOTS: usize = 4;
/// The end of an archive, which says where everything is.
const ROOT: u64 = 64;

/// A slot's large buffer in the arena: behind all slots' own ones.
fn place(link: &RawLink, slot: usize) -> u64 {
    link.slots as u64 * BUFFER + slot as u64 * SIZE
}

/// The arguments of `steady` as an archive, which fills a buffer, and as JSON.
fn bodies() -> [(u8, Vec<u8>); 2] {
    let text = "ö".repeat(usize::try_from(SIZE).expect("small") / 2 - 100);
    let mut buffer = Buffer::new(1 << 20);
    archive::encode(&(archive::Str(&text),), &mut buffer).expect("it fits");
    [(ARCHIVE, buffer.as_slice().to_vec()), (JSON, format!("\"{text}\"").into_bytes())]
}

fn post(link: &mut RawLink, slot: usize, method: u16, (codec, body): &(u8, Vec<u8>)) {
    let place = place(link, slot);
    link.request.write(layout::arena(link.slots) + place, body);
    let head = layout::head(method, *codec, false, u32::try_from(body.len()).expect("small"));
    let words = [(request::DEADLINE, 0), (request::HEAD, head), (request::GRANT, layout::grant(place, SIZE))];
    link.post_words(slot, &words);
}

/// What is changed while it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Every byte.
    All,
    /// The bytes of texts, and not what says where they are and how long.
    Texts,
}

/// Calls `steady`, `sum` and `echo_bytes` with large requests that another thread changes meanwhile.
pub fn scribble(ground: &Ground, what: What) -> io::Result<()> {
    let (mut rounds, mut steady, mut changed, mut flips) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut link = ground.attach()?;
    let methods = ["steady", "echo_bytes", "sum"].map(|name| link.method(name));
    // An archive of numbers is no archive of text, and the other way round: both look the same to whoever reads it.
    let over = AtomicBool::new(false);
    let shared = Mapping::new(&link.files[0], link.request.len() as u64, ProtFlags::READ | ProtFlags::WRITE)?;
    let from = layout::arena(link.slots) + place(&link, 0);
    let bodies = bodies();
    let texts = bodies[0].1.len() as u64 - ROOT;
    ground.say("began");
    thread::scope(|scope| -> io::Result<()> {
        let flipper = scope.spawn(|| flip(&shared, from, if what == What::All { SIZE } else { texts }, &over));
        let fought = (|| {
            while ground.goes_on(rounds) {
                rounds += 1;
                let method = methods[usize::try_from(rounds).expect("small") % methods.len()];
                let body = &bodies[usize::from(what == What::All && rounds % 2 == 0)];
                (0..SLOTS).for_each(|slot| post(&mut link, slot, method, body));
                link.ring();
                for slot in 0..SLOTS {
                    let lost = || io::Error::other("bytes of a request cost the link");
                    let reply = link.wait(slot).ok_or_else(lost)?;
                    if reply.status == Status::Ok && method == methods[0] {
                        let body = link.inline(slot, reply.len);
                        let is_steady = body == b"true" || body == [1];
                        steady += u64::from(is_steady);
                        changed += u64::from(!is_steady);
                    }
                }
            }
            Ok(())
        })();
        over.store(true, Ordering::Relaxed);
        flips = flipper.join().expect("the flipper does not panic");
        fought
    })?;
    ground.say(&format!("rounds: {rounds}; steady: {steady}; changed: {changed}; flips: {flips}"));
    Ok(())
}

/// Changes bytes all over the first `len` of each buffer, as long as it is not told to end.
fn flip(shared: &Mapping, from: u64, len: u64, over: &AtomicBool) -> u64 {
    let mut flips = 0_u64;
    while !over.load(Ordering::Relaxed) {
        for slot in 0..SLOTS as u64 {
            for step in 0..64 {
                let place = (flips.wrapping_mul(0x9E37_79B9) + step * 1021 * 8) % (len / 8) * 8;
                let word = from + slot * SIZE + place;
                shared.store(word, shared.load(word) ^ (0xFF << (flips % 8 * 8)));
                flips += 1;
            }
        }
    }
    flips
}

/// Drops the pages under large requests while they are read; shrinking the file is refused.
pub fn punch(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    let methods = ["steady", "echo_bytes", "sum"].map(|name| link.method(name));
    let begin = layout::arena(link.slots) + place(&link, 0);
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let bodies = bodies();
    let (mut rounds, mut answers) = (0_u64, 0_u64);
    ground.say("began");
    while ground.goes_on(rounds) {
        rounds += 1;
        let method = methods[usize::try_from(rounds).expect("small") % methods.len()];
        (0..SLOTS).for_each(|slot| post(&mut link, slot, method, &bodies[slot % 2]));
        link.ring();
        while (0..SLOTS).any(|slot| link.poll(slot).is_none()) {
            fallocate(&link.files[0], mode, begin, SIZE * SLOTS as u64)?;
            if rustix::fs::ftruncate(&link.files[0], begin).is_ok() {
                return Err(io::Error::other("a request segment could be cut off"));
            }
            if link.is_over() {
                return Err(io::Error::other("dropped pages of a payload cost the link"));
            }
        }
        answers += SLOTS as u64;
    }
    ground.say(&format!("answers: {answers}"));
    Ok(())
}

/// Buffers and lengths of large requests that cannot be, each on a link of its own: which cost the link.
pub fn grants(ground: &Ground) -> io::Result<()> {
    ground.say("began");
    let mut round = 0;
    while ground.goes_on(round) {
        round += 1;
        for number in 0..cases(&ground.attach()?).len() {
            let mut link = ground.attach()?;
            let (name, len, grant, costs_the_link) = cases(&link)[number];
            let head = layout::head(link.method("steady"), ARCHIVE, false, 0) | len << 32;
            link.post_words(0, &[(request::HEAD, head), (request::GRANT, grant)]);
            link.ring();
            if costs_the_link {
                link.wait_for_the_end();
                ground.say(&format!("lost for {name}"));
            } else {
                link.wait_for_number(0, link.seq(0));
                ground.say(&format!("answered {name}"));
            }
        }
    }
    Ok(())
}

/// What it is called, the request's length, its grant, and whether that costs the link.
fn cases(link: &RawLink) -> [(&'static str, u64, u64, bool); 9] {
    let (units, end) = (SIZE / 64, link.arena / 64);
    let whole = layout::grant(0, link.arena);
    [
        ("a buffer one unit beyond the end", SIZE, (end - units + 1) | units << 32, true),
        ("a buffer that begins at the end", SIZE, end | units << 32, true),
        ("a buffer larger than the arena", SIZE, (end + 1) << 32, true),
        ("a buffer anywhere", SIZE, u64::from(u32::MAX) | units << 32, true),
        ("a length one byte over its buffer", SIZE + 1, units << 32, true),
        ("a length of 4 GiB in the whole arena", u64::from(u32::MAX), whole, true),
        // These are odd, and harm nobody.
        ("a buffer that ends at the end", SIZE, (end - units) | units << 32, false),
        ("the whole arena as a buffer", SIZE, whole, false),
        ("a length over the limit", link.message_max + 1, whole, false),
    ]
}
