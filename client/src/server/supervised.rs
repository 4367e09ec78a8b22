//! As a worker of a supervisor: the control socket is the standard input.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, getpgrp, getpid, getppid, kill_process_group};
use speedysvc_core::StartError;
use speedysvc_protocol::control::{Report, WORKER_ENV};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::handover;

/// Longest text about a start, in characters.
const WHAT_MAX: usize = 200;

pub(super) fn is_worker() -> bool {
    std::env::var_os(WORKER_ENV).is_some()
}

pub(super) fn serve(service: Arc<dyn Service>) -> ExitCode {
    let supervisor = getppid();
    let ended = control_socket().map_err(|error| StartError::Control(error.to_string())).and_then(|control| {
        // Without them a SIGTERM from elsewhere ends this process at once, which the supervisor would call a crash.
        let signals = speedysvc_core::signals::asked_to_end().ok();
        speedysvc_core::serve(service, control, signals.as_ref(), super::runtime())
    });
    if getppid() != supervisor {
        end_children();
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speedysvc: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says that this program needs longer until it serves than `start_timeout` in its service's file allows: at most
/// `more` from now. For a `main` that loads something large before it calls [`crate::serve`]. It may be said as often
/// as there is news, and never makes the time shorter; `what` is shown in `ctl status`. Say it with times in which
/// there will surely be news: who hangs says nothing more, and is ended and started anew when its time is over. One
/// word is good for an hour at most.
///
/// Without a supervisor, and once the service is ready, it does nothing.
///
/// ```no_run
/// # use std::time::Duration;
/// for part in 0..100 {
///     speedysvc::starting(Duration::from_secs(20), &format!("loading the index, {part} %"));
///     // ... load it
/// }
/// ```
pub fn starting(more: Duration, what: &str) {
    if !is_worker() {
        return;
    }
    let more_us = u64::try_from(more.as_micros()).unwrap_or(u64::MAX);
    let report = Report::Starting { more_us, what: what.chars().take(WHAT_MAX).collect() };
    // Until we serve the control socket is the standard input. When it is full there are words of ours in it.
    let _unheard = handover::send(io::stdin(), &report, &[]);
}

/// The supervisor has died: nobody else ends what handlers have started. This process itself has been told to end
/// anyway.
fn end_children() {
    if getpgrp() == getpid() {
        // It cannot fail: we are in the group.
        let _never = kill_process_group(getpid(), Signal::TERM);
    }
}

/// Takes the control socket, and leaves an empty input behind: a handler that reads its input, or a program that it
/// starts, must not eat the supervisor's orders.
fn control_socket() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(control)
}
