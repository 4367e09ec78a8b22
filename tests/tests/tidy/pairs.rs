//! Memory orderings come in pairs: `// PAIR name: …` stands at the release and at the acquire.

use std::collections::BTreeMap;

use super::tree::{Tree, Violation};

const PLACES: &[&str] = &["protocol", "engine", "client", "supervisor"];

pub fn pairs(tree: &Tree) -> Vec<Violation> {
    let mut ends: BTreeMap<String, Vec<Violation>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for source in tree.sources_under(PLACES) {
        for (index, comment) in source.lexed.comments.lines().enumerate() {
            let violation = |what: String| Violation::new(&source.path, index + 1, what);
            match pair_name(comment) {
                Some(Ok(name)) => {
                    let what = format!("PAIR {name} has no other end");
                    ends.entry(name.to_string()).or_default().push(violation(what));
                }
                Some(Err(())) => wrong.push(violation("write `PAIR name: …`, the name in-kebab-case".into())),
                None => {}
            }
        }
    }
    wrong.extend(ends.into_values().filter(|found| found.len() == 1).flatten());
    wrong
}

/// The name on a line of a comment that begins with PAIR.
fn pair_name(comment: &str) -> Option<Result<&str, ()>> {
    let text = comment.trim_start_matches(['/', '!', '*', ' ']);
    let rest = text.strip_prefix("PAIR").filter(|rest| !rest.starts_with(char::is_alphanumeric))?;
    let name = rest.split_once(':').map_or("", |(name, _)| name.trim());
    let is_kebab = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    Some(if !name.is_empty() && is_kebab(name) { Ok(name) } else { Err(()) })
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn both_ends_have_the_name() {
        let client = ("client/src/shm.rs", "x.store(1); // PAIR request-published: release");
        let worker = ("engine/src/sweep.rs", "// PAIR request-published: acquire\nlet a = x.load();");
        assert!(pairs(&Tree::of(&[client, worker])).is_empty());
        let alone = ["client/src/shm.rs:1: PAIR request-published has no other end"];
        assert_eq!(shown(&pairs(&Tree::of(&[client]))), alone);
        let elsewhere = ("tests/src/a.rs", worker.1);
        assert_eq!(shown(&pairs(&Tree::of(&[client, elsewhere]))), alone);
    }

    #[test]
    fn names_are_kebab_case() {
        for bad in ["// PAIR: release", "/// PAIR request published", "// PAIR Published: a\n// PAIR Published: b"] {
            assert!(!pairs(&Tree::of(&[("engine/src/a.rs", bad)])).is_empty(), "{bad}");
        }
        assert!(pairs(&Tree::of(&[("engine/src/a.rs", "// PAIRS of PAIR name:\nlet PAIR = 1;")])).is_empty());
    }
}
