//! How much a processor does at once: additions that wait for one another, and the same ones that do not.

use std::arch::asm;
use std::hint::black_box;

/// So many turns of three hundred additions that all wait for the one before.
pub(crate) fn in_turn(turns: u32) {
    let mut sum = 0_u64;
    for _ in 0..turns {
        // SAFETY: additions to a register of this function's own, which touch no memory and no stack.
        unsafe {
            asm!(
                ".rept 50",
                "add {0}, 1", "add {0}, 1", "add {0}, 1", "add {0}, 1", "add {0}, 1", "add {0}, 1",
                ".endr",
                inout(reg) sum, options(nomem, nostack)
            );
        }
    }
    black_box(sum);
}

/// So many turns of three hundred additions, of which each waits for the sixth before it.
pub(crate) fn at_once(turns: u32) {
    let [mut a, mut b, mut c, mut d, mut e, mut f] = [0_u64; 6];
    for _ in 0..turns {
        // SAFETY: as above, with six registers.
        unsafe {
            asm!(
                ".rept 50",
                "add {0}, 1", "add {1}, 1", "add {2}, 1", "add {3}, 1", "add {4}, 1", "add {5}, 1",
                ".endr",
                inout(reg) a, inout(reg) b, inout(reg) c, inout(reg) d, inout(reg) e, inout(reg) f,
                options(nomem, nostack)
            );
        }
    }
    black_box([a, b, c, d, e, f]);
}
