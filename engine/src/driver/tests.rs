//! Both drivers through the same body: whoever is above must see no difference.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use speedysvc_protocol::archive::Buffer;

use super::epoll::Epoll;
use super::{Completion, Driver, Outgoing, Tag};
use crate::bells::{Bells, Rang};
use crate::budget::Sizes;
use crate::uring::Ring;

const PATIENCE: Duration = Duration::from_secs(20);
const TINY: Sizes = Sizes { submissions: 2, completions: 4, buffers: 2, buffer: 64 };

fn both(sizes: Sizes) -> [(&'static str, Box<dyn Driver>); 2] {
    let (ring, flags) =
        Ring::new(sizes).expect("these tests need io_uring; what a service does without is tested apart");
    assert!(!flags.is_empty());
    [("io_uring", Box::new(ring)), ("epoll", Box::new(Epoll::new(sizes).unwrap()))]
}

fn pair() -> (Rc<OwnedFd>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Rc::new(OwnedFd::from(listener.accept().unwrap().0)), theirs)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).collect()
}

/// The next completion, however long it takes.
fn next(driver: &mut dyn Driver) -> Completion {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(completion) = driver.reap() {
            return completion;
        }
        assert!(Instant::now() < until, "nothing happened");
        driver.wait(Some(Duration::from_millis(100))).unwrap();
    }
}

/// What arrives on one socket until its peer ends, with receiving begun anew whenever it stops.
fn all(driver: &mut dyn Driver, socket: &Rc<OwnedFd>, tag: Tag) -> Vec<u8> {
    let mut got = vec![];
    loop {
        let Completion::Received { received, more, .. } = next(driver) else { panic!("something else") };
        match received {
            Ok(Some(chunk)) => {
                got.extend_from_slice(driver.bytes(&chunk));
                driver.recycle(chunk);
            }
            Ok(None) => return got,
            Err(error) => assert!(!more, "{error} does not end it"),
        }
        if !more {
            driver.receive(socket, tag);
        }
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_also_into_two_tiny_buffers() {
    for (sizes, len) in [(Sizes::default(), 3 << 20), (TINY, 20_000)] {
        for (name, mut driver) in both(sizes) {
            let (ours, mut theirs) = pair();
            thread::scope(|scope| {
                scope.spawn(move || theirs.write_all(&bytes(len)).unwrap());
                driver.receive(&ours, Tag(1 << 16));
                assert!(all(&mut *driver, &ours, Tag(1 << 16)) == bytes(len), "{name}");
            });
        }
    }
}

#[test]
fn what_is_sent_arrives_though_the_peer_is_slow_and_comes_back() {
    for (name, mut driver) in both(TINY) {
        let (ours, mut theirs) = pair();
        let mut body = Buffer::new(1 << 24);
        body.append(&bytes(8 << 20)).unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut got = vec![];
                theirs.read_to_end(&mut got).unwrap();
                got
            });
            for outgoing in [Outgoing::Frames(bytes(5000)), Outgoing::Body(body)] {
                let len = outgoing.bytes().len();
                driver.send(&ours, Tag(1 << 16), outgoing, len == 5000);
                let Completion::Sent { sent, result, .. } = next(&mut *driver) else { panic!("{name}") };
                result.unwrap();
                assert_eq!(sent.bytes().len(), len, "{name}");
            }
            driver.forget(&ours, Tag(1 << 16));
            assert_eq!(Rc::strong_count(&ours), 1, "{name} keeps the socket");
            drop(ours);
            assert!(reader.join().unwrap() == [bytes(5000), bytes(8 << 20)].concat(), "{name}");
        });
    }
}

#[test]
fn receiving_stops_when_told_and_goes_on_where_it_was() {
    for (name, mut driver) in both(Sizes::default()) {
        let (ours, mut theirs) = pair();
        driver.receive(&ours, Tag(1 << 16));
        driver.submit().unwrap();
        driver.stop_receiving(Tag(1 << 16));
        let Completion::Received { received: Err(_), more: false, .. } = next(&mut *driver) else { panic!("{name}") };
        theirs.write_all(b"while nobody listened").unwrap();
        driver.wait(Some(Duration::from_millis(20))).unwrap();
        assert!(driver.reap().is_none(), "{name}");
        theirs.shutdown(Shutdown::Write).unwrap();
        driver.receive(&ours, Tag(1 << 16));
        assert_eq!(all(&mut *driver, &ours, Tag(1 << 16)), b"while nobody listened", "{name}");
    }
}

#[test]
fn a_socket_that_we_shut_down_ends_its_receive_and_its_send() {
    for (name, mut driver) in both(Sizes::default()) {
        let (ours, _theirs) = pair();
        driver.receive(&ours, Tag(1 << 16));
        driver.send(&ours, Tag(1 << 16), Outgoing::Frames(vec![0; 64 << 20]), false);
        driver.submit().unwrap();
        rustix::net::shutdown(&ours, rustix::net::Shutdown::Both).unwrap();
        let (mut received, mut sent) = (false, false);
        while !(received && sent) {
            match next(&mut *driver) {
                Completion::Received { more, .. } => received = !more,
                Completion::Sent { result, .. } => sent = result.is_err(),
                Completion::Watched { .. } => panic!("{name}"),
            }
        }
    }
}

#[test]
fn a_bell_is_heard_each_time_it_rings() {
    for (name, mut driver) in both(Sizes::default()) {
        let mut bells = Bells::new().unwrap();
        let bell = speedysvc_protocol::shm::doorbell::bell().unwrap();
        bells.add(&bell, Rang::Pool).unwrap();
        driver.watch(bells.as_fd()).unwrap();
        for _ in 0..3 {
            speedysvc_protocol::shm::doorbell::ring(&bell).unwrap();
            assert!(matches!(next(&mut *driver), Completion::Watched { more: true }), "{name}");
            assert_eq!(bells.heard().unwrap().collect::<Vec<_>>(), [Rang::Pool], "{name}");
        }
    }
}

#[test]
fn two_buffers_and_four_completions_lose_nothing_of_many_sockets() {
    const SOCKETS: u64 = 64;
    for (name, mut driver) in both(TINY) {
        let sockets: Vec<_> = (0..SOCKETS).map(|_| pair()).collect();
        let mut got = vec![vec![]; sockets.len()];
        for (tag, (ours, theirs)) in (1 << 16..).zip(&sockets) {
            (&mut &*theirs).write_all(&bytes(200)).unwrap();
            driver.receive(ours, Tag(tag));
        }
        let mut held = vec![];
        while got.iter().any(|got| got.len() < 200) {
            // Holding on to chunks starves the others, until they are given back.
            if let Completion::Received { tag, received, more } = next(&mut *driver) {
                let place = usize::try_from(tag.0 - (1 << 16)).unwrap();
                if let Ok(Some(chunk)) = received {
                    got[place].extend_from_slice(driver.bytes(&chunk));
                    held.push(chunk);
                }
                if held.len() == 2 || !more {
                    held.drain(..).for_each(|chunk| driver.recycle(chunk));
                }
                if !more {
                    driver.receive(&sockets[place].0, tag);
                }
            }
        }
        assert!(got.iter().all(|got| *got == bytes(200)), "{name}");
        assert_eq!(driver.overflows() > 0, name == "io_uring", "64 sockets and room for 4 completions");
    }
}
