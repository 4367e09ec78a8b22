//! The history against a list of everything that was ever recorded.

use proptest::prelude::*;
use speedysvc_protocol::stats::{Histogram, MethodStats, Timing};

use super::*;

/// A method that was called so often, each call taking so long.
fn stats(calls: u64, ns: u64) -> MethodStats {
    let mut stats = MethodStats::default();
    stats.add_counts(&[calls, 0, 0, calls, 0, calls * ns], &[]);
    let mut times = Histogram::default();
    times.add(speedysvc_protocol::stats::buckets::bucket_of(ns), calls);
    Timing::ALL.iter().for_each(|timing| stats.add_times(*timing, &times));
    stats
}

fn sample(calls: u64, ns: u64) -> Sample {
    Sample::between(&MethodStats::default(), &stats(calls, ns)).expect("there were calls")
}

/// Seconds that pass, and calls of either of two methods.
fn seconds() -> impl Strategy<Value = Vec<(u64, u8, u64)>> {
    prop::collection::vec((1..100_u64, 0..2_u8, 1..50_u64), 1..200)
}

fn series(which: u8) -> Series {
    Series::method("echo", if which == 0 { "a" } else { "b" })
}

proptest! {
    #[test]
    fn no_second_is_lost_within_the_hour(seconds in seconds(), back in 0..HOUR, length in 1..HOUR) {
        let mut history = History::default();
        let mut now = 1_000_000;
        let mut all = Vec::new();
        for (pause, which, calls) in seconds {
            now += pause;
            history.record(now, vec![(series(which), sample(calls, 1000))]);
            all.push((now, which, calls));
        }
        let from = now - back;
        let to = from + length;
        for which in 0..2 {
            let expected: u64 = all.iter().filter(|(at, other, _)| *other == which && (from..to).contains(at))
                .map(|(.., calls)| calls).sum();
            let sum = history.sum(&series(which), from, to);
            prop_assert_eq!(sum.counts.calls, expected);
            prop_assert_eq!(sum.times(Timing::Handler).count(), expected);
            let points = history.points(&series(which), from, to, 7);
            prop_assert_eq!(points.iter().map(|point| point.sum.counts.calls).sum::<u64>(), expected);
            prop_assert!(points.windows(2).all(|pair| pair[0].at + 7 == pair[1].at));
        }
    }

    #[test]
    fn minutes_hold_what_their_seconds_held(seconds in seconds()) {
        let mut history = History::default();
        let (mut now, mut calls_of_all) = (1_000_000, 0);
        for (pause, which, calls) in seconds {
            now += pause;
            history.record(now, vec![(series(which), sample(calls, 1000))]);
            calls_of_all += calls;
        }
        let day = |which| history.points(&series(which), now + 60 - DAY, now + 60, 600);
        let found: u64 = (0..2).flat_map(day).map(|point| point.sum.counts.calls).sum();
        prop_assert_eq!(found, calls_of_all);
    }

    #[test]
    fn it_never_outgrows_its_bytes(seconds in seconds(), bytes in 1_000..20_000_usize) {
        let mut history = History::within(bytes);
        let mut now = 1_000_000;
        for (pause, which, calls) in seconds {
            now += pause;
            history.record(now, vec![(series(which), sample(calls, 900))]);
            prop_assert!(history.seconds.bytes() <= bytes && history.minutes.bytes() <= bytes);
            let frames = history.seconds.frames();
            prop_assert!(frames.iter().zip(frames.iter().skip(1)).all(|(a, b)| a.at < b.at));
        }
    }

    #[test]
    fn it_comes_back_from_bytes(seconds in seconds()) {
        let mut history = History::default();
        let mut now = 1_000_000;
        for (pause, which, calls) in seconds {
            now += pause;
            history.record(now, vec![(series(which), sample(calls, 1000 + calls))]);
        }
        let again = History::from_bytes(&history.to_bytes()).expect("it is one");
        for which in 0..2 {
            let calls = |history: &History, step| -> Vec<(u64, u64)> {
                let points = history.points(&series(which), now - step * 60, now + 60, step);
                points.iter().map(|point| (point.at, point.sum.counts.calls)).collect()
            };
            prop_assert_eq!(calls(&history, 1), calls(&again, 1));
            prop_assert_eq!(calls(&history, 600), calls(&again, 600));
        }
    }

    #[test]
    fn nonsense_is_no_history(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(History::from_bytes(&bytes).is_none());
    }
}

#[test]
fn a_damaged_file_is_no_history_and_no_panic() {
    let mut history = History::default();
    (0..50).for_each(|second| history.record(1000 + second, vec![(series(0), sample(second + 1, 5000))]));
    let bytes = history.to_bytes();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x55;
        if let Some(history) = History::from_bytes(&damaged) {
            history.sum(&series(0), 0, 2000);
        }
        assert!(History::from_bytes(&bytes[..place]).is_none());
    }
}

#[test]
fn an_hour_and_a_day_are_kept() {
    let mut history = History::default();
    for second in 0..2 * HOUR {
        history.record(1_000_000 + second, vec![(series(0), sample(1, 1000))]);
    }
    let now = 1_000_000 + 2 * HOUR;
    assert_eq!(history.since(true), Some(now - HOUR));
    assert_eq!(history.sum(&series(0), now - HOUR, now).counts.calls, HOUR);
    let day: u64 = history.points(&series(0), now - DAY, now + 60, 60).iter().map(|point| point.sum.counts.calls).sum();
    assert_eq!(day, 2 * HOUR);
}

#[test]
fn a_clock_that_is_put_back_loses_no_calls_or_begins_anew() {
    let mut history = History::default();
    history.record(1000, vec![(series(0), sample(1, 1000))]);
    history.record(990, vec![(series(0), sample(2, 1000))]);
    assert_eq!(history.sum(&series(0), 0, 2000).counts.calls, 3);
    history.record(100, vec![(series(0), sample(4, 1000))]);
    assert_eq!(history.sum(&series(0), 0, 2000).counts.calls, 4);
}

#[test]
fn names_have_a_limit() {
    let mut history = History::default();
    let many = (0..NAMES_MAX + 10).map(|number| (Series::service(&number.to_string()), sample(1, 1)));
    history.record(1000, many.collect());
    assert_eq!(history.names.len(), NAMES_MAX);
}
