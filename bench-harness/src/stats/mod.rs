//! Statistics: pure, no clock and no files. Tested on contenders whose answers are known (`tests`).

pub(crate) mod absent;
pub(crate) mod analysis;
pub(crate) mod bootstrap;
pub(crate) mod distance;
pub(crate) mod extra;
pub(crate) mod latency;
pub(crate) mod plan;
pub(crate) mod quantile;
pub(crate) mod queue;
pub(crate) mod random;
pub(crate) mod ratio;
pub(crate) mod regression;
pub(crate) mod sharing;
#[cfg(test)]
mod tests;
pub(crate) mod voiding;
