//! A worker that kills itself between any two of the stores by which it takes and answers a call.
//!
//! It is started by the supervisor like any other, and speaks to the broker as they do. The next one, which finds the
//! marker that this one left, is an honest worker.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::ProtFlags;
use rustix::process::{Signal, getpid, kill_process};
use speedysvc_protocol::archive::{self, Buffer, Bytes};
use speedysvc_protocol::control::{Order, Report};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::status::Status;

use super::layout::{arena, claim, reply, reply_line, request, request_line};
use super::memory::Mapping;
use crate::harness::wait_for;
use crate::test_service::Obedient;

/// What the worker that dies answers: `pid`, or `big` with bytes that no honest worker answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Reply {
    /// In the slot's line.
    Inline,
    /// In the buffer that the client has granted.
    Arena,
    /// That it does not fit, and lies in this worker until it is fetched.
    Need,
}

impl Reply {
    /// After how many stores the call is its own: before, another takes it.
    pub const CLAIMED: usize = 2;
    /// Bytes of a reply in the arena.
    pub const LEN: usize = 2000;
    /// What all of them are.
    pub const BYTE: u8 = 0xB1;

    /// How many stores there are: after the last it is answered.
    #[must_use]
    pub fn stores(self) -> usize {
        match self {
            Self::Inline => 7,
            Self::Arena => 8,
            Self::Need => 6,
        }
    }
}

/// Serves honestly if `marker` is there; else makes it, and dies after `step` stores of the first call's answer.
#[must_use]
pub fn serve(marker: &Path, reply: Reply, step: usize) -> ExitCode {
    if File::options().write(true).create_new(true).open(marker).is_err() {
        return speedysvc::serve(Obedient);
    }
    match die_at(reply, step) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the worker that should die lives: {error}");
            ExitCode::FAILURE
        }
    }
}

fn die_at(reply: Reply, step: usize) -> io::Result<()> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let Order::Start(start) = order(&control)?.0 else { return Err(io::Error::other("no start order")) };
    let why = "it is a test".to_owned();
    let ready = Report::Ready { contract: Obedient.contract().clone(), driver: "none".to_owned(), why };
    handover::send(&control, &ready, &[])?;
    let (Order::Link { geometry, .. }, files) = order(&control)? else { return Err(io::Error::other("no link")) };
    let both = ProtFlags::READ | ProtFlags::WRITE;
    let requests = Mapping::new(&files[0], geometry.request_segment(), both)?;
    let replies = Mapping::new(&files[1], geometry.reply_segment(), both)?;
    wait_for("a client that sleeps", || requests.load(request_line(0) + request::SLEEP) == (1 << 8 | 1));
    let dying = Dying { requests, replies, geometry, me: start.incarnation.0.get(), done: Cell::new(0), step };
    dying.answer(reply);
    Ok(())
}

fn order(control: &OwnedFd) -> io::Result<(Order, Vec<OwnedFd>)> {
    poll(&mut [PollFd::new(control, PollFlags::IN)], None)?;
    handover::receive(control, 20)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// A worker that has the first call of the first slot, and dies after `step` stores.
struct Dying {
    requests: Mapping,
    replies: Mapping,
    geometry: Geometry,
    me: u16,
    done: Cell<usize>,
    step: usize,
}

impl Dying {
    /// All stores by which a worker answers a call that it takes (`docs/protocol.md`, section 9; decisions 0079 and
    /// 0080).
    fn answer(&self, reply: Reply) {
        let line = reply_line(self.geometry.slots(), 0);
        // The reply's line is taken before there is a request: by an exchange that changes nothing.
        let owner = self.replies.load(line + reply::OWNER);
        self.store(|| assert!(self.replies.swap(line + reply::OWNER, owner, owner), "nobody else is there"));
        let mine = 1 | u64::from(self.me) << 48;
        self.store(|| assert!(self.replies.swap(claim(0), 0, mine), "nobody else is there"));
        // And once more when the call is claimed: by a store, as the line is this worker's by now.
        self.word(line + reply::OWNER, self.me.into());
        let (status, len) = match reply {
            Reply::Inline => (Status::Ok, 4),
            Reply::Arena => (Status::Ok, self.bytes().len()),
            Reply::Need => (Status::Need, 1 << 20),
        };
        if reply == Reply::Arena {
            let (bytes, half) = (self.bytes(), Reply::LEN / 2);
            self.store(|| self.requests.write(self.granted(), &bytes[..half]));
            self.store(|| self.requests.write(self.granted(), &bytes));
        }
        self.word(line + reply::HEAD, u64::from(status.to_wire()) | (len as u64) << 32);
        self.word(line + reply::OWNER, self.me.into());
        if reply == Reply::Inline {
            self.word(line + reply::INLINE, std::process::id().into());
        }
        self.word(line + reply::SEQ, 1);
        assert_eq!(self.done.get(), reply.stores(), "a test goes as far as this, and no further");
        self.or_die();
    }

    fn bytes(&self) -> Vec<u8> {
        let mut buffer = Buffer::new(1 << 20);
        archive::encode(&Bytes(&[Reply::BYTE; Reply::LEN]), &mut buffer).expect("it fits");
        buffer.as_slice().to_vec()
    }

    /// Where the buffer lies that came with the request.
    fn granted(&self) -> u64 {
        let grant = self.requests.load(request_line(0) + request::GRANT);
        arena(self.geometry.slots()) + (grant & u64::from(u32::MAX)) * 64
    }

    fn word(&self, place: u64, value: u64) {
        self.store(|| self.replies.store(place, value));
    }

    fn store(&self, store: impl FnOnce()) {
        self.or_die();
        store();
        self.done.set(self.done.get() + 1);
    }

    fn or_die(&self) {
        if self.done.get() == self.step {
            // Of all ways the one that leaves no last word.
            kill_process(getpid(), Signal::KILL).expect("it is this process");
        }
    }
}
