//! What `#[speedysvc::service]` and `#[speedysvc::data]` write: calls through it in both codecs, contracts, errors.
#![forbid(unsafe_code)]

mod macros {
    mod api;
    mod calls;
    mod codecs;
    mod contracts;
    mod lent;
}

#[test]
fn misuse_is_explained_where_it_stands() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
