//! What the kernel says of processes.
//!
//! By our own hand, unlike [`crate::machine`]: sysinfo keeps a file of each process open, and does not know
//! proportional sizes (decision 0044).

use std::fs;

/// What a process has used since its start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    /// Microseconds of processors.
    pub(crate) cpu_us: u64,
    /// Bytes from disks.
    pub(crate) read: u64,
    /// Bytes to disks.
    pub(crate) written: u64,
    /// Resident bytes; shared pages count in full.
    pub(crate) rss: u64,
}

impl Process {
    /// Reads it; `None` when it is gone.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let text = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
        let mut process = Self::parse_stat(&text("stat")?)?;
        // Forbidden for processes that changed their user.
        if let Some(io) = text("io") {
            process.read = field(&io, "read_bytes:").unwrap_or(0);
            process.written = field(&io, "write_bytes:").unwrap_or(0);
        }
        Some(process)
    }

    fn parse_stat(text: &str) -> Option<Self> {
        // The name in brackets may hold anything.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
        let ticks = number(11)? + number(12)?;
        let rss = number(21)?.saturating_mul(rustix::param::page_size() as u64);
        Some(Self {
            cpu_us: ticks.saturating_mul(1_000_000 / rustix::param::clock_ticks_per_second()),
            rss,
            ..Self::default()
        })
    }
}

/// Resident bytes where what several processes share is shared out among them. The kernel walks all pages for it.
pub(crate) fn pss(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    field(&text, "Pss:").map(|kib| kib.saturating_mul(1024))
}

/// The name of a process's program.
pub(crate) fn program(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

/// The number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn this_process_is_there() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let process = Process::read(pid).unwrap();
        assert!(process.rss > 100_000 && pss(pid).unwrap() > 10_000 && program(pid).is_some());
        assert_eq!((Process::read(i32::MAX), pss(i32::MAX)), (None, None));
    }

    #[test]
    fn processors_and_disks_are_counted() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = Process::read(pid).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let bytes = |name: &str| field(&fs::read_to_string("/proc/self/io").unwrap(), name).unwrap();
        let (read, written) = (bytes("read_bytes:"), bytes("write_bytes:"));
        // The kernel counts ticks of some milliseconds.
        let until = Instant::now() + Duration::from_secs(60);
        let after = loop {
            (0..1_000_000).for_each(|count| _ = black_box(count));
            let now = Process::read(pid).unwrap();
            if now.cpu_us >= before.cpu_us + 50_000 || Instant::now() > until {
                break now;
            }
        };
        assert!(after.cpu_us >= before.cpu_us + 50_000, "{before:?} {after:?}");
        // It was in between: other tests use disks, too.
        assert!((read..=bytes("read_bytes:")).contains(&after.read), "{after:?}");
        assert!((written..=bytes("write_bytes:")).contains(&after.written), "{after:?}");
    }

    #[test]
    fn names_of_programs_may_hold_brackets() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 20 30 0 0 20 0 1 0 99 4096 5 0";
        let process = Process::parse_stat(text).unwrap();
        assert_eq!(process.rss, 5 * rustix::param::page_size() as u64);
        assert_eq!(process.cpu_us, 50 * 1_000_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(Process::parse_stat("7 (a) S"), None);
    }
}
