//! `ping`: whether a service answers, and how fast.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use speedysvc::untyped::{self, Method, Reply};

use crate::arguments::Ping;
use crate::ctl::time;
use crate::times::{Times, nanos};
use crate::{exit, out};

/// To the line's beginning, and forget what was there.
const AGAIN: &[u8] = b"\r\x1b[K";
/// How often Ctrl-C is looked for while nothing is due.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn ping(what: &Ping) -> ExitCode {
    if let Err(error) = untyped::check_address(&what.address) {
        return exit::say(&error.message(), exit::USAGE);
    }
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop)) {
        return exit::say(&format_args!("cannot listen to Ctrl-C: {error}"), exit::FAILED);
    }
    let method = match Method::connect(&what.address, "health", what.timeout) {
        Ok(method) => method,
        Err(error) => return exit::say(&error, exit::of_call(&error)),
    };
    let mut pinger = Pinger { what, method, times: Times::default(), stop };
    let ended = if what.latency { pinger.latency() } else { pinger.one_by_one() };
    let told = pinger.end();
    ended.and(told).err().unwrap_or(ExitCode::SUCCESS)
}

struct Pinger<'a> {
    what: &'a Ping,
    method: Method,
    times: Times,
    stop: Arc<AtomicBool>,
}

impl Pinger<'_> {
    fn is_over(&self) -> bool {
        let enough = self.what.count.is_some_and(|count| self.times.count() >= count);
        enough || self.stop.load(Ordering::Relaxed)
    }

    /// One call of `health`: what it said, and how long it took.
    fn call(&mut self) -> Result<(Vec<u8>, Duration), ExitCode> {
        let begin = Instant::now();
        let answer = self.method.call(b"null");
        let took = begin.elapsed();
        match answer {
            Ok(Reply::Ok(health) | Reply::Application(health)) => {
                self.times.note(took);
                Ok((health, took))
            }
            Err(error) => Err(exit::say(&error, exit::of_call(&error))),
        }
    }

    /// A line for each call.
    fn one_by_one(&mut self) -> Result<(), ExitCode> {
        while !self.is_over() {
            let (health, took) = self.call()?;
            let health: Value = serde_json::from_slice(&health).unwrap_or_default();
            out::line(&if self.what.json {
                json!({ "took_ns": nanos(took), "health": health }).to_string()
            } else {
                let of = |key: &str| health[key].as_str().map_or_else(|| health[key].to_string(), str::to_owned);
                let took = time(Some(nanos(took)));
                format!("{}: {} in {took}, by process {}", of("service"), of("status"), of("pid"))
            })?;
            self.pause();
        }
        Ok(())
    }

    fn pause(&self) {
        let begin = Instant::now();
        while !self.is_over() && begin.elapsed() < self.what.every {
            thread::sleep(LOOK.min(self.what.every.saturating_sub(begin.elapsed())));
        }
    }

    /// Calls without a pause, and a line now and then, which a terminal shows in place of the one before.
    fn latency(&mut self) -> Result<(), ExitCode> {
        let live = io::stdout().is_terminal() && !self.what.json;
        let (mut said, mut line) = (Instant::now(), Times::default());
        while !self.is_over() {
            let (_, took) = self.call()?;
            line.note(took);
            if said.elapsed() >= self.what.every {
                match live {
                    true => out::all(&[AGAIN, self.times.line().as_bytes()])?,
                    false if self.what.json => out::line(&line.json().to_string())?,
                    false => out::line(&line.line())?,
                }
                (said, line) = (Instant::now(), Times::default());
            }
        }
        if live { out::all(&[AGAIN]) } else { Ok(()) }
    }

    /// The summary.
    fn end(&self) -> Result<(), ExitCode> {
        match self.what.json {
            _ if self.times.count() == 0 => Ok(()),
            true => out::line(&json!({ "all": self.times.json() }).to_string()),
            false => out::line(&format!("all {}", self.times.line())),
        }
    }
}
