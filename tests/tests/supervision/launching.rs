//! Workers as somebody else, within bounds of the kernel.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use speedysvc_tests::harness::{Engine, Home, is_root, proc, program, wait_for};

use crate::fixture::{Load, connect, ctl_well, file, ready_pids, says};

/// A home into which anybody may look, with the program: the folders of a checkout are not for everybody.
fn home(more: &str) -> Arc<Home> {
    let home = Home::new(&file(more).replace("\"test-service\"", "\"./service\""));
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(program("test-service"), home.path().join("service")).unwrap();
    home
}

fn status(pid: u64) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn environment(pid: u64) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    bytes.split(|byte| *byte == 0).map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

#[track_caller]
fn is_bounded(pid: u64) {
    let status = status(pid);
    assert!(status.contains(&"Umask: 0027".to_owned()), "{status:#?}");
    assert!(status.contains(&"Cpus_allowed_list: 0".to_owned()), "{status:#?}");
    // Memory that runs out costs a worker, not the supervisor.
    let score = |pid: &str| fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().parse::<i32>();
    assert_eq!(score(&pid.to_string()).unwrap(), (score("self").unwrap() + 100).min(1000));
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limits: Vec<_> = limits.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for limit in ["Max open files 512 512 files", "Max core file size 0 0 bytes"] {
        assert!(limits.contains(&limit.to_owned()), "{limits:#?}");
    }
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), Path::new("/usr"));
}

const BOUNDS: &str = "umask = \"027\"\ncpus = \"0\"\nworking_dir = \"/usr\"\nenv = { A = \"b c\" }\n\
    rlimits = { nofile = 512, core = \"0B\" }";

#[test]
fn bounds_hold_for_every_worker_also_for_those_that_come_later() {
    let home = home(&format!("workers = 2\n{BOUNDS}"));
    let mut engine = home.start();
    let before = ready_pids(&home, "test");
    before.iter().for_each(|pid| is_bounded(*pid));
    let environment = environment(before[0]);
    assert!(environment.contains(&"A=b c".to_owned()), "{environment:?}");
    // Under its own name, not the launcher's.
    let name = fs::read_to_string(format!("/proc/{}/cmdline", before[0])).unwrap();
    assert!(name.starts_with(&format!("{}\0", home.path().join("service").display())), "{name:?}");
    proc::kill(u32::try_from(before[0]).unwrap());
    wait_for("a successor", || {
        let now = ready_pids(&home, "test");
        now.len() == 2 && !now.contains(&before[0])
    });
    ctl_well(&home, &["restart", "test"]);
    let after = ready_pids(&home, "test");
    assert!(after.iter().all(|pid| !before.contains(pid)));
    after.iter().for_each(|pid| is_bounded(*pid));
    assert_eq!(engine.stop(), 0);
}

/// As root: with everything that a worker of the engine's own user can do.
#[test]
fn workers_run_as_somebody_else() {
    let run_as = "run_as = { user = \"nobody\", groups = [7, 9] }";
    let home = home(&format!("{run_as}\n{BOUNDS}"));
    if !is_root() {
        let mut engine = home.start_unready();
        assert_ne!(engine.wait(), 0);
        says(&engine, "the engine must be root to run workers as somebody else");
        return;
    }
    let mut engine = home.start();
    serves_as_nobody(&engine, &home);
    // The program is replaced by what is none: a successor runs the one that was there, and may open it.
    fs::write(home.path().join("new"), "no program").unwrap();
    fs::rename(home.path().join("new"), home.path().join("service")).unwrap();
    let before = ready_pids(&home, "test");
    connect(&engine.address("test")).die().unwrap_err();
    wait_for("a successor", || ready_pids(&home, "test").iter().any(|pid| !before.contains(pid)));
    serves_as_nobody(&engine, &home);
    fs::copy(program("test-service"), home.path().join("new")).unwrap();
    fs::rename(home.path().join("new"), home.path().join("service")).unwrap();
    // Those of a killed engine give their sockets to the next, whoever they are.
    let address = engine.tcp_address("test");
    engine.kill9();
    let mut next = home.start();
    assert_eq!(next.tcp_address("test"), address);
    serves_as_nobody(&next, &home);
    assert_eq!(next.stop(), 0);
    wait_for("nobody", || home.processes().is_empty());
}

#[track_caller]
fn serves_as_nobody(engine: &Engine, home: &Home) {
    let [pid] = ready_pids(home, "test")[..] else { panic!("one worker") };
    is_bounded(pid);
    let status = status(pid);
    for line in ["Uid: 65534 65534 65534 65534", "Gid: 65534 65534 65534 65534", "Groups: 7 9"] {
        assert!(status.contains(&line.to_owned()), "{status:#?}");
    }
    assert!(status.contains(&"CapEff: 0000000000000000".to_owned()), "{status:#?}");
    let environment = environment(pid);
    assert!(environment.contains(&"USER=nobody".to_owned()), "{environment:?}");
    for address in [engine.address("test"), engine.tcp_address("test")] {
        let client = connect(&address);
        assert_eq!(client.echo("hi").unwrap(), "hi");
        assert_eq!(client.big(1 << 20).unwrap().len(), 1 << 20);
    }
}

#[test]
fn what_cannot_be_had_is_said_with_its_key() {
    for (more, text) in [
        ("working_dir = \"/no/such/folder\"", "`working_dir` of the engine's file cannot be had: /no/such/folder"),
        ("cpus = \"1023\"", "`cpus` of the engine's file cannot be had"),
        ("run_as = { user = \"nobody-at-all\" }", "user `nobody-at-all` of `run_as` is not in /etc/passwd"),
    ] {
        let home = home(&format!("{more}\nstart_timeout = \"60s\""));
        let mut engine = home.start_unready();
        assert_ne!(engine.wait(), 0);
        says(&engine, text);
        assert!(home.processes().is_empty());
    }
}

/// Every thread of a process may run on this processor only, as when a cgroup or a hypervisor has taken the others.
fn narrow(pid: u32, cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let thread: i32 = thread.unwrap().file_name().to_str().unwrap().parse().unwrap();
        // One that has ended in the meantime needs no processor.
        sched_setaffinity(Pid::from_raw(thread), &set).ok();
    }
}

/// Fault row D12: the file names processors that are not all there, and then all but one go away under load.
#[test]
fn fewer_processors_than_the_file_names_are_enough() {
    let home = Home::new(&file("workers = 2\ncpus = \"0-1023\""));
    let mut engine = home.start();
    let load = Load::start(&engine);
    let here = sched_getaffinity(None).unwrap();
    let cpu = (0..CpuSet::MAX_CPU).find(|cpu| here.is_set(*cpu)).unwrap();
    home.processes().into_iter().for_each(|pid| narrow(pid, cpu));
    let before = ready_pids(&home, "test");
    for pid in &before {
        assert!(status(*pid).contains(&format!("Cpus_allowed_list: {cpu}")));
    }
    load.wait_for_more();
    for address in [engine.address("test"), engine.tcp_address("test")] {
        let client = connect(&address);
        (0..100).for_each(|_| assert_eq!(client.echo("on one processor").unwrap(), "on one processor"));
    }
    // Who comes now is told to run where nobody can, for the most part.
    ctl_well(&home, &["restart", "test"]);
    load.wait_for_more();
    assert!(load.end() > 0);
    assert_eq!(engine.stop(), 0);
}
