//! Calls by the million while workers are killed. Prints counts, or what contradicts and ends with 1.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use speedysvc_tests::chaos::plan::Plan;
use speedysvc_tests::chaos::{Options, Sabotage, Transport, run};

/// Calls a service by the million while its workers are killed, and compares what callers were told with what ran.
#[derive(Parser)]
struct Arguments {
    /// How the calls travel.
    #[arg(long, value_enum)]
    transport: TransportWord,
    /// Calls to make, at least.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
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
    /// The service's message limit in bytes; without it 64 MiB for shared memory and 16 MiB for TCP.
    #[arg(long)]
    limit: Option<u64>,
    /// Decides sizes, kinds and victims.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A mistake on purpose: twice, silent, wrong-reply, lie or forget, with :CALL.
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
            sabotage: self.sabotage,
            linger: Duration::from_secs(self.linger),
        }
    }
}

fn main() -> ExitCode {
    let options = Arguments::parse().options();
    println!("{options:?}");
    match run(&options) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("chaos: {why}");
            ExitCode::FAILURE
        }
    }
}
