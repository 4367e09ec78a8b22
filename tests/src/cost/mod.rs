//! What attacks and deaths cost those who have nothing to do with them. Run by command, with the machine for itself.
//!
//! | module         | idea |
//! |----------------|------|
//! | [`neighbours`] | a neighbour's calls beside each attack, and beside who burns as much and breaks no rule |
//! | [`deaths`]     | from a worker's death to its caller's answer, against death, pidfd and wake alone |
//! | [`refusals`]   | a call that finds a queue full, against one that is answered |
//! | [`storm`]      | clients killed by the thousand |
//! | [`watchers`]   | a neighbour's p99 while twenty browsers watch the dashboard |
//! | [`spread`]     | medians and intervals |

pub mod deaths;
pub mod neighbours;
pub mod refusals;
pub mod spread;
pub mod storm;
pub mod watchers;
