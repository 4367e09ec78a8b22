//! The processes of attached clients. Each is watched once, however many links it has: descriptors are what limits how
//! many can be attached.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::watch::{Source, Watch};

/// A watched process. Numbers of processes are used again, these are not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ProcessKey(u64);

struct Process {
    pid: Pid,
    /// Readable after its end.
    pidfd: OwnedFd,
    token: u64,
    clients: HashSet<u64>,
}

#[derive(Default)]
pub(crate) struct Processes {
    all: HashMap<ProcessKey, Process>,
    /// The last one that was seen to have this number.
    by_pid: HashMap<Pid, ProcessKey>,
    next: u64,
}

impl Processes {
    /// Watches a client's process. Should its number be another's by now, then the client's socket tells of its end.
    pub(crate) fn watch(
        &mut self,
        client: u64,
        pid: Pid,
        watch: &mut Watch,
        source: impl FnOnce(ProcessKey) -> Source,
    ) -> io::Result<ProcessKey> {
        let known = self.by_pid.get(&pid).copied();
        if let Some(process) = known.and_then(|key| self.all.get_mut(&key)).filter(|process| !process.has_ended()) {
            process.clients.insert(client);
            return Ok(self.by_pid[&pid]);
        }
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let key = ProcessKey(self.next);
        self.next += 1;
        let token = watch.add(&pidfd, source(key))?;
        self.all.insert(key, Process { pid, pidfd, token, clients: HashSet::from([client]) });
        self.by_pid.insert(pid, key);
        Ok(key)
    }

    /// The clients of a process.
    pub(crate) fn clients(&self, key: ProcessKey) -> Vec<u64> {
        self.all.get(&key).into_iter().flat_map(|process| &process.clients).copied().collect()
    }

    /// A client is gone; its process is watched as long as it has others.
    pub(crate) fn leave(&mut self, key: ProcessKey, client: u64, watch: &mut Watch) {
        let Some(process) = self.all.get_mut(&key) else { return };
        process.clients.remove(&client);
        if !process.clients.is_empty() {
            return;
        }
        watch.remove(&process.pidfd, process.token);
        let pid = process.pid;
        self.all.remove(&key);
        if self.by_pid.get(&pid) == Some(&key) {
            self.by_pid.remove(&pid);
        }
    }
}

impl Process {
    /// Its end may not have been heard of yet, and its number already be another's.
    fn has_ended(&self) -> bool {
        let mut pidfd = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut pidfd, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;
    use crate::ServiceKey;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("`sleep` is everywhere")
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_child(child)
    }

    fn ended(watch: &Watch) -> Vec<ProcessKey> {
        let ready = watch.ready().unwrap();
        ready.into_iter().filter_map(|s| if let Source::ClientEnd(_, key) = s { Some(key) } else { None }).collect()
    }

    #[test]
    fn a_process_is_watched_once_for_all_of_its_clients() {
        let (mut processes, mut watch) = (Processes::default(), Watch::new().unwrap());
        let source = |key| Source::ClientEnd(ServiceKey(0), key);
        let (mut one, mut other) = (sleeper(), sleeper());
        let keys = [1, 2].map(|client| processes.watch(client, pid(&one), &mut watch, source).unwrap());
        let others = processes.watch(3, pid(&other), &mut watch, source).unwrap();
        assert!(keys[0] == keys[1] && keys[0] != others && processes.all.len() == 2);
        processes.leave(keys[0], 1, &mut watch);
        assert_eq!(processes.clients(keys[0]), [2]);
        assert_eq!(ended(&watch), []);

        one.kill().and_then(|()| one.wait()).unwrap();
        assert_eq!(ended(&watch), [keys[0]]);
        // A process that has ended is no other's, even before anybody was told.
        assert!(processes.watch(4, pid(&one), &mut watch, source).is_err(), "the number is free");
        processes.leave(keys[0], 2, &mut watch);
        assert_eq!((processes.all.len(), processes.by_pid.len(), watch.sources.len()), (1, 1, 1));
        assert_eq!(ended(&watch), []);
        other.kill().and_then(|()| other.wait()).unwrap();
        processes.leave(others, 3, &mut watch);
        assert!(processes.all.is_empty() && processes.by_pid.is_empty() && watch.sources.is_empty());
    }
}
