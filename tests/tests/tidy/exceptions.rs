//! What rules let pass, why, and how much of it there is.

use super::attributes::lint_exceptions;
use super::tree::{Tree, Violation};

/// All violations of one rule in one file are let pass. One that nothing needs any more fails the test.
pub struct Exception {
    pub rule: &'static str,
    pub path: &'static str,
    pub reason: &'static str,
}

pub const EXCEPTIONS: &[Exception] = &[Exception {
    rule: "sleeps",
    path: "tests/src/harness/poll.rs",
    reason: "the one place that waits for conditions of other processes, by looking again",
}];

/// What remains of a rule's violations, and which of its exceptions are no longer needed.
pub fn judge(exceptions: &[Exception], rule: &str, violations: Vec<Violation>) -> Vec<String> {
    let ours = || exceptions.iter().filter(|exception| exception.rule == rule);
    let unneeded = ours().filter(|exception| violations.iter().all(|violation| violation.path != exception.path));
    let unneeded: Vec<String> =
        unneeded.map(|exception| format!("{}: {rule}: the exception is no longer needed", exception.path)).collect();
    let excepted = |violation: &Violation| ours().any(|exception| exception.path == violation.path);
    let remaining = violations.iter().filter(|violation| !excepted(violation));
    remaining.map(|violation| format!("{violation} [{rule}]")).chain(unneeded).collect()
}

/// Exceptions that no rule will ever look at, or that do not say why.
pub fn malformed<T>(rules: &[(&str, T)]) -> Vec<String> {
    let is_known = |name: &str| rules.iter().any(|(rule, _)| *rule == name);
    let bad = EXCEPTIONS.iter().filter(|exception| !is_known(exception.rule) || exception.reason.len() < 10);
    bad.map(|exception| format!("{}: the exception from {} is malformed", exception.path, exception.rule)).collect()
}

pub fn summary(tree: &Tree) -> String {
    let lints: usize = tree.sources.iter().map(|source| lint_exceptions(&source.lexed.code)).sum();
    let deny = tree.files.get("deny.toml").map_or(0, |text| deny_exceptions(text));
    format!("tidy: {} exceptions, {lints} lint exceptions, {deny} deny exceptions", EXCEPTIONS.len())
}

fn deny_exceptions(text: &str) -> usize {
    let table: toml::Table = text.parse().expect("deny.toml is TOML");
    let places = [("bans", "skip"), ("bans", "skip-tree"), ("licenses", "exceptions"), ("licenses", "clarify")];
    let lists = places.iter().filter_map(|(section, key)| table.get(*section)?.get(*key)?.as_array());
    lists.map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &[Exception] = &[Exception { rule: "columns", path: "a.rs", reason: "a table is easier to read wide" }];

    #[test]
    fn exceptions_hold_for_their_rule_and_file_only() {
        let judged = |rule, path| judge(LONG, rule, vec![Violation::new(path, 3, "121 columns")]);
        assert!(judged("columns", "a.rs").is_empty());
        assert_eq!(judged("file-lines", "a.rs"), ["a.rs:3: 121 columns [file-lines]"]);
        assert_eq!(judged("columns", "b.rs")[0], "b.rs:3: 121 columns [columns]");
    }

    #[test]
    fn exceptions_that_nothing_needs_fail() {
        assert_eq!(judge(LONG, "columns", vec![]), ["a.rs: columns: the exception is no longer needed"]);
        assert!(judge(LONG, "file-lines", vec![]).is_empty());
    }

    #[test]
    fn deny_exceptions_are_skips_and_licences() {
        let text = "[bans]\ndeny = ['x']\nskip = ['a', 'b']\n[[licenses.exceptions]]\ncrate = 'c'\n";
        assert_eq!(deny_exceptions(text), 3);
    }
}
