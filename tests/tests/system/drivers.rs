//! How loops wait for sockets: what was asked for, what the machine allows, and that epoll makes do without io_uring.

use std::fs;
use std::process::Command;

use speedysvc_tests::harness::{Ended, Engine, Home, program, wait_for};

use crate::fixture::{addresses, connect, file};

/// What the start line says of the test service.
fn said(engine: &mut Engine) -> String {
    let lines = engine.process().out();
    lines.into_iter().find(|line| line.starts_with("test: ")).expect("the service has a line")
}

/// The program that forbids io_uring to another. These tests choose the driver themselves, whoever runs them.
fn launcher(home: &Home) -> Command {
    let mut command = home.command("without-io-uring");
    command.env_remove("SPEEDYSVC_DRIVER");
    command
}

/// The engine of this file under a filter that forbids io_uring.
fn forbidden(home: &Home, errno: &str) -> Command {
    let plain = home.engine_command();
    let mut command = launcher(home);
    command.arg(errno).arg(plain.get_program()).args(plain.get_args());
    command
}

/// Whether io_uring is forbidden to these tests themselves, as when all of them run without it.
fn is_forbidden_here(home: &Home) -> bool {
    let mut command = home.command("speedysvc-engine");
    command.arg("driver").env_remove("SPEEDYSVC_DRIVER");
    Ended::of(command).out.starts_with("epoll (Linux")
}

fn calls_work(engine: &Engine) {
    for address in addresses(engine) {
        let client = connect(&address);
        assert_eq!(client.echo("Hello").unwrap(), "Hello", "{address}");
        let large = vec![7; 1 << 20];
        assert!(client.echo_bytes(&large).unwrap() == large, "{address}");
    }
}

#[test]
fn epoll_is_used_when_the_file_asks_for_it() {
    let mut engine = Engine::start(&file("driver = \"epoll\""));
    let line = said(&mut engine);
    assert!(line.contains("epoll (Linux") && line.contains("it was asked for"), "{line}");
    calls_work(&engine);
    assert_eq!(engine.stop(), 0);
}

#[test]
fn where_io_uring_is_forbidden_epoll_is_used_and_the_reason_said() {
    for (errno, reason) in [("EPERM", "Operation not permitted"), ("ENOSYS", "not implemented")] {
        let home = Home::new(&file(""));
        let mut engine = home.start_by(forbidden(&home, errno));
        let line = said(&mut engine);
        assert!(line.contains("epoll (Linux") && line.contains(reason), "{line}");
        assert!(line.contains("seccomp profile"), "the line says no remedy: {line}");
        calls_work(&engine);
        assert_eq!(engine.stop(), 0);
    }
}

/// Fault row D14: a kernel that is too old for what we need of a ring, and one, or a filter, that has but a part.
#[test]
fn a_kernel_with_less_than_we_need_is_told_from_one_that_works() {
    for (lack, reason) in [("EINVAL", "too old"), ("ENTER", "not permitted"), ("REGISTER", "not permitted")] {
        let home = Home::new(&file(""));
        let mut engine = home.start_by(forbidden(&home, lack));
        let line = said(&mut engine);
        // Of filters that both refuse a call the newer one says why. Where the older one refuses all of io_uring to
        // these tests, a newer one that allows the first call is not asked for more.
        let reason = if lack != "EINVAL" && is_forbidden_here(&home) { "seccomp profile" } else { reason };
        assert!(line.contains("epoll (Linux") && line.contains(reason), "{lack}: {line}");
        calls_work(&engine);
        assert_eq!(engine.stop(), 0);
    }
}

/// Fault row D4. Older kernels than 6.14 count no ring as locked memory: there io_uring is taken, and works.
#[test]
fn without_memory_that_may_be_locked_sockets_are_served_all_the_same() {
    let home = Home::new(&file(""));
    let mut engine = home.start_by(forbidden(&home, "MEMLOCK"));
    let line = said(&mut engine);
    let reason = if is_forbidden_here(&home) { "seccomp profile" } else { "ulimit -l" };
    let is_told = line.contains("epoll (Linux") && line.contains(reason);
    assert!(is_told || line.contains("io_uring (Linux"), "{line}");
    calls_work(&engine);
    assert_eq!(engine.stop(), 0);
}

/// Fault row D6. Every third time the kernel takes nothing: a signal came, it has no memory, or its queue is full. Of
/// io_uring only.
#[test]
fn what_the_kernel_does_not_take_is_offered_again() {
    for error in ["EINTR", "EAGAIN", "EBUSY"] {
        let home = Home::new(&file("driver = \"io_uring\""));
        if is_forbidden_here(&home) {
            return;
        }
        let (plain, trace) = (home.engine_command(), home.path().join("trace"));
        let mut command = Command::new("strace");
        command.current_dir(home.path()).args(["-D", "-f", "-qq", "--signal=none", "-o"]).arg(&trace);
        command.arg("-e").arg(format!("inject=io_uring_enter:error={error}:when=1+3"));
        command.arg(plain.get_program()).args(plain.get_args());
        let set = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(set).env_remove("SPEEDYSVC_DRIVER");
        let mut engine = home.start_by(command);
        calls_work(&engine);
        assert_eq!(engine.stop(), 0, "{error}");
        wait_for("the tracer's end", || home.processes().is_empty());
        let traced = fs::read_to_string(&trace).unwrap();
        assert!(traced.contains("INJECTED"), "{error} was never met:\n{traced}");
    }
}

#[test]
fn where_io_uring_is_forbidden_a_file_that_insists_on_it_is_told_so() {
    let home = Home::new(&file("driver = \"io_uring\""));
    let ended = Ended::of(forbidden(&home, "EPERM"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no io_uring: ") && ended.err.contains("kernel.io_uring_disabled"), "{ended:?}");
}

#[test]
fn the_program_says_what_the_machine_allows() {
    let home = Home::new(&file(""));
    let mut command = launcher(&home);
    command.args(["EPERM"]).arg(program("speedysvc-engine")).arg("driver");
    let ended = Ended::of(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("epoll (Linux") && ended.out.contains("Operation not permitted"), "{ended:?}");
    let mut command = home.command("speedysvc-engine");
    command.arg("driver").env("SPEEDYSVC_DRIVER", "kqueue");
    let ended = Ended::of(command);
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.err.contains("SPEEDYSVC_DRIVER is \"kqueue\""), "{ended:?}");
}

/// The probe is one call that fails; nothing comes after it.
#[test]
fn on_epoll_no_call_to_io_uring_follows_the_probe() {
    for (more, probes) in [("", 1), ("driver = \"epoll\"", 0)] {
        let home = Home::new(&file(more));
        let inner = forbidden(&home, "EPERM");
        let trace = home.path().join("trace");
        let mut command = launcher(&home);
        // The filter comes first, the tracer inside it: a filter may not be put on what is traced.
        command.arg("EPERM").arg("strace").args(["-D", "-f", "-qq", "--signal=none", "-o"]).arg(&trace);
        command.args(["-e", "trace=io_uring_setup,io_uring_enter,io_uring_register"]);
        command.args(inner.get_args().skip(1));
        let mut engine = home.start_by(command);
        assert!(said(&mut engine).contains("epoll ("));
        calls_work(&engine);
        assert_eq!(engine.stop(), 0);
        wait_for("the tracer's end", || home.processes().is_empty());
        let traced = fs::read_to_string(&trace).unwrap();
        let calls: Vec<&str> = traced.lines().filter(|line| line.contains("io_uring")).collect();
        assert_eq!(calls.len(), probes, "{calls:#?}");
        assert!(calls.iter().all(|call| call.contains("io_uring_setup") && call.contains("EPERM")), "{calls:#?}");
    }
}
