//! Histograms as files that the usual HdrHistogram tools read and plot.
//!
//! | module | file |
//! |--------|------|
//! | `hgrm` | a percentile distribution, as text |
//! | `hlog` | an interval log: one compressed histogram a line |
//!
//! The `hdrhistogram` crate would write the second, too, but brings an older base64 than the workspace's and a parser
//! along; the first it does not write.

#![forbid(unsafe_code)]

mod hgrm;
mod hlog;

pub use hgrm::hgrm;
pub use hlog::{Interval, hlog};

/// A number for people, and for formats that write it so.
#[expect(clippy::cast_precision_loss, reason = "times and counts below 2^53; beyond that sixteen digits are plenty")]
const fn as_float(value: u64) -> f64 {
    value as f64
}
