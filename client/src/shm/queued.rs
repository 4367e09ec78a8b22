//! A started call that waits for a slot, or for a buffer. Whoever gives something back posts it: its own caller may be
//! waiting for another call meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Wake, Waker};

use speedysvc_protocol::shm::layout::SLOT_BUFFER;
use speedysvc_protocol::status::Code;

use super::flight::Owned;
use super::home::Home;
use super::lease::Lease;
use super::queue::Ticket;
use super::room::Lack;
use crate::call::{Request, Stop};
use crate::error::Error;

/// The most calls that wait for one link's slots. Each holds its arguments.
const WAITING_MAX: usize = 65_536;
/// Their arguments may have as many bytes as so many of the largest messages, which is what a link's memory holds...
const WAITING_MESSAGES: u64 = 4;
/// ...and in any case as many as so many calls have that a slot's own buffer is enough for.
const WAITING_BYTES_MIN: u64 = WAITING_MAX as u64 * SLOT_BUFFER;

/// How many bytes of arguments wait on a link.
#[derive(Default)]
pub(super) struct WaitingBytes(AtomicU64);

/// One call's part of them, as long as this lives.
struct Share {
    home: Home,
    bytes: u64,
}

impl Share {
    fn take(home: &Home, bytes: u64) -> Result<Self, Stop> {
        let most = (home.agreed.message_max as u64).saturating_mul(WAITING_MESSAGES).max(WAITING_BYTES_MIN);
        let with_these = |waiting: u64| waiting.checked_add(bytes).filter(|sum| *sum <= most);
        match home.waiting_bytes.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_these) {
            Ok(_) => Ok(Self { home: home.clone(), bytes }),
            Err(waiting) => Err(too_many(&format!(
                "calls with {waiting} bytes of arguments already wait on this link, and {bytes} more are over the \
                 limit of {most}"
            ))),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.home.waiting_bytes.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cold]
fn too_many(why: &str) -> Stop {
    Error::not_started(Code::ResourceExhausted, format!("{why}: wait for some of them first")).into()
}

pub(super) struct Queued {
    home: Home,
    request: Request,
    /// Bytes of the buffer that it wants.
    len: u64,
    /// It may be its turn. Whoever has the lock looks, and looks again while this was set meanwhile.
    told: AtomicBool,
    state: Mutex<State>,
}

struct State {
    step: Step,
    ticket: Option<Ticket>,
    /// Who waits for the call, and is told when it has been posted.
    waker: Option<Waker>,
}

enum Step {
    ForSlot(Share),
    ForMemory(Owned, Share),
    /// Posted, or failed.
    Ready(Result<Owned, Stop>),
    Taken,
}

impl Queued {
    /// Stands in line.
    pub(super) fn stand(home: Home, request: &Request, len: u64) -> Result<Arc<Self>, Stop> {
        if home.room().line(Lack::Slots).len() >= WAITING_MAX {
            return Err(too_many(&format!("{WAITING_MAX} calls already wait for a slot of this link")));
        }
        let share = Share::take(&home, request.ask().body.len() as u64)?;
        let state = State { step: Step::ForSlot(share), ticket: None, waker: None };
        let request = request.clone();
        let queued = Arc::new(Self { home, request, len, told: AtomicBool::new(true), state: Mutex::new(state) });
        queued.look();
        Ok(queued)
    }

    /// The posted call, or why there is none; else `waker` is woken when there is.
    pub(super) fn take(self: &Arc<Self>, waker: &Waker) -> Option<Result<Owned, Stop>> {
        let mut state = self.lock();
        let taken = match std::mem::replace(&mut state.step, Step::Taken) {
            Step::Ready(ready) => Some(ready),
            waiting => {
                state.step = waiting;
                None
            }
        };
        let waker = taken.is_none().then(|| waker.clone());
        let _dropped_later = std::mem::replace(&mut state.waker, waker);
        drop(state);
        self.look();
        taken
    }

    pub(super) fn home(&self) -> &Home {
        &self.home
    }

    /// Gives up. What it stood in line for.
    pub(super) fn cancel(&self) -> Lack {
        let mut state = self.lock();
        let step = std::mem::replace(&mut state.step, Step::Taken);
        let lack = if matches!(step, Step::ForMemory(..)) { Lack::Memory } else { Lack::Slots };
        let (mut ticket, _dropped_later) = (state.ticket.take(), state.waker.take());
        drop(state);
        self.home.leave_line(lack, &mut ticket);
        drop(step);
        lack
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(self: &Arc<Self>) {
        while self.told.load(Ordering::SeqCst) {
            let mut state = match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            self.told.store(false, Ordering::SeqCst);
            self.advance(&mut state);
            let waker = if matches!(state.step, Step::Ready(_)) { state.waker.take() } else { None };
            drop(state);
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn advance(self: &Arc<Self>, state: &mut State) {
        let me = Waker::from(Arc::clone(self));
        if matches!(state.step, Step::ForSlot(_)) {
            let Some(slot) = self.home.slot_in_turn(&mut state.ticket, &me) else { return };
            let Step::ForSlot(share) = std::mem::replace(&mut state.step, Step::Taken) else {
                unreachable!("as above")
            };
            let mut lease = Lease::of(self.home.clone(), slot);
            state.step = match lease
                .check_link(self.request.begun_ns)
                .and_then(|()| if self.len > SLOT_BUFFER { lease.drop_grant(self.len) } else { Ok(()) })
            {
                Ok(()) if self.len > SLOT_BUFFER => Step::ForMemory(lease, share),
                Ok(()) => Step::Ready(self.post(lease)),
                Err(stop) => Step::Ready(Err(stop)),
            };
        }
        if matches!(state.step, Step::ForMemory(..)) {
            let Some(grant) = self.home.block(self.len, &mut state.ticket, &me) else { return };
            if let Step::ForMemory(mut lease, _share) = std::mem::replace(&mut state.step, Step::Taken) {
                lease.set_grant(grant);
                state.step = Step::Ready(self.post(lease));
            }
        }
    }

    fn post(&self, mut lease: Owned) -> Result<Owned, Stop> {
        let caller = self.home.link.slot(lease.slot());
        let ask = self.request.ask();
        self.home.post(&mut lease, caller, &ask)?;
        self.home.look_at_poller();
        lease.note_use(ask.begun_ns);
        Ok(lease)
    }
}

impl Wake for Queued {
    fn wake(self: Arc<Self>) {
        self.told.store(true, Ordering::SeqCst);
        self.look();
    }
}
