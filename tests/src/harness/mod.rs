//! Engines for tests: real programs, in a folder of their own, that end with the test whatever happens.
//!
//! | module       | idea |
//! |--------------|------|
//! | [`disk`]     | a disk that is soon full |
//! | [`engine`]   | a folder with a file, and the engine that runs it |
//! | [`process`]  | one started program: its lines, its signals, its end |
//! | [`programs`] | where the programs are |
//! | [`proc`]     | processes as the kernel shows them |
//! | [`poll`]     | waiting for conditions; the only file that sleeps |

pub mod disk;
pub mod engine;
pub mod poll;
pub mod proc;
pub mod process;
pub mod programs;

pub use disk::SmallDisk;
pub use engine::{Engine, Home};
pub use poll::{PATIENCE, let_pass, look_for, wait_for, wait_until};
pub use proc::is_root;
pub use process::Process;
pub use programs::{Ended, command, install, install_copy, program};
