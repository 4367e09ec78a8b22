//! Sharing work: which calls a loop runs next, and how its time is shared out. Pure rules: no clock, no memory of
//! others, no system calls; so the same code runs in the engine, in tests against oracles and in a simulator.

pub(crate) mod accepting;
pub(crate) mod bell_budget;
pub(crate) mod breather;
pub(crate) mod passes;
pub(crate) mod places;
#[cfg(test)]
mod simulation;
pub(crate) mod turns;
pub(crate) mod watch;
