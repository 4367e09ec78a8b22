//! The dashboard beside the supervisor: in its process, on a thread and a runtime of its own.

use std::process::ExitCode;
use std::sync::Arc;

use speedysvc_config::Config;
use speedysvc_protocol::shm::peer_rows::Traffic;
use speedysvc_protocol::stats::Snapshot;
use speedysvc_supervisor::Seen;
use speedysvc_web::{Open, OpenError, Sight};

use crate::exit;

/// Starts it, where the file wants one; `Err` when that failed, which has been said.
pub(crate) fn open(config: &Config, seen: &Arc<Seen>) -> Result<Option<Open>, ExitCode> {
    let sight = Arc::new(Looks(Arc::clone(seen)));
    match speedysvc_web::open(config, sight) {
        Ok(None) => Ok(None),
        Ok(Some(open)) => {
            println!("dashboard: {}", open.url());
            Ok(Some(open))
        }
        // Nobody asked for this address: another engine may have it.
        Err(error @ OpenError::Taken { is_written: false, .. }) => {
            eprintln!("speedysvc-engine: no dashboard: {error}");
            Ok(None)
        }
        Err(error) => Err(exit::say(&error, exit::UNAVAILABLE)),
    }
}

/// What the supervisor shows, as the dashboard wants it.
struct Looks(Arc<Seen>);

impl Sight for Looks {
    fn numbers(&self) -> Vec<(String, Snapshot)> {
        self.0.services().into_iter().map(|(name, meters)| (name, meters.snapshot())).collect()
    }

    fn loops(&self) -> Vec<(String, u32, Snapshot)> {
        let of_service = |(name, meters): (String, Arc<speedysvc_supervisor::Meters>)| {
            meters.loops().into_iter().map(move |(worker, counters)| (name.clone(), worker.0, counters))
        };
        self.0.services().into_iter().flat_map(of_service).collect()
    }

    fn traffic(&self) -> Vec<(String, Traffic)> {
        self.0.services().into_iter().map(|(name, meters)| (name, meters.traffic())).collect()
    }

    fn config(&self) -> Option<Arc<Config>> {
        self.0.config()
    }
}
