//! The ways in which a process ends by its own fault.

use std::arch::asm;
use std::hint::black_box;

/// How a handler crashes.
///
/// # Panics
/// When there is no such way.
pub fn crash(how: &str) {
    match how {
        "null" => null_write(),
        "illegal" => illegal(),
        "stack" => drop(black_box(deeper(0))),
        "abort" => std::process::abort(),
        "drop" => panic_twice(),
        _ => panic!("no such crash: {how}"),
    }
}

/// Writes to the first byte of memory, where nothing is mapped.
fn null_write() {
    // SAFETY: the store faults, which ends the process; nothing follows that could see its effect.
    unsafe { asm!("mov qword ptr [{0}], {0}", in(reg) 0_u64) };
}

fn illegal() {
    // SAFETY: the instruction faults, which ends the process.
    unsafe { asm!("ud2") };
}

fn deeper(depth: u64) -> [u64; 64] {
    let mut here = black_box([depth; 64]);
    if black_box(true) {
        here[1] = deeper(depth + 1)[0];
    }
    black_box(here)
}

/// A panic while another unwinds cannot be caught.
fn panic_twice() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let _bomb = Bomb;
    panic!("before drop");
}
