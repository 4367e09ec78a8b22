//! This machine, as sysinfo sees it.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The host card's numbers.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) kernel: String,
    pub(crate) processors: usize,
    /// Jobs that ran or wanted to, over the last minute.
    pub(crate) load: f64,
    /// Bytes.
    pub(crate) memory: u64,
    /// Bytes that could be had.
    pub(crate) available: u64,
    /// The share of all processors in use since the look before.
    pub(crate) busy: f64,
}

/// What is kept from one look to the next.
pub(crate) struct Machine(System);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing().with_cpu_usage())))
    }

    /// One look. Processors are looked at from one look to the next, which must be some 200 ms apart.
    pub(crate) fn look(&mut self) -> Host {
        self.0.refresh_cpu_usage();
        self.0.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        Host {
            name: System::host_name().unwrap_or_default(),
            kernel: System::kernel_version().unwrap_or_default(),
            processors: self.0.cpus().len(),
            load: System::load_average().one,
            memory: self.0.total_memory(),
            available: self.0.available_memory(),
            busy: f64::from(self.0.global_cpu_usage()) / 100.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::hint::black_box;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn it_says_what_the_kernel_says() {
        let mut machine = Machine::new();
        let host = machine.look();
        let line = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
            line.split_whitespace().next().unwrap().to_owned()
        };
        assert_eq!(host.memory, line("/proc/meminfo", "MemTotal:").parse::<u64>().unwrap() * 1024);
        assert!((1..host.memory).contains(&host.available));
        assert!((0.0..=1.0).contains(&host.busy), "the first look has no look before: {}", host.busy);
        assert_eq!(host.name, line("/proc/sys/kernel/hostname", ""));
        assert_eq!(host.kernel, line("/proc/sys/kernel/osrelease", ""));
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let numbered = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| !rest.starts_with(' '));
        assert_eq!(host.processors, stat.lines().filter(numbered).count());
        // This thread alone keeps a processor busy; how much of it others let it have is theirs to say.
        let until = Instant::now() + Duration::from_millis(300);
        while Instant::now() < until {
            black_box(0);
        }
        let busy = machine.look().busy;
        assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    }
}
