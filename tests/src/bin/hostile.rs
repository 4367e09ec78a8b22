//! Attacks a service, one verb for each attack; or serves as a worker that dies. See `docs/faults.md`.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use speedysvc_tests::hostile::attacks::Attack;
use speedysvc_tests::hostile::ground::Ground;
use speedysvc_tests::hostile::worker;

/// Breaks the rules of a service's shared memory, to show that nobody else suffers.
#[derive(Parser)]
struct Arguments {
    /// What to do; without it, be a worker that dies.
    #[arg(value_enum)]
    attack: Option<Attack>,
    /// The service's rendezvous socket.
    #[arg(long, default_value = "test.sock")]
    socket: PathBuf,
    /// How many rounds.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// For how many milliseconds, instead of rounds.
    #[arg(long)]
    for_ms: Option<u64>,
    /// After how many stores to stop or die.
    #[arg(long, default_value_t = 0)]
    step: usize,
    /// As which user a child runs that is given a link.
    #[arg(long)]
    heir: Option<u32>,
    /// Processes of the engine, whose memory is to be tried.
    #[arg(long)]
    pids: Vec<u32>,
    /// What some controls burn of a processor.
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    /// For a worker: how it answers.
    #[arg(long, value_enum, default_value = "inline")]
    reply: worker::Reply,
    /// For a worker: the file that tells it that one has died already.
    #[arg(long, default_value = "died")]
    marker: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(attack) = arguments.attack else {
        return worker::serve(&arguments.marker, arguments.reply, arguments.step);
    };
    let mut ground = Ground::new(&arguments.socket, arguments.rounds, arguments.for_ms.map(Duration::from_millis));
    ground.step = arguments.step;
    ground.heir = arguments.heir;
    ground.pids = arguments.pids;
    ground.share = arguments.share;
    match attack.run(&ground) {
        Ok(()) => {
            ground.say("done");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("hostile: {error}");
            ExitCode::FAILURE
        }
    }
}
