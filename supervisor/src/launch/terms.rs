//! What is to be set, in numbers.

use std::path::PathBuf;

use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};
use speedysvc_config::{Process, Service};

use crate::StartError;
use crate::accounts::{self, Account};

/// Everything that is set in a process before its program begins. What is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// User, group, and groups beside it.
    pub(crate) identity: Option<Identity>,
    /// Permission bits.
    pub(crate) umask: Option<u16>,
    /// Names of bounds, with `None` for unlimited.
    pub(crate) rlimits: Vec<(String, Option<u64>)>,
    /// The folder.
    pub(crate) working_dir: Option<PathBuf>,
    /// Processors.
    pub(crate) cpus: Option<Vec<u16>>,
}

/// Whose process it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Beside `gid`.
    pub(crate) groups: Vec<u32>,
    /// Its name and home folder, for its environment; unknown for a number without an account.
    pub(crate) name: Option<String>,
    pub(crate) home: Option<PathBuf>,
}

impl Terms {
    /// From a service's part of the file. `None` when nothing is to be set.
    ///
    /// # Errors
    /// When the file names accounts that this machine does not know, or we may not become them.
    pub(crate) fn of(service: &Service) -> Result<Option<Self>, StartError> {
        if service.process == Process::default() {
            return Ok(None);
        }
        let Process { umask, rlimits, working_dir, cpus, .. } = &service.process;
        Ok(Some(Self {
            identity: identity(service)?,
            umask: umask.map(speedysvc_config::Umask::bits),
            rlimits: rlimits.iter().map(|(limit, value)| (limit.as_str().to_owned(), *value)).collect(),
            working_dir: working_dir.clone(),
            cpus: cpus.as_ref().map(|cpus| cpus.cpus().to_vec()),
        }))
    }

    pub(crate) fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts become JSON")
    }

    /// What `launched` wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_text(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

fn identity(service: &Service) -> Result<Option<Identity>, StartError> {
    let run_as = &service.process.run_as;
    if run_as.user.is_none() && run_as.group.is_none() && run_as.groups.is_none() {
        return Ok(None);
    }
    let account = match &run_as.user {
        Some(user) => accounts::user(service, user)?,
        None => Account { uid: geteuid().as_raw(), gid: Some(getegid().as_raw()), name: None, home: None },
    };
    let gid = match &run_as.group {
        Some(group) => accounts::group(service, group)?,
        None => {
            account.gid.ok_or_else(|| StartError::NoGroup { service: service.name.to_string(), uid: account.uid })?
        }
    };
    let groups = match &run_as.groups {
        Some(groups) => groups.iter().map(|group| accounts::group(service, group)).collect::<Result<_, _>>()?,
        None => account.name.as_deref().map(accounts::groups_of).transpose()?.unwrap_or_default(),
    };
    let is_change = account.uid != geteuid().as_raw() || gid != getegid().as_raw() || run_as.groups.is_some();
    if is_change && !geteuid().is_root() {
        return Err(StartError::NotRoot { service: service.name.to_string() });
    }
    // What the file says of the environment wins.
    let says = |variable: &str| service.env.iter().any(|(name, _)| name == variable);
    let (name, home) = (account.name.filter(|_| !says("USER")), account.home.filter(|_| !says("HOME")));
    Ok(Some(Identity { uid: account.uid, gid, groups, name, home }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use speedysvc_config::{CpuSet, Principal, Rlimit, RunAs, Umask};

    fn service(process: Process) -> Service {
        Service { process, ..crate::lifecycle_tests::service("echo") }
    }

    #[test]
    fn nothing_to_set_needs_no_launcher() {
        assert_eq!(Terms::of(&service(Process::default())).unwrap(), None);
    }

    #[test]
    fn terms_survive_the_command_line() {
        let process = Process {
            umask: Some(Umask::new(0o27).unwrap()),
            rlimits: vec![(Rlimit::Nofile, Some(7)), (Rlimit::Core, None)],
            working_dir: Some("/a b/ü".into()),
            cpus: Some(CpuSet::parse("0-1").unwrap()),
            ..Process::default()
        };
        let terms = Terms::of(&service(process)).unwrap().unwrap();
        assert_eq!(Terms::from_text(&terms.to_text()).unwrap(), terms);
        assert!(Terms::from_text("{\"what\":1}").is_err());
    }

    #[test]
    fn accounts_are_looked_up_and_unknown_ones_are_told() {
        let run_as = |user| Process { run_as: RunAs { user: Some(user), ..RunAs::default() }, ..Process::default() };
        let error = Terms::of(&service(run_as(Principal::Name("nobody-at-all".to_owned())))).unwrap_err();
        assert!(error.to_string().contains("nobody-at-all") && error.to_string().contains("run_as"), "{error}");
        let error = Terms::of(&service(run_as(Principal::Id(54321)))).unwrap_err().to_string();
        assert!(error.contains("54321") && error.contains("`group`"), "{error}");
        let terms = Terms::of(&service(run_as(Principal::Name("root".to_owned()))));
        match (geteuid().is_root(), terms) {
            (true, Ok(Some(Terms { identity: Some(root), .. }))) => {
                assert_eq!((root.uid, root.gid, root.name.as_deref()), (0, 0, Some("root")));
            }
            (false, Err(error)) => assert!(error.to_string().contains("must be root"), "{error}"),
            (_, other) => panic!("{other:?}"),
        }
    }
}
