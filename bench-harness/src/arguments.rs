//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::contender::Shape;
use crate::load::arguments::Load;
use crate::measure::task::Task;

const EXAMPLES: &str = "\
Examples:
  bench-harness verify                                    does everybody answer right?
  bench-harness env                                       is this machine quiet enough?
  bench-harness compare --quick                           about two minutes; writes a folder
  bench-harness compare --peers std-unix,speedysvc-shm --scenario round-trip-64kib --rounds 20

  bench-harness compare --quick --baseline before/results.json --fail-on-regression 10%
  bench-harness report bench-results/2026-11-24T00-12-09Z  its pages again, without running anything

Exit codes: 0 well; 1 something failed; 2 usage; 4 a contender is worse than in the baseline by more than \
--fail-on-regression allows; 130 interrupted, and what there was is written";

/// Measures speedysvc beside what the bare hardware can do, and beside plain sockets.
#[derive(Parser, Debug)]
#[command(name = "bench-harness", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run contenders in interleaved rounds, print tables, and write report.html, results and histograms
    Compare(Compare),
    /// Write report.html and results.md of a folder again, from its results.json and .hgrm files; runs nothing
    Report(ReportArguments),
    /// Call a running service at a rate: latencies from when calls were due, thresholds, errors
    Load(Load),
    /// Let several services and as many clients, all without a pause, share this machine: who stalls, and for how long
    Crowd(Crowd),
    /// Show contenders with their versions, and scenarios
    List,
    /// Show what of this machine decides its figures, and how quiet it is
    Env,
    /// Let every contender answer at several sizes and check every byte; times nothing
    Verify(Verify),
    /// The server's process of a row
    #[command(hide = true)]
    Serve(Serve),
    /// One client of `crowd`
    #[command(hide = true)]
    CrowdClient {
        /// Of its service.
        address: String,
        /// How long it calls.
        seconds: f64,
        /// Of each call.
        timeout_ms: u64,
    },
    /// The client's process of a row
    #[command(hide = true)]
    Drive(Drive),
    /// The service of the scenarios whose handlers take their time
    #[command(hide = true)]
    Work,
}

/// What the harness asks of a program with peers. Not for people.
#[derive(Parser, Debug)]
pub(crate) struct Peers {
    #[command(subcommand)]
    pub(crate) verb: PeersVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum PeersVerb {
    /// Which version of a peer this is
    Version {
        /// The peer
        name: String,
    },
    /// The server's process of a row
    Serve(Serve),
    /// The client's process of a row
    Drive(Drive),
}

#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// Only these contenders, besides those that others are compared to
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
    /// Only these scenarios
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) scenario: Vec<String>,
    /// Rounds; below 3 there are no intervals [default: 10, or 5 with --quick]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: Option<u16>,
    /// Two floors, plain sockets, axum and ours, at 32 B and 64 KiB
    #[arg(long)]
    pub(crate) quick: bool,
    /// Keep idle processors polling instead of halting (root): changes every blocking row by 5 to 10 times
    #[arg(long)]
    pub(crate) idle_poll: bool,
    /// Let each client of one thread wait, for up to a second, until nobody else uses the cores of its row's processors
    #[arg(long)]
    pub(crate) own_cores: bool,
    /// The measured span of each row, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub(crate) span_ms: u64,
    /// Where to write; a folder of this moment in bench-results without it
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) baseline: BaselineArguments,
}

#[derive(Args, Debug)]
pub(crate) struct ReportArguments {
    /// The folder that `compare` wrote
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) baseline: BaselineArguments,
}

#[derive(Args, Debug)]
pub(crate) struct BaselineArguments {
    /// An earlier results.json, or its folder: show what has changed since, in times of the floor
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// End with 4 when a contender's whole interval is worse than the baseline's whole interval by more than this
    #[arg(long, value_name = "PERCENT", value_parser = percent, requires = "baseline")]
    pub(crate) fail_on_regression: Option<f64>,
}

/// `10%` or `10` as 0.1.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent / 100.0),
        Ok(_) => Err("it must be from 0 to 1000 percent, such as 10%".into()),
        Err(_) => Err("it is no percentage; write it like 10% or 2.5%".into()),
    }
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Only these contenders
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) peers: Vec<String>,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ShapeArguments {
    #[arg(long)]
    size: usize,
    #[arg(long)]
    depth: usize,
    #[arg(long)]
    connections: usize,
}

impl ShapeArguments {
    pub(crate) fn shape(self) -> Shape {
        Shape { size: self.size, depth: self.depth, connections: self.connections }
    }
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The contender
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    /// The processor to stay on
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
}

#[derive(Args, Debug)]
pub(crate) struct Drive {
    /// The contender
    pub(crate) name: String,
    /// What its server said
    pub(crate) address: String,
    #[command(flatten)]
    pub(crate) shape: ShapeArguments,
    /// The server's processes
    #[arg(long, value_delimiter = ',')]
    pub(crate) server: Vec<u32>,
    /// The processor to stay on
    #[arg(long, requires = "server_cpu")]
    pub(crate) cpu: Option<usize>,
    /// The server's processor
    #[arg(long, requires = "cpu")]
    pub(crate) server_cpu: Option<usize>,
    /// The most that cores of one's own show, to wait for them
    #[arg(long, requires = "cpu")]
    pub(crate) own_cores: Option<f64>,
    /// Checked calls, and nothing else
    #[arg(long, conflicts_with_all = ["warm_up_ms", "span_ms"], required_unless_present = "span_ms")]
    pub(crate) calls: Option<u64>,
    /// The warm-up
    #[arg(long, default_value_t = 0)]
    pub(crate) warm_up_ms: u64,
    /// The measured span
    #[arg(long)]
    pub(crate) span_ms: Option<u64>,
    /// What to do, in JSON
    #[arg(long, value_parser = task, default_value = "{}")]
    pub(crate) task: Task,
}

fn task(json: &str) -> Result<Task, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn percentages_are_parts() {
        assert_eq!(["10%", "10", " 2.5 % ", "0"].map(percent), [Ok(0.1), Ok(0.1), Ok(0.025), Ok(0.0)]);
        let said = |text| percent(text).unwrap_err();
        assert!(said("-1%").contains("0 to 1000") && said("NaN").contains("0 to 1000") && said("inf").contains("0 to"));
        assert!(said("ten").contains("10%") && said("").contains("10%") && said("10%%").contains("10%"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        Peers::command().debug_assert();
    }
}

/// More who wait by looking than there are processors.
#[derive(Args, Debug)]
pub(crate) struct Crowd {
    /// Services with one worker each, and clients: each client calls its own service
    #[arg(long, default_value_t = 2)]
    pub(crate) pairs: usize,
    /// How long they call
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// The timeout of each call; below a second calls are told by another clock
    #[arg(long, default_value_t = 30_000)]
    pub(crate) timeout_ms: u64,
}
