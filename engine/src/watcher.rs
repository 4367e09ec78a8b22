//! The thread that watches over this worker's loop: it says "busy" for a loop whose handler turned out long, so that
//! others take what waits there. It looks once a millisecond, and sleeps while the loop does.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use speedysvc_protocol::ids::Incarnation;
use speedysvc_protocol::shm::board::{BoardLine, Mode};
use speedysvc_protocol::shm::link::Board;
use speedysvc_protocol::shm::{doorbell, wake};

use crate::clock::now_ns;
use crate::share::watch::{Verdict, Watch};

/// Between two looks: a handler that is seen twice has held up others for one to two of these.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
const NEVER: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// What the loop and the thread share.
struct Shared {
    board: Arc<Board>,
    me: Incarnation,
    pool_bell: OwnedFd,
    timer: OwnedFd,
    /// The timer goes off.
    ticks: AtomicBool,
    /// The thread has said "busy" for the loop.
    spoke: AtomicBool,
    ended: AtomicBool,
}

/// The loop's end of it.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Starts the thread.
    pub(crate) fn new(board: Arc<Board>, me: Incarnation, pool_bell: OwnedFd) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let [ticks, spoke, ended] = [(); 3].map(|()| AtomicBool::new(false));
        let shared = Arc::new(Shared { board, me, pool_bell, timer, ticks, spoke, ended });
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("speedysvc-watch".to_owned()).spawn(move || watched.watch())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The loop is awake, and has said so on the board.
    #[inline]
    pub(crate) fn awake(&self, now_ns: u64) {
        self.shared.line().beat(now_ns);
        // PAIR awake-or-rest: the loop is awake before it looks whether the thread watches.
        if !self.shared.ticks.swap(true, Ordering::SeqCst) {
            self.shared.set_timer(TICK);
        }
    }

    /// Whether the thread has said "busy" for the loop, which is back now.
    #[inline]
    pub(crate) fn has_spoken(&self) -> bool {
        self.shared.spoke.load(Ordering::Relaxed) && self.shared.spoke.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.set_timer(Timespec { tv_sec: 0, tv_nsec: 1 });
        // It does not panic; if it did, the loop has nothing to add.
        self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    fn watch(&self) {
        let mut watch = Watch::default();
        let mut times = [0; 8];
        while !self.ended.load(Ordering::SeqCst) {
            // It waits for the timer; whatever else ends the wait, the loop is looked at once more.
            let _times = rustix::io::read(&self.timer, &mut times);
            self.look(&mut watch);
        }
    }

    fn look(&self, watch: &mut Watch) {
        let line = self.line();
        let (verdict, progress) = watch.look(line.mode(self.me.0.get()), line.handler());
        if progress {
            line.beat(now_ns());
        }
        match verdict {
            Verdict::Fine => {}
            Verdict::Rests => self.rest(),
            Verdict::Stuck => {
                // A loop that says that it sleeps is rung for as it is.
                let spoke = line.turn_busy(self.me);
                self.spoke.fetch_or(spoke, Ordering::Relaxed);
                wake::before_second_look();
                // Others look at its links, whether anything waits there or not: so the thread need not know them.
                let _never = doorbell::ring(&self.pool_bell);
            }
        }
    }

    /// Stops the timer, unless the loop wakes in this moment.
    fn rest(&self) {
        self.set_timer(NEVER);
        // PAIR awake-or-rest: the thread rests before it looks once more whether the loop is awake.
        self.ticks.swap(false, Ordering::SeqCst);
        let line = self.line();
        let is_awake = matches!(line.mode(self.me.0.get()), Mode::Scan | Mode::Busy) || line.handler().is_some();
        if is_awake && !self.ticks.swap(true, Ordering::SeqCst) {
            self.set_timer(TICK);
        }
    }

    fn line(&self) -> &BoardLine {
        self.board.line(self.me.0.get())
    }

    fn set_timer(&self, every: Timespec) {
        let both = Itimerspec { it_interval: every, it_value: every };
        let set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &both);
        debug_assert!(set.is_ok(), "the timer is ours: {set:?}");
    }
}
