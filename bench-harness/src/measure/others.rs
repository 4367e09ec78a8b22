//! What those who have no part in a row took of its processors: the same whoever is measured, which switches are not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::accounts;
use super::job::Cpus;

/// The kernel's flag of its own threads (`PF_KTHREAD`). They work for whoever asked, the row above all.
const KERNEL: u64 = 0x0020_0000;

/// Time on a processor of every thread of other programs, so far.
pub(super) struct Others(BTreeMap<u32, Thread>);

#[derive(Clone, Copy)]
struct Thread {
    cpu_ns: u64,
    /// The processor that it last ran on.
    cpu: usize,
}

impl Others {
    /// Reads the accounts of everybody but these processes, as far as they can be seen from here.
    pub(super) fn read(but: &[u32]) -> Self {
        let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        let folders = |path: &Path| {
            let found = fs::read_dir(path).ok().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
            found.filter_map(move |path| Some((number(&path)?, path))).collect::<Vec<_>>()
        };
        let processes = folders(Path::new("/proc")).into_iter().filter(|(process, _)| !but.contains(process));
        let threads = processes.flat_map(|(_, path)| folders(&path.join("task")));
        // Whoever ends meanwhile is left out.
        let read = |(thread, path): (u32, std::path::PathBuf)| {
            let of_file = |name: &str| fs::read_to_string(path.join(name)).ok();
            let (flags, cpu) = flags_and_cpu(&of_file("stat")?)?;
            let cpu_ns = accounts::schedstat_ns(&of_file("schedstat")?);
            (flags & KERNEL == 0).then_some((thread, Thread { cpu_ns, cpu }))
        };
        Self(threads.filter_map(read).collect())
    }

    /// What they took between two readings, in nanoseconds: those who were last seen on one of these processors.
    /// Of a thread that ended meanwhile nothing is known.
    pub(super) fn since(&self, before: &Self, on: Cpus) -> u64 {
        let took = self.0.iter().filter(|(_, thread)| [on.server, on.client].contains(&thread.cpu));
        let took = took.map(|(number, thread)| {
            let earlier = before.0.get(number).map_or(0, |thread| thread.cpu_ns);
            thread.cpu_ns.saturating_sub(earlier)
        });
        took.sum()
    }
}

/// From `/proc/PID/stat`: its 9th and 39th fields, counted behind the name, which may hold anything.
fn flags_and_cpu(stat: &str) -> Option<(u64, usize)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some((fields.get(6)?.parse().ok()?, fields.get(36)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_kernel_puts_them() {
        let stat =
            "15 (a (b) c) S 2 0 0 0 -1 2129984 0 0 0 0 1 2 0 0 20 0 1 0 9 0 0 1 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0";
        assert_eq!(flags_and_cpu(stat), Some((2_129_984, 3)));
        assert_eq!(flags_and_cpu("15 (x) S 2"), None);
    }

    #[test]
    fn a_thread_that_ran_is_seen_unless_it_is_left_out() {
        let thread = u32::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
        let before = Others::read(&[]).0[&thread].cpu_ns;
        // Reading takes time as well.
        while Others::read(&[]).0[&thread].cpu_ns == before {}
        assert!(!Others::read(&[std::process::id()]).0.contains_key(&thread));
    }

    #[test]
    fn who_came_counts_from_nothing_who_went_or_ran_elsewhere_does_not() {
        let others = |threads: &[(u32, u64, usize)]| {
            let thread = |(number, cpu_ns, cpu): &(u32, u64, usize)| (*number, Thread { cpu_ns: *cpu_ns, cpu: *cpu });
            Others(threads.iter().map(thread).collect())
        };
        let before = others(&[(1, 500, 0), (2, 900, 0), (4, 0, 2)]);
        let after = others(&[(1, 700, 0), (3, 30, 1), (4, 5_000, 2)]);
        assert_eq!(after.since(&before, Cpus { server: 0, client: 1 }), 230);
    }
}
