//! How many calls may stand in line, and with how many bytes.

use std::sync::Arc;
use std::time::Duration;

use speedysvc_protocol::status::{Code, Outcome, Status};

use super::fake::Broker;
use super::{MESSAGE_MAX, SHORT, attached, bytes};
use crate::line::Line;
use crate::pending::Boxed;
use crate::test_calls::{start, wait};

/// For as many calls as these, on a busy machine.
const LONG: Duration = Duration::from_secs(300);

fn begin(line: &Arc<Line>, body: &[u8]) -> Boxed {
    start(line, body, LONG)
}

/// The next call is refused, which says this.
#[track_caller]
fn is_full(line: &Arc<Line>, body: &[u8], says: &[&str]) {
    // It has no time to wait for what it must not wait for.
    let error = wait(start(line, body, SHORT)).unwrap_err();
    assert_eq!((error.code(), error.outcome()), (Code::ResourceExhausted, Outcome::NotStarted), "{error}");
    assert!(says.iter().all(|text| error.message().contains(text)), "{error}");
}

#[test]
fn no_more_than_so_many_calls_stand_in_line() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let line = Arc::new(line);
    let out = begin(&line, b"out");
    let waiting: Vec<Boxed> = (0..65_536).map(|_| begin(&line, b"x")).collect();
    is_full(&line, b"", &["65536 calls already wait for a slot", "wait for some of them first"]);
    worker.answer(&worker.take(), Status::Ok, b"");
    wait(out).unwrap();
    // The first of them has gone out.
    let last = begin(&line, b"y");
    is_full(&line, b"", &["65536 calls"]);
    drop(waiting);
    let taken = worker.take();
    assert_eq!(worker.body(&taken), b"y", "all before it were given up");
    worker.answer(&taken, Status::Ok, b"");
    wait(last).unwrap();
}

/// With slots that are free and memory that is not, and with neither.
#[test]
fn no_more_than_so_many_bytes_stand_in_line() {
    for slots in [1, 8] {
        let broker = Broker::new();
        let (line, worker) = attached(&broker, slots);
        let line = Arc::new(line);
        let largest = bytes(usize::try_from(MESSAGE_MAX).unwrap());
        // What the link's memory holds.
        let mut out: Vec<Boxed> = (0..slots.min(4)).map(|_| begin(&line, &largest)).collect();
        let mut waiting: Vec<Boxed> = (0..255).map(|_| begin(&line, &largest)).collect();
        let almost = begin(&line, &largest[1..]);
        is_full(&line, &largest[..2], &["268435455 bytes of arguments already wait", "limit of 268435456"]);
        let last = begin(&line, b"1");
        is_full(&line, b"1", &["268435456 bytes"]);
        // Who gives up makes room, and who goes out.
        drop((almost, last));
        waiting.push(begin(&line, &largest));
        is_full(&line, b"1", &["268435456 bytes"]);
        worker.answer(&worker.take(), Status::Ok, b"");
        wait(out.remove(0)).unwrap();
        waiting.push(begin(&line, &largest));
        is_full(&line, b"1", &["268435456 bytes"]);
    }
}
