//! Clients with several addresses: the first that answers, the next when it is lost, and back.

use std::sync::Arc;

use speedysvc::Code;
use speedysvc_tests::harness::{Home, proc, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{LONG, engine, file, soon};

#[test]
fn a_client_goes_over_to_the_next_address_and_comes_back() {
    let (home, second) = (Home::new(&file("")), engine(""));
    for other in [second.address("test"), second.tcp_address("test")] {
        let client = TestServiceClient::connect(&[home.address("test"), other.clone()]).unwrap().with_timeout(LONG);
        let there = client.pid().unwrap();
        assert!(second.workers().contains(&there), "the first is not there yet");
        let (used, wish) = (client.connected_to(), home.address("test"));
        assert!(used.starts_with(&other) && used.contains(&wish) && used.contains("no such socket"), "{used}");
        // The first comes.
        let mut first = Arc::clone(&home).start();
        let at_first = |pid: &u32| first.workers().contains(pid);
        let here = wait_until("the way back", || client.pid().ok().filter(at_first));
        assert_eq!(client.connected_to(), home.address("test"));
        // It loses a worker: still there.
        proc::kill(here);
        wait_until("the next worker", || client.pid().ok().filter(|pid| *pid != here && at_first(pid)));
        // It goes, in the middle of use: calls that it had not begun are answered by the second.
        assert_eq!(first.stop(), 0);
        assert_eq!(soon("a call to the second", || client.pid()).unwrap(), there);
        assert!(client.connected_to().starts_with(&other));
    }
}

#[test]
fn when_nobody_is_there_all_are_named() {
    let home = Home::new(&file(""));
    let addresses = [home.address("test"), "tcp://127.0.0.1:1".to_owned()];
    let error = TestServiceClient::connect(&addresses).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(addresses.iter().all(|address| error.message().contains(address.as_str())), "{error}");
}
