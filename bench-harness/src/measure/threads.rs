//! Threads that make calls at the same time, each in a closed loop of its own.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::accounts;
use super::closed::Closed;
use super::found::Found;
use crate::contender::Client;
use crate::stats::latency;

/// Warms all of them up, then lets them make calls for some time, all in one row.
pub(super) fn warm_up<C: Client + Send>(all: &mut [Closed<C>], time: Duration) -> Result<()> {
    each(all, |closed| closed.warm_up(time)).map(|_| ())
}

/// Makes calls for some time: all calls of all threads. The client's accounts are read while its threads still live.
pub(super) fn measure<C: Client + Send>(all: &mut [Closed<C>], span: Duration) -> Result<Found> {
    let own = [std::process::id()];
    let ended = Barrier::new(all.len() + 1);
    let before = accounts::usage(&own)?;
    let (found, client) = thread::scope(|scope| {
        let threads = all.iter_mut().map(|closed| {
            let ended = &ended;
            scope.spawn(move || {
                let found = closed.measure(span);
                // Until the accounts have been read, and then once more.
                ended.wait();
                ended.wait();
                found
            })
        });
        let threads: Vec<_> = threads.collect();
        ended.wait();
        let client = accounts::usage(&own);
        ended.wait();
        let found: Vec<Result<Found>> = threads.into_iter().map(|thread| joined(thread.join())).collect();
        (found, client)
    });
    let mut sum = Found {
        calls: 0,
        seconds: 0.0,
        latencies: latency::empty(),
        extras: vec![],
        void: None,
        client: Some(client? - before),
    };
    for found in found {
        let Found { calls, seconds, latencies, .. } = found?;
        sum.calls += calls;
        sum.seconds = seconds.max(sum.seconds);
        sum.latencies.add(&latencies)?;
    }
    Ok(sum)
}

/// Does something in a thread for each.
pub(super) fn each<C: Client + Send>(
    all: &mut [Closed<C>],
    act: impl Fn(&mut Closed<C>) -> Result<()> + Sync,
) -> Result<()> {
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = all.iter_mut().map(|closed| scope.spawn(move || act(closed))).collect();
        threads.into_iter().try_for_each(|thread| joined(thread.join()))
    })
}

fn joined<T>(ended: thread::Result<Result<T>>) -> Result<T> {
    ended.unwrap_or_else(|_| Err(anyhow!("a thread of the client panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Shape;
    use crate::measure::task::Body;
    use std::io;

    /// Answers so many calls, then no more.
    struct Loopback(Vec<u8>, u64);

    impl Client for Loopback {
        fn send(&mut self, request: &[u8]) -> io::Result<()> {
            self.0 = request.to_vec();
            self.1 = self.1.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(())
        }

        fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
            reply.clone_from(&self.0);
            Ok(())
        }
    }

    fn two(answers: [u64; 2]) -> Vec<Closed<Loopback>> {
        let closed = |answers| Closed::new(vec![Loopback(vec![], answers)], Shape::new(32, 1), Body::Noise);
        answers.into_iter().map(closed).collect()
    }

    #[test]
    fn calls_of_all_threads_are_counted_together() {
        let mut all = two([u64::MAX; 2]);
        warm_up(&mut all, Duration::ZERO).unwrap();
        let before: u64 = all.iter().map(Closed::checked).sum();
        let found = measure(&mut all, Duration::from_millis(5)).unwrap();
        assert_eq!(found.latencies.len(), found.calls);
        assert_eq!(all.iter().map(Closed::checked).sum::<u64>() - before, found.calls);
        assert!(found.seconds >= 0.005 && found.client.is_some());
    }

    #[test]
    fn a_call_that_fails_in_any_thread_fails_the_row() {
        let mut all = two([u64::MAX, 40]);
        assert!(each(&mut all, |closed| closed.check(39)).is_ok());
        assert!(measure(&mut all, Duration::from_millis(5)).is_err());
    }
}
