//! One function per parser: bytes in, and a panic when the parser broke a promise. libFuzzer calls them from
//! `fuzz_targets/`, and `tests/replay.rs` without a fuzzer.
//!
//! Not panicking is the least of it: each target also has an oracle. What was accepted must come out the same when it
//! is written and read again; what was refused must say that the call did not start.
#![forbid(unsafe_code)]
#![recursion_limit = "1024"] // types nested beyond the limit on depth

pub mod archive;
pub mod arguments;
pub mod call;
pub mod config;
pub mod control;
pub mod frame;
pub mod geometry;
pub mod hello;
pub mod http;
mod input;
mod json;
pub mod packed;
pub mod slots;
pub mod trace;
pub mod types;
pub mod words;

/// A parser under test.
pub struct Target {
    /// Its folder in `corpus/` and its program in `fuzz_targets/`.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Inputs that `tests/replay.rs` makes up: fewer where one costs more.
    pub tries: u32,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "archive", run: archive::target, tries: 60_000 },
    Target { name: "arguments", run: arguments::target, tries: 60_000 },
    Target { name: "call", run: call::target, tries: 60_000 },
    Target { name: "config", run: config::target, tries: 2_000 },
    Target { name: "control", run: control::target, tries: 60_000 },
    Target { name: "frame", run: frame::target, tries: 200_000 },
    Target { name: "geometry", run: geometry::target, tries: 100_000 },
    Target { name: "hello", run: hello::target, tries: 60_000 },
    Target { name: "http", run: http::target, tries: 60_000 },
    Target { name: "packed", run: packed::target, tries: 20_000 },
    Target { name: "slots", run: slots::target, tries: 100_000 },
    Target { name: "trace", run: trace::target, tries: 200_000 },
    Target { name: "words", run: words::target, tries: 200_000 },
];
