//! `load` against a service in this process. No figure is judged here: the machine may be slow.
#![forbid(unsafe_code)]

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, SyncSender};

use rustix::process::{Pid, Signal, kill_process};
use speedysvc::{Running, Server};
use tempfile::TempDir;

#[speedysvc::service]
trait Words {
    /// The same text.
    fn echo(&self, text: &str) -> String;
    /// How many bytes there are.
    fn count(&self, bytes: &[u8]) -> u64;
    /// Both numbers together.
    fn add(&self, one: u32, other: u32) -> u32;
    /// Fails for texts.
    fn refuse(&self, text: &str) -> Result<u8, String>;
}

/// Says of each text that it echoes that it came.
struct Service(SyncSender<()>);

#[speedysvc::service]
impl Words for Service {
    fn echo(&self, text: &str) -> String {
        // Nobody may listen, or not any more.
        self.0.try_send(()).ok();
        text.to_owned()
    }

    fn count(&self, bytes: &[u8]) -> u64 {
        assert_eq!(bytes.len(), 64, "the payload has the size that was asked for");
        64
    }

    fn add(&self, one: u32, other: u32) -> u32 {
        one + other
    }

    fn refuse(&self, text: &str) -> Result<u8, String> {
        Err(text.to_owned())
    }
}

/// A running service, and where it is.
struct Hosted {
    folder: TempDir,
    running: Running,
    echoed: Receiver<()>,
}

impl Hosted {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for a test can be made");
        let (say, echoed) = mpsc::sync_channel(1);
        let running = Server::new(Service(say)).folder(folder.path()).listen("tcp://127.0.0.1:0").start();
        Self { running: running.expect("the service can be hosted"), folder, echoed }
    }

    fn shm(&self) -> String {
        self.running.shm_address()
    }
}

/// Whatever the machine does meanwhile, the generator is not late by more than this.
const PATIENT: [&str; 6] = ["--rate", "200", "--duration", "100ms", "--max-lag", "10m"];

fn load(address: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-harness"));
    command.args(["load", address]).args(more).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn ends(address: &str, more: &[&str], code: i32, says: &[&str]) {
    let output = load(address, more).output().expect("the program was built with this test");
    let said = both(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    says.iter().for_each(|part| assert!(said.contains(part), "no `{part}` in {said}"));
}

#[test]
fn text_and_bytes_are_called_over_both_transports_and_written_down() {
    let hosted = Hosted::new();
    let out = hosted.folder.path().join("out");
    let kept = ["--threshold", "p50<10m", "--threshold", "errors<1%", "--out", out.to_str().expect("it is UTF-8")];
    let text = ["--method", "echo", "--payload", "64B", "--arrivals", "fixed"];
    ends(&hosted.shm(), &[&PATIENT[..], &text, &kept].concat(), 0, &["20 due, 20 sent, 20 answered", "kept: p50<10m"]);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let json: serde_json::Value = serde_json::from_str(&read("load.json")).expect("load.json is JSON");
    assert_eq!((&json["answered"], &json["method"], &json["body_bytes"]), (&20.into(), &"echo".into(), &66.into()));
    assert!(read("corrected.hgrm").contains("1/(1-Percentile)") && !read("uncorrected.hgrm").is_empty());

    let tcp = format!("tcp://{}", hosted.running.tcp_addresses()[0]);
    let bytes = ["--method", "count", "--payload", "64B", "--connections", "3"];
    ends(&tcp, &[&PATIENT[..], &bytes].concat(), 0, &["none failed", "corrected", "uncorrected", "3 connections"]);
    let several = ["--method", "add", "--json", r#"{"one":1,"other":2}"#];
    ends(&tcp, &[&PATIENT[..], &several].concat(), 0, &["none failed"]);
}

#[test]
fn a_missed_threshold_is_3_and_a_late_generator_5() {
    let hosted = Hosted::new();
    let echo = ["--method", "echo", "--payload", "8B"];
    let missed = ["--threshold", "p50<1ns", "--threshold", "rate>1"];
    let says = ["MISSED: p50<1ns: it was", "kept: rate>1"];
    ends(&hosted.shm(), &[&PATIENT[..], &echo, &missed].concat(), 3, &says);
    // Nobody sends in no time at all; that weighs more than a threshold.
    let never = ["--rate", "200", "--duration", "100ms", "--max-lag", "0"];
    let says = ["VOID: the generator sent 1 % of the calls", "MISSED"];
    ends(&hosted.shm(), &[&never[..], &echo, &missed].concat(), 5, &says);
}

#[test]
fn errors_of_the_method_are_counted() {
    let hosted = Hosted::new();
    let refused = ["--method", "refuse", "--payload", "8B", "--threshold", "errors<100%"];
    let says = ["0 answered; 100% failed", "the method's own error", "MISSED: errors<100%"];
    ends(&hosted.shm(), &[&PATIENT[..], &refused].concat(), 3, &says);
}

#[test]
fn what_cannot_work_says_what_to_do() {
    let hosted = Hosted::new();
    let shm = hosted.shm();
    let with = |more: &[&'static str]| [&PATIENT[..], more].concat();
    ends("words", &with(&["--method", "echo"]), 2, &["is no address"]);
    ends(&shm, &with(&["--method", "echo", "--json", "Hello"]), 2, &["a text needs quotes"]);
    ends(&shm, &with(&["--method", "echo", "--payload", "64"]), 2, &["did you mean \"64B\"?"]);
    ends(&shm, &with(&["--method", "ecko"]), 1, &["no method `ecko`", "echo"]);
    ends(&shm, &with(&["--method", "add", "--payload", "64B"]), 1, &["with --json", "one, other"]);
    ends(&shm, &with(&["--method", "echo", "--json", "[1]"]), 1, &["does not take what --json says"]);
    let gone = format!("{}x", shm);
    ends(&gone, &with(&["--method", "echo"]), 1, &["UNAVAILABLE"]);
}

#[test]
fn an_interrupted_run_says_what_there_was() {
    let hosted = Hosted::new();
    let long = ["--method", "echo", "--payload", "8B", "--rate", "1k", "--duration", "1h", "--max-lag", "1h"];
    let child = load(&hosted.shm(), &long).spawn().expect("the program was built with this test");
    // The first finds out what the method takes, before connections are made; by the third the run has begun.
    for _ in 0..3 {
        hosted.echoed.recv().expect("the service lives as long as this test");
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it has a number");
    kill_process(pid, Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", both(&output));
    assert!(both(&output).contains("interrupted: this is what there was"), "{}", both(&output));
}
