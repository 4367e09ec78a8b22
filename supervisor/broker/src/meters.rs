//! The numbers of one service: the pages of its living loops, and the sum of those that have ended.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use speedysvc_protocol::ids::{LinkId, WorkerId};
use speedysvc_protocol::shm::peer_rows::{Passed, PeerNow, Traffic, Who};
use speedysvc_protocol::shm::stats_page::{StatsReader, create_page};
use speedysvc_protocol::stats::{Counter, Snapshot};

/// Reads the numbers of a service, from any thread and also after the broker has gone.
///
/// Numbers never shrink: what a loop has counted before its end is kept.
#[derive(Debug, Default)]
pub struct Meters(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// The sum over all loops that have ended, and what the broker itself counts.
    ended: Arc<Snapshot>,
    living: Vec<Loop>,
    /// What has passed over each link, between its client and loops that have ended.
    links: HashMap<LinkId, Passed>,
}

#[derive(Clone, Debug)]
struct Loop {
    worker: WorkerId,
    page: Arc<StatsReader>,
    /// The methods of its program, as soon as it has said them: another worker's may differ.
    methods: Option<Arc<[String]>>,
}

impl Meters {
    /// All numbers of the service, since the broker began. It waits for no loop, and no loop for it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        // Taken at one moment, so that a loop which ends now is neither missed nor counted twice; read later.
        let (ended, living) = {
            let kept = self.kept();
            (Arc::clone(&kept.ended), kept.living.clone())
        };
        let mut all = Arc::unwrap_or_clone(ended);
        living.iter().for_each(|one| all.merge(&one.page.read(one.methods.as_deref())));
        all
    }

    /// The numbers of each living loop, its methods together.
    #[must_use]
    pub fn loops(&self) -> Vec<(WorkerId, Snapshot)> {
        let living = self.kept().living.clone();
        living.iter().map(|one| (one.worker, one.page.read(Some(&[])))).collect()
    }

    /// Who is connected. A link is known once its client has been told of it; connections beyond
    /// [`PEERS_MAX`](speedysvc_protocol::shm::peer_rows::PEERS_MAX) of a loop are missing.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let (links, living) = {
            let kept = self.kept();
            (kept.links.clone(), kept.living.clone())
        };
        let mut traffic = Traffic { links, sockets: Vec::new() };
        for (worker, peer) in living.iter().flat_map(|one| one.page.peers().into_iter().map(|peer| (one.worker, peer)))
        {
            match peer.who {
                Who::Link(link) => traffic.links.entry(link).or_default().add(&peer.passed),
                Who::Socket(_) => traffic.sockets.push((worker, peer)),
            }
        }
        traffic
    }

    /// A client has left: what has passed over its link is in the sums.
    pub(crate) fn forget(&self, link: LinkId) {
        self.kept().links.remove(&link);
    }

    /// How often the loop of a worker has turned: it stands still in a handler, in the kernel, and when it hangs.
    pub(crate) fn turns(&self, worker: WorkerId) -> u64 {
        let page = self.kept().living.iter().find(|one| one.worker == worker).map(|one| Arc::clone(&one.page));
        page.map_or(0, |page| page.read(None).counter(Counter::Turns))
    }

    /// Makes the page of a loop; the file is for the loop.
    pub(crate) fn make_page(&self, worker: WorkerId) -> io::Result<OwnedFd> {
        let (file, page) = create_page()?;
        self.kept().living.push(Loop { worker, page: Arc::new(page), methods: None });
        Ok(file)
    }

    /// A worker has said what its program offers.
    pub(crate) fn name_methods(&self, worker: WorkerId, methods: Arc<[String]>) {
        let mut kept = self.kept();
        kept.living.iter_mut().filter(|one| one.worker == worker).for_each(|one| one.methods = Some(methods.clone()));
    }

    /// A worker has ended, or was never begun: its page is added to what is kept, and given back. `is_attached` says
    /// which links still have their clients.
    pub(crate) fn retire(&self, worker: WorkerId, is_attached: impl Fn(LinkId) -> bool) {
        let mut kept = self.kept();
        let Some(place) = kept.living.iter().position(|one| one.worker == worker) else { return };
        let one = kept.living.swap_remove(place);
        // If it never said its methods, whatever it has counted still counts.
        let last = one.page.read(Some(one.methods.as_deref().unwrap_or_default()));
        Arc::make_mut(&mut kept.ended).merge(&last);
        for PeerNow { who, passed, .. } in one.page.peers() {
            if let Who::Link(link) = who
                && is_attached(link)
            {
                kept.links.entry(link).or_default().add(&passed);
            }
        }
    }

    /// Counts what the broker sees.
    pub(crate) fn count(&self, counter: Counter, more: u64) {
        Arc::make_mut(&mut self.kept().ended).add(counter, more);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing is left half done by a panic here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use speedysvc_protocol::shm::stats_page::StatsWriter;
    use speedysvc_protocol::stats::{Call, MethodCounter, OTHER_NAME};
    use speedysvc_protocol::status::Status;

    use super::*;

    fn names(names: &[&str]) -> Arc<[String]> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn record(writer: &StatsWriter, method: usize, calls: usize) {
        let call = Call { status: Status::Ok, bytes_in: 1, bytes_out: 1, times: None };
        (0..calls).for_each(|_| writer.record(method, &call));
    }

    fn calls(meters: &Meters, name: &str) -> u64 {
        meters.snapshot().method(name).map_or(0, |method| method.counter(MethodCounter::Calls))
    }

    #[test]
    fn what_a_loop_has_counted_outlives_it() {
        let meters = Meters::default();
        for worker in (0..3).map(WorkerId) {
            let writer = StatsWriter::map(meters.make_page(worker).unwrap()).unwrap();
            record(&writer, 0, 5);
            let before = u64::from(worker.0) * 5;
            assert_eq!(calls(&meters, "echo"), before, "not yet: nobody knows what it is called");
            meters.name_methods(worker, names(&["echo"]));
            assert_eq!(calls(&meters, "echo"), before + 5);
            writer.add(Counter::Turns, 7);
            let loops = meters.loops();
            assert_eq!((loops.len(), loops[0].0, loops[0].1.counter(Counter::Turns)), (1, worker, 7));
            meters.retire(worker, |_| true);
            assert_eq!(calls(&meters, "echo"), before + 5);
        }
        meters.retire(WorkerId(7), |_| true);
        assert_eq!((calls(&meters, "echo"), meters.kept().living.len()), (15, 0));
    }

    /// A page is only what its loop says that it is: of another layout nothing is read, rather than nonsense.
    #[test]
    fn a_page_of_another_version_is_not_read() {
        let meters = Meters::default();
        let file = meters.make_page(WorkerId(0)).unwrap();
        let writer = StatsWriter::map(&file).unwrap();
        meters.name_methods(WorkerId(0), names(&["echo"]));
        record(&writer, 0, 5);
        assert_eq!(calls(&meters, "echo"), 5);
        for layout in [u64::MAX - 1, u64::MAX] {
            rustix::io::pwrite(&file, &layout.to_ne_bytes(), 0).unwrap();
            assert_eq!((calls(&meters, "echo"), meters.turns(WorkerId(0))), (0, 0));
        }
        meters.retire(WorkerId(0), |_| true);
        assert_eq!(calls(&meters, "echo"), 0, "nor is it added up");
    }

    #[test]
    fn a_new_version_of_the_program_may_number_its_methods_anew() {
        let meters = Meters::default();
        for (number, order) in [["a", "b"], ["b", "a"]].iter().enumerate() {
            let worker = WorkerId(u32::try_from(number).unwrap());
            let writer = StatsWriter::map(meters.make_page(worker).unwrap()).unwrap();
            meters.name_methods(worker, names(order));
            record(&writer, 0, 1);
            record(&writer, 1, 10);
        }
        assert_eq!((calls(&meters, "a"), calls(&meters, "b")), (11, 11));
        [0, 1].map(WorkerId).iter().for_each(|worker| meters.retire(*worker, |_| true));
        assert_eq!((calls(&meters, "a"), calls(&meters, "b")), (11, 11));
    }

    #[test]
    fn who_died_before_saying_its_methods_is_counted_all_the_same() {
        let meters = Meters::default();
        let writer = StatsWriter::map(meters.make_page(WorkerId(0)).unwrap()).unwrap();
        record(&writer, 3, 2);
        meters.count(Counter::LoopsEnded, 1);
        meters.retire(WorkerId(0), |_| true);
        assert_eq!((calls(&meters, OTHER_NAME), meters.snapshot().counter(Counter::LoopsEnded)), (2, 1));
    }
    #[test]
    fn what_passed_over_a_link_outlives_its_loops_and_not_its_client() {
        let meters = Meters::default();
        let (link, left) = (LinkId(5), LinkId(6));
        for worker in (0..2).map(WorkerId) {
            let writer = StatsWriter::map(meters.make_page(worker).unwrap()).unwrap();
            for link in [link, left] {
                writer.peers().answered(writer.peers().arrive(Who::Link(link)), 3, 4);
            }
            assert_eq!(meters.traffic().links[&link].calls, u64::from(worker.0) + 1);
            // Its client has gone, and this loop had not heard of it.
            meters.retire(worker, |one| one != left);
            assert!(!meters.traffic().links.contains_key(&left));
        }
        assert_eq!(meters.traffic().links[&link], Passed { in_flight: 0, calls: 2, bytes_in: 6, bytes_out: 8 });
        meters.forget(link);
        assert!(meters.traffic().links.is_empty());
    }
}
