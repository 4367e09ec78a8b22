//! `env`: what of this machine decides its figures, and how quiet it is now.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::machine::Machine;
use crate::measure::job::Cpus;
use crate::measure::{accounts, clock::Clock, cpus, probe, sharing};
use crate::stats::distance::Distances;
use crate::stats::quantile;
use crate::stats::sharing::Sharing;

/// How long each processor is watched.
const WATCHED: Duration = Duration::from_millis(500);
/// Between two looks at the clock, a gap of this length is somebody else's.
const GAP_NS: f64 = 2_000.0;
const PROBES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run() -> Result<ExitCode> {
    print!("{}", Machine::here().text());
    if cfg!(debug_assertions) {
        println!("build: debug, whose figures mean nothing; build with --release");
    }
    let allowed = cpus::allowed()?;
    println!("processors for us: {allowed:?}");
    let steal = accounts::steal_ticks();
    for cpu in allowed.iter().take(4) {
        let gaps = watch(*cpu)?;
        println!("noise on processor {cpu}: {}", gaps.said());
    }
    match allowed.as_slice() {
        [first, second, ..] => {
            println!("{}", distance(*first, *second)?);
            println!("{}", cores(&sharing::looks(Cpus { server: *first, client: *second })?));
        }
        _ => println!("distance: one processor has none; `compare` needs two"),
    }
    println!("stolen meanwhile: {} ms", (accounts::steal_ticks() - steal) * 10);
    Ok(ExitCode::SUCCESS)
}

/// Time that went by on a processor although nothing but looking at the clock was to be done.
struct Gaps {
    count: usize,
    sum_ns: f64,
    longest_ns: f64,
}

impl Gaps {
    fn said(&self) -> String {
        let part = self.sum_ns / 1e9 / WATCHED.as_secs_f64() * 100.0;
        let judgement = if part < 0.5 { "quiet" } else { "not quiet: others run here" };
        let (count, longest) = (self.count, self.longest_ns / 1e3);
        format!("{part:.2} % taken in {count} gaps, the longest {longest:.0} us; {judgement}")
    }
}

fn watch(cpu: usize) -> Result<Gaps> {
    let watcher = thread::spawn(move || {
        cpus::pin_thread(cpu)?;
        let mut clock = Clock::new();
        let (ticks, begin) = (clock.now(), Instant::now());
        let mut long = vec![];
        let mut last = ticks;
        // More gaps than this would not make it noisier.
        while begin.elapsed() < WATCHED && long.len() < 100_000 {
            let now = clock.now();
            // Some hundred looks at the shorter one: what is not far beyond it is judged after calibration.
            if now - last > 500 {
                long.push(now - last);
            }
            last = now;
        }
        clock.calibrate(ticks, begin);
        let gaps: Vec<f64> = long.into_iter().map(|ticks| clock.ns(ticks)).filter(|ns| *ns > GAP_NS).collect();
        let longest_ns = gaps.iter().copied().fold(0.0, f64::max);
        std::io::Result::Ok(Gaps { count: gaps.len(), sum_ns: gaps.iter().sum(), longest_ns })
    });
    Ok(watcher.join().map_err(|_| anyhow::anyhow!("the watching thread panicked"))??)
}

/// The distance of two processors over a second: on a virtual machine it changes.
fn distance(first: usize, second: usize) -> Result<String> {
    let prober = thread::spawn(move || {
        let mut found = vec![];
        for _ in 0..PROBES {
            found.extend(probe::distance(first, second)?);
            thread::sleep(PAUSE);
        }
        std::io::Result::Ok(found)
    });
    let found = prober.join().map_err(|_| anyhow::anyhow!("the probing thread panicked"))??;
    let kinds = Distances::of(found.iter().copied());
    let median = quantile::median(&found);
    let steady = if kinds.count() > 1 { "; it moves: compare at one distance only" } else { "" };
    let (probes, kinds) = (found.len(), kinds.count());
    Ok(format!(
        "distance of {first} and {second}: a flag's round trip takes {median:.0} ns \
         ({probes} of {PROBES} probes, {kinds} kinds){steady}"
    ))
}

/// Whether others use the cores of the two processors, by what was seen of them.
fn cores(found: &[f64]) -> String {
    let Some(sharing) = Sharing::of(found.iter().copied()) else {
        return "cores: whether others use them cannot be seen on such a processor".into();
    };
    let (least, most, looks) = (sharing.least, sharing.most, found.len());
    let shared = found.iter().filter(|part| **part > sharing.own()).count() * 100 / looks;
    let advice = if shared > 0 { "; compare with --own-cores" } else { "" };
    format!(
        "cores: six additions at once take {least:.3} to {most:.3} of six in turn; \
         others were seen on them in {shared} % of {looks} looks{advice}"
    )
}

#[cfg(test)]
mod tests {
    use super::cores;

    #[test]
    fn others_on_the_cores_are_counted() {
        assert!(cores(&[0.3, 0.3, 0.43, 0.31]).ends_with("in 25 % of 4 looks; compare with --own-cores"));
        assert!(
            cores(&[0.3, 0.31]).ends_with("0.300 to 0.310 of six in turn; others were seen on them in 0 % of 2 looks")
        );
        assert!(cores(&[]).contains("cannot be seen"));
    }
}
