//! Clients killed by the thousand, at points that nobody chose; then the engine must hold what it held before.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use clap::ValueEnum as _;

use crate::harness::{Engine, Home, let_pass, wait_for};
use crate::hostile::attacks::Attack;
use crate::test_service::TestServiceClient;

const CLIENTS: [Attack; 6] =
    [Attack::Asleep, Attack::Fill, Attack::Flood, Attack::Scribble, Attack::Visit, Attack::Bells];
/// So many at a time.
const AT_ONCE: usize = 8;

/// Kills so many clients, and prints what came of it.
///
/// # Panics
/// When a neighbour's call fails, a worker dies, or a descriptor or mapping stays.
pub fn measure(clients: usize) {
    let home = Home::new("[service.test]\nprogram = \"test-service\"\nworkers = 2\n");
    let engine = home.start();
    let neighbour = TestServiceClient::connect(&engine.address("test")).expect("the service is there");
    let neighbour = neighbour.with_timeout(Duration::from_secs(60));
    neighbour.echo("hi").expect("a neighbour's call does not fail");
    let (workers, before) = (engine.workers(), holdings(&engine));
    let mut random = 1_u64;
    let mut calls = 0;
    for number in (0..clients).step_by(AT_ONCE) {
        let mut batch: Vec<_> = (number..number + AT_ONCE).map(|number| start(&engine, number)).collect();
        // xorshift: which point of time each is killed at.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let_pass(Duration::from_micros(random % 8000));
        batch.iter_mut().for_each(|client| client.kill().expect("it is ours"));
        for client in &mut batch {
            client.wait().expect("it has ended");
        }
        assert_eq!(neighbour.echo("hi").expect("a neighbour's call does not fail"), "hi");
        calls += 1;
    }
    wait_for("what they held to be given back", || holdings(&engine) == before);
    assert_eq!(engine.workers(), workers, "a worker died");
    println!("storm: {clients} clients killed, {calls} calls of a neighbour right, everything given back");
}

fn start(engine: &Engine, number: usize) -> std::process::Child {
    let mut client = engine.home().command("hostile");
    let name = CLIENTS[number % CLIENTS.len()].to_possible_value().expect("every attack has a name");
    client.arg(name.get_name()).arg("--socket").arg(engine.run_dir().join("default/test.sock"));
    client.args(["--for-ms", "60000"]).stdout(Stdio::null()).stderr(Stdio::null());
    client.spawn().expect("it can be started")
}

/// Descriptors and mappings of links, of all processes of the engine.
fn holdings(engine: &Engine) -> Vec<(usize, usize)> {
    let pids = engine.workers().into_iter().chain([engine.pid()]);
    let of = |pid: u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        (descriptors, maps.lines().filter(|line| line.contains("memfd:speedysvc")).count())
    };
    pids.map(of).collect()
}
