//! Where the history is between two runs of the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use speedysvc_config::{Config, History as Where};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::history::replace;

/// What a crash of the engine loses at most.
const EVERY: Duration = Duration::from_secs(60);

/// The file, if any.
pub(crate) fn path(config: &Config, wanted: &Where) -> Option<PathBuf> {
    let name = format!("history-{}", config.namespace);
    match wanted {
        Where::File(path) => Some(path.clone()),
        Where::Forgotten => None,
        Where::Default => {
            let systemd = std::env::var_os("STATE_DIRECTORY").filter(|folder| Path::new(folder).is_absolute());
            match systemd {
                Some(folder) => Some(PathBuf::from(folder).join(name)),
                // Beside it, because the supervisor removes it at its end.
                None => {
                    let run_dir = config.run_dir.file_name()?.to_string_lossy().into_owned();
                    Some(config.run_dir.with_file_name(format!("{run_dir}.{name}")))
                }
            }
        }
    }
}

/// Writes it once a minute.
pub(crate) async fn keep(app: Arc<App>, path: PathBuf) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut complained = false;
    loop {
        ticks.tick().await;
        let bytes = app.history().to_bytes();
        let to = path.clone();
        // The disk may be slow.
        let written = tokio::task::spawn_blocking(move || replace(&to, &bytes)).await;
        if let Ok(Err(error)) = written
            && !std::mem::replace(&mut complained, true)
        {
            eprintln!("speedysvc-engine: the history is not kept: {}: {error}", path.display());
        }
    }
}
