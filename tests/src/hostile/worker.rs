//! A worker that kills itself between any two of the stores by which it takes and answers a call.
//!
//! It is started by the supervisor like any other, and speaks to the broker as they do. The next one, which finds the
//! marker that this one left, is an honest worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mm::ProtFlags;
use rustix::process::{Signal, getpid, kill_process};
use speedysvc_protocol::control::{Order, Report};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::status::Status;

use super::layout::{claim, reply, reply_line, request, request_line};
use super::memory::Mapping;
use crate::harness::wait_for;
use crate::test_service::Obedient;

/// How many points there are to die at: before the claim, after it, and after each store of the reply.
pub const STEPS: usize = 6;

/// Serves honestly if `marker` is there; else makes it, and dies after `step` stores of the first call's answer.
#[must_use]
pub fn serve(marker: &Path, step: usize) -> ExitCode {
    if File::options().write(true).create_new(true).open(marker).is_err() {
        return speedysvc::serve(Obedient);
    }
    match die_at(step) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the worker that should die lives: {error}");
            ExitCode::FAILURE
        }
    }
}

fn die_at(step: usize) -> io::Result<()> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let Order::Start(start) = order(&control)?.0 else { return Err(io::Error::other("no start order")) };
    let why = "it is a test".to_owned();
    let ready = Report::Ready { contract: Obedient.contract().clone(), driver: "none".to_owned(), why };
    handover::send(&control, &ready, &[])?;
    let (Order::Link { geometry, .. }, files) = order(&control)? else { return Err(io::Error::other("no link")) };
    let both = ProtFlags::READ | ProtFlags::WRITE;
    let requests = Mapping::new(&files[0], geometry.request_segment(), both)?;
    let replies = Mapping::new(&files[1], geometry.reply_segment(), both)?;
    answer(&requests, &replies, geometry, start.incarnation.0.get(), step);
    Ok(())
}

fn order(control: &OwnedFd) -> io::Result<(Order, Vec<OwnedFd>)> {
    poll(&mut [PollFd::new(control, PollFlags::IN)], None)?;
    handover::receive(control, 20)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Takes the first call of the first slot, once its client sleeps for the answer, and dies on the way.
fn answer(requests: &Mapping, replies: &Mapping, geometry: Geometry, me: u16, step: usize) {
    let (request, line) = (request_line(0), reply_line(geometry.slots(), 0));
    wait_for("a client that sleeps", || requests.load(request + request::SLEEP) == (1 << 8 | 1));
    let mut stores = 0;
    let mut or_die = || {
        if stores == step {
            // Of all ways the one that leaves no last word.
            kill_process(getpid(), Signal::KILL).expect("it is this process");
        }
        stores += 1;
    };
    let pid: u64 = std::process::id().into();
    or_die();
    assert!(replies.swap(claim(0), 0, 1 | u64::from(me) << 48), "nobody else is there");
    for (word, value) in [
        (reply::HEAD, u64::from(Status::Ok.to_wire()) | 4 << 32),
        (reply::OWNER, me.into()),
        (reply::INLINE, pid),
        (reply::SEQ, 1),
    ] {
        or_die();
        replies.store(line + word, value);
    }
    or_die();
}
