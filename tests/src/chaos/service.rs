//! What a worker of the service under fire does. Its program is `chaos-service`.

use std::path::Path;
use std::process::{ExitCode, id as own_pid};
use std::time::{Duration, Instant};

use super::api::{Chaos, Refused};
use super::plan::{checksum, reply_key, stream};
use super::record::{Record, Recorder};
use super::sabotage::{Sabotage, mute};
use crate::harness::let_pass;

/// The file that handlers append to.
pub const RECORD_ENV: &str = "CHAOS_RECORD";
/// What to do wrong on purpose.
pub const SABOTAGE_ENV: &str = "CHAOS_SABOTAGE";

/// The service.
#[derive(Debug)]
pub struct Scribe {
    recorder: Recorder,
    sabotage: Option<Sabotage>,
}

/// Hosts the service with what the environment says.
#[must_use]
pub fn serve() -> ExitCode {
    let Some(path) = std::env::var_os(RECORD_ENV) else {
        eprintln!("chaos-service: {RECORD_ENV} names the file to append to; it is not set");
        return ExitCode::FAILURE;
    };
    let sabotage = std::env::var(SABOTAGE_ENV).ok().and_then(|text| text.parse().ok());
    match Recorder::open(Path::new(&path)) {
        Ok(recorder) => speedysvc::serve(Scribe { recorder, sabotage }),
        Err(error) => {
            eprintln!("chaos-service: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

impl Scribe {
    /// Writes down that a call ran, and gives what its reply begins from.
    fn write_down(&self, id: u64, payload: &[u8]) -> u64 {
        let checksum = checksum(payload);
        let record = Record { id, pid: own_pid(), checksum };
        let times = match self.sabotage {
            Some(Sabotage::Twice(sabotaged)) if sabotaged == id => 2,
            Some(Sabotage::Silent(sabotaged)) if sabotaged == id => 0,
            _ => 1,
        };
        if self.sabotage == Some(Sabotage::Mute(id)) {
            mute().expect("the kernel takes a filter");
        }
        for _ in 0..times {
            self.recorder.append(record).expect("the record takes a line");
        }
        reply_key(id, checksum)
    }

    fn answer(&self, id: u64, key: u64, len: u32) -> Vec<u8> {
        let mut reply = Vec::new();
        stream(key, len as usize, &mut reply);
        if matches!(self.sabotage, Some(Sabotage::WrongReply(sabotaged)) if sabotaged == id) {
            reply.pop();
        }
        reply
    }
}

#[speedysvc::service]
impl Chaos for Scribe {
    fn run(&self, id: u64, reply_len: u32, payload: &[u8]) -> Vec<u8> {
        let key = self.write_down(id, payload);
        self.answer(id, key, reply_len)
    }

    fn dwell(&self, id: u64, reply_len: u32, micros: u32, busy: bool, payload: &[u8]) -> Vec<u8> {
        let (begin, time) = (Instant::now(), Duration::from_micros(micros.into()));
        let wait = |part: Duration| {
            if !busy {
                return let_pass(part);
            }
            while begin.elapsed() < part {
                std::hint::spin_loop();
            }
        };
        // Half before the line and half after it: kills find calls that have been written down and calls that have not.
        wait(time / 2);
        let key = self.write_down(id, payload);
        wait(if busy { time } else { time / 2 });
        self.answer(id, key, reply_len)
    }

    fn refuse(&self, id: u64, payload: &[u8]) -> Result<(), Refused> {
        self.write_down(id, payload);
        Err(Refused { id })
    }
}
