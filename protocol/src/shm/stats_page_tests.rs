//! A page with a writer and readers at the same time, and after the writer's end.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, io, thread};

use super::stats_page::{STATS_BYTES, StatsReader, StatsWriter, create_page};
use crate::stats::{Call, Counter, METERED_MAX, MethodCounter, OTHER_NAME, Snapshot, Times, Timing};
use crate::status::{Code, Outcome, Status};

fn page() -> (StatsWriter, StatsReader) {
    let (file, reader) = create_page().unwrap();
    (StatsWriter::map(&file).unwrap(), reader)
}

fn call(times: Option<Times>) -> Call {
    Call { status: Status::Ok, bytes_in: 3, bytes_out: 5, times }
}

fn timed(queue_ns: u64, handler_ns: u64) -> Call {
    call(Some(Times { queue_ns, handler_ns }))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("m{index}")).collect()
}

fn value(snapshot: &Snapshot, name: &str, counter: MethodCounter) -> u64 {
    snapshot.method(name).map_or(0, |method| method.counter(counter))
}

#[test]
fn what_is_written_is_read() {
    let (writer, reader) = page();
    let names = names(2);
    writer.add(Counter::Turns, 7);
    writer.set(Counter::CqOverflows, 2);
    writer.record(0, &timed(100, 2_000));
    writer.record(0, &call(None));
    writer.record(1, &Call { status: Status::Application, ..timed(0, 3_600_000_000_001) });
    writer.record(1, &Call { status: Status::Failed(Code::Internal, Outcome::Done), ..call(None) });
    let read = reader.read(Some(&names));
    assert_eq!((read.counter(Counter::Turns), read.counter(Counter::CqOverflows)), (7, 2));
    let first = read.method("m0").unwrap();
    let counts = MethodCounter::ALL.iter().map(|counter| first.counter(*counter)).collect::<Vec<_>>();
    assert_eq!(counts, [2, 6, 10, 1, 100, 2_000, 2_100]);
    let median = |timing| first.times(timing).percentile(0.5).unwrap();
    // The middles of their buckets.
    assert_eq!([Timing::Queue, Timing::Handler, Timing::Total].map(median), [100, 2_002, 2_099]);
    let second = read.method("m1").unwrap();
    assert_eq!((second.application_errors(), second.errors_with(Code::Internal), second.errors()), (1, 1, 2));
    assert_eq!(second.times(Timing::Handler).percentile(1.0), Some(3_600_000_000_000));
}

#[test]
fn methods_beyond_the_limit_are_counted_together() {
    let (writer, reader) = page();
    for method in [METERED_MAX - 1, METERED_MAX, METERED_MAX + 200, usize::MAX] {
        writer.record(method, &timed(0, 1_000));
    }
    let read = reader.read(Some(&names(METERED_MAX + 200)));
    assert_eq!(value(&read, &format!("m{}", METERED_MAX - 1), MethodCounter::Calls), 1);
    // The row behind the last has a name here, and must not be taken for that method.
    assert_eq!(value(&read, OTHER_NAME, MethodCounter::Calls), 3);
    assert_eq!(read.methods().count(), 2);
    assert_eq!(read.method(OTHER_NAME).unwrap().times(Timing::Handler).count(), 3);
}

#[test]
fn as_long_as_names_are_unknown_only_the_loop_is_read() {
    let (writer, reader) = page();
    writer.add(Counter::Sleeps, 1);
    writer.record(0, &call(None));
    let early = reader.read(None);
    assert_eq!((early.counter(Counter::Sleeps), early.methods().count()), (1, 0));
    assert_eq!(reader.read(Some(&names(1))).methods().count(), 1);
}

/// Blocks of 512 bytes.
fn memory(file: &File) -> u64 {
    file.metadata().unwrap().blocks() * 512
}

#[test]
fn what_is_not_used_takes_no_memory_and_reading_takes_none() {
    let (file, reader) = create_page().unwrap();
    let writer = StatsWriter::map(&file).unwrap();
    let file = File::from(file);
    writer.record(0, &timed(100, 2_000));
    let used = memory(&file);
    // Counters, a row, and a page for each of three histograms; where the system makes pages larger, it says so.
    assert!(used <= 5 * 4096 || used >= 2 << 20, "{used} of {STATS_BYTES} bytes");
    assert_eq!(value(&reader.read(Some(&names(1))), "m0", MethodCounter::Calls), 1);
    assert_eq!(memory(&file), used, "reading filled holes");
}

#[test]
fn only_the_loop_may_write() {
    let (file, reader) = create_page().unwrap();
    let read_only = super::segment::reopen_read_only(&file).unwrap();
    assert!(StatsWriter::map(&read_only).is_err());
    // Before its loop has begun there is nothing, and nothing is wrong with that.
    assert_eq!(reader.read(Some(&names(1))), Snapshot::default());
}

/// A reader beside a writer: each number lies between what was written before the reading began and what was begun
/// before it ended, and no number shrinks. What is read of calls has the bytes and times of all of them.
#[test]
fn readers_see_only_what_was_true() {
    const CALLS: u64 = if cfg!(miri) { 100 } else { 200_000 };
    let (file, reader) = create_page().unwrap();
    let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            let writer = StatsWriter::map(&file).unwrap();
            for number in 1..=CALLS {
                begun.store(number, Ordering::SeqCst);
                writer.record(0, &timed(64 + number, 64 * number));
                done.store(number, Ordering::SeqCst);
            }
        });
        let names = names(1);
        let mut last = (0, 0, 0);
        while last.0 < CALLS {
            let before = done.load(Ordering::SeqCst);
            let read = reader.read(Some(&names));
            let after = begun.load(Ordering::SeqCst);
            let calls = value(&read, "m0", MethodCounter::Calls);
            let bytes = value(&read, "m0", MethodCounter::BytesOut);
            let times = read.method("m0").map_or(0, |method| method.times(Timing::Handler).count());
            for (what, count) in [("calls", calls), ("bytes", bytes / 5), ("times", times)] {
                assert!((before..=after).contains(&count), "{count} {what}, {before} before and {after} after");
            }
            assert_eq!(bytes % 5, 0, "half of a number was seen");
            let bytes_in = value(&read, "m0", MethodCounter::BytesIn);
            assert!(bytes / 5 >= calls && bytes_in / 3 >= calls && times >= calls, "calls are counted last: {read:?}");
            let now = (calls, bytes, times);
            assert!(now.0 >= last.0 && now.1 >= last.1 && now.2 >= last.2, "{now:?} after {last:?}");
            last = now;
        }
    });
    // The writer is gone; the page is not.
    assert_eq!(value(&reader.read(Some(&names(1))), "m0", MethodCounter::Timed), CALLS);
}

const WRITES_FOR_EVER: &str = "SPEEDYSVC_TEST_WRITES_FOR_EVER";

/// For the test below, which starts this one once more as a process of its own: records on the page that is its
/// standard input until it is killed.
#[test]
fn a_process_that_records_without_end() {
    if env::var_os(WRITES_FOR_EVER).is_some() {
        let writer = StatsWriter::map(io::stdin()).unwrap();
        loop {
            writer.record(0, &timed(100, 2_000));
        }
    }
}

/// It does nothing else, so it is killed between two stores of a call nearly always.
#[test]
#[cfg_attr(miri, ignore = "processes")]
fn a_loop_that_is_killed_in_the_middle_of_a_record_leaves_at_most_that_call_half_counted() {
    const EACH: [(MethodCounter, u64); 6] = [
        (MethodCounter::BytesIn, 3),
        (MethodCounter::BytesOut, 5),
        (MethodCounter::Timed, 1),
        (MethodCounter::QueueNs, 100),
        (MethodCounter::HandlerNs, 2_000),
        (MethodCounter::TotalNs, 2_100),
    ];
    let names = names(1);
    let mut halves = 0;
    for kill in 0..50 {
        let (file, reader) = create_page().unwrap();
        let calls = |read: &Snapshot| value(read, "m0", MethodCounter::Calls);
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "shm::stats_page_tests::a_process_that_records_without_end"]);
        command.env(WRITES_FOR_EVER, "1").stdin(Stdio::from(file.try_clone().unwrap())).stdout(Stdio::null());
        let mut writer = command.spawn().unwrap();
        while calls(&reader.read(Some(&names))) < 1_000 + kill {
            assert!(writer.try_wait().unwrap().is_none(), "it has ended by itself");
            thread::yield_now();
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        let read = reader.read(Some(&names));
        let whole = calls(&read)..=calls(&read) + 1;
        for (counter, each) in EACH {
            let sum = value(&read, "m0", counter);
            assert!(
                sum.is_multiple_of(each) && whole.contains(&(sum / each)),
                "{counter:?} is {sum}, of {whole:?} calls"
            );
            halves += u64::from(sum / each != *whole.start());
        }
        for timing in Timing::ALL {
            let count = read.method("m0").unwrap().times(*timing).count();
            assert!(whole.contains(&count), "{count} of {timing:?}, of {whole:?} calls");
        }
        // Whoever comes next goes on counting there.
        StatsWriter::map(&file).unwrap().record(0, &timed(100, 2_000));
        assert_eq!(calls(&reader.read(Some(&names))), whole.start() + 1);
    }
    assert!(halves > 0, "none of 50 was killed between two stores");
}
