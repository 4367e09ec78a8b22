//! One turn of a connection: frames that have arrived, until others have theirs or replies should go out.

use super::speech::Tongue;
use super::{Connection, Next, Stage};
use crate::clock::now_ns;
use crate::dispatch::{Elsewhere, Runner};
use crate::driver::{Chunk, Driver};
use crate::source::tcp::pool::Pool;

/// Frames handled in one turn before other connections have theirs.
const FRAMES_PER_TURN: usize = 64;
/// A turn that has taken so long ends, too: about what sending and receiving cost here (decision 0060). Replies that
/// are ready wait no longer than that for others, and the client reads them meanwhile.
pub(super) const TURN_NS: u64 = 6_000;
/// Frames between two looks at the clock for that, when handlers are too short to be timed each, or even tiny.
const LOOK_EVERY: usize = 16;
const LOOK_EVERY_TINY: usize = 32;

impl Connection {
    /// Handles what has arrived. Whether there is more to handle at once.
    pub(super) fn handle(
        &mut self,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
        driver: &mut dyn Driver,
    ) -> bool {
        // Who waited here for another call to come back may have been given up meanwhile, too.
        self.took_long |= self.waits;
        (self.missing, self.waits) = (0, false);
        (self.looked_ns, self.is_first) = (self.turn_ns, true);
        match self.held.take() {
            None => self.handle_frames(0, runner, elsewhere, pool),
            Some(chunk) => self.handle_chunk(chunk, runner, elsewhere, pool, driver),
        }
    }

    /// Handles short calls where the driver received them, and what else came with them as ever.
    fn handle_chunk(
        &mut self,
        chunk: Chunk,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
        driver: &mut dyn Driver,
    ) -> bool {
        let (mut left, mut frames, mut over) = (driver.bytes(&chunk), 0, false);
        while frames < FRAMES_PER_TURN && !left.is_empty() && !over {
            let look_every = look_every(runner);
            let ran = self.run_stretch(left, look_every - frames % look_every, runner, elsewhere, pool);
            if ran.calls == 0 {
                break;
            }
            self.arrivals.handled(ran.bytes);
            (left, frames) = (&left[ran.bytes..], frames + ran.calls);
            over = runner.ran_long() || self.took_its_turn((frames, look_every), !left.is_empty(), runner);
        }
        if !left.is_empty() {
            self.inbox.arrive(left, pool);
        }
        driver.recycle(chunk);
        over || self.handle_frames(frames, runner, elsewhere, pool)
    }

    /// Handles what is in the inbox, after so many frames in this turn. Whether there is more to handle at once.
    fn handle_frames(
        &mut self,
        mut frames: usize,
        runner: &mut Runner,
        elsewhere: &mut impl Elsewhere,
        pool: &mut Pool,
    ) -> bool {
        while frames < FRAMES_PER_TURN {
            // When the peer reads too slowly, its calls wait; it can only hold up itself.
            let deaf = matches!(self.stage, Stage::Refused | Stage::Parting(_) | Stage::Ended(_));
            if deaf || self.is_stuffed() {
                return false;
            }
            let look_every = look_every(runner);
            let short = self.run_stretch_of_inbox(look_every - frames % look_every, runner, elsewhere, pool);
            frames += short.max(1);
            let next = match self.tongue {
                _ if short > 0 => Ok(Next::Frame),
                Tongue::Undecided => Ok(self.decide(runner)),
                Tongue::Native => self.handle_frame(runner, elsewhere, pool),
                Tongue::Http(_) => Ok(self.handle_request(runner, elsewhere, pool)),
            };
            match next {
                // What came meanwhile is noted as having come now, before another handler runs.
                Ok(Next::Frame) => {
                    let has_more = !self.inbox.waiting().is_empty();
                    if runner.ran_long() || self.took_its_turn((frames, look_every), has_more, runner) {
                        return true;
                    }
                }
                Ok(Next::Wait) => {
                    self.note_missing();
                    return false;
                }
                Err(bad) => {
                    self.end_for(bad);
                    return false;
                }
            }
        }
        // Of frames nothing is handled that has not come.
        !matches!(self.tongue, Tongue::Native) || !self.inbox.waiting().is_empty()
    }

    /// Whether what is ready should go out before more is handled.
    fn took_its_turn(&mut self, (frames, look_every): (usize, usize), has_more: bool, runner: &Runner) -> bool {
        let has_more = has_more && frames < FRAMES_PER_TURN;
        let (is_due, ended_ns) = (has_more && frames.is_multiple_of(look_every), runner.timing.ended_ns());
        // One of these may have been timed: then that is the time.
        let looks = runner.take_held_up() || (is_due && ended_ns <= self.looked_ns);
        self.looked_ns = self.looked_ns.max(if looks { now_ns() } else { ended_ns });
        self.looked_ns.saturating_sub(self.turn_ns) > TURN_NS
    }
}

/// Frames between two looks at the clock.
fn look_every(runner: &Runner) -> usize {
    if runner.timing.is_tiny() { LOOK_EVERY_TINY } else { LOOK_EVERY }
}
