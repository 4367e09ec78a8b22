//! Rules about who may name what: each dangerous or volatile thing has one home.

use super::blocks::words;
use super::lexer::is_word;
use super::tree::{Source, Tree, Violation, is_under};

/// The only caller of rkyv, and the macros that write its attributes into users' crates.
const RKYV_HOMES: &[&str] = &["protocol/src/archive.rs", "protocol/src/archive", "protocol/macros"];
/// The one import that decides between real atomics and loom's.
const ATOMICS_HOMES: &[&str] = &["protocol/src/shm/sync.rs"];
/// The stages from text to values, where places in the file still matter. Beyond them there are values only.
const TEXT_HOMES: &[&str] = &[
    "config/src/document.rs", // TOML's own rules
    "config/src/fields.rs",   // one table
    "config/src/leaf.rs",     // one value
    "config/src/leaf",
    "config/src/listen.rs", // one address
    "config/src/raw.rs",    // the file as written
    "config/src/raw",
    "config/src/resolve.rs", // inheritance and defaults
    "config/src/check.rs",   // rules between values
    "config/src/print.rs",   // and back: values as a file, with the places that they came from
    "config/src/print",
    "config/src/import.rs", // a file that is written from another
    "config/tests",
    "config/src/import.rs",
    "config/src/print.rs",
    "config/src/print",
];
/// Where the time of day is asked for: to show it, and for the age of files, which outlive processes. Everything that
/// waits or decides goes by the monotonic clock, which nobody can set (row D11 of docs/faults.md).
const WALL_CLOCK_HOMES: &[&str] = &[
    "engine/src/source/http/reply.rs", // the field Date
    "supervisor/src/journal/files.rs", // when a file of the log was begun
    "supervisor/src/journal/mod.rs",   // the time of a line
    "web/src/moment.rs",               // the time of a point in a chart
];
const WALL_CLOCK: &[&str] = &["SystemTime", "UNIX_EPOCH", "ClockId::Realtime", "ClockId::RealtimeCoarse"];
/// What users run: tests, benchmarks and the harness may look at any clock.
const SHIPPED: &[&str] = &["client", "config", "engine", "protocol", "supervisor", "web"];
/// Protocol is bytes in, decisions out: what it may not reach.
const IMPURE: &[&str] = &["std::net", "core::net", "std::os::unix::net", "std::thread", "Instant", "SystemTime"];

pub fn archives(tree: &Tree) -> Vec<Violation> {
    let elsewhere = tree.sources.iter().filter(|source| !is_under(&source.path, RKYV_HOMES));
    let what = "rkyv is called by protocol/src/archive.rs only";
    elsewhere
        .flat_map(|source| {
            let code = &source.lexed.code;
            let uses = words(code, "rkyv").filter(|at| !is_attribute(code, *at) && !is_handed_on(code, *at));
            uses.map(|at| Violation::at(&source.path, code, at, what)).collect::<Vec<_>>()
        })
        .collect()
}

/// `#[rkyv(…)]`
fn is_attribute(code: &str, at: usize) -> bool {
    code[..at].ends_with("#[") && code[at..].starts_with("rkyv(")
}

/// `pub use speedysvc_protocol::archive::rkyv;`, for the code that macros write: names it, and calls nothing.
fn is_handed_on(code: &str, at: usize) -> bool {
    code[at..].starts_with("rkyv;") && path_before(code, at).ends_with("archive::")
}

pub fn atomics(tree: &Tree) -> Vec<Violation> {
    let room = tree.sources_under(&["protocol/src/shm"]);
    let elsewhere = room.filter(|source| !is_under(&source.path, ATOMICS_HOMES));
    // Tests keep counts of their own, which no other process sees.
    let is_test = |path: &str| path.contains("_tests");
    let what = "atomics come from shm/sync.rs, so that loom can take their place";
    elsewhere
        .filter(|source| !is_test(&source.path))
        .flat_map(|source| named(source, &source.lexed.code, &["std::sync::atomic", "core::sync::atomic"], what))
        .collect()
}

pub fn pure_protocol(tree: &Tree) -> Vec<Violation> {
    let what = "protocol knows no sockets, clock or threads";
    tree.sources_under(&["protocol/src"])
        .flat_map(|source| named(source, &source.shipped_code(), IMPURE, what))
        .collect()
}

pub fn wall_clock(tree: &Tree) -> Vec<Violation> {
    let what = "the time of day can be set: decide by the monotonic clock (Instant, engine/src/clock.rs)";
    let elsewhere = tree.sources_under(SHIPPED).filter(|source| !is_under(&source.path, WALL_CLOCK_HOMES));
    elsewhere.flat_map(|source| named(source, &source.shipped_code(), WALL_CLOCK, what)).collect()
}

pub fn text_in_raw(tree: &Tree) -> Vec<Violation> {
    let config = tree.sources_under(&["config"]).filter(|source| !is_under(&source.path, TEXT_HOMES));
    let what = "only what reads or writes the file knows TOML";
    config
        .flat_map(|source| {
            let code = source.shipped_code();
            let uses = words(&code, "toml").filter(|at| code[*at..].starts_with("toml::"));
            uses.map(|at| Violation::at(&source.path, &code, at, what)).collect::<Vec<_>>()
        })
        .collect()
}

fn named(source: &Source, code: &str, paths: &[&str], what: &str) -> Vec<Violation> {
    let found = paths.iter().flat_map(|path| places_of(code, path).into_iter().map(move |at| (at, path)));
    found.map(|(at, path)| Violation::at(&source.path, code, at, format!("{path}: {what}"))).collect()
}

/// Where code names a path, written out or inside the braces of a `use`.
pub fn places_of(code: &str, path: &str) -> Vec<usize> {
    let (parent, last) = path.rsplit_once("::").map_or((String::new(), path), |(a, b)| (format!("{a}::"), b));
    words(code, last).filter(|at| path_before(code, *at).ends_with(&parent)).collect()
}

/// `std::sync::` for the word `atomic` in `use std::{net, sync::{atomic::AtomicU32, Arc}}`.
fn path_before(code: &str, at: usize) -> String {
    let start = code[..at].trim_end_matches(|c: char| c == ':' || c.is_ascii() && is_word(c as u8)).len();
    let segment = &code[start..at];
    open_group(code, start).map_or_else(|| segment.into(), |open| path_before(code, open) + segment)
}

/// The brace that a place in a `use` group stands in.
fn open_group(code: &str, at: usize) -> Option<usize> {
    let mut closed = 0_usize;
    for (offset, byte) in code.bytes().enumerate().take(at).collect::<Vec<_>>().into_iter().rev() {
        match byte {
            b';' => return None,
            b'}' => closed += 1,
            b'{' if closed == 0 => return code[..offset].ends_with("::").then_some(offset),
            b'{' => closed -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn rkyv_has_one_caller() {
        let call = "fn f() {}\nlet x = rkyv::access(b);";
        let found = |path| shown(&archives(&Tree::of(&[(path, call)])));
        let found_in = |text| archives(&Tree::of(&[("client/src/lib.rs", text)]));
        assert_eq!(
            found("engine/src/reply.rs"),
            ["engine/src/reply.rs:2: rkyv is called by protocol/src/archive.rs only"]
        );
        assert!(found("protocol/src/archive.rs").is_empty());
        assert!(found("protocol/macros/src/data.rs").is_empty());
        assert!(archives(&Tree::of(&[("a.rs", "#[rkyv(derive(Debug))] // rkyv\nstruct rkyv_like;")])).is_empty());
        assert!(found_in("pub use protocol::archive::rkyv;").is_empty());
        assert_eq!(found_in("use protocol::archive::rkyv;\nrkyv::access(b);").len(), 1);
        assert_eq!(found_in("protocol::archive::rkyv::access(b);").len(), 1);
    }

    #[test]
    fn atomics_come_from_sync() {
        let uses = [
            "use std::sync::atomic::AtomicU32;",
            "use core::sync::atomic;",
            "use std::sync::{Arc, atomic::{AtomicU32, Ordering}};",
            "use std::{fmt, sync::{atomic::AtomicU32, Arc}};",
        ];
        for text in uses {
            assert_eq!(atomics(&Tree::of(&[("protocol/src/shm/slot.rs", text)])).len(), 1, "{text}");
            assert!(atomics(&Tree::of(&[("protocol/src/shm/sync.rs", text)])).is_empty());
        }
        let good = "use super::sync::atomic::AtomicU32;\nuse std::sync::Arc;";
        assert!(atomics(&Tree::of(&[("protocol/src/shm/slot.rs", good)])).is_empty());
    }

    #[test]
    fn protocol_has_no_clock_sockets_or_threads() {
        let found = |text| shown(&pure_protocol(&Tree::of(&[("protocol/src/frame.rs", text)])));
        let why = "protocol knows no sockets, clock or threads";
        assert_eq!(found("use std::time::Instant;"), [format!("protocol/src/frame.rs:1: Instant: {why}")]);
        assert_eq!(found("\nuse std::{fmt, thread};"), [format!("protocol/src/frame.rs:2: std::thread: {why}")]);
        assert_eq!(found("fn f(a: std::net::IpAddr) {}").len(), 1);
        assert!(
            found("use std::time::Duration; use rustix::thread::futex;\n#[cfg(test)]\nuse std::thread;").is_empty()
        );
    }

    #[test]
    fn the_time_of_day_decides_nothing() {
        let found = |path, text| wall_clock(&Tree::of(&[(path, text)])).len();
        for text in ["use std::time::{Duration, SystemTime};", "let now = clock_gettime(ClockId::Realtime);"] {
            assert_eq!(found("supervisor/src/policy/mod.rs", text), 1, "{text}");
            assert_eq!(found("web/src/moment.rs", text), 0, "{text}");
            assert_eq!(found("tests/src/lib.rs", text), 0, "{text}");
        }
        assert_eq!(found("client/src/a.rs", "let now = clock_gettime(ClockId::Monotonic); // SystemTime"), 0);
    }

    #[test]
    fn configuration_is_text_in_one_file() {
        let text = "let t: toml::Table = x; // toml::";
        assert_eq!(text_in_raw(&Tree::of(&[("config/src/resolved.rs", text)])).len(), 1);
        assert!(text_in_raw(&Tree::of(&[("config/src/raw.rs", text), ("engine/src/a.rs", text)])).is_empty());
    }
}
