//! The server half: hosting a service, under a supervisor or alone.

mod embedded;
mod listener;
mod logging;
mod supervised;
#[cfg(feature = "tokio")]
mod tokio;

use std::process::ExitCode;
use std::sync::Arc;

use speedysvc_protocol::service::Service;

pub use embedded::{Running, Server, ServerError};
pub use supervised::starting;

/// The runtime for handlers that need one, if this program was built with it.
fn runtime() -> Option<Arc<dyn speedysvc_core::Runtime>> {
    #[cfg(feature = "tokio")]
    return Some(Arc::new(tokio::Tokio::default()));
    #[cfg(not(feature = "tokio"))]
    None
}

/// Runs a future to its end in a tokio runtime of its own, where it is made.
///
/// # Errors
/// Why there is no runtime.
#[cfg(feature = "tokio")]
pub(crate) fn run_in_tokio<F: Future>(begin: impl FnOnce() -> F) -> Result<F::Output, String> {
    tokio::run(begin)
}

/// Hosts a service until the process is asked to end: as a worker when a supervisor started this program, else alone,
/// on `shm://NAME` with the name of the service. The whole `main` of a service:
///
/// ```no_run
/// # #[speedysvc::service]
/// # trait Echo { fn echo(&self, text: &str) -> String; }
/// # struct MyEcho;
/// # #[speedysvc::service]
/// # impl Echo for MyEcho { fn echo(&self, text: &str) -> String { text.to_owned() } }
/// fn main() -> std::process::ExitCode {
///     speedysvc::serve(MyEcho)
/// }
/// ```
///
/// Alone it also listens on the address in `SPEEDYSVC_LISTEN`, when that is set. What goes wrong is said on
/// standard error; the code is 69 when the service's name or port is taken, and 1 for everything else.
///
/// What the service logs with `tracing` goes to the supervisor's log with its level and call, or alone to standard
/// error, unless the service has installed a subscriber of its own.
pub fn serve<S: Service>(service: S) -> ExitCode {
    logging::install();
    if supervised::is_worker() {
        return supervised::serve(Arc::new(service));
    }
    let mut server = Server::new(service);
    if let Ok(address) = std::env::var("SPEEDYSVC_LISTEN") {
        server = server.listen(&address);
    }
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speedysvc: {error}");
            ExitCode::from(if matches!(error, ServerError::Taken(_) | ServerError::Bind { .. }) { 69 } else { 1 })
        }
    }
}
