//! Between two turns: memory is looked at, and nothing else.

use speedysvc_protocol::shm::looks;

use super::Worker;
use crate::clock::now_ns;

/// Passes with work while spinning, before the other phases have their turn: bells, and what must be told the broker.
const SERVED_MAX: u32 = 64;

/// Of those, from one look at the clock to the next: it takes as long as half of a short call.
const PASSES_BY_CLOCK: u32 = 32;

impl Worker {
    /// Looks at memory only, until something is there for the kernel or it is time to look at the clock. Slots are
    /// served here, without the other phases between two calls, as long as calls come.
    pub(super) fn spin(&mut self) {
        const QUICK_LOOKS: u32 = 256; // without a pause, which takes longer than a look
        const LOOKS: u32 = QUICK_LOOKS + 16;
        // Whoever polls slots looks there most of the time.
        let kernel_every = if self.links.polls() { 32 } else { 1 };
        let (mut looks, mut served) = (0_u32, 0);
        while looks < LOOKS && served < SERVED_MAX {
            if looks.is_multiple_of(kernel_every) && self.driver.has_work() {
                self.idle.worked(self.runner.take_moved());
                return;
            }
            let again = self.links.serve_again(&mut self.runner, self.now_ns);
            let others = !again || !self.links.looks_nowhere_else();
            if again | (others && self.links.glance() && self.links.sweep(&mut self.runner, self.now_ns)) {
                self.idle.worked(self.runner.take_moved());
                (looks, served) = (0, served + 1);
                if self.links.has_waiting() || self.runner.beside.has_done() {
                    return;
                }
                if served % PASSES_BY_CLOCK == 0 {
                    self.now_ns = now_ns();
                }
            } else {
                looks += 1;
                if looks <= QUICK_LOOKS {
                    looks::one_at_a_time();
                } else {
                    std::hint::spin_loop();
                }
            }
        }
    }
}
