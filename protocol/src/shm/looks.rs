//! Between two looks at a line that another processor is about to write.

/// Lets one look end before the next begins.
///
/// Without it a processor makes looks by the dozen ahead of time, and when the line changes it throws them away with
/// all that it has begun behind them. A `pause` prevents that, too, but takes 24 ns on the reference VM, a quarter of a
/// round trip; this takes a few. For a microsecond or two: who looks longer should pause, for the processor's sake.
#[inline]
pub fn one_at_a_time() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: `lfence` needs SSE2, which every processor with 64 bits has; it touches neither memory nor registers.
    unsafe {
        core::arch::x86_64::_mm_lfence();
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    std::hint::spin_loop();
}
