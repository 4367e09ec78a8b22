//! The thread that watches over this worker's loop: it says "busy" for a loop whose handler turned out long, so that
//! others take what waits there. It looks once a millisecond, and sleeps while the loop does or has only woken
//! (decision 0081). Without links nothing waits that others could take, and it looks seldom (decision 0067).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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
/// The same without links: only so that the heartbeat goes on, which is judged by tenths of seconds.
const TICK_ALONE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
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
    /// The thread has seen one handler twice, whatever the loop says of itself.
    held_up: Arc<AtomicBool>,
    ended: AtomicBool,
    /// Links that the loop may be the home of.
    links: AtomicUsize,
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
        let (held_up, links) = (Arc::default(), AtomicUsize::new(0));
        let shared = Arc::new(Shared { board, me, pool_bell, timer, ticks, spoke, held_up, ended, links });
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("speedysvc-watch".to_owned()).spawn(move || watched.watch())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The loop looks all the time, and has said so on the board; or it drains.
    #[inline]
    pub(crate) fn awake(&self, now_ns: u64) {
        self.shared.line().beat(now_ns);
        // PAIR awake-or-rest: the loop says that it scans before it looks whether the thread watches.
        if !self.shared.ticks.swap(true, Ordering::SeqCst) {
            self.shared.set_timer(self.shared.tick());
        }
    }

    /// The loop has one more link. If it is the first, the thread hears of it at its next look, at the latest.
    pub(crate) fn attached(&self) {
        let is_first = self.shared.links.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first && self.shared.ticks.load(Ordering::Relaxed) {
            self.shared.set_timer(TICK);
        }
    }

    /// The loop has one link less.
    pub(crate) fn detached(&self) {
        self.shared.links.fetch_sub(1, Ordering::Relaxed);
    }

    /// What says that the loop has been in one handler for milliseconds. Whoever takes note of that clears it.
    pub(crate) fn held_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.held_up)
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
        let (mut times, mut tick) = ([0; 8], self.tick());
        while !self.ended.load(Ordering::SeqCst) {
            // It waits for the timer; whatever else ends the wait, the loop is looked at once more.
            let _times = rustix::io::read(&self.timer, &mut times);
            if tick != self.tick() {
                // Before the look, which may stop the timer.
                tick = self.tick();
                self.set_timer(tick);
            }
            self.look(&mut watch);
        }
    }

    fn tick(&self) -> Timespec {
        if self.links.load(Ordering::Relaxed) == 0 { TICK_ALONE } else { TICK }
    }

    fn look(&self, watch: &mut Watch) {
        let line = self.line();
        let (verdict, progress) = watch.look(line.mode(self.me.0.get()), line.handler());
        if progress {
            line.beat(now_ns());
        } else {
            self.held_up.store(true, Ordering::Relaxed);
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

    /// Stops the timer, unless the loop begins to scan in this moment.
    fn rest(&self) {
        self.set_timer(NEVER);
        // PAIR awake-or-rest: the thread rests before it looks once more whether the loop scans.
        self.ticks.swap(false, Ordering::SeqCst);
        let line = self.line();
        let is_awake = matches!(line.mode(self.me.0.get()), Mode::Scan | Mode::Busy) || line.handler().is_some();
        if is_awake && !self.ticks.swap(true, Ordering::SeqCst) {
            self.set_timer(self.tick());
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::time::{Duration, Instant};

    use speedysvc_protocol::shm::segment::Access;

    use super::*;

    /// Looks, as the heartbeat shows them, until there were so many, and how long that took.
    fn looks(watcher: &Watcher, count: u32) -> Duration {
        let (began, mut last, mut seen) = (Instant::now(), 0, 0);
        while seen < count {
            assert!(began.elapsed() < Duration::from_secs(60), "{seen} looks in a minute");
            let beat = watcher.shared.line().last_beat_ns();
            seen += u32::from(beat != last);
            last = beat;
            thread::yield_now();
        }
        began.elapsed()
    }

    #[test]
    fn without_links_the_thread_looks_seldom_and_with_one_each_millisecond() {
        let (board, _read_only) = Board::create().unwrap();
        let board = Arc::new(Board::map(board, Access::ReadWrite).unwrap());
        let me = Incarnation(NonZeroU16::MIN);
        let watcher = Watcher::new(Arc::clone(&board), me, doorbell::bell().unwrap()).unwrap();
        watcher.shared.line().set(me, Mode::Scan);
        watcher.awake(now_ns());
        // Others may have the processors for a while, but not each time. Twelve looks take 110 ms, or 11.
        let is_slow = || looks(&watcher, 12) >= Duration::from_millis(90);
        assert!((0..100).any(|_| is_slow()));
        watcher.attached();
        assert!((0..100).any(|_| !is_slow()));
        watcher.detached();
        assert!((0..100).any(|_| is_slow()));
    }

    #[test]
    fn a_handler_that_is_seen_twice_holds_the_loop_up_whatever_that_says_of_itself() {
        let (board, _read_only) = Board::create().unwrap();
        let board = Arc::new(Board::map(board, Access::ReadWrite).unwrap());
        let me = Incarnation(NonZeroU16::MIN);
        let watcher = Watcher::new(Arc::clone(&board), me, doorbell::bell().unwrap()).unwrap();
        let (held_up, line) = (watcher.held_up(), watcher.shared.line());
        line.set(me, Mode::Busy);
        watcher.awake(now_ns());
        looks(&watcher, 3);
        assert!(!held_up.load(Ordering::Relaxed), "no handler runs");
        line.set_running(Some(1));
        let began = Instant::now();
        while !held_up.load(Ordering::Relaxed) {
            assert!(began.elapsed() < Duration::from_secs(60), "it is not seen");
            thread::yield_now();
        }
    }
}
