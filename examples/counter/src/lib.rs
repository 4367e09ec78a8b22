//! A service with state. See the README beside it for what that means when there are several workers.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Counts by name, in memory.
#[speedysvc::service]
pub trait Counter {
    /// Adds to a counter, and says what it is then. Run twice it adds twice, so the client never repeats it by itself
    /// when it may have run.
    fn add(&self, name: &str, number: u64) -> u64;
    /// What a counter is. Reading twice does no harm: a call that a dying worker took along is made again.
    #[method(idempotent)]
    fn get(&self, name: &str) -> u64;
    /// The process that answers.
    #[method(idempotent)]
    fn worker(&self) -> u32;
}

/// The state of one worker. A handler has `&self`, as calls may run at the same time: so there is a lock around it.
#[derive(Default)]
pub struct InMemory {
    counters: Mutex<HashMap<String, u64>>,
}

#[speedysvc::service]
impl Counter for InMemory {
    fn add(&self, name: &str, number: u64) -> u64 {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(name.to_owned()).or_default();
        *counter += number;
        *counter
    }

    fn get(&self, name: &str) -> u64 {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or_default()
    }

    fn worker(&self) -> u32 {
        std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use speedysvc::{Fault, Faults, Outcome};

    use super::*;

    /// The service's own unit test: no engine, no sockets.
    #[test]
    fn counters_are_apart() {
        let counter = CounterClient::in_process(InMemory::default()).unwrap();
        assert_eq!((counter.add("a", 2).unwrap(), counter.add("a", 3).unwrap()), (2, 5));
        assert_eq!((counter.get("a").unwrap(), counter.get("b").unwrap()), (5, 0));
    }

    /// What a caller must be ready for: an addition whose answer was lost has run or has not, and says so.
    #[test]
    fn an_addition_whose_answer_is_lost_is_not_repeated() {
        let faults = Faults::script([Some(Fault::LoseReply), Some(Fault::LoseReply)]);
        let counter = CounterClient::in_process_with_faults(InMemory::default(), faults).unwrap();
        assert_eq!(counter.add("a", 1).unwrap_err().outcome(), Outcome::Unknown);
        assert_eq!(counter.get("a").unwrap(), 1, "asked twice, as the first answer was lost, too");
    }
}
