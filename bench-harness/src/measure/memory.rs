//! Memory and descriptors of processes, by the kernel's own books.

use std::fs;
use std::io;

/// The proportional set size of these processes in bytes: what they share with others counts by their part of it.
///
/// # Errors
/// When one of them is gone, or belongs to somebody else.
pub(crate) fn proportional(processes: &[u32]) -> io::Result<u64> {
    let of = |process: &u32| {
        let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        pss(&text).ok_or_else(|| io::Error::other("smaps_rollup has no line `Pss:`"))
    };
    processes.iter().map(of).sum()
}

fn pss(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// How many descriptors a process has open, and the most that it may have.
///
/// # Errors
/// As above.
pub(crate) fn descriptors(process: u32) -> io::Result<(u64, u64)> {
    let open = fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64;
    let limits = fs::read_to_string(format!("/proc/{process}/limits"))?;
    Ok((open, limit(&limits).unwrap_or(u64::MAX)))
}

/// The soft limit; "unlimited" is no number.
fn limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_where_the_kernel_puts_them() {
        assert_eq!(pss("0000-ffff ---p\nRss:   9 kB\nPss:                 123 kB\nPss_Dirty: 5 kB\n"), Some(125_952));
        assert_eq!(pss("Rss: 9 kB"), None);
        let limits = "Max processes 5 6 processes\nMax open files            1024                 4096       files\n";
        assert_eq!(limit(limits), Some(1_024));
        assert_eq!(limit("Max open files unlimited unlimited files"), None);
    }

    #[test]
    fn this_process_has_some_of_both() {
        let own = std::process::id();
        assert!(proportional(&[own]).unwrap() > 100_000);
        let before = descriptors(own).unwrap();
        assert!(before.0 >= 3 && before.0 < before.1);
        assert!(proportional(&[u32::MAX]).is_err());
    }
}
