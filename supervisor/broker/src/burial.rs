//! After a worker's death: verdicts for what it had taken, and a call to the others. Rule 15 of the slot protocol.

use speedysvc_protocol::ids::{Incarnation, LinkId, WorkerId};
use speedysvc_protocol::shm::board::{BoardLine, Mode};
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::link::WorkerLink;
use speedysvc_protocol::shm::wake::before_second_look;
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

/// Tells the callers of what `dead` had taken on this link, and rings for what nobody has taken. Returns how many
/// callers were told. A link that cannot be mapped
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
    // The loop's second look (rule 21), which it did not live to make. The living hear of this by the pool's bell, too;
    // who is born next hears that before it has the link, and of a bell that rang when it gets that.
    before_second_look();
    if (0..mapped.slots_in_use()).any(|slot| mapped.slot(slot).ready().is_some()) {
        // It fails only for a descriptor that is no bell.
        let _never = doorbell::ring(&link.bell);
    }
    unknown
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use speedysvc_protocol::shm::layout::{Geometry, RequestHead};
    use speedysvc_protocol::shm::link::{ClientLink, LinkFiles};
    use speedysvc_protocol::shm::seq::Seq;
    use speedysvc_protocol::shm::slot::Post;

    use super::*;

    const DEAD: Incarnation = Incarnation(NonZeroU16::new(3).unwrap());
    const HEAD: RequestHead = RequestHead { method: 0, codec: 0, fetch: false, traced: false, len: 0 };

    /// What was published and not taken is rung for, so that whoever is born next hears of it; nothing else is.
    #[test]
    fn a_request_that_the_dead_has_left_is_rung_for() {
        let geometry = Geometry::new(2, 4096).unwrap();
        let LinkFiles { request, reply, reply_read_only } = LinkFiles::create(geometry).unwrap();
        let client = ClientLink::map(geometry, &request, &reply_read_only).unwrap();
        let worker = WorkerLink::map(geometry, &request, &reply).unwrap();
        let bell = doorbell::bell().unwrap();
        let peer = Peer { pid: 1, uid: 0 };
        let link = Link { request, reply, bell, inner_bell: 0, geometry, client: 0, peer, is_muted: false };
        let rings = || rustix::io::read(&link.bell, &mut [0; 8][..]).is_ok();
        let post = |slot: usize| {
            let post = Post { head: HEAD, deadline_ns: 0, grant: geometry.slot_grant(slot), inline: &[] };
            client.slot(slot).post(Seq::NONE.next().unwrap(), &post);
        };
        assert!(worker.poller().adopt_free(DEAD));
        assert_eq!((resolve(&link, DEAD), rings()), (0, false));
        post(0);
        assert_eq!((resolve(&link, DEAD), rings()), (0, true));
        assert!(!worker.poller().is(DEAD));
        let _taken = worker.slot(0).claim(DEAD, |_| true);
        assert_eq!((resolve(&link, DEAD), rings()), (1, false));
        post(1);
        assert_eq!((resolve(&link, DEAD), rings()), (0, true));
    }
}
