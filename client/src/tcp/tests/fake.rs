//! A server in this process that speaks frames and does just what a test says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use speedysvc_protocol::frame::{self, Header, Kind};
use speedysvc_protocol::hello::{Given, Hello, LIBRARY, Refusal, VERSION, Welcome};
use speedysvc_protocol::ids::{CallId, MethodId, MethodIndex};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::status::Status;
use speedysvc_protocol::wire::Wire;

use crate::test_calls::wait_for_client;

/// The method of which the service says that it may be called twice.
pub const IDEMPOTENT: &str = "idempotent";
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Server {
    listener: TcpListener,
    pub port: u16,
    /// What it agrees to, whatever is offered. Plain is what a service answers that knows nothing of this.
    pub wire: Wire,
}

impl Server {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self { listener, port, wire: Wire::default() }
    }

    /// Accepts one client and says nothing.
    pub fn accept(&self) -> Peer {
        wait_for_client(&self.listener);
        let stream = self.listener.accept().unwrap().0;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Peer { stream }
    }

    /// Accepts one client and welcomes it; `more` goes out in the same piece.
    pub fn welcome(&self, message_max: u64, more: &[Kind]) -> Peer {
        let mut peer = self.accept();
        let (kind, body) = peer.frame().unwrap();
        assert_eq!(kind, Kind::Hello);
        let hello: Hello = serde_json::from_slice(&body).unwrap();
        let methods = (0..).zip(&hello.methods).map(|(place, wanted)| Given {
            index: MethodIndex(place),
            id: MethodId(7),
            idempotent: wanted.name == IDEMPOTENT,
        });
        let welcome = Welcome {
            version: VERSION,
            library: LIBRARY.to_owned(),
            message_max,
            deadline_us: 20_000_000,
            methods: methods.collect(),
            wire: self.wire,
        };
        let mut bytes = Vec::new();
        frame::append(&mut bytes, Kind::Welcome, &serde_json::to_vec(&welcome).unwrap());
        more.iter().for_each(|kind| frame::append(&mut bytes, *kind, &[]));
        peer.stream.write_all(&bytes).unwrap();
        peer
    }

    pub fn refuse(&self, refusal: &Refusal) {
        let mut peer = self.accept();
        peer.frame().unwrap();
        peer.send(Kind::Refused, &serde_json::to_vec(refusal).unwrap());
    }
}

pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// The next frame; `None` when the client has closed.
    pub fn frame(&mut self) -> Option<(Kind, Vec<u8>)> {
        self.whole().map(|(header, body)| (header.kind, body))
    }

    /// The next frame with all that its header says.
    pub fn whole(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut head = [0; FRAME_HEADER];
        match self.stream.read(&mut head).unwrap() {
            0 => return None,
            count => self.stream.read_exact(&mut head[count..]).unwrap(),
        }
        let header = Header::parse(&head).unwrap();
        let mut body = vec![0; header.body_len as usize];
        self.stream.read_exact(&mut body).unwrap();
        Some((header, body))
    }

    /// The next frame, which is a call.
    pub fn call(&mut self) -> (CallId, Vec<u8>) {
        match self.frame() {
            Some((Kind::Call { id, method: MethodId(7), .. }, body)) => (id, body),
            other => panic!("{other:?} is no call"),
        }
    }

    pub fn send(&mut self, kind: Kind, body: &[u8]) {
        let mut bytes = Vec::new();
        frame::append(&mut bytes, kind, body);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn reply(&mut self, id: CallId, status: Status, body: &[u8]) {
        self.send(Kind::Reply { id, status }, body);
    }
}
