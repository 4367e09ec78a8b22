//! The way back: while a less liked address is in use, a thread tries the better ones now and then.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::Line;
use crate::clock::Deadline;
use crate::connection::Connection;
use crate::retry::Backoff;

/// Pauses between two looks: as between retries at first, then up to this.
const LONGEST: Duration = Duration::from_secs(5);
/// How long a better address may take to answer. Nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

impl Line {
    /// Shared from now on. A client that could not have the best address comes back to it.
    pub(crate) fn shared(self) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            self.me.get_or_init(|| Weak::clone(me));
            self
        })
    }

    /// The address in use, and why not a better one.
    pub(crate) fn settled(&self) -> String {
        let state = self.state();
        let Some(address) = state.list.get(state.place) else { return "this process".to_owned() };
        match state.passed_over.as_str() {
            "" => address.to_string(),
            passed_over => format!("{address} (not {passed_over})"),
        }
    }

    /// Sees to it that somebody looks, when a better address than the one in use would be liked.
    pub(crate) fn look_for_better_later(&self) {
        let mut state = self.state();
        if state.place > 0 && !state.looks_for_better {
            state.looks_for_better = self.me.get().is_some_and(|me| look_from_now_on(Weak::clone(me)));
        }
    }

    /// Goes over to a better address, if there is one now. Whether the best is in use.
    fn look_for_better(&self, patience: Duration) -> bool {
        let better = {
            let state = self.state();
            state.list[..state.place].to_vec()
        };
        let open = |address: &_| Connection::open(address, &self.hello, Deadline::after(patience), &self.rescues);
        let mut opened = better.iter().map(open).enumerate();
        let found = opened.find_map(|(place, opened)| Some((place, opened.ok()?)));
        let mut state = self.state();
        // Another thread may have connected meanwhile, to other places.
        let found = found.filter(|(place, _)| state.list.get(*place) == better.get(*place));
        if let Some((place, connection)) = found.filter(|(place, _)| *place < state.place) {
            self.agree(connection.agreed());
            state.agreed = connection.agreed().clone();
            (state.place, state.passed_over) = (place, String::new());
            if let Some(old) = self.later.swap(Some(Arc::new(connection))) {
                state.past_calls += old.calls();
                // Calls under way keep it until they end.
                old.close();
            }
        }
        state.looks_for_better = state.place > 0;
        !state.looks_for_better
    }
}

/// Looks until the best address is in use, or nobody uses the line any more. Whether a thread could be started.
fn look_from_now_on(line: Weak<Line>) -> bool {
    let thread = thread::Builder::new().name("speedysvc-return".to_owned());
    thread.spawn(move || look(&line)).is_ok()
}

fn look(line: &Weak<Line>) {
    let mut pauses = Backoff::up_to(LONGEST);
    loop {
        thread::sleep(pauses.next(luck()));
        match line.upgrade().map(|line: Arc<Line>| line.look_for_better(PATIENCE)) {
            Some(false) => {}
            Some(true) | None => return,
        }
    }
}

/// A random number, for jitter. Standard hash maps are seeded by the system.
pub(super) fn luck() -> u64 {
    RandomState::new().hash_one(())
}
