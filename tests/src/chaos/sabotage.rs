//! Mistakes on purpose, for one call: the checker must find each of them, or it proves nothing.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::str::FromStr;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

/// What is done wrong, and to which call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// The handler writes down two runs, as if the call had been made twice.
    Twice(u64),
    /// The handler writes nothing down, as if the answer had been invented.
    Silent(u64),
    /// The reply lacks its last byte.
    WrongReply(u64),
    /// The caller believes that the call, which ran, did not start.
    Lie(u64),
    /// The caller forgets the call.
    Forget(u64),
    /// From this call on its worker wakes no client.
    Mute(u64),
}

impl Sabotage {
    fn parts(self) -> (&'static str, u64) {
        match self {
            Self::Twice(id) => ("twice", id),
            Self::Silent(id) => ("silent", id),
            Self::WrongReply(id) => ("wrong-reply", id),
            Self::Lie(id) => ("lie", id),
            Self::Forget(id) => ("forget", id),
            Self::Mute(id) => ("mute", id),
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, id) = self.parts();
        write!(f, "{word}:{id}")
    }
}

impl FromStr for Sabotage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Twice, Self::Silent, Self::WrongReply, Self::Lie, Self::Forget, Self::Mute];
        let parsed = text.split_once(':').and_then(|(word, id)| {
            let id = id.parse().ok()?;
            known.map(|kind| kind(id)).into_iter().find(|sabotage| sabotage.parts().0 == word)
        });
        let words = "twice, silent, wrong-reply, lie, forget, mute";
        parsed.ok_or_else(|| format!("`{text}` is not one of {words}, each with :CALL"))
    }
}

/// The number of `futex`.
const FUTEX: i64 = if cfg!(target_arch = "x86_64") { 202 } else { 98 };
/// The operation of a wake across processes: those inside of one have another bit set.
const FUTEX_WAKE: u64 = 1;

/// From now on the kernel tells this thread that it has woken nobody, and wakes nobody.
///
/// # Errors
/// When the kernel takes no filter.
pub(super) fn mute() -> Result<(), Box<dyn std::error::Error>> {
    let wakes = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, FUTEX_WAKE)?;
    let rules = BTreeMap::from([(FUTEX, vec![SeccompRule::new(vec![wakes])?])]);
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(0), env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for text in ["twice:17", "silent:0", "wrong-reply:1", "lie:2", "forget:3", "mute:4"] {
            assert_eq!(text.parse::<Sabotage>().expect("a word").to_string(), text);
        }
        for text in ["", "twice", "twice:", "twice:x", "thrice:1"] {
            assert!(text.parse::<Sabotage>().is_err(), "{text}");
        }
    }
}
