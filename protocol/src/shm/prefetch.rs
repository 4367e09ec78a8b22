//! Hints that a cache line will be wanted soon, for those who have many calls in flight: the line is then on its way
//! while something else is being done. They change nothing that a program can see but its speed.

/// How soon a line that another processor has written last is read. Whether it still exists does not matter.
#[inline]
pub(super) fn to_read<T>(line: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a prefetch loads no register and never faults, whatever the address: nothing is behind one that is not
    // mapped.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _none = line;
}

/// The same for a line that is to be written: it comes alone, so that the store does not wait for it.
///
/// Who polls the line meanwhile takes it away again, so this is for lines that nobody polls just now.
#[inline]
pub(super) fn to_write<T>(line: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: `prefetchw` writes no memory and no register, sets no flag and never faults. Processors that do not have
    // it (no `prfchw`) execute its encoding as a no-op: all with 64 bits do, which is why it needs no detection.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _none = line;
}
