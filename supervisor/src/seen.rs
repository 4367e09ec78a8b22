//! What a window onto the engine may look at from its own thread, without asking: numbers and settings.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use speedysvc_broker::Meters;
use speedysvc_config::Config;

/// The numbers of all services and the settings in force. The supervisor replaces it when they change, and whoever
/// looks holds up nobody.
#[derive(Debug, Default)]
pub struct Seen(Mutex<View>);

#[derive(Clone, Debug, Default)]
struct View {
    services: Vec<(String, Arc<Meters>)>,
    config: Option<Arc<Config>>,
}

impl Seen {
    /// The services with their numbers, in the order of the file.
    #[must_use]
    pub fn services(&self) -> Vec<(String, Arc<Meters>)> {
        self.view().services.clone()
    }

    /// The settings in force; `None` before the start.
    #[must_use]
    pub fn config(&self) -> Option<Arc<Config>> {
        self.view().config.clone()
    }

    pub(crate) fn set(&self, services: Vec<(String, Arc<Meters>)>, config: &Config) {
        *self.view() = View { services, config: Some(Arc::new(config.clone())) };
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // It is replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
