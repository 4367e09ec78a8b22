//! What a worker's process is, beside its program: whose, with which rights and bounds.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::{ByteSize, Principal, Refused};

/// What is set in a worker's process before its program begins. Whatever is not said is the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// As whom it runs.
    pub run_as: RunAs,
    /// Bits that files it makes do not get.
    pub umask: Option<Umask>,
    /// The kernel's bounds, soft and hard; `None` is unlimited.
    pub rlimits: Vec<(Rlimit, Option<u64>)>,
    /// The folder that it begins in, absolute.
    pub working_dir: Option<PathBuf>,
    /// On which processors it may run.
    pub cpus: Option<CpuSet>,
}

/// A user with groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunAs {
    /// The user.
    pub user: Option<Principal>,
    /// The group; without one the user's own.
    pub group: Option<Principal>,
    /// Groups beside it; without a list those of the user.
    pub groups: Option<Vec<Principal>>,
}

/// Permission bits that new files do not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(u16);

impl Umask {
    /// Refuses more than permission bits.
    pub const fn new(bits: u16) -> Result<Self, Refused> {
        if bits <= 0o777 { Ok(Self(bits)) } else { Err(Refused { expected: "three octal digits, such as \"027\"" }) }
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

/// A bound that the kernel keeps for each process: see getrlimit(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rlimit {
    /// Bytes of address space.
    As,
    /// Bytes of a core dump.
    Core,
    /// Seconds of processor time.
    Cpu,
    /// Bytes of data.
    Data,
    /// Bytes of a file that is written.
    Fsize,
    /// Bytes of locked memory.
    Memlock,
    /// Open descriptors.
    Nofile,
    /// Processes and threads of its user.
    Nproc,
    /// Bytes of a stack.
    Stack,
}

impl Rlimit {
    /// Every bound that can be said.
    pub const ALL: [Self; 9] = [
        Self::As,
        Self::Core,
        Self::Cpu,
        Self::Data,
        Self::Fsize,
        Self::Memlock,
        Self::Nofile,
        Self::Nproc,
        Self::Stack,
    ];

    /// What the file calls it: the kernel's name in small letters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::As => "as",
            Self::Core => "core",
            Self::Cpu => "cpu",
            Self::Data => "data",
            Self::Fsize => "fsize",
            Self::Memlock => "memlock",
            Self::Nofile => "nofile",
            Self::Nproc => "nproc",
            Self::Stack => "stack",
        }
    }

    /// Whether it is a number of things, and not of bytes.
    #[must_use]
    pub const fn is_count(self) -> bool {
        matches!(self, Self::Cpu | Self::Nofile | Self::Nproc)
    }
}

/// Processors by number. Not empty, ascending, without repetition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuSet(Vec<u16>);

impl CpuSet {
    /// The highest number that may be said: what the kernel's sets hold.
    pub const MAX: u16 = 1023;

    /// Reads `0-3,6`, as `taskset` and systemd do.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let refused = Refused { expected: "processors such as \"0-3,6\", at most 1023" };
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first).ok_or(refused)?, number(last).ok_or(refused)?);
            if first > last {
                return Err(refused);
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(Self(cpus))
    }

    /// The processors.
    #[must_use]
    pub fn cpus(&self) -> &[u16] {
        &self.0
    }
}

fn number(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|cpu| *cpu <= CpuSet::MAX)
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = &self.0[..];
        let mut before = "";
        while let [first, ..] = rest {
            let run = rest.iter().zip(*first..).take_while(|(cpu, next)| **cpu == *next).count();
            let last = rest[run - 1];
            write!(f, "{before}{first}")?;
            if last > *first {
                write!(f, "-{last}")?;
            }
            (before, rest) = (",", &rest[run..]);
        }
        Ok(())
    }
}

/// What `memory` of a service may be.
pub const MEMORY: RangeInclusive<ByteSize> = ByteSize::mib(1)..=ByteSize::gib(1 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_and_shown() {
        let shown = |text| CpuSet::parse(text).map(|set| set.to_string());
        assert_eq!(shown("0"), Ok("0".to_owned()));
        assert_eq!(shown("6,0-3"), Ok("0-3,6".to_owned()));
        assert_eq!(shown("0-1,1-2, 9"), Ok("0-2,9".to_owned()));
        assert_eq!(CpuSet::parse("1023").unwrap().cpus(), [1023]);
        for wrong in ["", "a", "3-1", "0,", "-1", "1024", "0-", "99999999"] {
            assert!(CpuSet::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn masks_have_permission_bits_only() {
        assert_eq!(Umask::new(0o777).map(Umask::bits), Ok(0o777));
        assert!(Umask::new(0o1000).is_err());
    }
}
