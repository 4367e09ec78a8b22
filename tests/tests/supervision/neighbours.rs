//! systemd, faked: what it hears, and what it hands over.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::Signal;
use speedysvc_tests::harness::{Ended, Home, PATIENCE, program};

use crate::fixture::{Load, connect, ctl_well, edit, file, ready_pids, says};

/// What a manager has heard, one after the other. A thread listens, so that its socket never fills.
struct Manager(Receiver<String>);

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        let (heard, hears) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 500];
            while let Ok(count) = socket.recv(&mut bytes) {
                let text = String::from_utf8(bytes[..count].to_vec()).unwrap();
                if heard.send(text).is_err() {
                    return;
                }
            }
        });
        Self(hears)
    }

    /// The next notice that begins so; others are passed over.
    fn hears(&self, begin: &str) -> String {
        loop {
            let text = self.0.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{begin}: {error}"));
            if text.starts_with(begin) {
                return text;
            }
        }
    }
}

#[test]
fn a_manager_hears_of_the_start_of_reloads_and_of_the_end() {
    let home = Home::new(&file("workers = 2"));
    let path = home.path().join("notify");
    let manager = Manager::new(&path);
    let mut command = home.engine_command();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut engine = home.start_by(command);
    assert_eq!(manager.hears("READY=1"), "READY=1");
    assert_eq!(manager.hears("STATUS=1 service; 2 of 2"), "STATUS=1 service; 2 of 2 workers serve");
    (0..3).for_each(|_| assert_eq!(manager.hears("WATCHDOG"), "WATCHDOG=1"));
    for pid in ready_pids(&home, "test") {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert!(!String::from_utf8_lossy(&environment).contains("NOTIFY_SOCKET"), "workers have no part in it");
    }
    edit(&home, "workers = 2", "workers = 1");
    engine.process().signal(Signal::HUP);
    assert!(manager.hears("RELOADING=1").starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(manager.hears("READY=1"), "READY=1");
    assert_eq!(manager.hears("STATUS=1 service; 1 of 1"), "STATUS=1 service; 1 of 1 worker serve");
    engine.terminate();
    assert_eq!(manager.hears("STOPPING=1"), "STOPPING=1");
    assert_eq!(engine.wait(), 0);
}

#[test]
fn sockets_that_the_engine_was_started_with_are_served_and_stay_open() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    let home = Home::new(&file("workers = 2\ndrain = \"5s\"").replace("tcp://127.0.0.1:0", &address));
    // As systemd does it: descriptors from 3 up, and the number of the very process in a variable.
    let script = "exec 3<&0 4>&1 1>&2; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:none; exec \"$@\" 1>out";
    let mut command = home.command("speedysvc-engine");
    let engine = command.get_program().to_owned();
    command = Command::new("sh");
    for (name, value) in home.command("speedysvc-engine").get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(home.path()).args(["-c", script, "sh"]).arg(engine).arg("--config").arg(home.config());
    command.stdin(OwnedFd::from(listener.try_clone().unwrap())).stdout(OwnedFd::from(unused.try_clone().unwrap()));
    let mut engine = command.stderr(Stdio::piped()).spawn().unwrap();
    // Before it is ready they wait.
    let client = connect(&address);
    assert_eq!(client.echo("hi").unwrap(), "hi");
    // systemd takes this away whenever it starts the service, and workers of a killed engine may serve at that time.
    let flags = rustix::fs::fcntl_getfl(&listener).unwrap();
    rustix::fs::fcntl_setfl(&listener, flags - OFlags::NONBLOCK).unwrap();
    (0..20).for_each(|_| assert_eq!(connect(&address).echo("hi").unwrap(), "hi"));
    let rest = unused.local_addr().unwrap();
    ctl_well(&home, &["restart", "test"]);
    ctl_well(&home, &["stop", "test"]);
    ctl_well(&home, &["start", "test"]);
    assert_eq!(connect(&address).echo("again").unwrap(), "again");
    ctl_well(&home, &["drain"]);
    let mut err = String::new();
    engine.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(engine.wait().unwrap().code(), Some(0), "{err}");
    assert!(err.contains(&format!("started with a socket at tcp://{rest}, where no service")), "{err}");
    assert!(!err.contains("terminating it"), "no worker stood still in an accept: {err}");
    // Ours is open as ever: whoever connects waits for the next engine.
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}

/// The unit files are what systemd takes for right, where it is there to ask.
#[test]
fn the_unit_files_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let program = program("speedysvc-engine");
    let mut units = Vec::new();
    for name in ["speedysvc-engine.service", "speedysvc-engine.socket"] {
        let text = fs::read_to_string(packaging.join(name)).unwrap();
        // It looks whether the program is there.
        let text = text.replace("/usr/bin/speedysvc-engine", program.to_str().unwrap());
        let unit = folder.path().join(name);
        fs::write(&unit, text).unwrap();
        units.push(unit);
    }
    let text = fs::read_to_string(&units[0]).unwrap();
    for key in ["Type=notify", "ExecReload=", "WatchdogSec=", "KillMode=process", "NonBlocking=yes", "TimeoutStopSec="]
    {
        assert!(text.lines().any(|line| line.starts_with(key)), "{key}");
    }
    let mut command = Command::new("systemd-analyze");
    command.arg("verify").arg("--man=no").args(&units);
    if command.output().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return;
    }
    let ended = Ended::of(command);
    let ours: Vec<_> = ended.err.lines().filter(|line| line.contains("speedysvc")).collect();
    assert!(ended.code == Some(0) && ours.is_empty(), "{ended:?}");
}

/// SIGTERM, as a manager sends it: what has begun ends within `drain`.
#[test]
fn a_stop_ends_within_its_time_under_load() {
    let home = Home::new(&file("workers = 2\ndrain = \"2s\"\nkill = \"1s\""));
    let mut engine = home.start();
    let load = Load::start(&engine);
    let began = std::time::Instant::now();
    assert_eq!(engine.stop(), 0);
    says(&engine, "stopping: waiting for the calls in 2 workers");
    assert!(began.elapsed() < Duration::from_secs(30), "far more than it may take, on a busy machine");
    drop(load);
}
