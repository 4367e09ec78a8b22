//! What all requests share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use crate::Sight;
use crate::control::Control;
use crate::guard::Guard;
use crate::history::{History, Series, Sum};
use crate::hub::Hub;
use crate::moment::Moment;

/// Most event streams at a time.
pub(crate) const WATCHERS_MAX: usize = 64;
/// Seconds over which figures of now are taken.
pub(crate) const NOW_S: u64 = 10;

pub(crate) struct App {
    pub(crate) sight: Arc<dyn Sight>,
    pub(crate) control: Control,
    pub(crate) guard: Guard,
    pub(crate) hub: Hub,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) now: watch::Sender<Arc<Moment>>,
    history: Mutex<History>,
}

impl App {
    pub(crate) fn new(
        sight: Arc<dyn Sight>,
        control: Control,
        guard: Guard,
        history: History,
        report: Option<PathBuf>,
    ) -> Self {
        Self {
            sight,
            control,
            guard,
            hub: Hub::default(),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            report,
            now: watch::Sender::new(Arc::default()),
            history: Mutex::new(history),
        }
    }

    /// The newest look at everything.
    pub(crate) fn moment(&self) -> Arc<Moment> {
        Arc::clone(&self.now.borrow())
    }

    /// Until there is one: before the first look no service is known, and its page would be missing.
    pub(crate) async fn seen(&self) {
        // It cannot fail: the sender is this.
        let mut now = self.now.subscribe();
        let _seen = now.wait_for(|moment| moment.status.is_some() || moment.unheard.is_some()).await;
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        // A sample that was half added is missing in a sum at most.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened in the last seconds, and over how many of them.
    pub(crate) fn recent(&self, series: &Series) -> Recent {
        let (moment, history) = (self.moment(), self.history());
        let end = moment.at + 1;
        let since = history.since(true).unwrap_or(moment.at).max(moment.began);
        let begin = end.saturating_sub(NOW_S).max(since);
        let seconds = crate::words::as_float(end.saturating_sub(begin).max(1));
        Recent { sum: history.sum(series, begin, end), seconds }
    }
}

/// A sum over the last seconds.
pub(crate) struct Recent {
    pub(crate) sum: Sum,
    pub(crate) seconds: f64,
}

impl Recent {
    /// So many a second.
    pub(crate) fn rate(&self, count: u64) -> f64 {
        crate::words::as_float(count) / self.seconds
    }
}
