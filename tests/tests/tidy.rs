//! Style and architecture as tests. Each rule is a small function from the tree to what is wrong with it, with unit
//! tests that show that it can fail. What a rule must let pass is in `tidy/exceptions.rs`, each with its reason.
#![forbid(unsafe_code)]

mod tidy {
    pub mod arrows;
    pub mod attributes;
    pub mod blocks;
    pub mod docs;
    pub mod exceptions;
    pub mod faults;
    pub mod lexer;
    pub mod lock;
    pub mod machine;
    pub mod names;
    pub mod pairs;
    pub mod public;
    pub mod rooms;
    pub mod sizes;
    pub mod tree;
    pub mod words;
}

use tidy::tree::{Tree, Violation};
use tidy::{arrows, attributes, docs, exceptions, faults, lock, machine, names, pairs, public, rooms, sizes, words};

type Rule = fn(&Tree) -> Vec<Violation>;

const RULES: &[(&str, Rule)] = &[
    ("arrows", arrows::arrows),
    ("server-feature", arrows::server_feature),
    ("no-tokio", arrows::no_tokio),
    ("shared-lints", arrows::shared_lints),
    ("minimum-versions", lock::minimum_versions),
    ("unsafe-word", rooms::unsafe_word),
    ("room-doors", rooms::doors),
    ("archives", names::archives),
    ("atomics", names::atomics),
    ("pure-protocol", names::pure_protocol),
    ("text-in-raw", names::text_in_raw),
    ("wall-clock", names::wall_clock),
    ("pairs", pairs::pairs),
    ("file-lines", sizes::file_lines),
    ("function-lines", sizes::function_lines),
    ("columns", sizes::columns),
    ("unfinished", words::unfinished),
    ("sleeps", words::sleeps),
    ("ignored-tests", attributes::ignored_tests),
    ("lint-reasons", attributes::lint_reasons),
    ("machine", machine::machine),
    ("decision-names", docs::decision_names),
    ("links", docs::links),
    ("fault-table", faults::fault_table),
    ("feature-table", faults::feature_table),
    ("public-api", public::public_api),
];

#[test]
fn the_tree_is_tidy() {
    let tree = Tree::load();
    let mut wrong: Vec<String> = exceptions::malformed(RULES);
    for (name, rule) in RULES {
        wrong.extend(exceptions::judge(exceptions::EXCEPTIONS, name, rule(&tree)));
    }
    assert!(wrong.is_empty(), "{} things are untidy:\n{}\n", wrong.len(), wrong.join("\n"));
}

/// `./check` shows this line at its end.
#[test]
fn exceptions_are_counted() {
    println!("{}", exceptions::summary(&Tree::load()));
}
