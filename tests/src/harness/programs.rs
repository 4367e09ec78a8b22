//! The programs that the tests run, found beside the test itself.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// Puts a program in place, executable for everybody. As an installer does it, with a new file under the old name.
///
/// Another process writes the file. If this one did, a program that another thread starts at that moment would hold it
/// open for writing until its own `exec`, and whoever starts ours meanwhile would hear "text file busy".
///
/// # Panics
/// When it cannot be put there.
pub fn install(bytes: &[u8], path: &Path) {
    let mut install = Command::new("install");
    install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().expect("coreutils are there");
    let mut input = install.stdin.take().expect("it is piped");
    input.write_all(bytes).expect("it reads to the end");
    drop(input);
    let status = install.wait().expect("a child can be waited for");
    assert!(status.success(), "{}: {status}", path.display());
}

/// Puts a copy of a program of this workspace where everybody may start it.
///
/// # Panics
/// When it cannot be put there.
pub fn install_copy(name: &str, path: &Path) {
    install(&fs::read(program(name)).expect("it can be read"), path);
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
