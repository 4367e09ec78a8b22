//! WebDriver: JSON over HTTP, of which a dozen commands are enough (decision 0049).

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};

/// Longer than the driver itself waits for anything.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the driver waits for a page, and for a script, before it says so.
const PAGE_MS: u64 = 60_000;

/// A browser that a driver has started for us.
pub struct Session {
    runtime: Runtime,
    /// Of the driver.
    address: String,
    /// `/session/...`
    path: String,
}

impl Session {
    /// Has the driver at this address start a browser with these capabilities.
    pub fn begin(address: String, mut wanted: Value) -> Self {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
        wanted["timeouts"] = json!({ "pageLoad": PAGE_MS, "script": PAGE_MS });
        let mut session = Self { runtime, address, path: "/session".to_owned() };
        let begun = session.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}"));
        session.path = format!("/session/{id}");
        session
    }

    /// A command with its parameters: the value of its answer.
    pub fn post(&self, command: &str, parameters: &Value) -> Value {
        self.ask(command, parameters).unwrap_or_else(|why| panic!("{command} {parameters}: {why}"))
    }

    /// The same, where it may be refused: what the driver says then.
    pub fn ask(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.tell(Method::POST, command, parameters.to_string())
    }

    /// What a command without parameters answers.
    pub fn get(&self, command: &str) -> Value {
        self.tell(Method::GET, command, String::new()).unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    fn tell(&self, method: Method, command: &str, body: String) -> Result<Value, String> {
        let path = format!("{}{}{command}", self.path, if command.is_empty() { "" } else { "/" });
        let exchange = async { tokio::time::timeout(PATIENCE, exchange(&self.address, method, &path, body)).await };
        let answered = self.runtime.block_on(exchange).map_err(|_| format!("no answer in {PATIENCE:?}"))?;
        let (status, text) = answered.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&text).map_err(|error| format!("{error}: {text:?}"))?;
        if status == StatusCode::OK { Ok(answer["value"].clone()) } else { Err(answer.to_string()) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A driver that is gone has taken its browser along.
        self.tell(Method::DELETE, "", String::new()).ok();
    }
}

/// One request on a connection of its own. Where the answer ends its head says: chromedriver promises to close the
/// connection, and leaves it open.
async fn exchange(
    address: &str,
    method: Method,
    path: &str,
    body: String,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) = handshake(TokioIo::new(socket)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", address);
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let (status, text) = (answer.status(), answer.into_body().collect().await?.to_bytes());
    connection.abort();
    Ok((status, text))
}
