//! Calls by the million while workers are killed. Prints counts, or what contradicts and ends with 1.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use speedysvc_tests::chaos::plan::Plan;
use speedysvc_tests::chaos::{Options, Sabotage, Transport, run, storm};

/// Calls a service by the million while its workers are killed, and compares what callers were told with what ran.
#[derive(Parser)]
struct Arguments {
    /// How the calls travel.
    #[arg(long, value_enum)]
    transport: TransportWord,
    /// Calls to make, at least.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Calls of one engine and one comparison: what is written down about them is kept in memory until then. More calls
    /// are made in so many rounds, each with its part of the kills and a seed of its own.
    #[arg(long, default_value_t = 2_000_000)]
    round: u64,
    /// How many of them have sizes up to the limit; the others are log-uniform from 0 to 64 KiB.
    #[arg(long, default_value_t = 200)]
    big: u64,
    /// Workers to kill, at least.
    #[arg(long, default_value_t = 30)]
    kills: u64,
    /// Threads that call. With the usual numbers the worker with the most TCP connections has at least 32 of them.
    #[arg(long, default_value_t = 96)]
    threads: usize,
    /// Connections that they share.
    #[arg(long, default_value_t = 6)]
    clients: usize,
    /// Worker processes.
    #[arg(long, default_value_t = 3)]
    workers: usize,
    /// Calls that must be in flight when a worker is killed.
    #[arg(long, default_value_t = 32)]
    in_flight: u64,
    /// Of each call, in seconds.
    #[arg(long, default_value_t = 20)]
    deadline: u64,
    /// Seconds that a caller sleeps before it looks for itself: who finds its reply then has lost its wake.
    #[arg(long, default_value_t = 15)]
    sleep: u64,
    /// The service's message limit in bytes; without it 64 MiB for shared memory and 16 MiB for TCP.
    #[arg(long)]
    limit: Option<u64>,
    /// Decides sizes, kinds and victims.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For so many seconds everything at once in place of kills alone: kills, stops, reloads, scaling and a full disk.
    /// Storms of more than a minute are made in several, each with a seed of its own.
    #[arg(long)]
    storm: Option<u64>,
    /// A mistake on purpose: twice, silent, wrong-reply, lie, forget or mute, with :CALL.
    #[arg(long)]
    sabotage: Option<Sabotage>,
    /// Seconds for which everything is left as it is when nothing moves any more.
    #[arg(long, default_value_t = 0)]
    linger: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum TransportWord {
    Shm,
    Tcp,
}

impl Arguments {
    /// The rounds, which have all calls, large ones and kills between them.
    fn rounds(&self) -> Vec<Options> {
        let count = self.calls.div_ceil(self.round.max(1)).max(1);
        let part = |all: u64, round: u64| all * (round + 1) / count - all * round / count;
        let round = |number: u64| {
            let mut options = self.options();
            options.plan.calls = part(self.calls, number);
            options.plan.big = part(self.big, number);
            options.plan.seed = self.seed.wrapping_add(number);
            options.kills = part(self.kills, number);
            options
        };
        (0..count).map(round).collect()
    }

    fn options(&self) -> Options {
        let (transport, usual_limit) = match self.transport {
            TransportWord::Shm => (Transport::Shm, 64 << 20),
            TransportWord::Tcp => (Transport::Tcp, 16 << 20),
        };
        let message_max = self.limit.unwrap_or(usual_limit);
        Options {
            transport,
            plan: Plan { seed: self.seed, calls: self.calls, big: self.big, message_max },
            kills: self.kills,
            threads: self.threads,
            clients: self.clients,
            workers: self.workers,
            in_flight_min: self.in_flight,
            deadline: Duration::from_secs(self.deadline),
            sleep: Duration::from_secs(self.sleep),
            sabotage: self.sabotage,
            linger: Duration::from_secs(self.linger),
        }
    }
}

/// What is written down of a storm is kept in memory until its end.
const STORM_MAX: u64 = 60;

fn storms(seconds: u64, options: &Options) -> Result<(), String> {
    for number in 0..seconds.div_ceil(STORM_MAX).max(1) {
        let mut options = options.clone();
        options.plan.seed = options.plan.seed.wrapping_add(number);
        let span = Duration::from_secs(STORM_MAX.min(seconds - number * STORM_MAX));
        let stormed = storm(&options, span).map_err(|why| format!("storm with seed {}: {why}", options.plan.seed))?;
        println!("{stormed}");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seconds) = arguments.storm {
        return match storms(seconds, &arguments.options()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("chaos: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let rounds = arguments.rounds();
    let (mut calls, mut kills) = (0, 0);
    for (number, options) in (1..).zip(&rounds) {
        println!("round {number} of {}: {options:?}", rounds.len());
        match run(options) {
            Ok(report) => {
                println!("{report}");
                calls += report.calls();
                kills += report.deaths.in_flight.len();
            }
            Err(why) => {
                eprintln!("chaos: round {number}, seed {}: {why}", options.plan.seed);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{calls} calls and {kills} kills in {} rounds: none lost, none doubled", rounds.len());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_have_everything_between_them() {
        let arguments = Arguments::parse_from(
            "chaos --transport shm --calls 100000007 --kills 31 --big 201 --round 2000000".split(' '),
        );
        let rounds = arguments.rounds();
        let sum = |of: fn(&Options) -> u64| rounds.iter().map(of).sum::<u64>();
        assert_eq!((rounds.len(), sum(|round| round.plan.calls)), (51, 100_000_007));
        assert_eq!((sum(|round| round.kills), sum(|round| round.plan.big)), (31, 201));
        assert!(rounds.iter().all(|round| round.plan.calls <= 2_000_000));
        let one = Arguments::parse_from("chaos --transport shm".split(' ')).rounds();
        assert_eq!((one.len(), one[0].plan.calls, one[0].kills), (1, 1_000_000, 30));
    }
}
