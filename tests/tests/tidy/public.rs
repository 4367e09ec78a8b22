//! What the crate `speedysvc` offers is what `docs/public-api.txt` lists: nothing becomes public, or goes, by accident.
//!
//! It lists what is written `pub` in `client/src`, by file. What `lib.rs` does not name on is public in name only.

use super::tree::{Source, Tree, Violation};

const LIST: &str = "docs/public-api.txt";
const CRATE: &str = "client/src/";

pub fn public_api(tree: &Tree) -> Vec<Violation> {
    let found = listing(tree);
    let Some(text) = tree.files.get(LIST) else {
        return if found.is_empty() { Vec::new() } else { vec![Violation::new(LIST, 1, "it is missing")] };
    };
    let listed: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let unlisted = found.iter().filter(|item| !listed.contains(&item.as_str()));
    let gone = listed.iter().filter(|item| !found.iter().any(|found| found == *item));
    let unlisted = unlisted.map(|item| Violation::new(LIST, 1, format!("public and not listed: `{item}`")));
    unlisted.chain(gone.map(|item| Violation::new(LIST, 1, format!("listed and not public: `{item}`")))).collect()
}

fn listing(tree: &Tree) -> Vec<String> {
    let of_crate = tree.sources.iter().filter(|source| source.path.starts_with(CRATE));
    let shipped = of_crate.filter(|source| !source.path.contains("/test"));
    let mut all: Vec<String> = shipped.flat_map(items).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// `FILE: pub fn name`, and re-exports with all that they name.
fn items(source: &Source) -> Vec<String> {
    let file = &source.path[CRATE.len()..];
    let code = &source.lexed.code;
    let mut items = Vec::new();
    let mut begin = 0;
    for line in code.lines() {
        let item = line.trim_start();
        let rest = &code[begin..];
        begin += line.len() + 1;
        if item.starts_with("mod tests") {
            break;
        }
        if !item.starts_with("pub ") {
            continue;
        }
        let text = rest.trim_start();
        let end = if item.starts_with("pub use ") { text.find(';') } else { text.find(['(', '{', ';', '=', '<']) };
        let words: Vec<&str> = text[..end.unwrap_or(text.len())].split_whitespace().collect();
        items.push(format!("{file}: {}", words.join(" ").trim_end_matches(',')));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn what_is_public_is_listed_and_nothing_else() {
        let code =
            "pub use a::{\n    B,\n    C,\n};\nimpl B {\n    pub fn d<T>(&self) {}\n    pub(crate) fn e() {}\n}\n";
        let found = |list: &str| shown(&public_api(&Tree::of(&[("client/src/lib.rs", code), (LIST, list)])));
        let good = "# A list\n\nlib.rs: pub use a::{ B, C, }\nlib.rs: pub fn d\n";
        assert!(found(good).is_empty(), "{:?}", found(good));
        let wrong = found("lib.rs: pub use a::{ B, C, }\nlib.rs: pub fn x\n");
        let (more, less) = ("public and not listed: `lib.rs: pub fn d`", "listed and not public: `lib.rs: pub fn x`");
        assert_eq!(wrong, [format!("{LIST}:1: {more}"), format!("{LIST}:1: {less}")]);
        assert_eq!(shown(&public_api(&Tree::of(&[("client/src/lib.rs", code)]))), [format!("{LIST}:1: it is missing")]);
    }
}
