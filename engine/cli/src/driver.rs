//! The verb that says which driver a worker would get.

use std::process::ExitCode;

use crate::exit;

/// It makes a driver of each kind, as a worker does.
pub(crate) fn driver() -> ExitCode {
    match speedysvc_core::probe_driver() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => exit::say(&error, exit::UNAVAILABLE),
    }
}
