//! What a table says of a worker's process. `None` is "not said"; an inner `None` is "as the engine's own".

use std::path::PathBuf;

use super::plain;
use crate::fields::Fields;
use crate::keys::Home;
use crate::leaf::process as leaf;
use crate::problem::{Placed, Problems};
use crate::{CpuSet, Principal, Process, Rlimit, RunAs, Umask};

#[derive(Clone, Default)]
pub(crate) struct ProcessSettings {
    user: Option<Principal>,
    group: Option<Principal>,
    groups: Option<Vec<Principal>>,
    umask: Option<Option<Umask>>,
    rlimits: Vec<(Rlimit, Option<u64>)>,
    working_dir: Option<Option<PathBuf>>,
    cpus: Option<Option<CpuSet>>,
}

impl ProcessSettings {
    pub(super) fn read(fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        let run_as = fields.inner("run_as", Home::RunAs, problems);
        let mut settings = Self {
            umask: plain(fields.read("umask", leaf::umask, problems)),
            rlimits: fields.entries("rlimits", leaf::rlimit, problems).unwrap_or_default(),
            working_dir: plain(fields.read("working_dir", leaf::path_or_none, problems)),
            cpus: plain(fields.read("cpus", leaf::cpus, problems)),
            ..Self::default()
        };
        if let Some(run_as) = run_as {
            let groups = run_as.list("groups", crate::leaf::principal, problems);
            settings.user = plain(run_as.read("user", crate::leaf::principal, problems));
            settings.group = plain(run_as.read("group", crate::leaf::principal, problems));
            settings.groups = groups.map(|list| list.into_iter().map(|Placed { value, .. }| value).collect());
        }
        settings
    }

    pub(crate) fn or(self, there: &Self) -> Self {
        let mut rlimits = there.rlimits.clone();
        rlimits.retain(|(limit, _)| self.rlimits.iter().all(|(own, _)| own != limit));
        rlimits.extend(self.rlimits);
        Self {
            user: self.user.or_else(|| there.user.clone()),
            group: self.group.or_else(|| there.group.clone()),
            groups: self.groups.or_else(|| there.groups.clone()),
            umask: self.umask.or(there.umask),
            rlimits,
            working_dir: self.working_dir.or_else(|| there.working_dir.clone()),
            cpus: self.cpus.or_else(|| there.cpus.clone()),
        }
    }

    /// Relative folders begin at `folder`, the file's.
    pub(crate) fn in_force(self, folder: &std::path::Path) -> Process {
        Process {
            run_as: RunAs { user: self.user, group: self.group, groups: self.groups },
            umask: self.umask.flatten(),
            rlimits: self.rlimits,
            working_dir: self.working_dir.flatten().map(|path| folder.join(path)),
            cpus: self.cpus.flatten(),
        }
    }
}
