//! What all modules use: an engine with a dashboard, and HTTP in a few lines.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use speedysvc_tests::harness::{Engine, Home, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

/// A deadline that never comes.
pub const LONG: Duration = Duration::from_secs(60);

/// An engine and the address of its dashboard.
pub struct Dashboard {
    pub engine: Engine,
    /// `127.0.0.1:40123`
    pub address: String,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let begin = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(begin.as_str()))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Dashboard {
    /// With the test service; `web` and `service` are more lines of their tables.
    pub fn start(web: &str, service: &str) -> Self {
        Self::of(&Home::new(&format!(
            "[web]\nlisten = \"127.0.0.1:0\"\n{web}\n[service.test]\nprogram = \"test-service\"\n\
             listen = [\"tcp://127.0.0.1:0\"]\nrestart = {{ backoff = \"10ms..100ms\", limit = \"none\" }}\n{service}\n"
        )))
    }

    pub fn of(home: &Arc<Home>) -> Self {
        let mut dashboard = Self::unready(home);
        dashboard.engine.process().wait_for_line("ready:");
        dashboard
    }

    /// As soon as it listens.
    pub fn unready(home: &Arc<Home>) -> Self {
        let mut engine = home.start_unready();
        let line = engine.process().wait_for_line("dashboard: http://");
        let address = line.trim_start_matches("dashboard: http://").trim_end_matches('/').to_owned();
        Self { engine, address }
    }

    /// One request on a connection of its own; `fields` end with a line break each.
    pub fn ask(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}");
        let mut socket = self.connect();
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut text = Vec::new();
        socket.read_to_end(&mut text).expect("it answers");
        let text = String::from_utf8(text).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_lowercase().replace("\r\n", "\n"), body: body.to_owned() }
    }

    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.address).expect("it listens");
        socket.set_read_timeout(Some(LONG)).expect("not zero");
        socket
    }

    /// The `Host` of a request that is as it should be.
    pub fn host(&self) -> String {
        format!("Host: {}\r\n", self.address)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.host(), "")
    }

    /// As a program changes something.
    pub fn post(&self, path: &str) -> Answer {
        self.ask("POST", path, &format!("{}X-Speedysvc: yes\r\n", self.host()), "")
    }

    /// What the API says of the test service, once it says so.
    pub fn service_when(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        wait_until(what, || {
            let answer = self.get("/api/v1/services/test");
            (answer.status == 200).then(|| answer.json()).filter(&is)
        })
    }

    pub fn client(&self) -> TestServiceClient {
        TestServiceClient::connect(&self.engine.address("test")).expect("it is ready").with_timeout(LONG)
    }
}
