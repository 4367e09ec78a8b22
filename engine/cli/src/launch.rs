//! The verb that becomes a worker's program: whose process it is, and within which bounds, is set here.

use std::process::ExitCode;

use speedysvc_supervisor::launch::{Terms, become_worker};

use crate::arguments::Launch;
use crate::exit;

pub(crate) fn launch(what: &Launch) -> ExitCode {
    match Terms::from_text(&what.terms) {
        Ok(terms) => {
            let error = become_worker(&terms, what.arg0.as_deref(), &what.program, &what.args);
            exit::say(&error, exit::FAILED)
        }
        Err(error) => exit::say(&format_args!("this verb is for the engine's supervisor: {error}"), exit::USAGE),
    }
}
