//! Nothing in the project knows the machine it was written on, or where packages were fetched from.

use super::tree::{Tree, Violation};

/// Folders of a developer's machine and hosts of registries. In pieces, so that this file does not name them.
const MARKS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("crates.", "io/api"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("/arti", "factory"),
    concat!("deb.debi", "an.org"),
    concat!("pypi", ".org"),
    concat!("registry.npm", "js.org"),
];

pub fn machine(tree: &Tree) -> Vec<Violation> {
    tree.files.iter().flat_map(|(path, text)| marks_in(path, text)).collect()
}

fn marks_in(path: &str, text: &str) -> Vec<Violation> {
    let found = MARKS.iter().flat_map(|mark| text.match_indices(mark));
    let found = found.filter(|(at, mark)| !mark.starts_with('/') || begins_path(&text[..*at]));
    found.map(|(at, mark)| Violation::at(path, text, at, format!("{mark} belongs to one machine"))).collect()
}

/// What stands before is not the first part of a longer, relative path.
fn begins_path(before: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '}');
    !before.ends_with(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_not_named() {
        let count = |text: &str| machine(&Tree::of(&[("README.md", text)])).len();
        assert_eq!(count(&["see /wo", "rk/main/x"].concat()), 1);
        assert_eq!(count(&["https://crates", ".io/api/v1"].concat()), 1);
        assert_eq!(count(&["net/wo", "rk/x"].concat()), 0);
        assert_eq!(count("https://crates.io/crates/speedysvc"), 0);
    }
}
