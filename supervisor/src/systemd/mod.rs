//! What systemd, and whoever speaks as it does, wants to hear and has for us. Nothing of this is there without it.
//!
//! | module       | idea |
//! |--------------|------|
//! | `notify`     | the engine says that it is ready, reloads, stops, and lives: sd_notify(3) |
//! | `activation` | sockets that were opened before the engine was started: sd_listen_fds(3) |

mod activation;
mod notify;

use std::time::Duration;

pub(crate) use activation::activated;
pub(crate) use notify::Notifier;

use crate::policy::{Phase, ServiceView, count};
use crate::run::Supervisor;

/// Variables that are for this process, and not for its workers.
pub(crate) const VARIABLES: [&str; 6] =
    ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

impl Supervisor<'_, '_> {
    /// When a watchdog wants to hear next that we live.
    pub(crate) fn next_notice(&self) -> Option<Duration> {
        self.notifier.next_ping()
    }

    /// Says that this loop turns, and how everything is, where that is different.
    pub(crate) fn notify(&mut self) {
        if !self.notifier.is_there() {
            return;
        }
        let now = self.now();
        let views: Vec<ServiceView> = self.live_keys().iter().filter_map(|key| self.state.view(*key)).collect();
        self.notifier.status(&summary(&views));
        if self.state.is_stopping() {
            self.notifier.stopping();
        }
        self.notifier.ping(now);
    }
}

/// `2 services; 3 of 4 workers serve`.
fn summary(views: &[ServiceView]) -> String {
    let wanted = views.iter().filter(|view| view.wanted);
    let target = wanted.clone().map(|view| usize::from(view.target)).sum();
    let slots = wanted.flat_map(|view| &view.slots);
    let ready = slots.filter(|slot| slot.phase == Phase::Ready).count();
    let failed = views.iter().filter(|view| view.failed).count();
    let failed = if failed > 0 { format!("; {} failed", count(failed, "service")) } else { String::new() };
    format!("{}; {ready} of {} serve{failed}", count(views.len(), "service"), count(target, "worker"))
}
