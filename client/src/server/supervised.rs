//! As a worker of a supervisor: the control socket is the standard input.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;

use speedysvc_core::StartError;
use speedysvc_protocol::control::WORKER_ENV;
use speedysvc_protocol::service::Service;

pub(super) fn is_worker() -> bool {
    std::env::var_os(WORKER_ENV).is_some()
}

pub(super) fn serve(service: Arc<dyn Service>) -> ExitCode {
    let ended = control_socket().map_err(|error| StartError::Control(error.to_string())).and_then(|control| {
        // Without them a SIGTERM from elsewhere ends this process at once, which the supervisor would call a crash.
        let signals = speedysvc_core::signals::asked_to_end().ok();
        speedysvc_core::serve(service, control, signals.as_ref())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speedysvc: {error}");
            ExitCode::FAILURE
        }
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
