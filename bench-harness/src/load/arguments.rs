//! The command line of `load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use speedysvc_config::units::{parse_duration, parse_size};

use super::rate;
use super::threshold::{self, Threshold};
use crate::open::pool::CONNECTIONS_MAX;
use crate::open::schedule::Arrivals;

/// The largest message that a service may be configured for.
const PAYLOAD_MAX: usize = 1 << 30;
const MORE: &str = "\
Calls are made when they are due, whether or not those before were answered; the next one goes to whichever connection
is free. Each connection has a thread, since the client waits for its answer. While calls are due soon, a thread looks
at the clock instead of sleeping, which CPU per call shows.

The method is known by name only, so that calls carry JSON: at high rates this measures JSON as well, on both sides.
`compare` measures typed calls.

A run is void when the generator itself did not keep up: when it sent 1 % of the calls later than --max-lag although a
connection was free, or less than 99 % of the wanted rate while connections were free. Calls that are late because all
connections were busy count with all the time since they were due; those not sent 5 s after the end are given up.

Examples:
  bench-harness load shm://echo --method echo --rate 5k --duration 10s --payload 64B
  bench-harness load tcp://127.0.0.1:5555 --method echo --rate 20k --duration 30s --connections 32 \\
      --payload 1KiB --threshold 'p99<1ms' --threshold 'errors<0.1%' --threshold 'rate>19.8k'

Exit codes: 0 well; 1 something failed; 2 usage; 3 a threshold was missed; 5 void: the generator did not keep up;
130 interrupted, and what there was is printed";

/// `bench-harness load`.
#[derive(Args, Debug)]
#[command(after_help = MORE)]
pub(crate) struct Load {
    /// Where the service is: shm://NAME, shm:///PATH/NAME.sock or tcp://HOST:PORT
    pub(crate) address: String,
    /// The method's name
    #[arg(long, value_name = "NAME")]
    pub(crate) method: String,
    /// Calls in a second, such as 500, 20k or 1.5M/s
    #[arg(long, value_parser = rate::parse)]
    pub(crate) rate: f64,
    /// For how long, such as 500ms or 30s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Connections, which share the calls
    #[arg(long, value_name = "COUNT", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub(crate) connections: u16,
    /// The size of the method's only argument, a text or bytes, such as 64B or 64KiB
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "json")]
    pub(crate) payload: Option<usize>,
    /// The argument as JSON, or several as an object or array
    #[arg(long, default_value = "null", hide_default_value = true)]
    pub(crate) json: String,
    /// How calls are spread
    #[arg(long, value_enum, default_value_t = Arrivals::Poisson)]
    pub(crate) arrivals: Arrivals,
    /// What must hold, such as 'p99<1ms', 'max<50ms', 'errors<0.1%', 'rate>19k'; may be given several times
    #[arg(long, value_name = "RULE", value_parser = threshold::parse)]
    pub(crate) threshold: Vec<Threshold>,
    /// The deadline of each call [default: the service's own]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// The latest that the generator may be by its own fault in 99 of 100 calls, before the run is void
    #[arg(long, value_name = "TIME", value_parser = lag, default_value = "1ms")]
    pub(crate) max_lag: Duration,
    /// The same seed gives the same moments
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Also write load.json, corrected.hgrm and uncorrected.hgrm there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

fn lag(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    match lag(text)? {
        Duration::ZERO => Err("0 is no time; expected something such as 500ms or 30s".into()),
        time => Ok(time),
    }
}

fn size(text: &str) -> Result<usize, String> {
    match parse_size(text).map_err(|error| error.to_string())?.as_usize() {
        size if size <= PAYLOAD_MAX => Ok(size),
        _ => Err("no service takes more than 1GiB in one message".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::verdict::LAG_MAX;
    use clap::Parser;

    #[derive(Parser, Debug)]
    struct Program {
        #[command(flatten)]
        load: Load,
    }

    fn parse(more: &[&str]) -> Result<Load, String> {
        let least = ["program", "shm://echo", "--method", "echo", "--rate", "20k", "--duration", "30s"];
        let parsed = Program::try_parse_from(least.iter().chain(more));
        parsed.map(|program| program.load).map_err(|error| error.to_string())
    }

    #[test]
    fn the_least_has_sensible_defaults() {
        let load = parse(&[]).unwrap();
        assert_eq!((load.rate, load.duration, load.connections), (20_000.0, Duration::from_secs(30), 16));
        assert_eq!((load.max_lag, load.arrivals, load.payload), (LAG_MAX, Arrivals::Poisson, None));
    }

    #[test]
    fn units_and_rules_are_read() {
        let load = parse(&["--payload", "64KiB", "--threshold", "p99<1ms", "--threshold", "rate>1k"]).unwrap();
        assert_eq!((load.payload, load.threshold.len()), (Some(65_536), 2));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (wrong, said) in [
            (["--payload", "64"], "did you mean \"64B\"?"),
            (["--timeout", "0"], "0 is no time"),
            (["--timeout", "5"], "such as \"30s\""),
            (["--threshold", "p99=1ms"], "'p99<1ms'"),
            (["--connections", "0"], "1..=4096"),
            (["--arrivals", "often"], "poisson"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.contains(said), "{wrong:?}: {error}");
        }
    }
}
