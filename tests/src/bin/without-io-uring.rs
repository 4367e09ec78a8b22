//! Runs a program as on a machine whose container, or kernel, forbids io_uring:
//! `without-io-uring ERRNO PROGRAM [ARGUMENTS]`, where it allows a part of it only (ENTER or REGISTER for ERRNO names
//! what is forbidden), or where it may lock no memory: `without-io-uring MEMLOCK PROGRAM`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

/// `io_uring_setup`, `io_uring_enter` and `io_uring_register`: the same numbers on every architecture.
const IO_URING: [i64; 3] = [425, 426, 427];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [errno, program, rest @ ..] = &arguments[..] else {
        eprintln!("usage: without-io-uring ERRNO PROGRAM [ARGUMENTS]");
        return ExitCode::from(2);
    };
    let done = match errno.as_str() {
        "EPERM" => forbid(&IO_URING, 1),
        "ENOSYS" => forbid(&IO_URING, 38),
        // As a kernel that knows none of the flags.
        "EINVAL" => forbid(&IO_URING[..1], 22),
        "ENTER" => forbid(&IO_URING[1..2], 1),
        "REGISTER" => forbid(&IO_URING[2..], 1),
        "MEMLOCK" => lock_nothing(),
        other => {
            eprintln!("without-io-uring: EPERM, ENOSYS, EINVAL, ENTER, REGISTER or MEMLOCK, not {other}");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = done {
        eprintln!("without-io-uring: {error}");
        return ExitCode::FAILURE;
    }
    let error = Command::new(program).args(rest).exec();
    eprintln!("without-io-uring: {program}: {error}");
    ExitCode::FAILURE
}

/// Since Linux 6.14 the memory of a ring counts as locked, unless its owner may lock what it likes.
fn lock_nothing() -> Result<(), Box<dyn std::error::Error>> {
    // Who is not root has no such right, and may not take it away.
    let _not_root = remove_capability_from_bounding_set(CapabilitySet::IPC_LOCK);
    Ok(setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum: Some(0) })?)
}

fn forbid(calls: &[i64], errno: u32) -> Result<(), Box<dyn std::error::Error>> {
    let rules: BTreeMap<i64, _> = calls.iter().map(|call| (*call, vec![])).collect();
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}
