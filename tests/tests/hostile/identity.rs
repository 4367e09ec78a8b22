//! Who may attach, and what others' processes keep for themselves.

use std::process::Command;

use speedysvc_tests::harness::{Ended, is_root};

use crate::siege::{As, Siege};

/// These need another user, and only root can become one: in CI it must be root.
pub fn cannot_be_others() -> bool {
    if !is_root() {
        eprintln!("without root there is no other user to be");
    }
    !is_root()
}

#[test]
fn a_stranger_is_refused_and_named() {
    if cannot_be_others() {
        return;
    }
    // One that may come as far as the socket, and is not on the list; and a service that is for nobody else.
    for (allow, said) in [("allow = { users = [12345] }", true), ("", false)] {
        let siege = Siege::with(&format!("program = \"test-service\"\n{allow}"));
        let ended = Ended::of(siege.attacker("visit", As::Nobody));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        if said {
            assert!(ended.err.contains("user 65534 may not attach") && ended.err.contains("allow"), "{ended:?}");
            siege.said(&["user 65534", "was refused", "may not attach"]);
        } else {
            assert!(ended.err.contains("denied"), "{ended:?}");
        }
        assert_eq!(Ended::of(siege.attacker("visit", As::Ourselves)).code, Some(0));
        siege.is_as_before();
        siege.end();
    }
}

#[test]
fn a_guest_gets_no_more_than_its_own_link() {
    if cannot_be_others() {
        return;
    }
    let siege = Siege::begin("");
    let mut command: Command = siege.attacker("seize", As::Nobody);
    for pid in siege.engine.workers().into_iter().chain([siege.engine.pid()]) {
        command.args(["--pids", &pid.to_string()]);
    }
    let ended = Ended::of(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.out.contains("ALLOWED"), "{}", ended.out);
    assert_eq!(ended.out.matches("refused: ").count(), 2 * 6 + 3 * 4 + 2 * 3, "{}", ended.out);
    siege.is_as_before();
    siege.end();
}

/// Seals and descriptors hold for the engine's own user, too; only `/proc` is open to it.
#[test]
fn not_even_the_own_user_can_resize_or_write_through_its_descriptors() {
    let siege = Siege::begin("");
    let ended = Ended::of(siege.attacker("seize", As::Ourselves));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let allowed = ended.out.lines().filter(|line| line.starts_with("ALLOWED"));
    assert!(allowed.into_iter().all(|line| line.contains("reopen")), "{}", ended.out);
    siege.is_as_before();
    siege.end();
}
