//! Sets what is to be set, and becomes the worker's program. The process has one thread and does nothing else.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use speedysvc_protocol::control::Report;
use speedysvc_protocol::shm::handover;

use super::{Identity, Terms};

/// What could not be set, of a key of the file.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` of the engine's file cannot be had: {what}: {source}")]
pub struct LaunchError {
    key: &'static str,
    what: String,
    source: io::Error,
}

fn failed(key: &'static str, what: impl Into<String>) -> impl FnOnce(io::Error) -> LaunchError {
    move |source| LaunchError { key, what: what.into(), source }
}

/// Becomes the program, by these terms. Comes back only if that fails, after telling the supervisor, whose control
/// socket is the standard input.
pub fn become_worker(terms: &Terms, arg0: Option<&str>, program: &Path, args: &[OsString]) -> LaunchError {
    let Err(error) = set_and_run(terms, arg0, program, args);
    // Without a supervisor there is nobody to tell.
    let _alone = handover::send(io::stdin(), &Report::Failed { why: error.to_string() }, &[]);
    error
}

fn set_and_run(
    terms: &Terms,
    arg0: Option<&str>,
    program: &Path,
    args: &[OsString],
) -> Result<std::convert::Infallible, LaunchError> {
    // A file that was replaced is run by a descriptor of the supervisor's, which only we may look into.
    let opened = program.starts_with("/proc").then(|| File::open(program)).transpose();
    let opened = opened.map_err(failed("program", program.display().to_string()))?;
    let mut command = match &opened {
        Some(file) => Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())),
        None => Command::new(program),
    };
    command.args(args).arg0(arg0.map_or(program.as_os_str(), |arg0| arg0.as_ref()));
    // Bounds first: a user may lower them only.
    for (name, value) in &terms.rlimits {
        set_limit(name, *value).map_err(failed("rlimits", name))?;
    }
    if let Some(cpus) = &terms.cpus {
        set_cpus(cpus).map_err(failed("cpus", "no such processors are free here"))?;
    }
    if let Some(identity) = &terms.identity {
        let who = format!("becoming user {} of group {}", identity.uid, identity.gid);
        set_identity(identity).map_err(failed("run_as", who))?;
        if let Some(name) = &identity.name {
            command.env("USER", name).env("LOGNAME", name);
        }
        if let Some(home) = &identity.home {
            command.env("HOME", home);
        }
    }
    // As that user: whether it may enter is its own affair.
    if let Some(folder) = &terms.working_dir {
        std::env::set_current_dir(folder).map_err(failed("working_dir", folder.display().to_string()))?;
    }
    if let Some(bits) = terms.umask {
        rustix::process::umask(Mode::from_raw_mode(bits.into()));
    }
    let error = command.exec();
    Err(failed("program", program.display().to_string())(error))
}

fn set_limit(name: &str, value: Option<u64>) -> io::Result<()> {
    let resource = match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "memlock" => Resource::Memlock,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "stack" => Resource::Stack,
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let before = getrlimit(resource);
    Ok(setrlimit(resource, Rlimit { current: value, maximum: value })
        // Raising the hard bound is root's; the soft one may go up to it.
        .or_else(|error| {
            let fits = before.maximum.is_none_or(|most| value.is_some_and(|value| value <= most));
            if fits { setrlimit(resource, Rlimit { current: value, ..before }) } else { Err(error) }
        })?)
}

fn set_cpus(cpus: &[u16]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(usize::from(*cpu)));
    Ok(sched_setaffinity(None, &set)?)
}

/// Groups first: afterwards we may not. All three ids, so that there is no way back.
fn set_identity(identity: &Identity) -> io::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    if rustix::process::geteuid().is_root() {
        set_thread_groups(&groups)?;
    }
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_thread_res_gid(gid, gid, gid)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}
