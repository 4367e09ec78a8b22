//! Which slots are free. They are taken and given back without a lock, and threads that keep to their own slots share
//! no line.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use speedysvc_protocol::ids::MethodIndex;
use speedysvc_protocol::shm::due::Due;
use speedysvc_protocol::shm::link::{ClientLink, InUse};
use speedysvc_protocol::shm::seq::Seq;

use super::{looking, upcoming};

/// After so many calls a thread looks for a slot from the lowest on: a loop looks at all slots up to the highest that
/// is in use, so a burst must not leave its last caller up there.
const SETTLE: u32 = 1024;

/// Threads may keep one of so many slots: of the 64 that a link usually has, 16.
const KEPT_PART: usize = 4;

/// A link whose callers never need more slots at once has berths for so many, and its workers look at so many: of all
/// 64 the berths would be most of the memory of a quiet link's client, and the lines half of its worker's.
const FEW: usize = 8;

/// The berths of as many slots.
type Pier = Box<[Berth; FEW]>;

/// One slot's private words, in lines of their own. Whoever has taken the slot owns the other two.
#[repr(align(128))]
struct Berth {
    taken: AtomicBool,
    /// The last number that was used in the slot.
    seq: AtomicU64,
    /// When it was taken last, in nanoseconds.
    used_ns: AtomicU64,
    /// Where a started call stands among those of its thread: see [`upcoming`].
    place: AtomicU64,
    /// When the reply of its last short call was due, and in the upper half the method.
    due: AtomicU64,
    /// What its user wants to find again: a started call's beginnings.
    kept: [AtomicU64; KEPT_WORDS],
}

fn pier(now_ns: u64) -> Pier {
    let berth = |_| Berth {
        taken: AtomicBool::new(false),
        seq: AtomicU64::new(Seq::NONE.word()),
        used_ns: AtomicU64::new(now_ns),
        place: AtomicU64::new(upcoming::IN_A_ROW),
        due: AtomicU64::new(0),
        kept: [const { AtomicU64::new(0) }; KEPT_WORDS],
    };
    Box::new(std::array::from_fn(berth))
}

/// Words that who has a slot may keep there.
pub(super) const KEPT_WORDS: usize = 8;

/// All slots of a link.
pub(super) struct Slots {
    /// Each from when one of its slots is looked for.
    piers: Box<[OnceLock<Pier>]>,
    count: usize,
    made_ns: u64,
    /// Workers look for requests in these slots.
    in_use: InUse,
    /// Callers that wait for a slot. While there are any, only the first of them takes one.
    waiting: AtomicUsize,
    /// Threads that keep a slot between their calls.
    kept: AtomicUsize,
}

/// Where this thread looks first: the slot that it used last, whose lines are in its cache.
#[derive(Clone, Copy)]
struct Hint {
    slot: usize,
    calls: u32,
}

thread_local! {
    static HINT: Cell<Hint> = const { Cell::new(Hint { slot: 0, calls: 0 }) };
}

impl Slots {
    pub(super) fn new(link: &ClientLink, now_ns: u64) -> Self {
        let (count, in_use) = (link.geometry().slots(), link.in_use());
        in_use.few(FEW);
        let piers: Box<[_]> = (0..count.div_ceil(FEW)).map(|_| OnceLock::new()).collect();
        let (waiting, kept) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { piers, count, made_ns: now_ns, in_use, waiting, kept }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Of a slot that was looked for. A call asks for it again and again: with two ways to it, one of them seldom, what
    /// the call holds in registers would go by way of memory (10 ns; decision 0082).
    #[inline]
    fn berth(&self, slot: usize) -> &Berth {
        &self.piers[slot / FEW].get().expect("its slots were looked for")[slot % FEW]
    }

    #[cold]
    fn add_pier(&self, slot: usize) {
        self.piers[slot / FEW].get_or_init(|| {
            if slot >= FEW {
                self.in_use.all();
            }
            pier(self.made_ns)
        });
    }

    /// How many numbers have been used in all slots that are not in use.
    #[cold]
    pub(super) fn calls(&self) -> u64 {
        let berths = self.piers.iter().filter_map(OnceLock::get).flat_map(|pier| pier.iter());
        berths.map(|berth| berth.seq.load(Ordering::Relaxed)).sum()
    }

    /// Whether somebody waits for a slot: a hint.
    #[inline]
    pub(super) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// A free slot, if nobody waits for one.
    #[inline]
    pub(super) fn take(&self) -> Option<usize> {
        if self.are_wanted() {
            return None;
        }
        let Hint { mut slot, mut calls } = HINT.get();
        calls += 1;
        if calls == SETTLE {
            (slot, calls) = (0, 0);
            looking::many_calls();
        }
        HINT.set(Hint { slot, calls });
        if slot < self.count && self.try_take(slot) { Some(slot) } else { self.find() }
    }

    /// The lowest free slot, also when others wait.
    #[cold]
    pub(super) fn find(&self) -> Option<usize> {
        let slot = (0..self.count).find(|slot| self.try_take(*slot))?;
        // Who takes several without giving one back finds the next one at once.
        HINT.set(Hint { slot: slot + 1, ..HINT.get() });
        Some(slot)
    }

    #[inline]
    fn try_take(&self, slot: usize) -> bool {
        if self.piers[slot / FEW].get().is_none() {
            self.add_pier(slot);
        }
        let taken = &self.berth(slot).taken;
        // PAIR slot-freed: what its last user noted in the berth is seen by its next.
        !taken.load(Ordering::Relaxed) && !taken.swap(true, Ordering::Acquire)
    }

    /// The last number that was used in a slot that the caller has taken.
    #[inline]
    pub(super) fn seq(&self, slot: usize) -> Seq {
        Seq::from_word(self.berth(slot).seq.load(Ordering::Relaxed)).unwrap_or(Seq::MAX)
    }

    /// For how long a taken slot has not been used.
    #[inline]
    pub(super) fn unused_ns(&self, slot: usize, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.berth(slot).used_ns.load(Ordering::Relaxed))
    }

    /// Notes when a taken slot is used.
    #[inline]
    pub(super) fn use_at(&self, slot: usize, now_ns: u64) {
        self.berth(slot).used_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Notes where the call in a taken slot stands among those that its thread has started. What is so already is not
    /// written again.
    #[inline]
    pub(super) fn note_place(&self, slot: usize, place: u64) {
        let noted = &self.berth(slot).place;
        if noted.load(Ordering::Relaxed) != place {
            noted.store(place, Ordering::Relaxed);
        }
    }

    /// What was noted of that.
    #[inline]
    pub(super) fn place(&self, slot: usize) -> u64 {
        self.berth(slot).place.load(Ordering::Relaxed)
    }

    /// When the reply of a call of this method in a taken slot is due: at once, when the call before was of another.
    #[inline]
    pub(super) fn due(&self, slot: usize, method: MethodIndex) -> Due {
        let noted = self.berth(slot).due.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "the word is split into its halves")]
        if noted >> 32 == u64::from(method.0) { Due::from_parts(noted as u32) } else { Due::default() }
    }

    /// Notes it for the next one.
    #[inline]
    pub(super) fn note_due(&self, slot: usize, method: MethodIndex, due: Due) {
        let word = u64::from(method.0) << 32 | u64::from(due.parts());
        self.berth(slot).due.store(word, Ordering::Relaxed);
    }

    /// Keeps these words in a taken slot.
    #[inline]
    pub(super) fn keep_words(&self, slot: usize, words: [u64; KEPT_WORDS]) {
        self.berth(slot).kept.iter().zip(words).for_each(|(kept, word)| kept.store(word, Ordering::Relaxed));
    }

    /// The words that were kept in a taken slot.
    pub(super) fn kept_words(&self, slot: usize) -> [u64; KEPT_WORDS] {
        std::array::from_fn(|place| self.berth(slot).kept[place].load(Ordering::Relaxed))
    }

    /// Notes the last number that was used in a taken slot, for its next user.
    #[inline]
    pub(super) fn note_seq(&self, slot: usize, seq: Seq) {
        self.berth(slot).seq.store(seq.word(), Ordering::Relaxed);
    }

    /// Takes a slot, the lowest that is free, for a thread that keeps it from call to call. `None` when a quarter of
    /// all slots are kept already, or none is free.
    #[cold]
    pub(super) fn begin_to_keep(&self) -> Option<usize> {
        let most = self.count / KEPT_PART;
        let kept =
            self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| (kept < most).then_some(kept + 1));
        let slot = kept.ok().and_then(|_| if self.waiting.load(Ordering::Relaxed) > 0 { None } else { self.find() });
        if kept.is_ok() && slot.is_none() {
            self.end_to_keep();
        }
        slot
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    /// A thread keeps one slot less.
    #[cold]
    pub(super) fn end_to_keep(&self) {
        self.kept.fetch_sub(1, Ordering::Relaxed);
    }

    /// Gives a slot back; whether somebody waits for one and must be told.
    #[inline]
    #[must_use]
    pub(super) fn give_back(&self, slot: usize) -> bool {
        HINT.set(Hint { slot, ..HINT.get() });
        let berth = self.berth(slot);
        // PAIR slot-freed: what we noted is seen by who takes the slot next.
        // PAIR slot-or-wait: the slot is free before we look for who waits. A swap, as it is the fence for that, too.
        berth.taken.swap(false, Ordering::SeqCst);
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// One caller more waits, or one less. Who begins to wait looks for a slot after this.
    pub(super) fn set_waiting(&self, count: usize) {
        self.waiting.store(count, Ordering::Relaxed);
        // PAIR slot-or-wait: either we find the slot that somebody gives back now, or they see that we wait.
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use speedysvc_protocol::shm::layout::Geometry;
    use speedysvc_protocol::shm::link::{LinkFiles, WorkerLink};

    use super::*;

    /// A link's slots, and what its workers see of it.
    fn slots_and_worker(count: u16) -> (Slots, WorkerLink) {
        let geometry = Geometry::new(count, 4096).unwrap();
        let files = LinkFiles::create(geometry).unwrap();
        let link = ClientLink::map(geometry, &files.request, &files.reply_read_only).unwrap();
        (Slots::new(&link, 0), WorkerLink::map(geometry, &files.request, &files.reply).unwrap())
    }

    fn slots(count: u16) -> Slots {
        slots_and_worker(count).0
    }

    #[test]
    fn a_thread_gets_the_slot_back_that_it_used_last() {
        let slots = slots(3);
        let (first, second) = (slots.find().unwrap(), slots.find().unwrap());
        assert_eq!((first, second), (0, 1));
        let seq = Seq::NONE.next().unwrap();
        assert!(!slots.give_back(first));
        slots.note_seq(second, seq);
        assert!(!slots.give_back(second));
        assert_eq!((slots.take(), slots.seq(1)), (Some(1), seq));
        assert_eq!((slots.take(), slots.take(), slots.take()), (Some(0), Some(2), None));
    }

    #[test]
    fn a_thread_that_was_pushed_up_comes_down_again() {
        let slots = slots(64);
        let all: Vec<usize> = (0..64).filter_map(|_| slots.find()).collect();
        assert!(all.into_iter().all(|slot| !slots.give_back(slot)));
        let used = (0..SETTLE).filter_map(|_| {
            let slot = slots.take()?;
            (!slots.give_back(slot)).then_some(slot)
        });
        let used: Vec<usize> = used.collect();
        assert_eq!((used.first(), used.last()), (Some(&63), Some(&0)));
    }

    #[test]
    fn a_link_of_few_callers_has_berths_for_few_slots() {
        let (slots, worker) = slots_and_worker(64);
        let few: Vec<usize> = (0..FEW).filter_map(|_| slots.take()).collect();
        assert_eq!((few.last(), slots.calls(), slots.piers[1].get().is_some()), (Some(&(FEW - 1)), 0, false));
        assert_eq!(worker.slots_in_use(), FEW);
        let next = slots.take().unwrap();
        assert_eq!((next, slots.count(), worker.slots_in_use()), (FEW, 64, 64));
        slots.note_seq(next, Seq::NONE.next().unwrap());
        assert_eq!((slots.seq(next), slots.calls()), (Seq::NONE.next().unwrap(), 1));
    }

    #[test]
    fn who_waits_goes_first() {
        let slots = slots(1);
        let slot = slots.take().unwrap();
        slots.set_waiting(1);
        assert!(slots.give_back(slot), "the one who waits must be told");
        assert_eq!((slots.take(), slots.find()), (None, Some(0)));
        slots.set_waiting(0);
        assert!(!slots.give_back(0));
        assert_eq!(slots.take(), Some(0));
    }

    #[test]
    fn no_slot_has_two_users() {
        let slots = slots(2);
        let users = [AtomicUsize::new(0), AtomicUsize::new(0)];
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        let Some(slot) = slots.take() else { continue };
                        assert_eq!(users[slot].fetch_add(1, Ordering::Relaxed), 0);
                        let seq = slots.seq(slot).next().unwrap();
                        users[slot].fetch_sub(1, Ordering::Relaxed);
                        slots.note_seq(slot, seq);
                        assert!(!slots.give_back(slot));
                    }
                });
            }
        });
        assert_eq!(users.map(AtomicUsize::into_inner), [0, 0]);
    }
}
