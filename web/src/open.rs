//! From settings to a dashboard that is open.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use speedysvc_config::{Config, Web};
use speedysvc_protocol::control::operator::SOCKET_NAME;
use tokio::runtime;
use tokio::sync::oneshot;

use crate::app::App;
use crate::control::Control;
use crate::guard::{Guard, Hosts, Token};
use crate::history::{History, replace};
use crate::{Sight, TokenError, keep, moment, routes, server};

/// A dashboard. Dropping it leaves it open until the process ends.
pub struct Open {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// Why there is none.
#[derive(Debug)]
pub enum OpenError {
    /// Something else has the address.
    Taken {
        /// Which.
        address: SocketAddr,
        /// Whether the file names it.
        is_written: bool,
    },
    /// The token's file is wrong.
    Token(TokenError),
    /// The kernel refuses.
    Machine {
        /// The dashboard's address.
        address: SocketAddr,
        /// What it says.
        source: io::Error,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { address, .. } => {
                let remedy = "`listen` in [web] names another address, or false for no dashboard";
                write!(f, "{address} is taken: `ss -ltnp 'sport = :{}'` shows by whom; {remedy}", address.port())
            }
            Self::Token(error) => error.fmt(f),
            Self::Machine { address, source } => write!(f, "the dashboard cannot listen on {address}: {source}"),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Taken { .. } => None,
            Self::Token(error) => Some(error),
            Self::Machine { source, .. } => Some(source),
        }
    }
}

/// Opens the dashboard that the settings ask for; `None` when they ask for none.
///
/// # Errors
/// [`OpenError`]; nothing is open then.
pub fn open(config: &Config, sight: Arc<dyn Sight>) -> Result<Option<Open>, OpenError> {
    let Some(web) = &config.web else { return Ok(None) };
    let token = web.token_file.as_deref().map(Token::read).transpose().map_err(OpenError::Token)?;
    let listener = bind(web)?;
    let failed = |source| OpenError::Machine { address: web.listen, source };
    let address = listener.local_addr().map_err(failed)?;
    let path = keep::path(config, &web.history);
    let (history, complaint) = path.as_deref().map_or_else(Default::default, History::load);
    if let Some(complaint) = complaint {
        eprintln!("speedysvc-engine: the history begins anew: {complaint}");
    }
    let control = Control::new(config.run_dir.join(config.namespace.as_str()).join(SOCKET_NAME));
    let guard = Guard::new(Hosts::new(web.hosts.clone(), address), token);
    let app = Arc::new(App::new(sight, control, guard, history, web.report.clone()));
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(failed)?;
    let (stop, stopped) = oneshot::channel();
    let body = move || live(&runtime, app, listener, path, stopped);
    let thread = thread::Builder::new().name("dashboard".to_owned()).spawn(body).map_err(failed)?;
    Ok(Some(Open { address, stop, thread }))
}

fn bind(web: &Web) -> Result<TcpListener, OpenError> {
    let refused = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => OpenError::Taken { address: web.listen, is_written: web.is_written },
        _ => OpenError::Machine { address: web.listen, source },
    };
    let listener = TcpListener::bind(web.listen).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

fn live(
    runtime: &runtime::Runtime,
    app: Arc<App>,
    listener: TcpListener,
    path: Option<PathBuf>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        tokio::spawn(moment::look(Arc::clone(&app)));
        if let Some(path) = path.clone() {
            tokio::spawn(keep::keep(Arc::clone(&app), path));
        }
        let (routes, door) = (routes::routes(Arc::clone(&app)), Arc::clone(&app));
        tokio::spawn(async move {
            door.seen().await;
            server::serve(listener, routes).await;
        });
        // An error means the same: whoever could say so is gone.
        let _stopped = stopped.await;
    });
    if let Some(path) = path
        && let Err(error) = replace(&path, &app.history().to_bytes())
    {
        eprintln!("speedysvc-engine: the history is not kept: {}: {error}", path.display());
    }
}

impl Open {
    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Ends it, and keeps its history.
    pub fn close(self) {
        // It may have ended by itself.
        let _gone = self.stop.send(());
        // A panic of the dashboard has been printed, and is nothing that stops an engine.
        let _panicked = self.thread.join();
    }
}
