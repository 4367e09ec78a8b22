//! WebDriver: JSON over HTTP, of which a dozen commands are enough (decision 0049).

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};

/// Longer than the driver itself waits for a page or a script.
const PATIENCE: Duration = Duration::from_secs(90);
/// What the driver waits for a page, and for a script, before it says so.
const PAGE_MS: u64 = 60_000;

/// What a command throws that is not answered in time: no test can go on, as the driver does one after the other.
/// [`super::turn::browse`] catches it, and nothing else.
pub struct Silent(pub String);

/// A browser that a driver has started for us.
pub struct Session {
    runtime: Runtime,
    /// How long a command may take.
    patience: Cell<Duration>,
    is_silent: Cell<bool>,
    /// Of the browser.
    pid: u32,
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
        let (patience, is_silent) = (Cell::new(PATIENCE), Cell::new(false));
        let mut session = Self { runtime, patience, is_silent, pid: 0, address, path: "/session".to_owned() };
        let begun = session.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}"));
        session.path = format!("/session/{id}");
        let pid = begun["capabilities"]["goog:processID"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        session.pid = pid.unwrap_or_else(|| panic!("no process: {begun}"));
        session
    }

    /// The browser's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// How long commands may take from now on, until it is set back: what it was.
    pub fn set_patience(&self, patience: Duration) -> Duration {
        self.patience.replace(patience)
    }

    /// A command with its parameters: the value of its answer.
    pub fn post(&self, command: &str, parameters: &Value) -> Value {
        self.ask(command, parameters).unwrap_or_else(|why| panic!("{command} {parameters}: {why}"))
    }

    /// The same, where it may be refused: what the driver says then. An answer that does not come is no refusal: it
    /// throws [`Silent`].
    pub fn ask(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        self.tell(Method::POST, command, parameters.to_string())
    }

    /// What a command without parameters answers.
    pub fn get(&self, command: &str) -> Value {
        self.tell(Method::GET, command, String::new()).unwrap_or_else(|why| panic!("{command}: {why}"))
    }

    fn tell(&self, method: Method, command: &str, body: String) -> Result<Value, String> {
        let path = format!("{}{}{command}", self.path, if command.is_empty() { "" } else { "/" });
        let patience = self.patience.get();
        let exchange = async { tokio::time::timeout(patience, exchange(&self.address, method, &path, body)).await };
        let Ok(answered) = self.runtime.block_on(exchange) else {
            self.is_silent.set(true);
            resume_unwind(Box::new(Silent(format!("the browser did not answer `{command}` in {patience:?}"))));
        };
        let (status, text) = answered.map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&text).map_err(|error| format!("{error}: {text:?}"))?;
        if status == StatusCode::OK { Ok(answer["value"].clone()) } else { Err(answer.to_string()) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A driver that is gone has taken its browser along; one that is silent is killed with its browser.
        if !self.is_silent.get() {
            // Thrown while something else is thrown it would end the program.
            catch_unwind(AssertUnwindSafe(|| self.tell(Method::DELETE, "", String::new()).ok())).ok();
        }
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
