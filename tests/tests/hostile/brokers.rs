//! A client believes no broker either: what is handed to it is checked before it is mapped.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rustix::fs::MemfdFlags;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with};
use speedysvc::Code;
use speedysvc_protocol::control::Attached;
use speedysvc_protocol::hello::{Given, Hello, Welcome};
use speedysvc_protocol::ids::{LinkId, MethodId, MethodIndex};
use speedysvc_protocol::shm::handover;
use speedysvc_protocol::shm::layout::Geometry;
use speedysvc_protocol::wire::Wire;
use speedysvc_tests::test_service::TestServiceClient;

/// Listens once, and hands these files to whoever greets.
fn false_broker(folder: &std::path::Path, files: Vec<OwnedFd>) -> thread::JoinHandle<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(folder.join("test.sock")).unwrap()).unwrap();
    listen(&socket, 1).unwrap();
    thread::spawn(move || {
        let client = accept(&socket).unwrap();
        let (hello, _) = handover::receive::<Hello>(&client, 0).unwrap().expect("a greeting");
        let given = |at: usize| Given {
            index: MethodIndex(u16::try_from(at).unwrap()),
            id: MethodId(at as u64),
            idempotent: false,
        };
        let welcome = Welcome {
            version: 1,
            library: "false/1".to_owned(),
            message_max: 4096,
            deadline_us: 1_000_000,
            methods: (0..hello.methods.len()).map(given).collect(),
            wire: Wire::default(),
        };
        let geometry = Geometry::for_messages(1, 4096).unwrap();
        let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        handover::send(
            &client,
            &Attached::Welcome { welcome, link: LinkId(1), geometry, sleeps_at_once: false },
            &files,
        )
        .unwrap();
    })
}

/// One file of a kind that is no sealed memory of the right size.
fn bad_files() -> Vec<OwnedFd> {
    let unsealed = rustix::fs::memfd_create("false", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::fs::ftruncate(&unsealed, Geometry::for_messages(1, 4096).unwrap().request_segment()).unwrap();
    let (read, _) = rustix::pipe::pipe().unwrap();
    let huge = rustix::fs::memfd_create("false", MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB);
    let others = ["/dev/zero", "/proc/self/exe", "/proc/self"].map(|path| std::fs::File::open(path).unwrap().into());
    others.into_iter().chain([unsealed, read]).chain(huge).collect()
}

#[test]
fn files_that_are_no_sealed_memory_are_refused() {
    for file in bad_files() {
        let folder = tempfile::tempdir().unwrap();
        let copies = (0..4).map(|_| file.try_clone().unwrap()).collect();
        let broker = false_broker(folder.path(), copies);
        let address = format!("shm://{}", folder.path().join("test.sock").display());
        let error = TestServiceClient::connect(&address).map(drop).unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{error}");
        assert!(error.message().contains("cannot be mapped"), "{error}");
        broker.join().unwrap();
    }
}

#[test]
fn too_few_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = false_broker(folder.path(), Vec::new());
    let address = format!("shm://{}", folder.path().join("test.sock").display());
    let error = TestServiceClient::connect(&address).map(drop).unwrap_err();
    assert!(error.message().contains("cannot be mapped"), "{error}");
    broker.join().unwrap();
}
