//! A service that does what it is told, however bad that is. Its program is `test-service`.

use std::fs;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use speedysvc::Archived;

use crate::harness::poll::{let_pass, wait_for};
use crate::hostile::crash::crash;

/// The sum of numbers does not fit.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overflow {
    /// How many numbers could be added.
    pub after: u64,
}

// In a private module: rkyv's derive makes a type of each variant whose fields have no documentation, and where that is
// public, the lint for missing documentation complains about `data`.
mod app_error {
    /// An error with everything that data may have.
    #[speedysvc::data]
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum AppError {
        /// Nothing was given.
        Empty,
        /// What was given is wrong.
        Wrong {
            /// What was given.
            text: String,
            /// Its length.
            length: u64,
        },
    }
}

pub use app_error::AppError;

/// What `big` answers: bytes of which each block of 4 KiB says where it belongs, and so does each byte in it. Made by
/// blocks, because tests make many MiB of it without optimisation.
#[must_use]
pub fn pattern(length: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..4096_usize).map(|at| (at.wrapping_mul(31) ^ (at >> 8)).to_le_bytes()[0]).collect();
    let mut bytes = Vec::with_capacity(length + block.len());
    for number in 0..=length / block.len() {
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&block[size_of::<usize>()..]);
    }
    bytes.truncate(length);
    bytes
}

/// Does what it is told.
#[speedysvc::service(name = "test")]
pub trait TestService {
    /// The same text.
    fn echo(&self, text: &str) -> String;
    /// The same bytes.
    fn echo_bytes(&self, bytes: &[u8]) -> Vec<u8>;
    /// Adds numbers.
    fn sum(&self, numbers: &Archived<Vec<u64>>) -> Result<u64, Overflow>;
    /// Panics with this text.
    fn panic(&self, text: &str);
    /// Takes this long, and says so.
    fn sleep_ms(&self, ms: u64) -> u64;
    /// The worker's process.
    fn pid(&self) -> u32;
    /// That many bytes of [`pattern`].
    fn big(&self, length: u64) -> Vec<u8>;
    /// Ends the worker as a crash does.
    fn die(&self);
    /// Fails with its own error.
    fn fail(&self, text: &str) -> Result<(), AppError>;
    /// Appends a line to a file, at once.
    fn note(&self, file: &str, line: &str);
    /// Prints text, to standard output or standard error.
    fn print(&self, text: &str, to_stderr: bool);
    /// Logs text at every level; says how many lines that makes.
    fn log(&self, text: &str) -> u32;
    /// Notes the worker's process in `GATE.in`, and stays until there is a `GATE.out`.
    fn hold(&self, gate: &str) -> u32;
    /// Looks at the text several times: whether it stays what it is.
    fn steady(&self, text: &str) -> bool;
    /// Ends the worker in one of the ways of [`crate::hostile::crash`].
    fn crash(&self, how: &str);
    /// As `hold`, and may be run again.
    #[method(idempotent)]
    fn hold_again(&self, gate: &str) -> u32;
    /// Appends a line to a file, and ends the worker as a crash does unless it is the second line.
    fn note_and_die(&self, file: &str) -> u32;
    /// The same, with a promise that it does not keep.
    #[method(idempotent)]
    fn note_and_die_again(&self, file: &str) -> u32;
    /// As `die`, and may be run again.
    #[method(idempotent)]
    fn die_again(&self);
    /// As `big`, and may be run again.
    #[method(idempotent)]
    fn big_again(&self, length: u64) -> Vec<u8>;
    /// As `hold`; without a gate it returns at once, so that nobody expects it to take long.
    fn linger(&self, gate: &str) -> u32;
    /// Takes this long, and appends a line to a file.
    fn mark(&self, file: &str, line: &str, ms: u64);
    /// Takes so many MiB of memory, and keeps them. The worker's process.
    fn grow(&self, mib: u64) -> u32;
}

/// The service.
#[derive(Debug, Default)]
pub struct Obedient;

#[speedysvc::service]
impl TestService for Obedient {
    fn echo(&self, text: &str) -> String {
        text.to_owned()
    }

    fn echo_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn sum(&self, numbers: &Archived<Vec<u64>>) -> Result<u64, Overflow> {
        let mut sum = 0_u64;
        for (after, number) in (0..).zip(numbers.iter()) {
            sum = sum.checked_add(number.to_native()).ok_or(Overflow { after })?;
        }
        Ok(sum)
    }

    fn panic(&self, text: &str) {
        panic!("{text}");
    }

    fn sleep_ms(&self, ms: u64) -> u64 {
        let_pass(Duration::from_millis(ms));
        ms
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn big(&self, length: u64) -> Vec<u8> {
        pattern(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn die(&self) {
        std::process::abort();
    }

    fn die_again(&self) {
        self.die();
    }

    fn fail(&self, text: &str) -> Result<(), AppError> {
        match text {
            "" => Err(AppError::Empty),
            "well" => Ok(()),
            _ => Err(AppError::Wrong { text: text.to_owned(), length: text.len() as u64 }),
        }
    }

    fn note(&self, file: &str, line: &str) {
        append(Path::new(file), line);
    }

    fn print(&self, text: &str, to_stderr: bool) {
        if to_stderr {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }

    fn log(&self, text: &str) -> u32 {
        tracing::trace!("{text}");
        tracing::debug!("{text}");
        tracing::info!(length = text.len(), "{text}");
        tracing::warn!("{text}");
        tracing::error!("{text}");
        5
    }

    fn hold(&self, gate: &str) -> u32 {
        append(Path::new(&format!("{gate}.in")), &std::process::id().to_string());
        let out = format!("{gate}.out");
        wait_for("the gate to open", || Path::new(&out).exists());
        std::process::id()
    }

    fn steady(&self, text: &str) -> bool {
        // Each look is at memory: the text might be in memory that its client still writes.
        let look = || black_box(text).bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let first = look();
        (0..20).all(|_| look() == first) && std::str::from_utf8(black_box(text).as_bytes()).is_ok()
    }

    fn crash(&self, how: &str) {
        crash(how);
    }

    fn hold_again(&self, gate: &str) -> u32 {
        self.hold(gate)
    }

    fn note_and_die(&self, file: &str) -> u32 {
        append(Path::new(file), &std::process::id().to_string());
        match fs::read_to_string(file).map(|text| text.lines().count()) {
            Ok(2) => std::process::id(),
            _ => std::process::abort(),
        }
    }

    fn note_and_die_again(&self, file: &str) -> u32 {
        self.note_and_die(file)
    }

    fn big_again(&self, length: u64) -> Vec<u8> {
        self.big(length)
    }

    fn linger(&self, gate: &str) -> u32 {
        if gate.is_empty() { std::process::id() } else { self.hold(gate) }
    }

    fn mark(&self, file: &str, line: &str, ms: u64) {
        let_pass(Duration::from_millis(ms));
        append(Path::new(file), line);
    }

    fn grow(&self, mib: u64) -> u32 {
        // Not zeros: those are not there until somebody writes.
        vec![7_u8; usize::try_from(mib << 20).unwrap_or(0)].leak();
        std::process::id()
    }
}

fn append(file: &Path, line: &str) {
    let opened = fs::File::options().create(true).append(true).open(file);
    // In one write, so that lines of several workers do not mix.
    let written = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    written.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}
