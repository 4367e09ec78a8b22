//! Where a service can be reached beside shared memory: Unix sockets, IPv6, several addresses, and who may.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use speedysvc::{Code, Server};
use speedysvc_tests::harness::{Ended, Engine, Home, wait_for};
use speedysvc_tests::test_service::{Obedient, pattern};

use crate::fixture::connect;

fn file(listen: &str, more: &str) -> String {
    format!("[service.test]\nprogram = \"test-service\"\nlisten = [{listen}]\n{more}\n")
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// The addresses of the start line.
fn told(engine: &mut Engine) -> Vec<String> {
    let lines = engine.process().out();
    let line = lines.iter().find_map(|line| line.strip_prefix("test: ")).expect("it says where it is");
    let places = line.split(';').next().expect("at least one part");
    places.split(", ").skip(1).map(str::to_owned).collect()
}

#[test]
fn a_service_is_reached_at_each_of_its_addresses() {
    let home = Home::new("");
    let socket = home.path().join("test.unix");
    let ipv6 = if has_ipv6() { ", \"tcp://[::1]:0\"" } else { "" };
    let listen = format!("\"tcp://127.0.0.1:0\", \"unix://{}\"{ipv6}", socket.display());
    home.rewrite(&file(&listen, "workers = 2"));
    let mut engine = home.start();
    let places = told(&mut engine);
    assert_eq!(places.len(), if has_ipv6() { 3 } else { 2 }, "{places:?}");
    for place in &places {
        let client = connect(place);
        assert_eq!(client.echo(place).unwrap(), *place);
        let large = pattern(3 << 20);
        assert!(client.echo_bytes(&large).unwrap() == large, "{place}");
    }
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(engine.stop(), 0);
    assert!(!socket.exists(), "nothing is left behind");
    let error = connect_error(&places[1]);
    assert!(error.message().contains("nobody listens there"), "{error}");
}

/// As many as the file may say: one more is refused by `check`.
#[test]
fn a_service_is_reached_at_fifteen_addresses() {
    let listen = ["\"tcp://127.0.0.1:0\""; 15].join(", ");
    let mut engine = Engine::start(&file(&listen, ""));
    let places = told(&mut engine);
    assert_eq!(places.len(), 15, "{places:?}");
    places.iter().for_each(|place| assert_eq!(connect(place).echo(place).unwrap(), *place));
    assert_eq!(engine.stop(), 0);
}

fn connect_error(address: &str) -> speedysvc::Error {
    let connected = speedysvc_tests::test_service::TestServiceClient::connect(address);
    let error = connected.and_then(|client| client.echo("x")).expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    error
}

/// A worker's death costs no socket: the supervisor holds it, and the next worker accepts from it.
#[test]
fn listening_sockets_outlive_workers() {
    let home = Home::new("");
    let socket = home.path().join("test.unix");
    let listen = format!("\"tcp://127.0.0.1:0\", \"unix://{}\"", socket.display());
    let restart = "restart = { backoff = \"10ms..100ms\" }";
    home.rewrite(&file(&listen, restart));
    let mut engine = home.start();
    let places = told(&mut engine);
    let clients: Vec<_> = places.iter().map(|place| connect(place)).collect();
    for client in &clients {
        assert!(client.die().is_err());
        assert_eq!(client.echo("again").unwrap(), "again", "the same client, the next worker");
    }
    assert_eq!(engine.stop(), 0);
}

#[test]
fn curl_reaches_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let address = format!("unix://{}", path.display());
    let running = Server::new(Obedient).folder(folder.path()).listen(&address).start().unwrap();
    assert!(running.addresses().any(|listed| listed == address));
    assert_eq!(connect(&address).echo("frames").unwrap(), "frames");
    let mut curl = std::process::Command::new("curl");
    curl.args(["-sS", "-m", "60", "-d", "\"hi\"", "--unix-socket"]).arg(&path).arg("http://x/test/echo");
    match curl.output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), "\"hi\""),
        Err(error) => println!("SKIPPED: curl: {error}; apt-get install curl"),
    }
    running.stop().unwrap();
    assert!(!path.exists());
}

/// Fault row D13: said with the service, the address and what to do; nothing stays behind.
#[test]
fn an_address_that_is_taken_is_named_and_nothing_is_started() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let home = Home::new(&file(&format!("\"tcp://127.0.0.1:0\", \"tcp://{address}\""), ""));
    let folder = home.path().join("no-such-folder");
    let unix = Home::new(&file(&format!("\"unix://{}/s\"", folder.display()), ""));
    for (home, said) in [(&home, address.to_string()), (&unix, folder.display().to_string())] {
        let ended = Ended::of(home.engine_command());
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.err.contains("service test: ") && ended.err.contains(&said), "{ended:?}");
        assert!(ended.err.contains("`listen`"), "it is not said what to change: {ended:?}");
        assert_eq!(home.processes(), [0; 0]);
    }
    drop(holder);
    let mut engine = home.start();
    assert_eq!(engine.stop(), 0);
}

/// Beyond loopback only where the file says so, and then loudly.
#[test]
fn other_machines_are_let_in_only_if_the_file_says_so() {
    let home = Home::new(&file("\"tcp://0.0.0.0:0\"", ""));
    let mut engine = home.start_unready();
    assert_eq!(engine.wait(), 78);
    wait_for("the hint", || engine.err().iter().any(|line| line.contains("insecure = true")));

    let mut engine = Engine::start(&file("\"tcp://0.0.0.0:0\"", "insecure = true"));
    let places = told(&mut engine);
    let warned = |engine: &mut Engine| {
        let all = [engine.err(), engine.process().out()].concat();
        all.iter().any(|line| line.contains("WARNING") && line.contains(&places[0]))
    };
    wait_for("the warning", || warned(&mut engine));
    let port = places[0].rsplit(':').next().unwrap();
    assert_eq!(connect(&format!("tcp://127.0.0.1:{port}")).echo("a").unwrap(), "a");
    assert_eq!(engine.stop(), 0);
}
