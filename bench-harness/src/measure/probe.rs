//! How far two processors are from each other: a flag's round trip between two threads of this process.
//!
//! On a virtual machine the processors move between cores of the host, and this distance changes spinning contenders
//! by up to 8 times. A comparison of two rows at different distances compares the hypervisor's moods.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cpus;
use crate::run::process;
use crate::stats::quantile;

/// Round trips that are timed together, and how many times.
const TRIPS: u32 = 64;
const BATCHES: usize = 31;
/// A probe that takes longer was interrupted by others; it measures them, and is given up.
const LONGEST: Duration = Duration::from_millis(200);

/// A flag in a pair of lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Flag(AtomicU32);

/// The round trip in nanoseconds: the median of some batches. `None` when others kept us from it.
pub(crate) fn distance(from: usize, to: usize) -> io::Result<Option<f64>> {
    let (request, reply, is_over) = (Flag::default(), Flag::default(), AtomicBool::new(false));
    let both_there = Barrier::new(2);
    thread::scope(|scope| {
        let echo = thread::Builder::new().name("probe".into()).spawn_scoped(scope, || {
            let pinned = cpus::pin_thread(to);
            both_there.wait();
            let mut turn = 1_u32;
            while !is_over.load(Ordering::Relaxed) {
                if request.0.load(Ordering::Acquire) == turn {
                    reply.0.store(turn, Ordering::Release);
                    turn = turn.wrapping_add(1);
                }
            }
            pinned
        })?;
        let pinned = cpus::pin_thread(from);
        // Asleep until then: spinning would keep the other thread from leaving this processor.
        both_there.wait();
        let batches = batches(&request, &reply);
        is_over.store(true, Ordering::Relaxed);
        pinned?;
        echo.join().map_err(|_| io::Error::other("the probe's thread panicked"))??;
        Ok(batches.map(|batches| quantile::median(&batches)))
    })
}

fn batches(request: &Flag, reply: &Flag) -> Option<Vec<f64>> {
    let begin = Instant::now();
    let mut times = Vec::with_capacity(BATCHES);
    let mut turn = 0_u32;
    for _ in 0..BATCHES {
        let batch = Instant::now();
        for _ in 0..TRIPS {
            turn = turn.wrapping_add(1);
            request.0.store(turn, Ordering::Release);
            wait(reply, turn, begin)?;
        }
        times.push(batch.elapsed().as_secs_f64() * 1e9 / f64::from(TRIPS));
    }
    Some(times)
}

fn wait(reply: &Flag, turn: u32, begin: Instant) -> Option<()> {
    let mut looks = 0_u32;
    while reply.0.load(Ordering::Acquire) != turn {
        hint::spin_loop();
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(4096) && begin.elapsed() > LONGEST {
            return None;
        }
    }
    Some(())
}

/// Held while processes are. Whoever ends this process takes it first: nobody would let them go on.
static HOLDING: Mutex<()> = Mutex::new(());

/// Waits until no process is held, and keeps it so.
pub(crate) fn hold_none() -> MutexGuard<'static, ()> {
    HOLDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processes that are held while a probe uses their processor. Dropping it lets them go on.
pub(crate) struct Held<'a> {
    processes: &'a [u32],
    // Released after `drop` has let them go on.
    _holding: MutexGuard<'static, ()>,
}

impl<'a> Held<'a> {
    /// Stops these processes.
    pub(crate) fn new(processes: &'a [u32]) -> Self {
        let held = Self { processes, _holding: hold_none() };
        processes.iter().for_each(|number| process::signal(*number, Signal::STOP));
        held
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.processes.iter().for_each(|number| process::signal(*number, Signal::CONT));
    }
}
