//! Words that do not land: what is unfinished, and tests that wait for time to pass.

use super::blocks::words;
use super::names::places_of;
use super::tree::{Tree, Violation};

const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX"];
const UNFINISHED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
const SLEEPS: &[&str] = &["thread::sleep", "time::sleep", "nanosleep"];

/// In all files. In Rust, text in quotes does not count: a test of this rule must be able to exist.
pub fn unfinished(tree: &Tree) -> Vec<Violation> {
    let rust = tree.sources.iter().flat_map(|source| {
        let code = macros_in(&source.lexed.code).chain(words_in(&source.lexed.code));
        code.chain(words_in(&source.lexed.comments))
            .map(|(at, what)| Violation::at(&source.path, &source.text, at, what))
    });
    let others = tree.files.iter().filter(|(path, _)| !path.ends_with(".rs"));
    let others = others.flat_map(|(path, text)| words_in(text).map(|(at, what)| Violation::at(path, text, at, what)));
    rust.chain(others).collect()
}

fn words_in(text: &str) -> impl Iterator<Item = (usize, String)> {
    UNFINISHED.iter().flat_map(move |word| words(text, word).map(move |at| (at, format!("{word}: do it, or file it"))))
}

fn macros_in(code: &str) -> impl Iterator<Item = (usize, String)> {
    UNFINISHED_MACROS.iter().flat_map(move |name| {
        let calls = words(code, name).filter(move |at| code[at + name.len()..].starts_with('!'));
        calls.map(move |at| (at, format!("{name}! does not land")))
    })
}

pub fn sleeps(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in &tree.sources {
        let code = source.test_code();
        let places = SLEEPS.iter().flat_map(|sleep| places_of(&code, sleep));
        let what = "a test waits for a condition, not for time to pass";
        found.extend(places.map(|at| Violation::at(&source.path, &code, at, what)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn unfinished_work_does_not_land() {
        let found = |path, text| shown(&unfinished(&Tree::of(&[(path, text)])));
        assert_eq!(found("a.rs", "a();\n// TODO later"), ["a.rs:2: TODO: do it, or file it"]);
        assert_eq!(found("a.rs", "fn f() { todo!() }"), ["a.rs:1: todo! does not land"]);
        assert_eq!(found("a.rs", "dbg!(x);"), ["a.rs:1: dbg! does not land"]);
        assert_eq!(found("check", "# FIXME"), ["check:1: FIXME: do it, or file it"]);
        assert!(found("a.rs", "let todo = \"TODO\"; // todo list").is_empty());
        assert!(found("check", "mktemp XXXXXX").is_empty());
    }

    #[test]
    fn tests_do_not_sleep() {
        let found = |path, text| shown(&sleeps(&Tree::of(&[(path, text)])));
        let what = "a test waits for a condition, not for time to pass";
        assert_eq!(found("tests/src/a.rs", "\nthread::sleep(x);"), [format!("tests/src/a.rs:2: {what}")]);
        assert_eq!(found("engine/src/a.rs", "#[cfg(test)]\nmod t { use std::thread::{self, sleep}; }").len(), 1);
        assert!(found("engine/src/a.rs", "std::thread::sleep(x);").is_empty());
    }
}
