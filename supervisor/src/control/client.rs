//! One connection of an operator.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use speedysvc_broker::ServiceKey;
use speedysvc_protocol::control::operator::{LogQuery, REPLY_MAX, REQUEST_MAX, Reason, Reply, Request};

/// Most bytes that wait to be read by somebody who follows the log; beyond it, lines are left out.
const FOLLOW_MAX: usize = 1 << 20;

/// What goes on for a connection after its request.
pub(crate) enum Task {
    /// Nothing: it may ask.
    Idle,
    /// The reply comes when services have settled.
    Waiting(Waiting),
    /// Lines of the log, from this number on.
    Following(LogQuery, u64),
}

/// What a reply waits for.
pub(crate) struct Waiting {
    /// These must settle, and this is how often each was rolled back before.
    pub(crate) services: Vec<(ServiceKey, u64)>,
    /// Where the log stood.
    pub(crate) since: u64,
    /// Of a reload.
    pub(crate) changes: Option<Vec<String>>,
}

pub(crate) struct Client {
    stream: UnixStream,
    /// The peer when it connected.
    pub(crate) uid: u32,
    /// As above.
    pub(crate) pid: i32,
    input: Vec<u8>,
    output: Vec<u8>,
    pub(crate) task: Task,
    gone: bool,
}

impl Client {
    pub(crate) fn new(stream: UnixStream, uid: u32, pid: i32) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, uid, pid, input: Vec::new(), output: Vec::new(), task: Task::Idle, gone: false })
    }

    /// For the log: who did it.
    pub(crate) fn who(&self) -> String {
        format!("uid {} (pid {})", self.uid, self.pid)
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    pub(crate) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether somebody who follows has read enough to be told more.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() < FOLLOW_MAX
    }

    /// Whole requests. One at a time: while one is worked on, nothing is read.
    pub(crate) fn read(&mut self) -> Vec<Request> {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.gone = true,
                Ok(count) if self.input.len() + count <= REQUEST_MAX => {
                    self.input.extend_from_slice(&bytes[..count]);
                    continue;
                }
                Ok(_) => {
                    let why = format!("a request has at most {REQUEST_MAX} bytes");
                    self.last_word(&Reply::Refused { reason: Reason::Usage, why });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.gone = true,
            }
            break;
        }
        self.take_requests()
    }

    fn take_requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(request) => requests.push(request),
                Err(error) => {
                    let why = format!("this is no request: {error}; each is one line of JSON, as in docs/control.md");
                    self.reply(&Reply::Refused { reason: Reason::Usage, why });
                }
            }
        }
        requests
    }

    pub(crate) fn reply(&mut self, reply: &Reply) {
        let mut text = serde_json::to_vec(reply).unwrap_or_default();
        if text.len() > REPLY_MAX || self.output.len() > REPLY_MAX {
            let why = format!("the reply would have more than {REPLY_MAX} bytes: ask for less");
            text = serde_json::to_vec(&Reply::Refused { reason: Reason::Failed, why }).unwrap_or_default();
        }
        self.output.extend(text);
        self.output.push(b'\n');
        self.flush();
    }

    /// A reply after which nothing more is said.
    pub(crate) fn last_word(&mut self, reply: &Reply) {
        self.reply(reply);
        self.gone = true;
    }

    /// Writes what there is room for. Never waits.
    pub(crate) fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Client, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        (Client::new(ours, 0, 1).unwrap(), theirs)
    }

    fn heard(theirs: &mut UnixStream) -> String {
        let mut text = vec![0; 1 << 16];
        let count = theirs.read(&mut text).unwrap_or(0);
        String::from_utf8(text[..count].to_vec()).unwrap()
    }

    #[test]
    fn requests_come_in_pieces_and_several_at_once() {
        let (mut client, mut theirs) = pair();
        theirs.write_all(b"{\"verb\":\"sta").unwrap();
        assert_eq!(client.read(), []);
        theirs.write_all(b"tus\"}\n{\"verb\":\"drain\"}\n").unwrap();
        assert_eq!(client.read(), [Request::Status, Request::Drain]);
        assert!(!client.is_gone());
        drop(theirs);
        assert_eq!(client.read(), []);
        assert!(client.is_gone());
    }

    #[test]
    fn nonsense_is_answered_and_too_much_of_it_ends() {
        let (mut client, mut theirs) = pair();
        theirs.write_all(b"hello\n").unwrap();
        assert_eq!(client.read(), []);
        assert!(heard(&mut theirs).contains("this is no request"));
        for _ in 0..=REQUEST_MAX / 4096 {
            theirs.write_all(&[b'x'; 4096]).unwrap();
            client.read();
        }
        assert!(client.is_gone() && heard(&mut theirs).contains("at most 65536 bytes"));
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (mut client, mut theirs) = pair();
        let lines = Reply::Done { said: vec!["x".repeat(100_000); 10] };
        client.reply(&lines);
        client.reply(&lines);
        assert!(client.has_output() && !client.has_room());
        let mut read = 0;
        while client.has_output() {
            read += heard(&mut theirs).len();
            client.flush();
        }
        loop {
            match heard(&mut theirs).len() {
                0 => break,
                more => read += more,
            }
        }
        assert!(read > 1_900_000 && client.has_room());
    }
}
