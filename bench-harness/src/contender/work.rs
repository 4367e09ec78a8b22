//! Ours with handlers that take their time: one service with two workers, any of which takes any call, and two services
//! with one worker each, between which clients are split.

use std::convert::Infallible;
use std::env;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context as Turn, Poll};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use speedysvc::Pending;

use super::engine::{self, Engine};
use super::{Contender, Does, Group, Shape};
use crate::measure::job::{Job, Outcome};
use crate::measure::task::{Drawn, WORKERS};
use crate::measure::work::Worker;
use crate::open::Failed;
use crate::run::parent::Parent;

/// This program's hidden verb, which supervisors start.
const VERB: &str = "work";
/// Between the addresses of several services; no address has it.
const BETWEEN: char = '|';

/// Works as long as it is told.
#[speedysvc::service]
pub(crate) trait Work {
    /// Works for so many nanoseconds, busy or waiting, and says how long it was in fact.
    fn work(&self, ns: u64, waits: bool) -> u64;
}

struct Handlers;

#[speedysvc::service]
impl Work for Handlers {
    fn work(&self, ns: u64, waits: bool) -> u64 {
        let (begin, time) = (Instant::now(), Duration::from_nanos(ns));
        if waits {
            thread::sleep(time);
        }
        while begin.elapsed() < time {
            std::hint::spin_loop();
        }
        u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The service's process.
pub(crate) fn work() -> ExitCode {
    // Threads inherit it; without it each wait takes 50 us more. It cannot fail; if it did, "load" would show it.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).ok();
    speedysvc::serve(Handlers)
}

/// One way to have two workers.
pub(super) struct Working {
    name: &'static str,
    what: &'static str,
    /// Their names, and workers for each.
    services: &'static [&'static str],
    /// How many of them clients use.
    used: usize,
    address: fn(&Engine, &str) -> Result<String>,
}

pub(super) const SHM: Working = Working {
    name: "work-shm",
    what: "ours over shared memory: one service with two workers, handlers that wait or spin as they are told",
    services: &["work"],
    used: 1,
    address: |engine, service| Ok(engine.shm_address(service)),
};
pub(super) const SPLIT: Working = Working {
    name: "work-shm-split",
    what: "the same with two services of one worker each; connections and calls are split between them beforehand",
    services: &["left", "right"],
    used: 2,
    address: |engine, service| Ok(engine.shm_address(service)),
};
pub(super) const HOME: Working = Working {
    name: "work-shm-home",
    what: "as work-shm-split, with all connections at the same one: what homes cost when all hot clients share one",
    services: &["left", "right"],
    used: 1,
    address: |engine, service| Ok(engine.shm_address(service)),
};
pub(super) const TCP: Working = Working {
    name: "work-tcp",
    what: "as work-shm, over TCP on loopback; a connection belongs to the worker that accepted it",
    services: &["work"],
    used: 1,
    address: Engine::tcp_address,
};

impl Working {
    /// What a user would write.
    fn file(&self) -> Result<String> {
        let program = env::current_exe().context("this program's own path is not known")?;
        let workers = WORKERS as usize / self.services.len();
        let service = |name: &&str| {
            // Debug form: the escapes of Rust are those of TOML for every path that can be typed.
            format!(
                "[service.{name}]\nprogram = {program:?}\nargs = [\"{VERB}\"]\nworkers = {workers}\n\
                 listen = [\"tcp://127.0.0.1:0\"]\n"
            )
        };
        Ok("run_dir = \"run\"\n".to_owned() + &self.services.iter().map(service).collect::<String>())
    }
}

impl Contender for Working {
    fn name(&self) -> &'static str {
        self.name
    }

    fn group(&self) -> Group {
        Group::Ours
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn version(&self) -> String {
        engine::version().unwrap_or_else(|_| "not built".into())
    }

    fn takes(&self, _: Shape) -> bool {
        false
    }

    fn does(&self, what: Does) -> bool {
        what == Does::Work
    }

    fn missing(&self) -> Option<String> {
        engine::program().err().map(|error| format!("{error:#}"))
    }

    fn serve(&self, _: Shape, parent: &Parent) -> Result<Infallible> {
        let engine = Engine::start(&self.file()?)?;
        let addresses: Vec<String> = self
            .services
            .iter()
            .take(self.used)
            .map(|service| (self.address)(&engine, service))
            .collect::<Result<_>>()?;
        parent.ready(&addresses.join(&BETWEEN.to_string()), &engine.processes()?)?;
        parent.wait_for_its_end();
        engine.stop();
        std::process::exit(0)
    }

    fn drive(&self, address: &str, job: &Job) -> Result<Outcome> {
        let addresses: Vec<&str> = address.split(BETWEEN).collect();
        job.run_work(addresses.len(), |lane, deadline| {
            let client = WorkClient::connect(addresses[lane])?;
            Ok(match deadline {
                Some(deadline) => client.with_timeout(deadline),
                None => client,
            })
        })
    }
}

impl Worker for WorkClient {
    type Started = Started;

    fn work(&mut self, what: Drawn) -> Result<u64, Failed> {
        Self::work(self, what.ns, what.waits).map_err(|error| error.code().name())
    }

    fn start(&mut self, what: Drawn) -> Started {
        Started(Self::start(self).work(what.ns, what.waits))
    }
}

/// A call of which only whether it was answered is asked.
pub(crate) struct Started(Pending<u64>);

impl Future for Started {
    type Output = Result<(), Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Turn<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|ended| match ended {
            Ok(_) => Ok(()),
            Err(error) => Err(error.code().name()),
        })
    }
}
