//! Watching over a loop that is in a handler: what one look, once a millisecond, says (rule 21).

use speedysvc_protocol::shm::board::{Handler, Mode};

/// What to do after a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It goes on: nothing.
    Fine,
    /// It has been in one handler since the last look, and has told nobody.
    Stuck,
    /// It sleeps, or has only woken: so may who watches over it.
    Rests,
}

/// The last look.
#[derive(Default, Debug)]
pub(crate) struct Watch {
    before: Option<Handler>,
    told_of: Option<Handler>,
}

impl Watch {
    /// A look, and whether there was progress since the last one. What the loop says does not matter while it is in a
    /// handler that it has not announced: it may run the last one that it found before it sleeps.
    pub(crate) fn look(&mut self, mode: Mode, handler: Option<Handler>) -> (Verdict, bool) {
        let before = std::mem::replace(&mut self.before, handler);
        let is_same = handler.is_some() && handler == before;
        let verdict = match (mode, handler) {
            (Mode::Woken | Mode::Asleep | Mode::Gone, None) => Verdict::Rests,
            (Mode::Scan | Mode::Woken | Mode::Asleep | Mode::Gone, Some(_)) if is_same && self.told_of != handler => {
                self.told_of = handler;
                Verdict::Stuck
            }
            _ => Verdict::Fine,
        };
        (verdict, !is_same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Option<Handler> = Some(Handler { method: 1, number: 7 });
    const NEXT: Option<Handler> = Some(Handler { method: 1, number: 8 });

    #[test]
    fn one_handler_at_two_looks_is_stuck_and_told_of_once() {
        let mut watch = Watch::default();
        assert_eq!(watch.look(Mode::Scan, A), (Verdict::Fine, true));
        assert_eq!(watch.look(Mode::Scan, A), (Verdict::Stuck, false));
        assert_eq!(watch.look(Mode::Busy, A), (Verdict::Fine, false));
        assert_eq!(watch.look(Mode::Scan, A), (Verdict::Fine, false), "it has been told of");
        assert_eq!(watch.look(Mode::Scan, NEXT), (Verdict::Fine, true), "the same method, called again");
        assert_eq!(watch.look(Mode::Scan, NEXT), (Verdict::Stuck, false));
        assert_eq!(watch.look(Mode::Scan, None), (Verdict::Fine, true));
        assert_eq!(watch.look(Mode::Scan, None), (Verdict::Fine, true), "between two handlers");
    }

    #[test]
    fn who_has_said_so_is_not_stuck() {
        let mut watch = Watch::default();
        for progress in [true, false, false] {
            assert_eq!(watch.look(Mode::Busy, A), (Verdict::Fine, progress));
        }
    }

    #[test]
    fn who_sleeps_is_left_alone_unless_it_runs_what_it_found_last() {
        for mode in [Mode::Woken, Mode::Asleep, Mode::Gone] {
            let mut watch = Watch::default();
            assert_eq!(watch.look(mode, None), (Verdict::Rests, true));
            assert_eq!(watch.look(mode, A), (Verdict::Fine, true));
            assert_eq!(watch.look(mode, A), (Verdict::Stuck, false));
            assert_eq!(watch.look(mode, A), (Verdict::Fine, false));
            assert_eq!(watch.look(mode, None), (Verdict::Rests, true));
        }
    }
}
