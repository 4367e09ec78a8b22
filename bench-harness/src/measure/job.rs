//! What a client process is told to do, and what it brings home.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::accounts::{self, Usage};
use super::closed::Closed;
use super::found::Found;
use super::others::Others;
use super::task::{Load, Task};
use super::{cpus, idle, paced, probe, sharing, threads};
use crate::contender::{Client, Shape};
use crate::stats::extra::Extra;
use crate::stats::latency;

/// How long both sides run after they have been held, before they are measured.
const AGAIN: Duration = Duration::from_millis(2);

/// How long a client runs.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// So many calls, every reply compared to the last byte, nothing timed.
    Checked(u64),
    /// A warm-up, then a measured span.
    Timed {
        /// Not measured; its first replies are compared to the last byte.
        warm_up: Duration,
        /// Measured.
        span: Duration,
    },
}

/// Where the two sides of a row are pinned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cpus {
    /// The server's processor.
    pub server: usize,
    /// The client's.
    pub client: usize,
}

/// One client's job.
#[derive(Clone, Debug)]
pub struct Job {
    /// What a call looks like.
    pub shape: Shape,
    /// How long.
    pub length: Length,
    /// Pinning, and so probing; without it, neither.
    pub cpus: Option<Cpus>,
    /// The processes of the server, for its accounts.
    pub server: Vec<u32>,
    /// The most that cores of one's own show (`measure::sharing`): a closed loop of one thread waits for them.
    pub own_cores: Option<f64>,
    /// Which kind of load, and of bodies.
    pub(crate) task: Task,
}

/// What a client found.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Replies that were checked, warm-up included.
    pub checked: u64,
    /// Calls in the measured span.
    pub calls: u64,
    /// The measured span.
    pub seconds: f64,
    /// Pairs of latency in nanoseconds and how often, ascending.
    pub latencies: Vec<(u64, u64)>,
    /// The client's process in the measured span.
    pub client: Usage,
    /// The server's processes in the measured span.
    pub server: Usage,
    /// Stolen time of the whole machine in the measured span, in ticks of 10 ms.
    pub steal_ticks: u64,
    /// What programs that have no part in the row took of its two processors in the measured span, in nanoseconds;
    /// read for open loops only.
    pub others_ns: Option<u64>,
    /// A flag's round trip between the two processors just before, in nanoseconds.
    pub probe_before: Option<f64>,
    /// And just after.
    pub probe_after: Option<f64>,
    /// Whether others used the cores of the two processors, just before and just after (`measure::sharing`).
    pub sharing: [Option<f64>; 2],
    /// Figures that only this kind of scenario has.
    pub(crate) extras: Vec<Extra>,
    /// Why the row does not count: its generator did not keep up.
    pub(crate) void: Option<String>,
    /// Why nothing was measured: this machine does not allow it.
    pub(crate) skipped: Option<String>,
}

impl Outcome {
    /// Nothing was measured, for this reason.
    pub(crate) fn skipped(why: String) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }
}

impl Job {
    /// Connects as often as the shape says, and makes calls.
    ///
    /// # Errors
    /// When there is no connection, a call fails, or a reply is wrong.
    pub fn run<C: Client>(&self, mut connect: impl FnMut() -> Result<C>) -> Result<Outcome> {
        if let (Load::Idle, Length::Timed { span, .. }) = (self.task.load, self.length) {
            return idle::run(self, connect, span);
        }
        let clients = (0..self.shape.connections).map(|_| connect()).collect::<Result<_>>()?;
        self.pin()?;
        let mut closed = Closed::new(clients, self.shape, self.task.body);
        match self.length {
            Length::Checked(calls) => {
                closed.check(calls)?;
                Ok(Outcome { checked: closed.checked(), ..Outcome::default() })
            }
            Length::Timed { warm_up, span } => {
                closed.warm_up(warm_up)?;
                self.wait_for_own_cores(&mut closed)?;
                let outcome = self.account(|| self.measure(&mut closed, span))?;
                Ok(Outcome { checked: closed.checked(), ..outcome })
            }
        }
    }

    /// Makes calls in a thread for each client, which run wherever the system lets them.
    ///
    /// # Errors
    /// When a call fails, or a reply is wrong.
    pub fn run_threads<C: Client + Send>(&self, clients: Vec<C>) -> Result<Outcome> {
        let shape = Shape { connections: 1, ..self.shape };
        let mut all: Vec<_> =
            clients.into_iter().map(|client| Closed::new(vec![client], shape, self.task.body)).collect();
        let outcome = match self.length {
            Length::Checked(calls) => {
                threads::each(&mut all, |closed| closed.check(calls))?;
                Outcome::default()
            }
            Length::Timed { warm_up, span } => {
                threads::warm_up(&mut all, warm_up)?;
                self.account(|| threads::measure(&mut all, span))?
            }
        };
        Ok(Outcome { checked: all.iter().map(Closed::checked).sum(), ..outcome })
    }

    fn measure<C: Client>(&self, closed: &mut Closed<C>, span: Duration) -> Result<Found> {
        match self.task.load {
            Load::Closed | Load::Links | Load::Ladder => closed.measure(span),
            Load::Paced { rate } => paced::measure(closed, rate, span),
            other => bail!("a service that echoes has no {other:?}"),
        }
    }

    /// Waits, with the server held, until others have left the two cores; not for ever.
    fn wait_for_own_cores<C: Client>(&self, closed: &mut Closed<C>) -> Result<()> {
        let Some((cpus, own)) = self.cpus.zip(self.own_cores) else { return Ok(()) };
        let held = probe::Held::new(&self.server);
        sharing::wait(cpus, own).context("the processors' cores cannot be probed")?;
        drop(held);
        closed.run_for(AGAIN)
    }

    /// Stays on its processor. After connecting: our client counts processors when it connects, and one that sees a
    /// single one never spins.
    pub(super) fn pin(&self) -> Result<()> {
        let Some(cpus) = self.cpus else { return Ok(()) };
        cpus::pin(cpus.client).with_context(|| format!("cannot stay on processor {}", cpus.client))
    }

    /// Lets the measured span happen, between two readings of all accounts.
    pub(super) fn account(&self, span: impl FnOnce() -> Result<Found>) -> Result<Outcome> {
        let (probe_before, sharing_before) = self.probe()?;
        let own = [std::process::id()];
        let others = self.others();
        let steal = accounts::steal_ticks();
        let (server, client) = (self.server_usage()?, accounts::usage(&own)?);
        let found = span()?;
        let (client, server) = (accounts::usage(&own)? - client, self.server_usage()? - server);
        let steal_ticks = accounts::steal_ticks().saturating_sub(steal);
        let others_ns = others.and_then(|before| Some(self.others()?.since(&before, self.cpus?)));
        let (probe_after, sharing_after) = self.probe()?;
        Ok(Outcome {
            checked: 0,
            calls: found.calls,
            seconds: found.seconds,
            latencies: latency::pairs(&found.latencies),
            client: found.client.unwrap_or(client),
            server,
            steal_ticks,
            others_ns,
            probe_before,
            probe_after,
            sharing: [sharing_before, sharing_after],
            extras: found.extras,
            void: found.void,
            skipped: None,
        })
    }

    /// Those who have no part in an open loop: this process, and the server's, have.
    fn others(&self) -> Option<Others> {
        let is_read = self.cpus.is_some() && self.task.load.is_open();
        is_read.then(|| Others::read(&[&self.server[..], &[std::process::id()]].concat()))
    }

    fn server_usage(&self) -> Result<Usage> {
        accounts::usage(&self.server).context("a process of the server has ended")
    }

    /// How far the two processors are from each other, and whether others use their cores.
    fn probe(&self) -> Result<(Option<f64>, Option<f64>)> {
        let Some(cpus) = self.cpus else { return Ok((None, None)) };
        let _held = probe::Held::new(&self.server);
        let distance =
            probe::distance(cpus.client, cpus.server).context("the processors' distance cannot be probed")?;
        Ok((distance, sharing::sharing(cpus).context("the processors' cores cannot be probed")?))
    }
}
