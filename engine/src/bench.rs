//! For `benches/dispatch.rs` only: what the loop does with a call between its source and its answer.

use std::io;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;

use speedysvc_protocol::ids::{Codec, Incarnation, MethodIndex};
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::stats_page::create_page;
use speedysvc_protocol::standard::Standard;
use speedysvc_protocol::stats::Counter;
use speedysvc_protocol::status::Failure;

use crate::beside::{Beside, Names};
use crate::dispatch::{Arguments, Elsewhere, Room, Runner};
use crate::meter::Meter;

const MESSAGE_MAX: usize = 1 << 20;

/// A loop's dispatch without its sources.
pub struct Dispatch(Runner);

/// No link and no connection waits here.
struct Alone;

impl Elsewhere for Alone {
    fn step_aside(&mut self) {}
    fn step_back(&mut self) {}
    fn running(&self, _: Option<MethodIndex>) {}
}

impl Dispatch {
    /// Dispatches to this service, metered in a page that nobody reads.
    ///
    /// # Errors
    /// What the kernel says of the page's memory.
    pub fn new(service: Arc<dyn Service>) -> io::Result<Self> {
        let meter = Meter::new(&create_page()?.0, service.contract().methods.len() + Standard::ALL.len())?;
        let names = Names { board: None, me: Incarnation(NonZeroU16::MIN) };
        let beside = Beside::new(Arc::clone(&service), None, names)?;
        Ok(Self(Runner::new(service, beside, Rc::new(meter))))
    }

    /// One call of a pass of its own, with its accounts; returns the reply's length.
    ///
    /// # Errors
    /// [`Failure`] when the arguments are over the limit.
    pub fn call(&mut self, method: MethodIndex, arguments: &[u8]) -> Result<usize, Failure> {
        self.0.timing.pass();
        self.0.take_arguments(arguments.len(), MESSAGE_MAX)?.copy_from_slice(arguments);
        let room = Room { limit: MESSAGE_MAX, window: None };
        self.0.run(method, (Codec::Rkyv, Arguments::Copied), room, &mut Alone);
        self.0.answered(method, Counter::ShmCalls, self.0.reply.status());
        Ok(self.0.reply.body().len())
    }
}
