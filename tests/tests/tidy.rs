//! Style and architecture as tests. Each rule is one small function from the tree to its violations, with unit tests
//! that show that it can fail. What a rule may not reach is in `tidy/exceptions.rs`, counted, each with its reason.
#![forbid(unsafe_code)]

mod tidy {
    mod arrows;
    mod attributes;
    mod blocks;
    mod exceptions;
    mod lexer;
    mod links;
    mod lock;
    mod names;
    mod pairs;
    mod places;
    mod rooms;
    mod sizes;
    mod tree;
    mod words;
}
