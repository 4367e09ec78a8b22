//! One idea a file, one screen a function.

use super::blocks::functions;
use super::tree::{Source, Tree, Violation, line_of};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 120;

pub fn file_lines(tree: &Tree) -> Vec<Violation> {
    let counted = tree.sources.iter().map(|source| (source, source.text.lines().count()));
    let long = counted.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(source, lines)| Violation::new(&source.path, 1, format!("{lines} lines, over {FILE_LINES_MAX}")))
        .collect()
}

pub fn function_lines(tree: &Tree) -> Vec<Violation> {
    tree.sources.iter().flat_map(long_functions).collect()
}

fn long_functions(source: &Source) -> Vec<Violation> {
    let code = &source.lexed.code;
    let counted = functions(code).into_iter().map(|(name, range)| {
        let lines = code[range.clone()].lines().count();
        (name, line_of(code, range.start), lines)
    });
    let long = counted.filter(|(_, _, lines)| *lines > FUNCTION_LINES_MAX);
    let what = |name, lines| format!("fn {name} has {lines} lines, over {FUNCTION_LINES_MAX}");
    long.map(|(name, line, lines)| Violation::new(&source.path, line, what(name, lines))).collect()
}

pub fn columns(tree: &Tree) -> Vec<Violation> {
    tree.sources.iter().flat_map(wide_lines).collect()
}

fn wide_lines(source: &Source) -> Vec<Violation> {
    let counted = source.text.lines().map(|line| line.chars().count()).enumerate();
    let wide = counted.filter(|(_, columns)| *columns > COLUMNS_MAX);
    let what = |columns| format!("{columns} columns, over {COLUMNS_MAX}");
    wide.map(|(index, columns)| Violation::new(&source.path, index + 1, what(columns))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::shown;
    use super::*;

    #[test]
    fn files_end_in_time() {
        let tree = |lines| Tree::of(&[("a.rs", "//\n".repeat(lines).as_str())]);
        assert!(file_lines(&tree(400)).is_empty());
        assert_eq!(shown(&file_lines(&tree(401))), ["a.rs:1: 401 lines, over 400"]);
    }

    #[test]
    fn functions_fit_on_a_screen() {
        let tree = |lines: usize| Tree::of(&[("a.rs", format!("\nfn f() {{{}}}\n", "\n".repeat(lines - 1)).as_str())]);
        assert!(function_lines(&tree(70)).is_empty());
        assert_eq!(shown(&function_lines(&tree(71))), ["a.rs:2: fn f has 71 lines, over 70"]);
    }

    #[test]
    fn lines_fit_beside_each_other() {
        let tree = |columns| Tree::of(&[("a.rs", format!("\n{}", "é".repeat(columns)).as_str())]);
        assert!(columns(&tree(120)).is_empty());
        assert_eq!(shown(&columns(&tree(121))), ["a.rs:2: 121 columns, over 120"]);
    }
}
