//! Requests that are large enough to be read where they lie: what that costs whom, when their client is hostile.

use speedysvc_tests::harness::wait_until;

use crate::siege::{As, Fought, Siege};

/// The attack on a service that trusts its attacker, or does not. At least so many requests must have been read in
/// place; the neighbours send some, too.
fn fight(table: &str, attack: &str, who: As, rounds: u64, in_place: u64) -> Fought {
    let siege = Siege::begin(table);
    let fought = siege.withstands(attack, who, rounds);
    wait_until("requests read in place", || (siege.counter("requests_in_place") >= in_place).then_some(()));
    siege.end();
    fought
}

/// Requests that are in flight at the same time.
const AT_ONCE: u64 = 4;

/// Who is not trusted, and everybody where nobody is: handlers may see anything, but nothing that changes.
fn untrusted() -> Vec<(&'static str, As)> {
    let nobody = As::each().into_iter().filter(|who| *who == As::Nobody).map(|who| ("", who));
    As::each().into_iter().map(|who| ("trust = \"never\"", who)).chain(nobody).collect()
}

#[test]
fn large_requests_of_others_are_copied_before_they_are_looked_at() {
    for (table, who) in untrusted() {
        let fought = fight(table, "large", who, 600, 0);
        assert_eq!(fought.number("changed: "), 0, "{table} {who:?}: {:?}", fought.lines);
        assert!(fought.number("flips: ") > 10_000, "{:?}", fought.lines);
        let fought = fight(table, "large-texts", who, 600, 0);
        assert_eq!(fought.number("changed: "), 0, "{table} {who:?}: {:?}", fought.lines);
    }
}

/// A trusted client that lies about the contents, and not about where they are: its own handlers see texts that change,
/// and its worker goes on.
#[test]
fn texts_that_change_in_place_harm_nobody() {
    fight("", "large-texts", As::Ourselves, 600, 600 * AT_ONCE);
}

#[test]
fn pages_that_are_dropped_under_large_requests() {
    fight("", "large-punch", As::Ourselves, 150, 150 * AT_ONCE);
    for (table, who) in untrusted() {
        fight(table, "large-punch", who, 150, 0);
    }
}

#[test]
fn buffers_of_large_requests_that_cannot_be_cost_their_own_link() {
    for (table, who) in untrusted().into_iter().chain([("", As::Ourselves)]) {
        let siege = Siege::begin(table);
        let fought = siege.withstands("large-grants", who, 1);
        let count = |word: &str| fought.lines.iter().filter(|line| line.starts_with(word)).count();
        assert_eq!((count("lost for "), count("answered ")), (6, 3), "{:#?}", fought.lines);
        siege.said(&[&fought.name(), "broke the protocol", "is not inside the arena"]);
        siege.end();
    }
}
