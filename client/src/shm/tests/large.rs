//! Large requests are archived where they are read, and byte strings taken from where they were written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use speedysvc_protocol::archive::{self, Buffer, Bytes};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::status::Status;

use super::fake::Broker;
use super::{LONG, attached, bytes};
use crate::call::{Answer, Ask};
use crate::clock::{Deadline, now_ns};
use crate::line::Line;
use crate::reply::{Reply, read_plain_bytes};

const METHOD: MethodIndex = MethodIndex(0);

/// A blocking call with this archive, written in place if that can be.
fn written(line: &Line, body: &[u8], reply: &mut Reply) -> Option<Answer> {
    let ask = Ask {
        method: METHOD,
        codec: Codec::Rkyv,
        body: &[],
        begun_ns: now_ns(),
        deadline: Deadline::after(LONG),
        trace: None,
    };
    let write = |sink: &mut dyn archive::Sink| archive::encode_into(&Bytes(body), sink);
    line.exchange_written(&ask, &write, reply).map(|made| made.unwrap())
}

/// The same in the usual way.
fn copied(line: &Line, body: &[u8], reply: &mut Reply) -> Answer {
    let mut archived = Buffer::new(usize::MAX);
    archive::encode(&Bytes(body), &mut archived).unwrap();
    let (begun_ns, deadline, body) = (now_ns(), Deadline::after(LONG), archived.as_slice());
    line.exchange(&Ask { method: METHOD, codec: Codec::Rkyv, body, begun_ns, deadline, trace: None }, reply).unwrap()
}

#[test]
fn a_request_is_written_in_place_once_its_method_is_known_to_have_large_ones() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 2);
    let stop = AtomicBool::new(false);
    let mut reply = Reply::new();
    reply.wants_bytes = true;
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        assert!(!line.is_large(METHOD));
        for body in [bytes(5_000), bytes(70_000)] {
            let answer = copied(&line, &body, &mut reply);
            assert!(line.is_large(METHOD));
            assert_eq!(read_plain_bytes(answer, &mut reply).unwrap(), body);
        }
        for len in [70_000, 20_000, 5_000, 200, 65_536, 131_000] {
            let answer = written(&line, &bytes(len), &mut reply).expect("it fits where 70,000 bytes do");
            assert!(reply.bytes.is_some(), "the reply was copied twice");
            assert_eq!(read_plain_bytes(answer, &mut reply).unwrap(), bytes(len), "{len} bytes");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_does_not_fit_or_is_short_is_left_to_the_usual_way_and_leaves_no_trace() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let stop = AtomicBool::new(false);
    let mut reply = Reply::new();
    thread::scope(|scope| {
        scope.spawn(|| worker.echo(&stop));
        copied(&line, &bytes(5_000), &mut reply);
        for len in [0, 20, 300_000, 2 << 20] {
            assert_eq!(written(&line, &bytes(len), &mut reply), None, "{len} bytes");
        }
        // Slot and buffer are free again: with one slot, this would wait for ever.
        copied(&line, &bytes(300_000), &mut reply);
        assert!(written(&line, &bytes(300_000), &mut reply).is_some());
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_byte_string_is_only_taken_where_its_archive_says_so() {
    let broker = Broker::new();
    let (line, worker) = attached(&broker, 1);
    let mut reply = Reply::new();
    reply.wants_bytes = true;
    thread::scope(|scope| {
        scope.spawn(|| {
            // No archive; then the method's own error, which is no byte string.
            worker.answer(&worker.take(), Status::Ok, &[0xff; 100]);
            worker.answer(&worker.take(), Status::Application, &[1; 100]);
        });
        for (expected, first) in [(Answer::Result, 0xff), (Answer::Application, 1)] {
            assert_eq!(copied(&line, b"x", &mut reply), expected);
            assert!(reply.bytes.is_none());
            assert_eq!(reply.body.as_slice(), [first; 100]);
        }
    });
}
