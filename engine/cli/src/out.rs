//! Standard output: what was asked for, and nothing else.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::exit;

/// Writes a line. Whoever reads may have enough, as in `ctl logs | head`: that is no failure.
pub(crate) fn line(text: &str) -> Result<(), ExitCode> {
    all(&[text.as_bytes(), b"\n"])
}

/// Writes all of it.
pub(crate) fn all(parts: &[&[u8]]) -> Result<(), ExitCode> {
    let mut out = io::stdout().lock();
    let written = parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => exit::say(&format_args!("cannot write to standard output: {error}"), exit::FAILED),
    })
}
