//! What goes wrong with the attempts at calls, as a test says.

use std::collections::VecDeque;
use std::time::Duration;

use speedysvc_protocol::status::Code;

/// What happens to one attempt at a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It is refused with this code before it starts. A client makes it again when the code is
    /// [`Code::Unavailable`], as for a worker that is about to leave.
    Refuse(Code),
    /// It is refused before it starts, `RESOURCE_EXHAUSTED`, as there is no room, and told to come again after this
    /// time. A client does, if the call's deadline and its budget allow; else the error has the time, rounded up as
    /// on the wire: [`Error::retry_after`](crate::Error::retry_after).
    Busy(Duration),
    /// The connection breaks before the handler runs, which the caller cannot know: the outcome is
    /// [`Outcome::Unknown`](crate::Outcome::Unknown).
    LoseRequest,
    /// The handler runs, and then the connection breaks: for the caller the same as [`Fault::LoseRequest`].
    LoseReply,
    /// The handler runs, and its answer comes so much later. Nobody waits for that: the time is only counted against
    /// the call's deadline.
    Delay(Duration),
}

/// The faults that attempts meet, one after the other: `None` for an attempt that goes well.
///
/// Each attempt takes one, also the second and third at the same call. What comes behind the end of a script goes well.
#[derive(Clone, Debug)]
pub struct Faults(Source);

#[derive(Clone, Debug)]
enum Source {
    Script(VecDeque<Option<Fault>>, u64),
    Seeded { state: u64, percent: u8 },
}

impl Faults {
    /// None at all.
    #[must_use]
    pub fn none() -> Self {
        Self::script([])
    }

    /// These, in this order.
    #[must_use]
    pub fn script(faults: impl IntoIterator<Item = Option<Fault>>) -> Self {
        Self(Source::Script(faults.into_iter().collect(), 0))
    }

    /// Of a hundred attempts about so many meet a fault, of all kinds: the same ones for the same seed.
    ///
    /// # Panics
    /// When `percent` is over 100.
    #[must_use]
    pub fn seeded(seed: u64, percent: u8) -> Self {
        assert!(percent <= 100, "{percent} of a hundred");
        Self(Source::Seeded { state: seed, percent })
    }

    /// What the next attempt meets.
    pub(crate) fn next(&mut self) -> Option<Fault> {
        match &mut self.0 {
            Source::Script(faults, _) => faults.pop_front().flatten(),
            Source::Seeded { state, percent } => {
                let meets = random(state) % 100 < u64::from(*percent);
                let (kind, millis) = (random(state) % 5, random(state) % 40_000);
                meets.then(|| match kind {
                    0 => Fault::Refuse(Code::Unavailable),
                    1 => Fault::LoseRequest,
                    2 => Fault::LoseReply,
                    3 => Fault::Busy(Duration::from_millis(millis)),
                    _ => Fault::Delay(Duration::from_millis(millis)),
                })
            }
        }
    }

    /// A number for jitter, the same each time a test runs.
    pub(crate) fn luck(&mut self) -> u64 {
        match &mut self.0 {
            Source::Script(_, state) | Source::Seeded { state, .. } => random(state),
        }
    }
}

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_end_and_seeds_repeat() {
        let mut script = Faults::script([Some(Fault::LoseReply), None, Some(Fault::LoseRequest)]);
        let met: Vec<_> = (0..5).map(|_| script.next()).collect();
        assert_eq!(met, [Some(Fault::LoseReply), None, Some(Fault::LoseRequest), None, None]);
        let all = |seed, percent| {
            let mut faults = Faults::seeded(seed, percent);
            (0..1000).map(|_| faults.next()).collect::<Vec<_>>()
        };
        assert_eq!(all(7, 30), all(7, 30));
        assert_ne!(all(7, 30), all(8, 30));
        let share = all(7, 30).iter().flatten().count();
        assert!((200..400).contains(&share), "{share} of 1000");
        assert!(all(7, 0).iter().all(Option::is_none) && all(7, 100).iter().all(Option::is_some));
        let kinds = |wanted: fn(&Fault) -> bool| all(7, 100).into_iter().flatten().filter(wanted).count();
        for kind in [
            (|fault| matches!(fault, Fault::Refuse(Code::Unavailable))) as fn(&Fault) -> bool,
            |fault| matches!(fault, Fault::LoseRequest),
            |fault| matches!(fault, Fault::LoseReply),
            |fault| matches!(fault, Fault::Busy(_)),
            |fault| matches!(fault, Fault::Delay(_)),
        ] {
            assert!(kinds(kind) > 120);
        }
    }
}
