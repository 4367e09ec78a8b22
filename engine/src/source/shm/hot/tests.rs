//! Whose links a loop takes over, by what it says that it does, and by what the other one says.

use std::num::NonZeroU16;
use std::rc::Rc;
use std::sync::Arc;

use speedysvc_protocol::ids::{Incarnation, LinkId};
use speedysvc_protocol::shm::board::Mode;
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::in_place::Trust;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::shm::link::{Board, LinkFiles, WorkerLink};
use speedysvc_protocol::shm::segment::Access;
use speedysvc_protocol::shm::stats_page::create_page;

use crate::meter::Meter;
use crate::source::shm::{LinkBells, Links};

const LINK: LinkId = LinkId(1);
const MESSAGE_MAX: usize = 1 << 10;

/// The first two loops of a service, with one link that nobody polls yet.
fn two_loops() -> [Links; 2] {
    let board = Arc::new(Board::map(Board::create().unwrap().0, Access::ReadWrite).unwrap());
    let geometry = Geometry::new(4, 1 << 16).unwrap();
    let files = LinkFiles::create(geometry).unwrap();
    [1, 2].map(|number| {
        let me = Incarnation(NonZeroU16::new(number).unwrap());
        let meter = Rc::new(Meter::new(&create_page().unwrap().0, 1).unwrap());
        let limits = (MESSAGE_MAX, Trust::Never);
        let mut links = Links::new(me, Arc::clone(&board), doorbell::bell().unwrap(), limits, meter);
        let link = WorkerLink::map(geometry, &files.request, &files.reply).unwrap();
        let bells = LinkBells { theirs: doorbell::bell().unwrap(), inner: None, _client: None };
        links.add(LINK, 0, link, bells, 0);
        links
    })
}

/// What the second loop has, once it has heard of the link: first that it polls it, then that the first one does.
fn taken_from(first: Mode, second: Mode) -> (bool, bool) {
    let [mut one, mut two] = two_loops();
    one.say(Mode::Scan);
    one.adopt_belled(LINK, 0);
    assert!(one.polls());
    one.say(first);
    two.say(second);
    two.adopt_belled(LINK, 0);
    let poller = two.all[two.keys[&LINK]].link.poller();
    (two.polls() && poller.is(two.me), poller.is(one.me))
}

#[test]
fn a_loop_that_has_woken_takes_what_nobody_polls_and_leaves_the_links_of_others_however_busy() {
    let [_, mut two] = two_loops();
    two.say(Mode::Woken);
    two.adopt_belled(LINK, 0);
    assert!(two.polls());
    for first in [Mode::Scan, Mode::Woken, Mode::Busy, Mode::Asleep, Mode::Gone] {
        assert_eq!(taken_from(first, Mode::Woken), (false, true), "from one that says {first:?}");
    }
}

#[test]
fn a_loop_that_looks_takes_links_from_those_that_do_not() {
    for first in [Mode::Scan, Mode::Woken] {
        assert_eq!(taken_from(first, Mode::Scan), (false, true), "from one that says {first:?}");
    }
    for first in [Mode::Busy, Mode::Asleep, Mode::Gone] {
        assert_eq!(taken_from(first, Mode::Scan), (true, false), "from one that says {first:?}");
    }
}
