//! A peer that speaks frames by itself, and as badly as a test likes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use rustix::net::sockopt::set_socket_linger;
use speedysvc::stats::{Counter, Snapshot};
use speedysvc::{Running, Server};
use speedysvc_protocol::frame::{self, Header, Kind, Sent};
use speedysvc_protocol::hello::{Hello, Wanted, Welcome};
use speedysvc_protocol::ids::{CallId, Codec, MethodId};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::status::Status;
use speedysvc_protocol::wire::{Offer, Wire};
use speedysvc_tests::harness::wait_until;
use speedysvc_tests::test_service::Obedient;

use crate::fixture::LONG;

/// A service in this process, so that its counters can be asked at any time.
pub struct Here {
    _folder: tempfile::TempDir,
    pub running: Running,
}

impl Here {
    pub fn start(change: impl FnOnce(Server) -> Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new(Obedient).folder(folder.path()).listen("tcp://127.0.0.1:0");
        Self { running: change(server).start().unwrap(), _folder: folder }
    }

    pub fn tcp(&self) -> String {
        self.running.addresses().find(|address| address.starts_with("tcp://")).expect("it listens")
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.running.stats().counter(counter)
    }

    /// Waits until a counter has come to this.
    pub fn wait_for(&self, counter: Counter, count: u64) -> Snapshot {
        wait_until(&format!("{} to be {count}", counter.id()), || {
            let stats = self.running.stats();
            (stats.counter(counter) >= count).then_some(stats)
        })
    }
}

pub struct Peer {
    pub socket: TcpStream,
    methods: Vec<MethodId>,
    pub wire: Wire,
}

/// The methods that peers greet with, and call by their place here.
pub const ECHO: usize = 0;
pub const BIG: usize = 1;

impl Peer {
    /// Connects, and says nothing.
    pub fn mute(address: &str) -> Self {
        let socket = TcpStream::connect(address.strip_prefix("tcp://").expect("TCP")).expect("it listens");
        socket.set_read_timeout(Some(LONG)).expect("not zero");
        socket.set_nodelay(true).expect("it is open");
        Self { socket, methods: Vec::new(), wire: Wire::default() }
    }

    /// Connects and greets.
    pub fn greet(address: &str, offer: Offer) -> Self {
        Self::greet_as(address, &greeting(offer))
    }

    /// Connects and says this.
    pub fn greet_as(address: &str, hello: &Hello) -> Self {
        Self::try_to_greet(address, hello).expect("a welcome")
    }

    /// The same; `None` when nobody welcomes it.
    pub fn try_to_greet(address: &str, hello: &Hello) -> Option<Self> {
        let mut peer = Self::mute(address);
        // Who is about to go may close before it has read this.
        peer.socket.write_all(&said(hello)).ok()?;
        let (header, body) = peer.hear()?;
        assert_eq!(header.kind, Kind::Welcome, "{}", String::from_utf8_lossy(&body));
        let welcome: Welcome = serde_json::from_slice(&body).unwrap();
        peer.methods = welcome.methods.iter().map(|given| given.id).collect();
        peer.wire = welcome.wire;
        Some(peer)
    }

    pub fn plain(address: &str) -> Self {
        Self::greet(address, Offer::default())
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("it is read");
    }

    pub fn kind(&self, id: u64, method: usize) -> Kind {
        Kind::Call { id: CallId(id), method: self.methods[method], codec: Codec::Json, left_us: 0 }
    }

    /// The bytes of a call with JSON.
    pub fn call(&self, id: u64, method: usize, body: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::append_sent(&mut bytes, self.kind(id, method), Sent::plain(body.as_bytes()), self.wire.checksum);
        bytes
    }

    /// The next frame; `None` at the connection's end, however it comes.
    pub fn hear(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut head = [0; FRAME_HEADER];
        match self.socket.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if is_end(error.kind()) => return None,
            Err(error) => panic!("{error}"),
        }
        let header = Header::parse(&head).unwrap();
        let mut body = vec![0; header.body_len as usize];
        match self.socket.read_exact(&mut body) {
            Ok(()) => {}
            Err(error) if is_end(error.kind()) => return None,
            Err(error) => panic!("{error}"),
        }
        if header.checksum.is_some() {
            frame::verify(&head, &body).unwrap();
        }
        Some((header, body))
    }

    /// The next frame, which is a reply.
    pub fn reply(&mut self) -> (u64, Status, Vec<u8>) {
        match self.hear() {
            Some((Header { kind: Kind::Reply { id, status }, .. }, body)) => (id.0, status, body),
            other => panic!("{other:?} is no reply"),
        }
    }

    /// Everything that still comes, until the service ends the connection.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if is_end(error.kind()) => {}
            Err(error) => panic!("{error}"),
        }
        rest
    }

    /// Ends our side: properly, or as one that has crashed.
    pub fn leave(self, reset: bool) {
        if reset {
            set_socket_linger(self.socket.as_fd(), Some(std::time::Duration::ZERO)).expect("it is open");
        } else {
            // It may be closed already.
            self.socket.shutdown(Shutdown::Write).ok();
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// A greeting.
pub fn hello(offer: Offer) -> Vec<u8> {
    said(&greeting(offer))
}

fn greeting(offer: Offer) -> Hello {
    let methods = ["echo", "big"].map(|name| Wanted { name: name.to_owned(), typed: None });
    Hello { wire: offer, methods: methods.to_vec(), ..Hello::by_name("test", "echo") }
}

fn said(hello: &Hello) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::append(&mut bytes, Kind::Hello, &serde_json::to_vec(hello).unwrap());
    bytes
}
