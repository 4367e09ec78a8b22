//! Rules about attributes: whoever silences a test or a lint says why.

use super::blocks::{attributes, words};
use super::tree::{Source, Tree, Violation};

pub fn ignored_tests(tree: &Tree) -> Vec<Violation> {
    let what = "an ignored test says why: #[ignore = \"…\"]";
    tree.sources.iter().flat_map(|source| places(source, is_bare_ignore, what)).collect()
}

pub fn lint_reasons(tree: &Tree) -> Vec<Violation> {
    let what = "a silenced lint says why: #[expect(…, reason = \"…\")]";
    let has_no_reason = |attribute: &str| silences(attribute) && words(attribute, "reason").next().is_none();
    tree.sources.iter().flat_map(|source| places(source, has_no_reason, what)).collect()
}

/// How often a file silences a lint.
pub fn lint_exceptions(code: &str) -> usize {
    attributes(code).filter(|(_, attribute)| silences(attribute)).count()
}

fn places(source: &Source, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<Violation> {
    let wrong = attributes(&source.lexed.code).filter(|(_, attribute)| is_wrong(attribute));
    wrong.map(|(at, _)| Violation::at(&source.path, &source.text, at, what)).collect()
}

/// The name of an attribute: `cfg` of `#[cfg(test)]`.
fn name(attribute: &str) -> &str {
    let inner = attribute.trim_start_matches(['#', '!', '[', ' ']);
    inner.split(['(', ']', '=', ' ', '\n']).next().unwrap_or(inner)
}

fn is_bare_ignore(attribute: &str) -> bool {
    let has_reason = |at: usize| attribute[at..].trim_start_matches("ignore").trim_start().starts_with('=');
    matches!(name(attribute), "ignore" | "cfg_attr") && words(attribute, "ignore").any(|at| !has_reason(at))
}

fn silences(attribute: &str) -> bool {
    let is_open = |word: &'static str| words(attribute, word).any(|at| attribute[at + word.len()..].starts_with('('));
    match name(attribute) {
        "allow" | "expect" => true,
        "cfg_attr" => is_open("allow") || is_open("expect"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::of(&[("a.rs", text)])
    }

    #[test]
    fn ignoring_needs_a_reason() {
        let what = "an ignored test says why: #[ignore = \"…\"]";
        for bad in ["#[test]\n#[ignore]\nfn a() {}", "fn a() {}\n#[cfg_attr(miri, ignore)]\nfn b() {}"] {
            assert_eq!(shown(&ignored_tests(&tree(bad))), [format!("a.rs:2: {what}")]);
        }
        for good in ["#[ignore = \"an hour\"]", "#[cfg_attr(miri, ignore = \"maps\")]", "// #[ignore]", "\"#[ignore]\""]
        {
            assert!(ignored_tests(&tree(good)).is_empty(), "{good}");
        }
    }

    #[test]
    fn silencing_needs_a_reason() {
        for bad in ["#![allow(dead_code)]", "#[expect(unused)]", "#[cfg_attr(loom, allow(unused))]"] {
            assert_eq!(lint_reasons(&tree(bad)).len(), 1, "{bad}");
        }
        for good in ["#[expect(unused, reason = \"later\")]", "#[should_panic(expected = \"a\")]", "#[cfg(test)]"] {
            assert!(lint_reasons(&tree(good)).is_empty(), "{good}");
        }
        assert_eq!(lint_exceptions("#[expect(a, reason = \" \")]\n#[allow(b)]\n#[derive(Debug)]"), 2);
    }
}
