//! As a worker of a supervisor: the control socket is the standard input.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Signal, getpgrp, getpid, getppid, kill_process_group};
use speedysvc_core::StartError;
use speedysvc_protocol::control::WORKER_ENV;
use speedysvc_protocol::service::Service;

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
