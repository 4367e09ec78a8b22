//! Clients with several addresses: the first that answers, the next when it is lost, and back.

use std::sync::Arc;

use speedysvc::Code;
use speedysvc_tests::harness::{Home, Process, command, proc, wait_until};
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

/// A client in a process of its own, whose surroundings name the home's run folder.
fn settled(home: &Home, namespace: &str, address: &str) -> Process {
    // Without the mark of the home: what has that is counted as an engine's worker.
    let mut command = command("settled");
    command.env("SPEEDYSVC_RUN_DIR", home.run_dir()).env("SPEEDYSVC_NAMESPACE", namespace).arg(address);
    Process::start(command)
}

/// A service's name is enough: shared memory while that can be had, else what its host has told of; and the text says
/// what was tried.
#[test]
fn a_name_settles_on_the_best_that_is_reachable() {
    let home = Home::new(&file(""));
    let mut client = settled(&home, "default", "service://test");
    let nobody = client.wait_for_line("nobody");
    assert!(nobody.contains("shm://test") && nobody.contains("test.addresses"), "{nobody}");
    let socket = home.path().join("t.unix");
    let listen = format!("listen = [\"tcp://127.0.0.1:0\", \"unix://{}\"]", socket.display());
    home.rewrite(&file("").replace("listen = [\"tcp://127.0.0.1:0\"]", &listen));
    let mut engine = home.start();
    client.wait_for_line(&format!("{} at shm://test", engine.workers()[0]));
    // Without the rendezvous socket there is a Unix socket; without that, TCP.
    let rendezvous = home.run_dir().join("default/test.sock");
    std::fs::rename(&rendezvous, home.path().join("away.sock")).unwrap();
    let line = settled(&home, "default", "service://test").wait_for_line(" at ");
    assert!(line.contains(&format!("at unix://{} (not shm://test: ", socket.display())), "{line}");
    std::fs::rename(&socket, home.path().join("away.unix")).unwrap();
    let mut third = settled(&home, "default", "service://test");
    let line = third.wait_for_line(" at ");
    let parts = [&*format!("at {} (not shm://test: ", engine.tcp_address("test")), "no such socket", "; unix://"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    // It goes back to the best when that is there again.
    std::fs::rename(home.path().join("away.sock"), &rendezvous).unwrap();
    third.wait_for_line(" at shm://test");
    assert_eq!(engine.stop(), 0);
    assert!(!home.run_dir().join("default/test.addresses").exists());
}

/// Two copies of a service on one machine: each client finds the one of its namespace, or the one that it names.
#[test]
fn copies_of_a_service_stand_side_by_side_in_their_namespaces() {
    let home = Home::new(&format!("namespace = \"blue\"\n{}", file("")));
    let blue = home.start();
    home.rewrite(&format!("namespace = \"green\"\n{}", file("")));
    let green = home.start();
    let pid_in = |namespace: &str| {
        let path = home.run_dir().join(namespace).join("test.sock");
        TestServiceClient::connect(&format!("shm://{}", path.display())).unwrap().pid().unwrap()
    };
    assert_ne!(pid_in("blue"), pid_in("green"));
    for (namespace, address, there) in [
        ("blue", "service://test", "blue"),
        ("green", "service://test", "green"),
        ("blue", "service://green/test", "green"),
        ("green", "shm://blue/test", "blue"),
    ] {
        let line = settled(&home, namespace, address).wait_for_line(" at ");
        let name = address.split_once("://").unwrap().1;
        assert_eq!(line, format!("{} at shm://{name}", pid_in(there)));
    }
    drop((blue, green));
}
