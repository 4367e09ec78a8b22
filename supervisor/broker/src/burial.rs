//! After a worker's death: verdicts for what it had taken, and a call to the others. Rule 15 of the slot protocol.

use speedysvc_protocol::ids::{Incarnation, LinkId, WorkerId};
use speedysvc_protocol::shm::board::{BoardLine, Mode};
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::link::WorkerLink;
use speedysvc_protocol::stats::Counter;

use crate::service::{Link, Service};
use crate::watch::Watch;
use crate::{Burial, Peer};

impl Service {
    pub(crate) fn bury(&mut self, number: WorkerId, watch: &mut Watch) -> Burial {
        let Some(worker) = self.workers.remove(&number) else { return Burial::default() };
        watch.remove(&worker.socket, worker.token);
        let dead = worker.incarnation;
        let line = self.board.line(dead.0.get());
        let last_method = self.methods_running(line);
        line.clear_running();
        // From here on everybody sees that the loop is gone: fetches from it, and links that it polled, are free.
        line.set(dead, Mode::Gone);
        let mut callers: Vec<(LinkId, Peer)> = Vec::new();
        let mut unknown = 0;
        for (id, link) in &self.links {
            let of_this_link = resolve(link, dead);
            unknown += of_this_link;
            callers.extend((of_this_link > 0).then_some((*id, link.peer)));
        }
        callers.sort_by_key(|(id, _)| id.0);
        self.meters.retire(number, |link| self.links.contains_key(&link));
        self.meters.count(Counter::LoopsEnded, 1);
        self.meters.count(Counter::CallsUnknown, unknown as u64);
        // It fails only for a descriptor that is no bell.
        let _never = doorbell::ring(&self.pool_bell);
        self.incarnations.free(dead);
        Burial { unknown, last_method, callers: callers.into_iter().map(|(_, peer)| peer).collect() }
    }

    /// The methods that run in a worker, on its loop and beside it, each once.
    pub(crate) fn methods_running(&self, line: &BoardLine) -> Option<String> {
        let contract = self.contract.as_ref()?;
        let mut names: Vec<&str> = Vec::new();
        for method in line.all_running().filter_map(|index| contract.methods.get(usize::from(index))) {
            if !names.contains(&method.name.as_str()) {
                names.push(&method.name);
            }
        }
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// Tells the callers of what `dead` had taken on this link. Returns how many there were. A link that cannot be mapped
/// (out of memory) is left as it is: its callers' deadlines end their waiting.
fn resolve(link: &Link, dead: Incarnation) -> usize {
    let geometry = link.geometry;
    let Ok(mapped) = WorkerLink::map(geometry, &link.request, &link.reply) else { return 0 };
    mapped.poller().leave(dead);
    let mut unknown = 0;
    for index in 0..geometry.slots() {
        let slot = mapped.slot(index);
        if let Some(seq) = slot.last_claimed_by(dead) {
            unknown += usize::from(slot.resolve(dead).is_some());
            // Also when the reply was there already: death may have come between publishing it and the wake.
            slot.wake(seq);
        }
    }
    unknown
}
