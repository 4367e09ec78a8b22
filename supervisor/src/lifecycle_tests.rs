//! Real processes from start to end. This test program is its own worker: see [`worker`].

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use speedysvc_config::{
    Allow, Builtin, Compression, Config, DriverChoice, Launch, Limits, Listen, Log, Namespace, Principal, Process,
    Restart, RestartLimit, Service, ServiceName, Spin, Trust, WorkerCount,
};
use speedysvc_protocol::contract::Contract;
use speedysvc_protocol::control::{Order, Report, WORKER_ENV};
use speedysvc_protocol::limits::DESCRIPTORS_MAX;
use speedysvc_protocol::shm::handover;

use crate::journal::Journal;
use crate::lines::Lines;
use crate::run::run_with;
use crate::signals::Signals;
use crate::{Parts, StartError, run};

/// What a worker of these tests does with its life.
const ROLE: &str = "SPEEDYSVC_TEST_ROLE";
/// Where it writes what the test wants to know.
const NOTES: &str = "SPEEDYSVC_TEST_NOTES";

/// Not a test: the worker's program.
#[test]
fn worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let number: u32 = std::env::var(WORKER_ENV).unwrap().parse().unwrap();
    let socket = io::stdin();
    let Some(Order::Start(start)) = next_order(&socket) else { panic!("no order to start") };
    assert_eq!(start.worker.0, number);
    println!("what workers print goes to standard error");
    let contract = Contract { service: start.service, version: 1, methods: Vec::new() };
    let ready = Report::Ready { contract, driver: "io_uring".to_owned(), why: "Linux\n6.18".to_owned() };
    let say = |report: &Report| handover::send(&socket, report, &[]).unwrap();
    match role.as_str() {
        "crashes" => exit(3),
        "cannot" => {
            say(&Report::Failed { why: "no model at /models/big".to_owned() });
            exit(1);
        }
        "crashes once" if number == 0 => {
            say(&ready);
            signal_hook::low_level::abort();
        }
        "deaf" => {
            let term = Arc::default();
            signal_hook::flag::register(signal_hook::consts::SIGTERM, term).unwrap();
            let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
            fs::write(std::env::var_os(NOTES).unwrap(), child.id().to_string()).unwrap();
            say(&ready);
            // A call that never ends, and sees neither the order to drain nor SIGTERM.
            child.wait().unwrap();
        }
        "never ready" => {}
        "of a later version" => {
            handover::send(&socket, &serde_json::json!({ "report": "mood", "how": [3] }), &[]).unwrap();
            say(&Report::Starting { more_us: 60_000_000, what: "warming\nup".to_owned() });
            say(&ready);
        }
        _ => say(&ready),
    }
    while let Some(order) = next_order(&socket) {
        if order == Order::Drain {
            exit(0);
        }
    }
    exit(4);
}

fn next_order(socket: &io::Stdin) -> Option<Order> {
    loop {
        match handover::receive(socket, DESCRIPTORS_MAX) {
            Ok(message) => return message.map(|(order, _): (Order, Vec<OwnedFd>)| order),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(socket, PollFlags::IN)], None).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn service(name: &str) -> Service {
    Service {
        name: ServiceName::new(name).unwrap(),
        launch: Launch::Builtin(Builtin::Echo),
        listen: Vec::new(),
        insecure: false,
        workers: WorkerCount::new(1).unwrap(),
        scale: None,
        driver: DriverChoice::Auto,
        compression: Compression::Lz4,
        restart: Restart { backoff_min: Duration::from_millis(1), ..Restart::default() },
        limits: Limits::default(),
        spin: Spin::default(),
        trust: Trust::default(),
        allow: Allow::default(),
        drain: Duration::from_secs(60),
        kill: Duration::from_secs(2),
        hang: None,
        orphan: Duration::ZERO,
        memory: None,
        process: Process::default(),
        after: Vec::new(),
        start_timeout: Duration::from_secs(60),
        env: vec![(ROLE.to_owned(), "serves".to_owned())],
    }
}

fn no_file() -> Result<Config, String> {
    Err("no file here".to_owned())
}

fn with_role(role: &str, service: Service) -> Service {
    Service { env: vec![(ROLE.to_owned(), role.to_owned())], ..service }
}

pub(crate) fn config(folder: &Path, services: Vec<Service>) -> Config {
    Config {
        source: PathBuf::from("/service.toml"),
        run_dir: folder.join("run"),
        namespace: Namespace::default(),
        drain: Duration::from_secs(60),
        log: Log::default(),
        web: None,
        services,
    }
}

fn launch(_: &Service) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lifecycle_tests::worker", "--nocapture", "--quiet"]);
    command
}

/// Remembers what was written, and pulls a trigger at the first sight of a word.
struct Watcher<'a> {
    text: String,
    word: &'static str,
    trigger: Option<&'a UnixStream>,
}

impl Write for Watcher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push_str(std::str::from_utf8(bytes).unwrap());
        if self.text.contains(self.word) {
            self.trigger.take().map(|mut trigger| trigger.write(b"!")).transpose()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Told {
    result: Result<u8, StartError>,
    out: String,
    err: String,
}

/// Runs, and asks for a stop when standard output or standard error has a word.
fn run_until(word: &'static str, services: Vec<Service>) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let told = run_in(folder.path(), word, services);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left behind");
    told
}

fn run_in(folder: &Path, word: &'static str, services: Vec<Service>) -> Told {
    let (stop, stopper) = UnixStream::pair().unwrap();
    let (reload, reloader) = UnixStream::pair().unwrap();
    (&reloader).write_all(b"!").unwrap();
    let signals = Signals::of(stop, reload).unwrap();
    let watcher = || Watcher { text: String::new(), word, trigger: Some(&stopper) };
    let (mut out, mut err) = (watcher(), watcher());
    let config = config(folder, services);
    let journal = Journal::new(Lines::new(&mut out, &mut err), Log::default(), Arc::default());
    let result = run_with(config, (&launch, &no_file), &signals, journal, Default::default(), Arc::default());
    Told { result, out: out.text, err: err.text }
}

#[test]
fn starts_says_so_and_stops() {
    let two = WorkerCount::new(2).unwrap();
    let echo = Service { workers: two, listen: vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())], ..service("echo") };
    let told = run_until("ready:", vec![echo, service("thumbnail")]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    let mut lines: Vec<_> = told.out.lines().collect();
    let last = lines.pop().unwrap();
    assert!(last.starts_with("ready: 2 services, 3 workers, run folder /") && last.ends_with("/run"), "{last}");
    lines.sort_unstable();
    assert!(lines[0].starts_with("echo: shm://echo, tcp://127.0.0.1:"), "{}", lines[0]);
    assert!(lines[0].ends_with("; 2 workers; io_uring (Linux\\n6.18)") && !lines[0].contains(":0;"), "{}", lines[0]);
    assert_eq!(lines[1], "thumbnail: shm://thumbnail; 1 worker; io_uring (Linux\\n6.18)");
    assert!(told.err.contains("SIGHUP: no file here"), "{}", told.err);
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let told = run_until("worker 1 is ready", vec![with_role("crashes once", service("echo"))]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    let death = told.err.lines().find(|line| line.contains("SIGABRT")).expect(&told.err);
    assert!(death.starts_with("speedysvc: echo worker 0 (pid "), "{death}");
    assert!(death.contains(") was killed by signal 6 (SIGABRT") && death.ends_with("; restarting in 1 ms"), "{death}");
}

#[test]
fn a_service_that_cannot_run_fails_and_with_the_last_one_the_engine() {
    let limit = Some(RestartLimit { deaths: 3, within: Duration::from_secs(60) });
    let restart = Restart { backoff_min: Duration::from_millis(1), limit, ..Restart::default() };
    let bad = ["crashes", "cannot"].map(|role| Service { restart, ..with_role(role, service(&role[..6])) });
    let told = run_until("this is never said", bad.to_vec());
    assert_eq!(told.result.unwrap(), 1, "{}", told.err);
    assert_eq!(told.err.matches("exited with status 3; restarting in").count(), 2, "{}", told.err);
    assert!(told.err.contains("crashe has failed: 3 deaths within 60 s"), "{}", told.err);
    assert_eq!(told.err.matches("cannot serve: no model at /models/big").count(), 3, "{}", told.err);
    assert_eq!(told.out, "");
}

#[test]
fn who_does_not_listen_is_killed_with_everything_it_started() {
    let notes = tempfile::NamedTempFile::new().unwrap();
    let mut deaf = Service { drain: Duration::ZERO, ..with_role("deaf", service("echo")) };
    deaf.env.push((NOTES.to_owned(), notes.path().to_str().unwrap().to_owned()));
    let told = run_until("ready:", vec![deaf]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    assert!(told.err.contains("was terminated and lives on after 2 s; killing it"), "{}", told.err);
    assert!(told.err.contains("was killed by signal 9 (SIGKILL)"), "{}", told.err);
    assert_gone(fs::read_to_string(notes.path()).unwrap().parse().unwrap());
}

/// Its parent is dead, so whoever adopted it reaps it, sooner or later: dead is what its pidfd calls dead.
fn assert_gone(pid: i32) {
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return };
    let patience = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience)).unwrap(), 1, "{pid} lives on");
}

#[test]
fn a_stop_during_the_start_works() {
    let began = Instant::now();
    // The request of a reload is heard by the time the stop is asked for, so workers have been spawned.
    let told = run_until("SIGHUP", vec![with_role("never ready", service("echo"))]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    assert_eq!(told.out, "");
    assert!(began.elapsed() < Duration::from_secs(30), "neither start timeout nor drain were waited for");
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_killed() {
    let slow = Service { start_timeout: Duration::from_millis(50), ..with_role("never ready", service("echo")) };
    let told = run_until("restarting", vec![slow]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    assert!(told.err.contains("echo worker 0 was not ready within 50 ms; killing it"), "{}", told.err);
}

/// A program that was built with a later version of the library may say what this engine does not know.
#[test]
fn what_later_versions_say_is_no_obstacle() {
    let told = run_until("ready:", vec![with_role("of a later version", service("echo"))]);
    assert_eq!(told.result.unwrap(), 0, "{}", told.err);
    assert!(told.err.contains("echo worker 0 asks for 60 s until it is ready: warming\\nup"), "{}", told.err);
}

#[test]
fn a_taken_name_is_refused_and_leaves_the_holder_alone() {
    let folder = tempfile::tempdir().unwrap();
    // The second engine starts while the first one runs: from within a line that the first one writes.
    struct Second<'a>(&'a Path, Option<Told>, &'a UnixStream);
    impl Write for Second<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.1.is_none() {
                self.1 = Some(run_in(self.0, "ready:", vec![service("other"), service("echo")]));
                self.2.write_all(b"!")?;
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ((stop, stopper), (reload, _reloader)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let signals = Signals::of(stop, reload).unwrap();
    let mut out = Second(folder.path(), None, &stopper);
    let first = config(folder.path(), vec![service("echo")]);
    let mut err = io::stderr();
    let journal = Journal::new(Lines::new(&mut out, &mut err), Log::default(), Arc::default());
    let code = run_with(first, (&launch, &no_file), &signals, journal, Default::default(), Arc::default()).unwrap();
    assert_eq!(code, 0);
    let error = out.1.unwrap().result.unwrap_err();
    assert!(matches!(&error, StartError::EngineRuns { pid, .. } if *pid == std::process::id().to_string()), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left behind");
}

#[test]
fn start_errors_leave_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |services, launch: &dyn Fn(&Service) -> Command| {
        let reread = || Err(String::new());
        let parts = Parts { launch, reread: &reread, out: &mut io::sink(), seen: Arc::default() };
        let error = run(config(folder.path(), services), parts).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no file is left behind");
        error
    };

    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = Service { listen: vec![Listen::Tcp(holder.local_addr().unwrap())], ..service("taken") };
    let error = fails(vec![service("echo"), taken], &launch);
    assert!(matches!(&error, StartError::PortTaken { service, .. } if service == "taken"), "{error}");

    let nobody = Allow { users: vec![Principal::Name("no such user".to_owned())], groups: Vec::new() };
    let error = fails(vec![Service { allow: nobody, ..service("echo") }], &launch);
    assert!(matches!(&error, StartError::UnknownAccount { name, .. } if name == "no such user"), "{error}");

    // The first service's worker runs when the second one's program turns out to be missing.
    let error = fails(vec![service("echo"), service("missing")], &|service| match service.name.as_str() {
        "missing" => Command::new("/no/such/program"),
        _ => launch(service),
    });
    assert!(error.to_string().starts_with("service missing: cannot start /no/such/program: No such file"), "{error}");
}
