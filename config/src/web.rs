//! The dashboard's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// Where the dashboard is, and who may look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Its address. Beyond loopback only with a token.
    pub listen: SocketAddr,
    /// Whether the file says this address. If not, the dashboard may be left out when something else has it.
    pub is_written: bool,
    /// A file with the secret that visitors must bring, absolute; `None` asks nobody.
    pub token_file: Option<PathBuf>,
    /// Other names of this machine by which browsers may reach it, in lower case.
    pub hosts: Vec<String>,
    /// Where the history is kept over a restart of the engine.
    pub history: History,
    /// The folder of a bench report to show, absolute.
    pub report: Option<PathBuf>,
}

impl Default for Web {
    /// `127.0.0.1:5155`, the port of the Python project, and no token.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5155)),
            is_written: false,
            token_file: None,
            hosts: Vec::new(),
            history: History::Default,
            report: None,
        }
    }
}

/// Where the history is kept over a restart of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum History {
    /// `history-NAMESPACE` in systemd's state folder if there is one, else `RUN_DIR.history-NAMESPACE`.
    Default,
    /// This file, absolute.
    File(PathBuf),
    /// Nowhere: it begins anew.
    Forgotten,
}
