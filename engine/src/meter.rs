//! What this loop has done, in its stats page. The loop is the only writer; whoever reads neither waits nor is waited
//! for. Counting comes after answering: nobody waits for it.

use std::os::fd::OwnedFd;

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::peer_rows::{PeerRow, PeerRows};
use speedysvc_protocol::shm::stats_page::StatsWriter;
use speedysvc_protocol::stats::{Call, Counter, Times, Untimed};
use speedysvc_protocol::status::{Code, Status};

#[derive(Debug)]
pub(crate) struct Meter {
    page: StatsWriter,
    /// Methods of the contract. What a peer says beyond them is no method.
    methods: usize,
}

impl Meter {
    pub(crate) fn new(page: &OwnedFd, methods: usize) -> std::io::Result<Self> {
        Ok(Self { page: StatsWriter::map(page)?, methods })
    }

    /// It happened once more.
    #[inline]
    pub(crate) fn count(&self, counter: Counter) {
        self.page.add(counter, 1);
    }

    /// That much of it happened.
    #[inline]
    pub(crate) fn add(&self, counter: Counter, more: u64) {
        self.page.add(counter, more);
    }

    /// Who is connected, and what passes.
    #[inline]
    pub(crate) fn peers(&self) -> &PeerRows {
        self.page.peers()
    }

    /// Takes over a count that is kept elsewhere.
    pub(crate) fn set(&self, counter: Counter, value: u64) {
        self.page.set(counter, value);
    }

    /// A call that ran was answered.
    #[inline]
    pub(crate) fn answered(&self, method: MethodIndex, transport: Counter, call: &Call) {
        self.page.add(transport, 1);
        self.page.record(self.row(method), call);
    }

    /// Calls of one method were answered, all of them well. Their times are counted apart.
    #[inline]
    pub(crate) fn answered_alike(&self, method: MethodIndex, transport: Counter, calls: &Untimed) {
        self.page.add(transport, calls.calls);
        self.page.record_untimed(self.row(method), calls);
    }

    /// How long one of them took.
    pub(crate) fn timed(&self, method: MethodIndex, times: &Times) {
        self.page.record_times(self.row(method), times);
    }

    /// A call was refused before it started; `None` when its method is not known.
    #[cold]
    pub(crate) fn refused(&self, method: Option<MethodIndex>, transport: Counter, peer: PeerRow, status: Status) {
        self.count(transport);
        self.peers().called(peer, 1);
        self.count_refused(status);
        let row = method.map_or(usize::MAX, |method| self.row(method));
        self.page.record(row, &Call { status, bytes_in: 0, bytes_out: 0, times: None });
    }

    /// Why a call was not started.
    pub(crate) fn count_refused(&self, status: Status) {
        self.count(match status {
            Status::Failed(Code::DeadlineExceeded, _) | Status::Later(Code::DeadlineExceeded, _) => Counter::Expired,
            Status::Failed(Code::Cancelled, _) => Counter::Cancelled,
            _ => Counter::Refused,
        });
    }

    #[inline]
    fn row(&self, method: MethodIndex) -> usize {
        let index = usize::from(method.0);
        if index < self.methods { index } else { usize::MAX }
    }
}
