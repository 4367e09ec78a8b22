//! Rows of peers: taken, counted in, given back, and read meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::peer_rows::{PEERS_MAX, Passed, PeerNow, Who};
use super::stats_page::{StatsReader, StatsWriter, create_page};
use crate::context::Peer;
use crate::ids::LinkId;

fn page() -> (StatsWriter, StatsReader) {
    let (file, reader) = create_page().unwrap();
    (StatsWriter::map(&file).unwrap(), reader)
}

fn whos(reader: &StatsReader) -> Vec<Who> {
    reader.peers().iter().map(|peer| peer.who).collect()
}

#[test]
fn who_comes_is_there_with_what_has_passed_until_he_goes() {
    let (writer, reader) = page();
    let peers = writer.peers();
    let address = Peer::Address { ip: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255], port: 65_535 };
    let all =
        [Who::Link(LinkId(u64::MAX)), Who::Socket(address), Who::Socket(Peer::User(7)), Who::Socket(Peer::Unknown)];
    let rows = all.map(|who| peers.arrive(who));
    assert_eq!(whos(&reader), all);
    peers.answered(rows[0], 3, 5);
    peers.answered(rows[0], 3, 5);
    peers.passed(rows[1], 100, 200);
    peers.set_in_flight(rows[1], 2);
    peers.speaks_http(rows[1]);
    let read = reader.peers();
    let link = Passed { in_flight: 0, calls: 2, bytes_in: 6, bytes_out: 10 };
    assert_eq!(read[0], PeerNow { who: all[0], over_http: false, passed: link });
    let socket = Passed { in_flight: 2, calls: 0, bytes_in: 100, bytes_out: 200 };
    assert_eq!(read[1], PeerNow { who: all[1], over_http: true, passed: socket });
    peers.leave(rows[1]);
    assert_eq!(whos(&reader), [all[0], all[2], all[3]]);
    // The next one has its place, and none of its counts.
    assert_eq!(peers.arrive(all[1]), rows[1]);
    assert_eq!(reader.peers()[1], PeerNow { who: all[1], over_http: false, passed: Passed::default() });
}

#[test]
fn whoever_comes_when_all_rows_are_taken_is_counted_nowhere() {
    let (writer, reader) = page();
    let peers = writer.peers();
    let rows: Vec<_> = (0..PEERS_MAX as u64 + 2).map(|link| peers.arrive(Who::Link(LinkId(link)))).collect();
    rows.iter().for_each(|row| peers.answered(*row, 1, 1));
    assert_eq!(whos(&reader), (0..PEERS_MAX as u64).map(|link| Who::Link(LinkId(link))).collect::<Vec<_>>());
    assert!(reader.peers().iter().all(|peer| peer.passed.calls == 1));
    // They leave, and take nobody's place along.
    rows[PEERS_MAX..].iter().for_each(|row| peers.leave(*row));
    assert_eq!(reader.peers().len(), PEERS_MAX);
    peers.leave(rows[3]);
    assert_eq!(peers.arrive(Who::Link(LinkId(9999))), rows[3]);
}

/// Owner `n` passes `n` bytes in and `2 n` out with each call: whatever of another owner were read would be no
/// multiple, and what is read of calls has the bytes of all of them.
#[test]
fn a_row_that_changes_hands_is_never_read_as_a_mixture() {
    const OWNERS: u64 = if cfg!(miri) { 200 } else { 200_000 };
    let (file, reader) = create_page().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let writer = StatsWriter::map(&file).unwrap();
            let peers = writer.peers();
            for owner in OWNERS..2 * OWNERS {
                let row = peers.arrive(Who::Link(LinkId(owner)));
                (0..3).for_each(|_| peers.answered(row, owner, 2 * owner));
                peers.leave(row);
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            for PeerNow { who, passed, .. } in reader.peers() {
                let Who::Link(LinkId(owner)) = who else { panic!("{who:?}") };
                let times = [passed.bytes_in, passed.bytes_out / 2].map(|bytes| (bytes % owner, bytes / owner));
                let are_whole = |(rest, times): &(u64, u64)| *rest == 0 && (passed.calls..=3).contains(times);
                assert!(times.iter().all(are_whole), "{owner}: {passed:?}");
            }
        }
    });
}
