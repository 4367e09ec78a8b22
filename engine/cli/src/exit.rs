//! Exit codes: BSD's sysexits where they fit.

use std::process::ExitCode;

use speedysvc::{Code, Error};

/// Everything that has no number of its own, and a method's own error.
pub(crate) const FAILED: u8 = 1;
/// The command line makes no sense.
pub(crate) const USAGE: u8 = 2;
/// `EX_UNAVAILABLE`.
pub(crate) const UNAVAILABLE: u8 = 69;
/// `EX_TEMPFAIL`: it took too long.
pub(crate) const TIMED_OUT: u8 = 75;
/// `EX_CONFIG`.
pub(crate) const CONFIG: u8 = 78;

/// Says an error on standard error, and turns it into an exit code.
pub(crate) fn say(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("speedysvc-engine: {error}");
    ExitCode::from(code)
}

/// The exit code of a call that failed.
pub(crate) fn of_call(error: &Error) -> u8 {
    match error.code() {
        Code::Unavailable => UNAVAILABLE,
        Code::DeadlineExceeded => TIMED_OUT,
        _ => FAILED,
    }
}
