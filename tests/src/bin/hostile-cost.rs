//! Measures what attacks cost their neighbours, what refusals cost, and how soon after a worker's death its callers
//! are told.
#![forbid(unsafe_code)]

use std::time::Duration;

use clap::Parser;
use speedysvc_tests::cost::{deaths, neighbours, refusals, storm, watchers};
use speedysvc_tests::hostile::attacks::Attack;

/// Measures; the machine should have nothing else to do. Build with `--release` first.
#[derive(Parser)]
struct Arguments {
    /// Rounds of control, attack and control for each attack.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only these attacks, instead of all that go on for as long as they are told to.
    #[arg(long, value_enum, value_delimiter = ',')]
    attacks: Vec<Attack>,
    /// Milliseconds of each.
    #[arg(long, default_value_t = 200)]
    span_ms: u64,
    /// Microseconds between two calls of the neighbour.
    #[arg(long, default_value_t = 100)]
    pause_us: u64,
    /// Workers of the service under attack.
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// Workers to kill.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Clients to kill.
    #[arg(long, default_value_t = 0)]
    clients: usize,
    /// Instead of all else, in so many rounds: refusals against answers.
    #[arg(long, default_value_t = 0)]
    refusals: usize,
    /// Instead of attacks: twenty watchers of the dashboard. A span of two seconds has two updates.
    #[arg(long)]
    watchers: bool,
}

fn main() {
    let arguments = Arguments::parse();
    if arguments.refusals > 0 {
        return refusals::measure(arguments.refusals);
    }
    if arguments.clients > 0 {
        storm::measure(arguments.clients);
    }
    if arguments.kills > 0 {
        deaths::measure(arguments.kills);
    }
    let plan = neighbours::Plan {
        attacks: arguments.attacks,
        rounds: arguments.rounds,
        span: Duration::from_millis(arguments.span_ms),
        pause: Duration::from_micros(arguments.pause_us),
        workers: arguments.workers,
    };
    if arguments.watchers {
        watchers::measure(&plan);
    } else if arguments.rounds > 0 {
        neighbours::measure(&plan);
    }
}
