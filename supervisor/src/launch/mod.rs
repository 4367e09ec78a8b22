//! As whom a worker runs, and within which bounds: set by a verb of the engine's own binary, which then becomes the
//! worker's program. Nothing of this runs between a fork and an exec, where hardly anything may be called.
//!
//! | module   | idea |
//! |----------|------|
//! | `terms`  | what is to be set, in numbers: from the file and the accounts of this machine, to a text and back |
//! | `become` | sets it, in a process that does nothing else |

mod r#become;
mod terms;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

pub use r#become::{LaunchError, become_worker};
pub(crate) use terms::Identity;
pub use terms::Terms;

/// The verb of the engine's binary that calls [`become_worker`]: `launch TERMS -- PROGRAM ARGUMENTS`.
pub const VERB: &str = "launch";

/// The command that runs `command` by `terms`. It begins with this program, also when its file was replaced.
pub(crate) fn launched(command: &Command, arg0: Option<&str>, terms: &Terms) -> Command {
    let mut launcher = Command::new("/proc/self/exe");
    launcher.arg0("speedysvc-engine").arg(VERB).arg(terms.to_text());
    launcher.args(arg0.map(|arg0| ["--arg0", arg0]).into_iter().flatten());
    launcher.arg("--").arg(command.get_program());
    launcher.args(command.get_args().map(OsString::from));
    launcher
}
