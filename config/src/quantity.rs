//! Numbers with a unit and a range. Whoever holds one need not check it.

use std::fmt;
use std::time::Duration;

/// A value that was refused, with what would have been accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What would have been accepted, as the end of the sentence "expected ...".
    pub expected: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl std::error::Error for Refused {}

/// A size in bytes. Shown, and written in the file, in powers of 1024: `64KiB`, `16MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// That many times 1024 bytes; stops at the largest size there is.
    #[must_use]
    pub const fn kib(kibibytes: u64) -> Self {
        Self(kibibytes.saturating_mul(1 << 10))
    }

    /// That many times 1024 KiB; stops at the largest size there is.
    #[must_use]
    pub const fn mib(mebibytes: u64) -> Self {
        Self(mebibytes.saturating_mul(1 << 20))
    }

    /// That many times 1024 MiB; stops at the largest size there is.
    #[must_use]
    pub const fn gib(gibibytes: u64) -> Self {
        Self(gibibytes.saturating_mul(1 << 30))
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in bytes for use as a length; the longest possible length where it would not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that loses nothing, the way the file writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |(shift, _): &&(u32, &str)| self.0 != 0 && self.0.trailing_zeros() >= *shift;
        match UNITS.iter().find(fits) {
            Some((shift, unit)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

/// How many worker processes a service has: 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerCount(u16);

impl WorkerCount {
    /// The most workers a service can have.
    pub const MAX: u16 = 64;

    /// Refuses what is not between 1 and [`WorkerCount::MAX`].
    pub const fn new(count: u16) -> Result<Self, Refused> {
        match count {
            1..=Self::MAX => Ok(Self(count)),
            _ => Err(Refused { expected: "a whole number from 1 to 64" }),
        }
    }

    /// The number of processes.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for WorkerCount {
    /// One: more is a decision about the machine.
    fn default() -> Self {
        Self(1)
    }
}

/// How many slots a link has, which is how many of its calls can be in flight: 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotCount(u16);

impl SlotCount {
    /// The most slots a link can have.
    pub const MAX: u16 = 64;

    /// Refuses what is not between 1 and [`SlotCount::MAX`].
    pub const fn new(count: u16) -> Result<Self, Refused> {
        match count {
            1..=Self::MAX => Ok(Self(count)),
            _ => Err(Refused { expected: "a whole number from 1 to 64" }),
        }
    }

    /// The number of slots.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for SlotCount {
    /// All of them: an idle slot costs a little memory and no time.
    fn default() -> Self {
        Self(Self::MAX)
    }
}

/// The longest busy wait before a loop goes to sleep: 0 to 1 ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spin(Duration);

impl Spin {
    /// Sleeps at once.
    pub const NONE: Self = Self(Duration::ZERO);
    /// The longest that may be asked for. A sleep and a wake cost far less, so longer only burns a core.
    pub const MAX: Duration = Duration::from_millis(1);

    /// Refuses more than [`Spin::MAX`].
    pub fn new(longest: Duration) -> Result<Self, Refused> {
        if longest <= Self::MAX { Ok(Self(longest)) } else { Err(Refused { expected: "at most \"1ms\"" }) }
    }

    /// The longest busy wait.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Default for Spin {
    /// 20 µs: about what one sleep and wake costs on the reference machine.
    fn default() -> Self {
        Self(Duration::from_micros(20))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_show_the_largest_exact_unit() {
        let shown = |bytes| ByteSize::from_bytes(bytes).to_string();
        assert_eq!(shown(0), "0B");
        assert_eq!(shown(860), "860B");
        assert_eq!(shown(1025), "1025B");
        assert_eq!(shown(64 << 10), "64KiB");
        assert_eq!(shown(1536 << 10), "1536KiB");
        assert_eq!(shown(1 << 30), "1GiB");
        assert_eq!(ByteSize::gib(u64::MAX).bytes(), u64::MAX);
    }

    #[test]
    fn ranges_hold_at_both_ends() {
        assert!(WorkerCount::new(0).is_err() && WorkerCount::new(65).is_err());
        assert!(SlotCount::new(0).is_err() && SlotCount::new(65).is_err());
        assert_eq!(WorkerCount::new(64).map(WorkerCount::get), Ok(64));
        assert_eq!(SlotCount::new(1).map(SlotCount::get), Ok(1));
        assert_eq!(Spin::new(Duration::ZERO), Ok(Spin::NONE));
        assert!(Spin::new(Spin::MAX).is_ok());
        assert!(Spin::new(Spin::MAX + Duration::from_nanos(1)).is_err());
    }
}
