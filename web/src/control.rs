//! The control socket, as the dashboard uses it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use speedysvc_protocol::control::operator::{REPLY_MAX, Reply, Request};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Most requests at a time: the supervisor has room for other operators, too.
const REQUESTS_MAX: usize = 16;

/// Asks the supervisor.
pub(crate) struct Control {
    path: PathBuf,
    room: Semaphore,
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum Unheard {
    /// Nobody answers there.
    Nobody(String),
    /// Not in this time; what was asked for goes on.
    Late,
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(why) => write!(f, "the supervisor does not answer: {why}"),
            Self::Late => f.write_str("no reply in time; what was asked for goes on"),
        }
    }
}

impl Control {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, room: Semaphore::new(REQUESTS_MAX) }
    }

    /// One request and its reply.
    pub(crate) async fn ask(&self, request: &Request, patience: Duration) -> Result<Reply, Unheard> {
        let asked = async {
            let _room = self.room.acquire().await.map_err(|error| Unheard::Nobody(error.to_string()))?;
            let mut line = self.open(request).await?;
            line.next().await?.ok_or_else(|| Unheard::Nobody("it hung up".to_owned()))
        };
        timeout(patience, asked).await.unwrap_or(Err(Unheard::Late))
    }

    /// A request with any number of replies.
    pub(crate) async fn open(&self, request: &Request) -> Result<Line, Unheard> {
        let nobody = |error: &dyn fmt::Display| Unheard::Nobody(error.to_string());
        let mut text = serde_json::to_vec(request).map_err(|error| nobody(&error))?;
        text.push(b'\n');
        let mut stream = UnixStream::connect(&self.path).await.map_err(|error| nobody(&error))?;
        stream.write_all(&text).await.map_err(|error| nobody(&error))?;
        Ok(Line(BufReader::new(stream)))
    }
}

/// The replies to one request.
pub(crate) struct Line(BufReader<UnixStream>);

impl Line {
    /// The next reply; `None` when there will be none.
    pub(crate) async fn next(&mut self) -> Result<Option<Reply>, Unheard> {
        let mut text = Vec::new();
        let longest = REPLY_MAX as u64 + 1024;
        let read = (&mut self.0).take(longest).read_until(b'\n', &mut text).await;
        match read {
            Ok(0) => Ok(None),
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|error| Unheard::Nobody(error.to_string())),
            Err(error) => Err(Unheard::Nobody(error.to_string())),
        }
    }
}
