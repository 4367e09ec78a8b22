//! Attacks on the bytes of requests.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::mm::{Advice, ProtFlags};
use speedysvc_protocol::archive::{self, Buffer};
use speedysvc_protocol::status::Status;

use crate::hostile::ground::Ground;
use crate::hostile::layout::{BUFFER, request};
use crate::hostile::link::{ARCHIVE, JSON, Raw, RawLink};
use crate::hostile::memory::Mapping;

/// Slots that are in use at the same time.
const SLOTS: usize = 8;

/// The arguments of `steady` as an archive: a text of many characters of two bytes.
fn archived(text: &str) -> Vec<u8> {
    let mut buffer = Buffer::new(1 << 20);
    archive::encode(&(archive::Str(text),), &mut buffer).expect("a short text fits");
    buffer.as_slice().to_vec()
}

/// Answers after which a link is left where no rule is broken: the others are lost about as often...
const STAY: u64 = 18 * SLOTS as u64;
/// ...and so long they wait for a new one.
const REST: Duration = Duration::from_millis(100);

/// What is changed without end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The requests.
    Requests,
    /// As much memory, that nobody else sees.
    Elsewhere,
}

/// Calls `steady` with texts, while another thread changes every word and byte that belongs to them but their number.
/// The handler looks at its text several times: what it is given may be anything, but must stay what it is.
pub fn scribble(ground: &Ground, place: Where) -> io::Result<()> {
    let text = "ö".repeat(1500);
    let (json, archive) = (format!("\"{text}\"").into_bytes(), archived(&text));
    let (mut answers, mut right, mut lost, mut flips, mut round) = (0_u64, 0_u64, 0_u64, 0_u64, 0_u64);
    ground.say("began");
    while ground.goes_on(answers) {
        if place == Where::Elsewhere && answers > 0 {
            thread::park_timeout(REST);
        }
        let mut link = ground.attach()?;
        let over = AtomicBool::new(false);
        let shared = Scribbled::of(&link, place);
        thread::scope(|scope| -> io::Result<()> {
            let flipper = scope.spawn(|| shared.flip(&over));
            let raised = Raised(&over);
            while ground.goes_on(answers) {
                round += 1;
                let codec = if round % 2 == 0 { JSON } else { ARCHIVE };
                let body = if codec == JSON { &json } else { &archive };
                let method = link.method("steady");
                (0..SLOTS).for_each(|slot| _ = link.post(slot, &Raw { method, codec, body }));
                let replies: Vec<_> = (0..SLOTS).map_while(|slot| Some((slot, link.wait(slot)?))).collect();
                for (slot, reply) in &replies {
                    if reply.status == Status::Ok {
                        let body = link.inline(*slot, reply.len);
                        if body != b"true" && body != [1] {
                            return Err(io::Error::other(format!("a handler's text changed under it: {body:?}")));
                        }
                        right += 1;
                    }
                }
                answers += replies.len() as u64;
                if place == Where::Elsewhere && answers.is_multiple_of(STAY) {
                    break;
                }
                if replies.len() < SLOTS {
                    // Too much was changed: a grant outside the arena, say. The link is lost, as it should be.
                    lost += 1;
                    answers += 1;
                    break;
                }
            }
            drop(raised);
            flips += flipper.join().expect("the flipper does not panic");
            Ok(())
        })?;
    }
    ground.say(&format!("answers: {answers}, of which results: {right}; links lost: {lost}; flips: {flips}"));
    Ok(())
}

/// Is raised when this goes out of scope, whatever the reason: who waits for it would wait for ever.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is changed: a second mapping of a link's requests, or something as large.
struct Scribbled {
    request: Mapping,
    buffers: Vec<u64>,
}

impl Scribbled {
    fn of(link: &RawLink, place: Where) -> Self {
        let len = link.request.len() as u64;
        let request = match place {
            Where::Requests => Mapping::new(&link.files[0], len, ProtFlags::READ | ProtFlags::WRITE),
            Where::Elsewhere => elsewhere(len),
        };
        let request = request.expect("what was mapped once can be mapped again");
        Self { request, buffers: (0..SLOTS).map(|slot| link.buffer(slot)).collect() }
    }

    fn flip(&self, over: &AtomicBool) -> u64 {
        let mut flips = 0_u64;
        while !over.load(Ordering::Relaxed) {
            for (slot, buffer) in self.buffers.iter().enumerate() {
                let line = crate::hostile::layout::request_line(slot);
                // Bytes of the text and of what says where it is and how long.
                for place in [1, 2, 64, 1000, 2990, 3000, 3001, 3004, 3007] {
                    let word = buffer + place / 8 * 8;
                    self.request.store(word, self.request.load(word) ^ (0xFF << (place % 8 * 8)));
                    flips += 1;
                }
                let head = self.request.load(line + request::HEAD);
                self.request.store(line + request::HEAD, head ^ (1 << (32 + flips % 12)));
                self.request.store(line + request::INLINE, flips);
                self.request.store(line + request::DEADLINE, u64::from(flips.is_multiple_of(3)));
                if flips % 4096 < 9 {
                    self.request.store(line + request::GRANT, flips | (flips << 32));
                }
                flips += 4;
            }
        }
        flips
    }
}

fn elsewhere(len: u64) -> io::Result<Mapping> {
    let file = memfd_create("elsewhere", MemfdFlags::CLOEXEC)?;
    ftruncate(&file, len)?;
    Mapping::new(&file, len, ProtFlags::READ | ProtFlags::WRITE)
}

/// Drops the pages of its arena, and then of its request lines, while calls are under way.
pub fn punch(ground: &Ground) -> io::Result<()> {
    let body = format!("\"{}\"", "x".repeat(3000)).into_bytes();
    let (mut answers, mut lost, mut round) = (0_u64, 0_u64, 0_u64);
    let mut link = ground.attach()?;
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    ground.say("began");
    while ground.goes_on(round) {
        round += 1;
        let (method, codec) = (link.method("echo"), JSON);
        (0..SLOTS).for_each(|slot| link.post_quietly(slot, &Raw { method, codec, body: &body }));
        link.ring();
        let begin = if round % 16 == 0 { 0 } else { crate::hostile::layout::arena(link.slots) };
        fallocate(&link.files[0], mode, begin, link.buffer(SLOTS) - begin)?;
        if round % 8 == 0 {
            link.request.advise(Advice::LinuxRemove)?;
        }
        let heard = (0..SLOTS).map_while(|slot| link.wait_or_give_up(slot)).count();
        answers += heard as u64;
        if heard < SLOTS {
            // A number that has gone back costs the link once a worker looks; one that was never claimed has not.
            if (0..SLOTS).any(|slot| link.went_back(slot)) {
                link.ring();
                link.wait_for_the_end();
                lost += 1;
            }
            link = ground.attach()?;
        }
    }
    ground.say(&format!("answers: {answers}; links lost: {lost}"));
    Ok(())
}

/// Bodies that would take much memory, time or stack if they were believed.
pub fn huge(ground: &Ground) -> io::Result<()> {
    let mut link = ground.attach()?;
    let page = usize::try_from(BUFFER).expect("a page");
    let bodies: [(u8, Vec<u8>); 8] = [
        (JSON, vec![b'['; page]),
        (JSON, b"{\"a\":".repeat(page / 5)),
        (JSON, [b"[".to_vec(), b"1e999999999,".repeat(page / 16)].concat()),
        (JSON, [b"\"".to_vec(), b"\\ud800".repeat(page / 8)].concat()),
        (ARCHIVE, vec![0xFF; page]),
        (ARCHIVE, vec![0x7F; page]),
        (ARCHIVE, 0xFFFF_FFF0_FFFF_FFFF_u64.to_le_bytes().repeat(page / 8)),
        (ARCHIVE, vec![0; page]),
    ];
    let (mut refused, mut round) = (0_u64, 0_u64);
    ground.say("began");
    while ground.goes_on(round) {
        round += 1;
        for method in ["echo", "sum", "steady"] {
            for (codec, body) in &bodies {
                link.post(0, &Raw { method: link.method(method), codec: *codec, body });
                let reply = link.wait(0).ok_or_else(|| io::Error::other("a bad body costs no link"))?;
                refused += u64::from(matches!(reply.status, Status::Failed(..)));
            }
        }
    }
    ground.say(&format!("refused: {refused}"));
    Ok(())
}
