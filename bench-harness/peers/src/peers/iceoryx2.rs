//! iceoryx2's request and response over shared memory. Both sides look again and again: nobody is woken.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::{fs, thread};

use anyhow::{Context, Result};
use bench_harness::{Client, Job, Outcome, Parent, Shape};
use iceoryx2::pending_response::PendingResponse;
use iceoryx2::port::client::Client as Port;
use iceoryx2::prelude::{Config, FileName, LogLevel, Node, NodeBuilder, SemanticString, ipc, set_log_level};
use iceoryx2::service::port_factory::request_response::PortFactory;
use tempfile::TempDir;

use crate::peer::Peer;

type Factory = PortFactory<ipc::Service, [u8], (), [u8], ()>;
type Pending = PendingResponse<ipc::Service, [u8], (), [u8], ()>;

const SERVICE: &str = "echo";
/// Where Linux has shared memory with names.
const SHARED_MEMORY: &str = "/dev/shm";

pub const PEER: Peer = Peer { name: "iceoryx2", version: concat!("iceoryx2 ", env!("VERSION_ICEORYX2")), serve, drive };

/// What a row has of files: a folder, and shared memory whose names begin with that folder's.
struct Files(TempDir);

impl Files {
    fn create() -> io::Result<Self> {
        tempfile::Builder::new().prefix("bench-iceoryx2-").tempdir().map(Self)
    }
}

impl Drop for Files {
    /// iceoryx2 removes what its nodes had, but keeps a counter of nodes for good. Ours is of this row.
    fn drop(&mut self) {
        let name = self.0.path().file_name().unwrap_or_default().as_encoded_bytes();
        let files = fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten();
        for file in files.filter(|file| file.file_name().as_encoded_bytes().starts_with(name)) {
            if let Err(error) = fs::remove_file(file.path()) {
                eprintln!("{} stays behind: {error}", file.path().display());
            }
        }
    }
}

/// A node of this row alone: both sides' names begin alike, and nobody else's do.
fn node(folder: &Path) -> Result<Node<ipc::Service>> {
    // Its nodes warn of settings that they do not find in files.
    set_log_level(LogLevel::Error);
    let name = folder.file_name().context("the folder has a name")?;
    let mut config = Config::default();
    config.global.set_root_path(&SemanticString::new(folder.as_os_str().as_encoded_bytes())?);
    config.global.prefix = FileName::new(name.as_encoded_bytes())?;
    Ok(NodeBuilder::new().config(&config).create()?)
}

fn service(node: &Node<ipc::Service>, shape: Shape) -> Result<Factory> {
    let builder = node.service_builder(&SERVICE.try_into()?).request_response::<[u8], [u8]>();
    let builder = builder.max_clients(1).max_servers(1).max_active_requests_per_client(shape.depth);
    Ok(builder.max_loaned_requests(1).max_response_buffer_size(1).open_or_create()?)
}

fn serve(shape: Shape, parent: &Parent) -> Result<Infallible> {
    static ENDS: AtomicBool = AtomicBool::new(false);
    let (says_ended, ended) = mpsc::channel::<Infallible>();
    let files = Files::create()?;
    let folder = files.0.path();
    let node = node(folder)?;
    let service = service(&node, shape)?;
    let server = service.server_builder().initial_max_slice_len(shape.size).max_loaned_responses_per_request(1);
    let server = server.create()?;
    // Whoever just ends leaves files behind.
    parent.end_with_it_holding(move || {
        ENDS.store(true, Ordering::Relaxed);
        ended.recv()
    })?;
    parent.ready(folder.to_str().context("the temporary folder is not UTF-8")?, &[std::process::id()])?;
    while !ENDS.load(Ordering::Relaxed) {
        match server.receive()? {
            Some(request) => {
                let body = request.payload();
                request.loan_slice_uninit(body.len())?.write_from_slice(body).send()?;
            }
            None => hint::spin_loop(),
        }
    }
    // In this order: each needs the next.
    drop((server, service));
    // What a client left that was killed.
    node.try_cleanup_dead_nodes();
    drop(node);
    drop(files);
    drop(says_ended);
    loop {
        thread::park();
    }
}

fn drive(address: &str, job: &Job) -> Result<Outcome> {
    let node = node(Path::new(address))?;
    let service = service(&node, job.shape)?;
    job.run(|| {
        let port = service.client_builder().initial_max_slice_len(job.shape.size).create()?;
        Ok(Calls { pending: VecDeque::new(), port })
    })
}

/// The client's side: each request is written into a sample that iceoryx2 lends.
struct Calls {
    pending: VecDeque<Pending>,
    port: Port<ipc::Service, [u8], (), [u8], ()>,
}

impl Client for Calls {
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        let sample = self.port.loan_slice_uninit(request.len()).map_err(io::Error::other)?;
        let pending = sample.write_from_slice(request).send().map_err(io::Error::other)?;
        self.pending.push_back(pending);
        Ok(())
    }

    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let oldest = self.pending.pop_front().ok_or(ErrorKind::NotFound)?;
        loop {
            if let Some(answer) = oldest.receive().map_err(io::Error::other)? {
                reply.clear();
                reply.extend_from_slice(answer.payload());
                return Ok(());
            }
            hint::spin_loop();
        }
    }
}
