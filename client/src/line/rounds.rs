//! Tasks that need a connection: a thread makes it, or pauses before it, as either may take long.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use speedysvc_protocol::status::Code;

use super::Line;
use crate::clock::Deadline;
use crate::connection::Connection;
use crate::error::Error;

/// Attempts to connect, or pauses before them, for tasks: a thread makes them, as they may take long.
#[derive(Default)]
pub(super) struct Rounds {
    tasks: Vec<Waker>,
    /// A round is under way.
    runs: bool,
    /// Rounds that have ended.
    ended: u64,
}

impl Line {
    /// For a task: pauses, then makes a connection if there is none. Of tasks that come while this is being done for
    /// another, all are woken at its end. `round` keeps which one it is.
    pub(crate) fn poll_connection(
        self: &Arc<Self>,
        round: &mut Option<u64>,
        pause: Duration,
        deadline: Deadline,
        waker: &Waker,
    ) -> Poll<Result<Connection, Error>> {
        if let (None, true, Some(connection)) = (*round, pause.is_zero(), self.usable()) {
            return Poll::Ready(Ok(connection));
        }
        let mut state = self.state();
        let ended = state.rounds.ended;
        if round.is_some_and(|round| ended > round) {
            let failure = state.failure.clone();
            drop(state);
            let gone = || Error::not_started(Code::Unavailable, format!("{}: the connection broke again", self.routes));
            return Poll::Ready(self.usable().ok_or_else(|| failure.unwrap_or_else(gone)));
        }
        round.get_or_insert(ended);
        state.rounds.tasks.push(waker.clone());
        if !state.rounds.runs {
            let line = Arc::clone(self);
            let made = thread::Builder::new().name("speedysvc-connect".to_owned());
            if made.spawn(move || line.run_round(pause, deadline)).is_err() {
                let message = "no thread can be started that connects: wait for the call with `wait`";
                return Poll::Ready(Err(Error::not_started(Code::ResourceExhausted, message)));
            }
            state.rounds.runs = true;
        }
        Poll::Pending
    }

    fn run_round(&self, pause: Duration, deadline: Deadline) {
        thread::sleep(pause);
        // Whatever comes of it is noted.
        let _noted = self.connection(deadline);
        let mut state = self.state();
        state.rounds.runs = false;
        state.rounds.ended += 1;
        let tasks = std::mem::take(&mut state.rounds.tasks);
        drop(state);
        tasks.into_iter().for_each(Waker::wake);
    }
}
