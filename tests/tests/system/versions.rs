//! Clients, programs and engines of different versions: what later ones add is no obstacle, and whoever has nothing in
//! common with us is told so with both numbers (fault row E14).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::{Value, json};
use speedysvc_protocol::control::{Attached, Report, WORKER_ENV};
use speedysvc_protocol::shm::handover;
use speedysvc_tests::harness::command;

use crate::fixture::{LONG, engine};

/// What a client of version 1 says first, to the byte. Whatever is written here was promised to clients that are out
/// there: it may be added to, and never changed.
const HELLO_1: &[u8] = b"\xf5SVC\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x63\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\
    {\"version_min\":1,\"version_max\":1,\"library\":\"golden/1\",\"service\":\"test\",\
    \"methods\":[{\"name\":\"echo\"}]}";
/// The same client's call of `test.echo(&str) -> String`, number 7, with the JSON text `"hi"` and no deadline.
const CALL_1: &[u8] = b"\xf5SVC\x01\x04\0\x02\x07\0\0\0\0\0\0\0\
    METHODID\0\0\0\0\0\0\0\0\
    \x04\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\"hi\"";
/// And its answer.
const REPLY_1: &[u8] = b"\xf5SVC\x01\x05\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x04\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\"hi\"";

fn dial(address: &str) -> TcpStream {
    let socket = TcpStream::connect(address.strip_prefix("tcp://").expect("TCP")).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    socket
}

/// Kind and body of the next frame, whose header must be of version 1.
fn hear(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 48];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(&head[..5], b"\xf5SVC\x01");
    let mut body = vec![0; u32::from_le_bytes(head[32..36].try_into().unwrap()) as usize];
    socket.read_exact(&mut body).unwrap();
    (head[5], body)
}

#[test]
fn a_client_of_version_1_is_understood_to_the_byte() {
    let mut engine = engine("");
    let mut socket = dial(&engine.tcp_address("test"));
    socket.write_all(HELLO_1).unwrap();
    let (kind, welcome) = hear(&mut socket);
    assert_eq!(kind, 2, "{}", String::from_utf8_lossy(&welcome));
    let welcome: Value = serde_json::from_slice(&welcome).unwrap();
    assert_eq!(welcome["version"], 1);
    let id = u64::from_str_radix(welcome["methods"][0]["id"].as_str().unwrap(), 16).unwrap();
    let mut call = CALL_1.to_vec();
    call[16..24].copy_from_slice(&id.to_le_bytes());
    socket.write_all(&call).unwrap();
    let mut reply = vec![0; REPLY_1.len()];
    socket.read_exact(&mut reply).unwrap();
    assert_eq!(reply, REPLY_1);
    assert_eq!(engine.stop(), 0);
}

/// A greeting of a client that speaks these versions, and says more than ours do.
fn greeting((min, max): (u32, u32)) -> Value {
    let methods = json!([{ "name": "echo", "later": 1 }]);
    json!({ "version_min": min, "version_max": max, "library": "x/9", "service": "test", "methods": methods, "z": {} })
}

/// The version that is agreed over TCP, or why there is none.
fn over_tcp(address: &str, versions: (u32, u32)) -> Result<u64, String> {
    let body = greeting(versions).to_string();
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let mut frame = HELLO_1[..48].to_vec();
    frame[32..36].copy_from_slice(&length);
    frame[36..40].copy_from_slice(&length);
    frame.extend(body.as_bytes());
    let mut socket = dial(address);
    socket.write_all(&frame).unwrap();
    let (kind, answer) = hear(&mut socket);
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    if kind == 2 { Ok(answer["version"].as_u64().unwrap()) } else { Err(answer.to_string()) }
}

/// The same over shared memory.
fn over_shm(address: &str, versions: (u32, u32)) -> Result<u64, String> {
    let path = Path::new(address.strip_prefix("shm://").expect("a path"));
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    handover::send(&socket, &greeting(versions), &[]).unwrap();
    match handover::receive::<Attached>(&socket, 4).unwrap().expect("an answer").0 {
        Attached::Welcome { welcome, .. } => Ok(welcome.version.into()),
        Attached::Refused { refusal } => Err(serde_json::to_string(&refusal).unwrap()),
    }
}

#[test]
fn clients_meet_us_at_a_common_version_or_are_told_both_ranges() {
    let mut engine = engine("");
    let (tcp, shm) = (engine.tcp_address("test"), engine.address("test"));
    for (versions, what) in [((1, 1), "ours"), ((1, 9), "later ones, too"), ((0, 1), "earlier ones, too")] {
        assert_eq!((over_tcp(&tcp, versions), over_shm(&shm, versions)), (Ok(1), Ok(1)), "{what}");
    }
    for (min, max) in [(2, 3), (0, 0)] {
        let both = format!("no common protocol version: the service speaks 1 to 1, the client {min} to {max}");
        for refusal in [over_tcp(&tcp, (min, max)), over_shm(&shm, (min, max))] {
            let refusal = refusal.unwrap_err();
            assert!(refusal.contains(&both) && refusal.contains("FAILED_PRECONDITION"), "{refusal}");
        }
    }
    // One whose frames we cannot even read.
    let mut stranger = dial(&tcp);
    let mut frame = HELLO_1.to_vec();
    frame[4] = 2;
    stranger.write_all(&frame).unwrap();
    let (kind, refusal) = hear(&mut stranger);
    let refusal = String::from_utf8(refusal).unwrap();
    assert!(kind == 3 && refusal.contains("FAILED_PRECONDITION"), "{refusal}");
    assert!(refusal.contains("frame header version 2, and this side reads version 1"), "{refusal}");
    assert_eq!(stranger.read(&mut [0; 9]).unwrap(), 0, "and that is all");
    assert_eq!(engine.stop(), 0);
}

/// A program that was built with our library, under an engine that begins with this.
fn under(start: &Value) -> (Child, OwnedFd) {
    let (ours, theirs) = handover::pair().unwrap();
    handover::send(&ours, start, &[]).unwrap();
    let mut program = command("test-service");
    program.env(WORKER_ENV, "0").stdin(theirs).stderr(std::process::Stdio::null());
    (program.spawn().unwrap(), ours)
}

#[test]
fn a_program_says_clearly_that_its_engine_is_of_another_version() {
    let start = json!({ "order": "start", "version": 99, "service": "test", "worker": 0, "incarnation": 1,
        "shm_message_max": 1, "tcp_message_max": 1, "deadline_us": 1, "spin_us": 1, "log_level": "info" });
    let nothing_like_it = json!({ "order": "start", "version": 99, "all": "is new" });
    for (start, text) in [
        (start, "the engine speaks version 99 of the control socket"),
        (nothing_like_it, "what the engine says first cannot be read: missing field `service`"),
    ] {
        let (mut program, control) = under(&start);
        poll(&mut [PollFd::new(&control, PollFlags::IN)], None).unwrap();
        let Some((Report::Failed { why }, _)) = handover::receive(&control, 0).unwrap() else { panic!("no report") };
        assert!(why.contains(text), "{why}");
        assert!(why.contains("understands 1 to 1") && why.contains("build it with the engine's version"), "{why}");
        assert_eq!(program.wait().unwrap().code(), Some(1));
    }
}
