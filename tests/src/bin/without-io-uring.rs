//! Runs a program as on a machine whose container, or kernel, forbids io_uring:
//! `without-io-uring ERRNO PROGRAM [ARGUMENTS]`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`: the same numbers on every architecture.
const IO_URING: [i64; 3] = [425, 426, 427];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [errno, program, rest @ ..] = &arguments[..] else {
        eprintln!("usage: without-io-uring ERRNO PROGRAM [ARGUMENTS]");
        return ExitCode::from(2);
    };
    let number = match errno.as_str() {
        "EPERM" => 1,
        "ENOSYS" => 38,
        other => {
            eprintln!("without-io-uring: EPERM or ENOSYS, not {other}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = forbid(number) {
        eprintln!("without-io-uring: {error}");
        return ExitCode::FAILURE;
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("without-io-uring: {program}: {error}");
    ExitCode::FAILURE
}

fn forbid(errno: u32) -> Result<(), Box<dyn std::error::Error>> {
    let rules: BTreeMap<i64, _> = IO_URING.into_iter().map(|call| (call, vec![])).collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}
