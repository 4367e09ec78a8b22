//! The programs that the tests run, found beside the test itself.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A program of this workspace, in the folder of the profile that this test was built with.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this program has a path");
    // Tests are in PROFILE/deps, programs in PROFILE.
    let folders = test.ancestors().skip(1).take(2).map(|folder| folder.join(name));
    folders.filter(|path| path.is_file()).last().unwrap_or_else(|| {
        panic!("no {name} near {}: build the programs first, with `cargo build --workspace --bins`", test.display())
    })
}

/// A command for such a program that knows nothing of the run folders of whoever runs the tests.
#[must_use]
pub fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    for variable in ["SPEEDYSVC_RUN_DIR", "SPEEDYSVC_NAMESPACE", "SPEEDYSVC_LISTEN", "XDG_RUNTIME_DIR"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// What a program that ended has left: exit code (none after a signal), standard output and standard error.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn of(mut command: Command) -> Self {
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")).into()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}
