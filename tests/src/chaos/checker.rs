//! Compares what callers were told with what the handlers wrote down. Pure.

use std::collections::HashMap;
use std::fmt;

use super::record::Record;

/// What a caller knows when its call is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The right answer: the reply by its content, the method's own error, or that the reply is too large to send.
    Right,
    /// An answer that is not this call's.
    Wrong,
    /// An error that says that the call ran.
    Done,
    /// An error that says that it did not start.
    NotStarted,
    /// An error that says that nobody knows.
    Unknown,
}

/// The end of one call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Its number.
    pub id: u64,
    /// Of what was sent.
    pub checksum: u64,
    /// How it ended.
    pub told: Told,
}

/// What is no mistake by itself, and how often it may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Calls that workers can have had in hand when they were killed.
    pub unknown: u64,
    /// Calls that may have found no worker.
    pub not_started: u64,
    /// Replies that can have waited, too large for their buffers, in workers when they were killed.
    pub lost: u64,
}

/// How often calls ended in each way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// See [`Told`].
    pub right: u64,
    /// See [`Told`].
    pub wrong: u64,
    /// See [`Told`].
    pub done: u64,
    /// See [`Told`].
    pub not_started: u64,
    /// See [`Told`].
    pub unknown: u64,
    /// Of the unknown, those that ran.
    pub unknown_ran: u64,
    /// Runs that were written down.
    pub runs: u64,
}

/// What does not fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contradictions {
    /// The first of them, for people.
    pub texts: Vec<String>,
    /// How many there are.
    pub count: usize,
}

/// A run with a bug finds thousands.
const TEXTS_MAX: usize = 20;

impl Contradictions {
    fn new() -> Self {
        Self { texts: Vec::new(), count: 0 }
    }

    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.texts.len() < TEXTS_MAX {
            self.texts.push(text());
        }
    }
}

impl fmt::Display for Contradictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} contradictions between callers and record:", self.count)?;
        self.texts.iter().try_for_each(|text| write!(f, "\n  {text}"))?;
        let more = self.count - self.texts.len();
        if more > 0 { write!(f, "\n  and {more} more") } else { Ok(()) }
    }
}

/// Compares the ends of calls `0..calls` with the record.
///
/// # Errors
/// When they contradict each other, or a bound is broken.
pub fn check(calls: u64, verdicts: &[Verdict], records: &[Record], bounds: Bounds) -> Result<Tally, Contradictions> {
    let mut wrong = Contradictions::new();
    let runs = by_call(records);
    let mut told: HashMap<u64, &Verdict> = HashMap::with_capacity(verdicts.len());
    let mut tally = Tally { runs: records.len() as u64, ..Tally::default() };
    for verdict in verdicts {
        let id = verdict.id;
        if let Some(before) = told.insert(id, verdict) {
            wrong.add(|| format!("call {id}: told twice, {:?} and {:?}", before.told, verdict.told));
        }
        judge(verdict, runs.get(&id).map_or(&[], Vec::as_slice), &mut tally, &mut wrong);
    }
    for id in (0..calls).filter(|id| !told.contains_key(id)) {
        wrong.add(|| format!("call {id}: its caller was told nothing"));
    }
    let mut strangers: Vec<&u64> = runs.keys().filter(|id| !told.contains_key(id)).collect();
    strangers.sort_unstable();
    for id in strangers {
        wrong.add(|| format!("call {id}: ran{}, and nobody made it", workers(&runs[id])));
    }
    check_bounds(&tally, bounds, &mut wrong);
    if wrong.count == 0 { Ok(tally) } else { Err(wrong) }
}

fn by_call(records: &[Record]) -> HashMap<u64, Vec<Record>> {
    let mut runs: HashMap<u64, Vec<Record>> = HashMap::with_capacity(records.len());
    for record in records {
        runs.entry(record.id).or_default().push(*record);
    }
    runs
}

fn judge(verdict: &Verdict, runs: &[Record], tally: &mut Tally, wrong: &mut Contradictions) {
    let Verdict { id, checksum, told } = *verdict;
    let (counted, expected) = match told {
        Told::Right => (&mut tally.right, 1..=1),
        Told::Wrong => (&mut tally.wrong, 1..=1),
        Told::Done => (&mut tally.done, 1..=1),
        Told::NotStarted => (&mut tally.not_started, 0..=0),
        Told::Unknown => (&mut tally.unknown, 0..=1),
    };
    *counted += 1;
    if told == Told::Unknown {
        tally.unknown_ran += u64::from(!runs.is_empty());
    }
    if told == Told::Wrong {
        wrong.add(|| format!("call {id}: its caller got an answer that is not this call's"));
    }
    if !expected.contains(&runs.len()) {
        let most = if expected == (0..=1) { "at most " } else { "" };
        let (end, by) = (expected.end(), workers(runs));
        wrong.add(|| format!("call {id}: told {told:?}, so it ran {most}{end} times; it ran {} times{by}", runs.len()));
    }
    for run in runs.iter().filter(|run| run.checksum != checksum) {
        wrong.add(|| format!("call {id}: worker {} ran it with another payload than was sent", run.pid));
    }
}

fn workers(runs: &[Record]) -> String {
    let pids: Vec<String> = runs.iter().map(|run| run.pid.to_string()).collect();
    if pids.is_empty() { String::new() } else { format!(" in worker {}", pids.join(" and ")) }
}

fn check_bounds(tally: &Tally, bounds: Bounds, wrong: &mut Contradictions) {
    let pairs = [
        ("unknown", tally.unknown, bounds.unknown),
        ("not started", tally.not_started, bounds.not_started),
        ("done without their reply", tally.done, bounds.lost),
    ];
    for (what, count, bound) in pairs.into_iter().filter(|(_, count, bound)| count > bound) {
        wrong.add(|| format!("{count} calls were told {what}, and there is an excuse for {bound} at most"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { unknown: 2, not_started: 1, lost: 1 };

    fn told(id: u64, told: Told) -> Verdict {
        Verdict { id, checksum: id * 10, told }
    }

    fn ran(id: u64, pid: u32) -> Record {
        Record { id, pid, checksum: id * 10 }
    }

    fn complaints(calls: u64, verdicts: &[Verdict], records: &[Record]) -> Vec<String> {
        check(calls, verdicts, records, BOUNDS).expect_err("a contradiction").texts
    }

    #[test]
    fn a_history_without_contradictions_is_counted() {
        let verdicts = [
            told(0, Told::Right),
            told(3, Told::Unknown),
            told(1, Told::Done),
            told(2, Told::NotStarted),
            told(4, Told::Unknown),
        ];
        let tally = check(5, &verdicts, &[ran(1, 7), ran(4, 8), ran(0, 7)], BOUNDS).expect("no contradiction");
        let expected = Tally { right: 1, wrong: 0, done: 1, not_started: 1, unknown: 2, unknown_ran: 1, runs: 3 };
        assert_eq!(tally, expected);
        assert_eq!(check(0, &[], &[], BOUNDS), Ok(Tally::default()));
    }

    #[test]
    fn no_call_runs_twice_whatever_its_caller_was_told() {
        for (word, told_one) in [("Right", Told::Right), ("Done", Told::Done), ("Unknown", Told::Unknown)] {
            let texts = complaints(1, &[told(0, told_one)], &[ran(0, 7), ran(0, 8)]);
            assert_eq!(texts.len(), 1);
            assert!(texts[0].starts_with(&format!("call 0: told {word}, so it ran ")), "{texts:?}");
            assert!(texts[0].ends_with("1 times; it ran 2 times in worker 7 and 8"), "{texts:?}");
        }
    }

    #[test]
    fn what_did_not_start_did_not_run_and_what_was_answered_did() {
        let texts = complaints(1, &[told(0, Told::NotStarted)], &[ran(0, 7)]);
        assert_eq!(texts, ["call 0: told NotStarted, so it ran 0 times; it ran 1 times in worker 7"]);
        for claim in [Told::Right, Told::Done] {
            let texts = complaints(1, &[told(0, claim)], &[]);
            assert_eq!(texts, [format!("call 0: told {claim:?}, so it ran 1 times; it ran 0 times")]);
        }
    }

    #[test]
    fn every_call_is_told_of_once_and_none_is_invented() {
        assert_eq!(complaints(2, &[told(1, Told::Unknown)], &[]), ["call 0: its caller was told nothing"]);
        let twice = complaints(1, &[told(0, Told::Right), told(0, Told::Unknown)], &[ran(0, 7)]);
        assert_eq!(twice, ["call 0: told twice, Right and Unknown"]);
        let stranger = complaints(1, &[told(0, Told::Right)], &[ran(0, 7), ran(9, 8)]);
        assert_eq!(stranger, ["call 9: ran in worker 8, and nobody made it"]);
    }

    #[test]
    fn contents_count() {
        let texts = complaints(1, &[told(0, Told::Wrong)], &[ran(0, 7)]);
        assert_eq!(texts, ["call 0: its caller got an answer that is not this call's"]);
        let other = Record { checksum: 1, ..ran(0, 7) };
        let texts = complaints(1, &[told(0, Told::Right)], &[other]);
        assert_eq!(texts, ["call 0: worker 7 ran it with another payload than was sent"]);
    }

    #[test]
    fn excuses_are_limited() {
        let all: Vec<Verdict> = (0..3).map(|id| told(id, Told::Unknown)).collect();
        assert_eq!(complaints(3, &all, &[]), ["3 calls were told unknown, and there is an excuse for 2 at most"]);
        let all: Vec<Verdict> = (0..2).map(|id| told(id, Told::NotStarted)).collect();
        assert!(complaints(2, &all, &[])[0].contains("not started"));
        let all: Vec<Verdict> = (0..2).map(|id| told(id, Told::Done)).collect();
        assert!(complaints(2, &all, &[ran(0, 7), ran(1, 7)])[0].contains("done without their reply"));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let all: Vec<Verdict> = (0..100).map(|id| told(id, Told::Right)).collect();
        let wrong = check(100, &all, &[], BOUNDS).expect_err("a contradiction");
        assert_eq!((wrong.count, wrong.texts.len()), (100, TEXTS_MAX));
        assert!(wrong.to_string().ends_with("and 80 more"), "{wrong}");
    }
}
