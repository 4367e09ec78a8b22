//! Memory of bursts goes back, and nobody's who is using it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::fake::{Broker, Worker};
use super::started::echoing;
use super::{LONG, bytes, call, try_open};
use crate::connection::Connection;
use crate::line::Line;
use crate::shm::ShmConnection;
use crate::test_calls::{start, wait};
use speedysvc_protocol::shm::layout::Grant;

/// The heap is four times as large, and has more than what stays warm.
const MESSAGE_MAX: u64 = 4 << 20;

fn attached(broker: &Broker) -> (Arc<Line>, Arc<ShmConnection>, Worker) {
    let (line, worker) = thread::scope(|scope| {
        let worker = scope.spawn(|| broker.attach(16, MESSAGE_MAX));
        (try_open(broker, LONG).unwrap(), worker.join().unwrap())
    });
    let Some(Connection::Shm(link)) = line.usable() else { panic!("no link") };
    (Arc::new(line), link, worker)
}

#[test]
fn replies_that_are_not_read_yet_stay_while_the_rest_of_their_burst_goes() {
    let broker = Broker::new();
    let (line, link, worker) = attached(&broker);
    let mut given_back = 0;
    echoing(&worker, || {
        for round in 0..5 {
            let body = bytes((1 << 20) - 1000 * round);
            let mut calls: Vec<_> = (0..13).map(|_| start(&line, &body, LONG)).collect();
            let last = calls.split_off(11);
            calls.into_iter().for_each(|call| assert!(wait(call).unwrap() == body, "round {round}"));
            // One look finds the burst, the next one that it is over; none, if the link's own thread was faster.
            let stop = AtomicBool::new(false);
            thread::scope(|scope| {
                let beside = scope.spawn(|| {
                    let body = bytes(300_000);
                    while !stop.load(Ordering::Relaxed) {
                        assert!(call(&line, &body, LONG).unwrap() == body, "beside round {round}");
                    }
                });
                given_back += (0..3).filter_map(|_| link.ebb()).sum::<u64>();
                stop.store(true, Ordering::Relaxed);
                beside.join().unwrap();
            });
            last.into_iter().for_each(|call| assert!(wait(call).unwrap() == body, "round {round}"));
        }
        let largest = bytes(4 << 20);
        assert!(call(&line, &largest, LONG).unwrap() == largest, "what was given back can be had again");
    });
    assert!(given_back > 0);
}

#[test]
fn a_block_that_was_taken_meanwhile_is_left_alone() {
    let broker = Broker::new();
    let (_line, link, _worker) = attached(&broker);
    let block = link.room().allocate(300_000).unwrap();
    let (body, mut read) = (bytes(300_000), vec![0; 300_000]);
    link.link.copy_in(block, &body);
    let around = Grant { offset: block.offset, capacity: 1 << 20 };
    assert_eq!((link.release(block), link.release(around)), (0, 0));
    link.link.copy_out(block, &mut read);
    assert!(read == body);
    link.free(block);
    assert_eq!(link.release(around), around.capacity);
    link.link.copy_out(block, &mut read);
    assert!(read.iter().all(|byte| *byte == 0), "its pages are gone");
}
