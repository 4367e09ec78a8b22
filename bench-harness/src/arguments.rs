//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::contender::Shape;

const EXAMPLES: &str = "\
Examples:
  bench-harness verify                                    does everybody answer right?
  bench-harness env                                       is this machine quiet enough?
  bench-harness compare --quick                           about two minutes; writes a folder
  bench-harness compare --peers std-unix,speedysvc-shm --scenario round-trip-64kib --rounds 20

Exit codes: 0 well; 1 something failed; 2 usage; 130 interrupted, and what there was is written";

/// Measures speedysvc beside what the bare hardware can do, and beside plain sockets.
#[derive(Parser, Debug)]
#[command(name = "bench-harness", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Run contenders in interleaved rounds, print one table, and write results.json, results.md and histograms
    Compare(Compare),
    /// Show contenders with their versions, and scenarios
    List,
    /// Show what of this machine decides its figures, and how quiet it is
    Env,
    /// Let every contender answer at several sizes and check every byte; times nothing
    Verify(Verify),
    /// The server's process of a row
    #[command(hide = true)]
    Serve(Serve),
    /// The client's process of a row
    #[command(hide = true)]
    Drive(Drive),
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
    /// Two floors, plain sockets and ours, at 32 B and 64 KiB
    #[arg(long)]
    pub(crate) quick: bool,
    /// Keep idle processors polling instead of halting (root): changes every blocking row by 5 to 10 times
    #[arg(long)]
    pub(crate) idle_poll: bool,
    /// The measured span of each row, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub(crate) span_ms: u64,
    /// Where to write; a folder of this moment in bench-results without it
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
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
    /// Checked calls, and nothing else
    #[arg(long, conflicts_with_all = ["warm_up_ms", "span_ms"], required_unless_present = "span_ms")]
    pub(crate) calls: Option<u64>,
    /// The warm-up
    #[arg(long, default_value_t = 0)]
    pub(crate) warm_up_ms: u64,
    /// The measured span
    #[arg(long)]
    pub(crate) span_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        Peers::command().debug_assert();
    }
}
