//! Alone: broker and worker in this process, each in a thread of its own. For trying things out, and for tests.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use speedysvc_broker::{Allow, Broker, Event, Meters, ServiceKey, ServiceOptions, TakeError};
use speedysvc_core::StartError;
use speedysvc_protocol::control::DriverWish;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::ids::WorkerId;
use speedysvc_protocol::service::Service;
use speedysvc_protocol::shm::doorbell;
use speedysvc_protocol::shm::in_place::Trust;
use speedysvc_protocol::stats::Snapshot;
use speedysvc_protocol::wire::Compression;

use super::listener::{Listener, UnixPath};
use crate::address::{Address, Environment};

/// Why a service cannot be hosted alone.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its name is taken, or its folder cannot be used.
    #[error(transparent)]
    Taken(#[from] TakeError),
    /// An address is no address, or no run folder is known.
    #[error("{0}")]
    Address(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// The worker could not begin, or had to end.
    #[error("{0}")]
    Worker(String),
    /// The kernel refused something else.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> ServerError {
    move |error| ServerError::Io { what, error }
}

/// A service to be hosted in this process.
pub struct Server {
    service: Arc<dyn Service>,
    name: String,
    folder: Option<PathBuf>,
    listen: Vec<String>,
    limits: Limits,
}

/// What a configuration file would say, with the same defaults.
struct Limits {
    slots: u16,
    shm_message: u64,
    tcp_message: u64,
    deadline: Duration,
    spin: Duration,
    trust: Trust,
    compression: Option<Compression>,
}

impl Server {
    /// Hosts `service` under its own name.
    pub fn new(service: impl Service) -> Self {
        let name = service.contract().service.clone();
        let limits = Limits {
            slots: 64,
            shm_message: 64 << 20,
            tcp_message: 16 << 20,
            deadline: Duration::from_secs(30),
            spin: Duration::from_micros(20),
            trust: Trust::default(),
            compression: Some(Compression::Lz4),
        };
        Self { service: Arc::new(service), name, folder: None, listen: Vec::new(), limits }
    }

    /// Another folder for the rendezvous socket than the run folder's namespace; clients then name the socket's path,
    /// as in `shm:///FOLDER/NAME.sock`.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Also listens on a TCP address such as `tcp://127.0.0.1:5555`, where port 0 lets the kernel choose; or on a Unix
    /// socket such as `unix:///run/echo.sock`, for the same user and root.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Another limit for messages, both ways, in bytes: over shared memory and over TCP.
    #[must_use]
    pub fn message_max(mut self, shm: u64, tcp: u64) -> Self {
        (self.limits.shm_message, self.limits.tcp_message) = (shm, tcp);
        self
    }

    /// Whose requests from 16 KiB on are read where their client wrote them. Without this: those of this process's user
    /// and of root.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.limits.trust = trust;
        self
    }

    /// Which compression is agreed with clients over sockets that offer several, in place of LZ4; `None` for none.
    #[must_use]
    pub fn compression(mut self, compression: Option<Compression>) -> Self {
        self.limits.compression = compression;
        self
    }

    /// Starts, and returns when the service can be called.
    ///
    /// # Errors
    /// [`ServerError`]: nothing is left running.
    pub fn start(self) -> Result<Running, ServerError> {
        let folder = self.make_folder()?;
        let listeners = self.bind()?;
        let tcp = listeners.iter().filter_map(Listener::tcp_address).collect();
        let unix = listeners.iter().filter_map(Listener::unix_path).collect();
        let mut broker = Broker::new().map_err(io_error("making a broker"))?;
        let key = broker.add_service(self.options(folder.clone(), listeners))?;
        let control = broker.admit(key, WORKER).map_err(io_error("making a worker"))?;
        let stop = doorbell::bell().map_err(io_error("making a bell"))?;
        let stop_too = stop.try_clone().map_err(io_error("copying a bell"))?;
        let meters = broker.meters(key);
        let service = self.service;
        let worker = spawn("speedysvc-loop", move || speedysvc_core::serve(service, control, None, super::runtime()))?;
        let (events, ready) = mpsc::channel();
        let broker = spawn("speedysvc-broker", move || attend(broker, key, &stop_too, &events))?;
        let mut running = Running { name: self.name, folder, tcp, unix, meters, stop, threads: Some((worker, broker)) };
        match ready.recv() {
            Ok(Ok(())) => Ok(running),
            Ok(Err(why)) => Err(ServerError::Worker(why)),
            Err(_closed) => running.end().and(Err(ServerError::Worker("the worker ended at once".to_owned()))),
        }
    }

    /// Starts, says so on standard output, and serves until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// [`ServerError`], when it cannot begin.
    pub fn run(self) -> Result<(), ServerError> {
        let signals = speedysvc_core::signals::asked_to_end().map_err(io_error("listening for signals"))?;
        signals.set_nonblocking(false).map_err(io_error("listening for signals"))?;
        let mut running = self.start()?;
        let addresses: Vec<String> = running.addresses().collect();
        // Nobody may be listening to our output; that is no reason to stop.
        let _unheard = writeln!(
            io::stdout(),
            "{}: {}; ready (alone, process {}); Ctrl-C stops",
            running.name,
            addresses.join(", "),
            std::process::id()
        );
        let _ended = BufReader::with_capacity(1, signals).fill_buf().map_err(io_error("waiting for signals"))?;
        running.end()?;
        // As above.
        let _unheard = writeln!(io::stderr(), "speedysvc: {}: {}", running.name, running.stats());
        Ok(())
    }

    fn make_folder(&self) -> Result<PathBuf, ServerError> {
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => named_folder(&self.name)?,
        };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| ServerError::Taken(TakeError::Io { path: folder.display().to_string(), error }))?;
        Ok(folder)
    }

    fn bind(&self) -> Result<Vec<Listener>, ServerError> {
        self.listen.iter().map(|text| Listener::bind(text)).collect()
    }

    fn options(&self, folder: PathBuf, listeners: Vec<Listener>) -> ServiceOptions {
        ServiceOptions {
            name: self.name.clone(),
            folder,
            slots: self.limits.slots,
            shm_message_max: self.limits.shm_message,
            tcp_message_max: self.limits.tcp_message,
            deadline: self.limits.deadline,
            spin: self.limits.spin,
            driver: DriverWish::Auto,
            compression: self.limits.compression,
            log_level: Level::Info,
            allow: Allow::default(),
            trust: self.limits.trust,
            listeners: listeners.into_iter().map(Listener::into_socket).collect(),
            // Its loop ends with this process.
            legacy: None,
        }
    }
}

/// The only worker of a service that runs alone.
const WORKER: WorkerId = WorkerId(0);

fn named_folder(name: &str) -> Result<PathBuf, ServerError> {
    let address = Address::parse(&format!("shm://{name}"), &Environment::of_process())
        .map_err(|error| ServerError::Address(error.to_string()))?;
    match address {
        Address::Shm { path, .. } => Ok(path.parent().unwrap_or(Path::new("/")).to_owned()),
        Address::Tcp { .. } | Address::Unix { .. } => unreachable!("it was written with shm://"),
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ServerError> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(io_error("starting a thread"))
}

/// The broker's thread: turns until it is told to stop, then hangs up on the clients and sends the worker home.
fn attend(mut broker: Broker, key: ServiceKey, stop: &OwnedFd, ready: &mpsc::Sender<Result<(), String>>) {
    let mut stopping = false;
    loop {
        let mut descriptors = vec![PollFd::new(&broker, PollFlags::IN)];
        if !stopping {
            descriptors.push(PollFd::new(stop, PollFlags::IN));
        }
        // An interrupted wait found nothing, and the next one looks again.
        let _interrupted = poll(&mut descriptors, None);
        let told_to_stop = descriptors.get(1).is_some_and(|stop| !stop.revents().is_empty());
        for event in broker.turn() {
            let told = match event {
                Event::Ready { .. } => ready.send(Ok(())),
                Event::Failed { why, .. } => ready.send(Err(why)),
                // The loop has ended, by itself or because of a panic: there is nothing left to hand out.
                Event::HungUp { .. } => return broker.close(key),
                Event::Misbehaved { link, peer, rule, .. } => {
                    eprintln!("speedysvc: {peer} broke the protocol on link {}: {rule}; it was cut off", link.0);
                    Ok(())
                }
                Event::Muted { link, peer, .. } => {
                    eprintln!("speedysvc: {peer} rings without a call: link {} is looked at each millisecond", link.0);
                    Ok(())
                }
                Event::Refused { peer, why, .. } => {
                    eprintln!("speedysvc: {peer} was refused: {why}");
                    Ok(())
                }
                Event::CannotServe { link, peer, why, .. } => {
                    eprintln!("speedysvc: no room for link {} of {peer}: {why}; it was hung up on", link.0);
                    Ok(())
                }
                Event::HeldBack { peer, .. } => {
                    eprintln!("speedysvc: {peer} has to wait for its link: its user attaches too often");
                    Ok(())
                }
                Event::Starting { .. } | Event::Attached { .. } | Event::Detached { .. } | Event::Crowded { .. } => {
                    Ok(())
                }
            };
            // Whoever started us waits only for the first word.
            let _heard = told;
        }
        if told_to_stop {
            stopping = true;
            broker.close(key);
            broker.drain(key, WORKER);
        }
    }
}

/// The loop's thread and the broker's.
type Threads = (JoinHandle<Result<(), StartError>>, JoinHandle<()>);

/// A service that is being hosted in this process. Dropping it stops the service.
pub struct Running {
    name: String,
    folder: PathBuf,
    tcp: Vec<SocketAddr>,
    unix: Vec<UnixPath>,
    meters: Arc<Meters>,
    stop: OwnedFd,
    threads: Option<Threads>,
}

impl Running {
    /// The shared-memory address of this service, as clients write it.
    #[must_use]
    pub fn shm_address(&self) -> String {
        match named_folder(&self.name) {
            Ok(folder) if folder == self.folder => format!("shm://{}", self.name),
            _ => format!("shm://{}/{}.sock", self.folder.display(), self.name),
        }
    }

    /// The TCP addresses, with the ports that the kernel chose.
    #[must_use]
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp
    }

    /// All addresses, as clients write them.
    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        let tcp = self.tcp.iter().map(|address| format!("tcp://{address}"));
        let unix = self.unix.iter().map(|path| format!("unix://{}", path.0.display()));
        std::iter::once(self.shm_address()).chain(tcp).chain(unix)
    }

    /// What has been counted and timed since the start. A call is counted a moment after it has been answered.
    #[must_use]
    pub fn stats(&self) -> Snapshot {
        self.meters.snapshot()
    }

    /// Finishes the calls that have begun, refuses the others, and ends.
    ///
    /// # Errors
    /// [`ServerError::Worker`] when the loop had ended with an error before.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServerError> {
        let Some((worker, broker)) = self.threads.take() else { return Ok(()) };
        doorbell::ring(self.stop.as_fd()).map_err(io_error("ringing the broker"))?;
        let ended = worker.join();
        let attended = broker.join();
        match (ended, attended) {
            (Ok(Ok(())), Ok(())) => Ok(()),
            (Ok(Err(error)), _) => Err(ServerError::Worker(error.to_string())),
            _ => Err(ServerError::Worker("a thread of the service panicked".to_owned())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whoever wants to hear of it calls `stop`.
        let _unheard = self.end();
    }
}
