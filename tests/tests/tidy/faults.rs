//! The tables of faults and of features say what is tested: every row has a test, and every test that it names exists.

use super::tree::{Tree, Violation};

const TABLE: &str = "docs/faults.md";
const FEATURES: &str = "docs/seed-features.md";
/// Each table's letter, its first row and its last.
const ROWS: [(char, u32, u32); 6] =
    [('A', 1, 21), ('B', 1, 18), ('C', 1, 16), ('D', 1, 14), ('E', 1, 14), ('F', 1, 10)];

pub fn fault_table(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.files.get(TABLE) else { return Vec::new() };
    let is_there = |row: &String| text.lines().any(|line| line.starts_with(&format!("| {row} |")));
    let missing = numbers().filter(|row| !is_there(row));
    let missing = missing.map(|row| Violation::new(TABLE, 1, format!("row {row} is missing")));
    missing.chain(untested(tree, TABLE, text)).collect()
}

/// `A1`, `A2`, and so on.
fn numbers() -> impl Iterator<Item = String> {
    let of = |&(letter, first, last): &(char, u32, u32)| (first..=last).map(move |row| format!("{letter}{row}"));
    ROWS.iter().flat_map(of)
}

pub fn feature_table(tree: &Tree) -> Vec<Violation> {
    let Some(text) = tree.files.get(FEATURES) else { return Vec::new() };
    let rows = text.lines().filter(|line| is_row(line)).count();
    let few = (rows < 12).then(|| Violation::new(FEATURES, 1, format!("only {rows} features")));
    few.into_iter().chain(untested(tree, FEATURES, text)).collect()
}

fn untested(tree: &Tree, table: &str, text: &str) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let named = named_tests(line);
        if is_row(line) && named.is_empty() && !line.contains("the same two") {
            wrong.push(Violation::new(table, number, "a row without a test"));
        }
        for (name, target) in named {
            let path = target.trim_start_matches("../");
            let found = tree.files.get(path).is_some_and(|file| is_test(file, name));
            if !found {
                wrong.push(Violation::new(table, number, format!("{path} has no test {name}")));
            }
        }
    }
    wrong
}

/// `| A1 |`, `| loom |`: everything in a table but its head.
fn is_row(line: &str) -> bool {
    line.starts_with("| ") && !["| row ", "| bug ", "| feature "].iter().any(|head| line.starts_with(head))
}

/// Names in links such as [`name`](../path/of/tests.rs).
fn named_tests(line: &str) -> Vec<(&str, &str)> {
    let links = line.split("[`").skip(1).filter_map(|rest| rest.split_once("`]("));
    links.filter_map(|(name, rest)| Some((name, rest.split(')').next()?))).collect()
}

/// A function behind a `#[test]`, with at most a few attributes between them.
fn is_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else { return false };
    let item = before.rsplit("\n\n").next().unwrap_or_default();
    item.contains("#[test]")
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn features_name_tests_that_exist() {
        let table =
            |last: &str| format!("| feature | how | tests |\n{}{last}", "| f | h | [`t`](../a.rs) |\n".repeat(12));
        let file = "\n\n#[test]\nfn t() {}\n";
        let found = |table: &str| shown(&feature_table(&Tree::of(&[(FEATURES, table), ("a.rs", file)])));
        assert!(found(&table("")).is_empty());
        assert_eq!(found(&table("| g | h | [`u`](../a.rs) |")), ["docs/seed-features.md:14: a.rs has no test u"]);
        assert_eq!(found(&table("| g | h | soon |")), ["docs/seed-features.md:14: a row without a test"]);
        assert_eq!(found("| f | h | [`t`](../a.rs) |"), ["docs/seed-features.md:1: only 1 features"]);
    }

    #[test]
    fn rows_name_tests_that_exist() {
        let rows = |bad: &str| {
            let good = |row: String| format!("| {row} | f | h | [`t`](../a.rs) |\n");
            format!("{}{bad}", numbers().map(good).collect::<String>())
        };
        let found = |table: &str| {
            shown(&fault_table(&Tree::of(&[(TABLE, table), ("a.rs", "\n\n#[test]\nfn t() {}\n\nfn no() {}\n")])))
        };
        assert!(found(&rows("")).is_empty(), "{:?}", found(&rows("")));
        assert_eq!(found(&rows("| G1 | f | h | [`u`](../a.rs) |")), ["docs/faults.md:94: a.rs has no test u"]);
        assert_eq!(found(&rows("| G1 | f | h | [`no`](../a.rs) |")).len(), 1);
        assert_eq!(found(&rows("| G1 | f | h | none |")), ["docs/faults.md:94: a row without a test"]);
        assert_eq!(found(&rows("").replace("| B17 |", "| G1 |")), ["docs/faults.md:1: row B17 is missing"]);
    }
}
