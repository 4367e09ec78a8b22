//! The system calls of a connection: whole frames out, bytes in, neither longer than a deadline.

use std::hint;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};

use super::frames::{BadInput, Frame, FrameReader};
use super::patience::Patience;
use crate::clock::Deadline;

/// A kernel's socket timeout of zero means "for ever", and it counts in jiffies.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// The timeout that a socket has. Setting it costs a system call, so it is kept while it is about right.
#[derive(Default)]
pub(super) struct SetTimeout(Option<Duration>);

impl SetTimeout {
    /// The timeout to set for a wait of at most `left`; `None` while the one that is set will do: it may end too early,
    /// by up to half, because who waits looks at the clock again, but never late.
    fn change(&mut self, left: Duration) -> Option<Duration> {
        if self.0.is_some_and(|set| set <= left.max(TIMEOUT_MIN) && set >= left / 2) {
            return None;
        }
        // A little shorter than asked, so that the next wait of the same length finds it good.
        let set = (left - left / 8).max(TIMEOUT_MIN);
        self.0 = Some(set);
        Some(set)
    }
}

/// Sends a header and a body. The error is absent when time was up.
pub(super) fn send(
    stream: &TcpStream,
    timeout: &mut SetTimeout,
    parts: [&[u8]; 2],
    deadline: Deadline,
) -> Result<(), Option<io::Error>> {
    let total = parts[0].len() + parts[1].len();
    let mut sent = 0;
    while sent < total {
        let left = deadline.left().ok_or(None)?;
        if let Some(change) = timeout.change(left) {
            stream.set_write_timeout(Some(change)).map_err(Some)?;
        }
        match send_some(stream, parts, sent, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(Some(error.into())),
        }
    }
    Ok(())
}

/// Sends what there is room for now, from byte `sent` on; 0 when there is none.
pub(super) fn send_part(stream: &TcpStream, parts: [&[u8]; 2], sent: usize) -> Result<usize, io::Error> {
    match send_some(stream, parts, sent, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
        Ok(count) => Ok(count),
    }
}

/// Waits until there is room to send, or, if that is wanted too, something to read.
pub(super) fn wait_for_room(stream: &TcpStream, or_input: bool, longest: Duration) {
    let wanted = if or_input { PollFlags::OUT | PollFlags::IN } else { PollFlags::OUT };
    // Whatever ends it, who waits tries again.
    let _ready = poll(&mut [PollFd::new(stream, wanted)], Timespec::try_from(longest).ok().as_ref());
}

fn send_some(stream: &TcpStream, [head, body]: [&[u8]; 2], sent: usize, flags: SendFlags) -> Result<usize, Errno> {
    if body.is_empty() {
        return rustix::net::send(stream, &head[sent..], flags);
    }
    let body_sent = sent.saturating_sub(head.len());
    let rest = [IoSlice::new(&head[sent.min(head.len())..]), IoSlice::new(&body[body_sent..])];
    // An empty piece in front is harmless, and nothing is not sent: the caller stops before.
    sendmsg(stream, &rest, &mut SendAncillaryBuffer::default(), flags)
}

/// Why nothing can be read any more.
#[derive(Debug)]
pub(super) enum NoInput {
    /// The service closed the connection, or it broke.
    Lost(String),
    /// The service sent what makes no sense.
    Bad(BadInput),
}

/// How long to wait for input.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// Take what is there.
    Not,
    /// Until something comes, or about so long.
    AtMost(Duration),
}

/// The reading side of a connection, for whoever has the reading role.
pub(super) struct Input {
    pub(super) frames: FrameReader,
    /// Frames that are whole and not given out yet.
    pub(super) whole: Vec<Frame>,
    timeout: SetTimeout,
    patience: Patience,
}

impl Input {
    pub(super) fn new(limit: usize) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let (frames, patience) = (FrameReader::new(limit), Patience::new(processors));
        Self { frames, whole: Vec::new(), timeout: SetTimeout::default(), patience }
    }

    /// Puts the frames that are whole into `whole`, after reading once if there were none. Nothing is no error; before
    /// an error some may have come.
    pub(super) fn read(&mut self, stream: &TcpStream, wait: Wait) -> Result<(), NoInput> {
        self.collect()?;
        if self.whole.is_empty() && self.fill(stream, wait)? {
            self.collect()?;
        }
        Ok(())
    }

    /// Reads once; whether anything came. What has arrived before must have been taken.
    pub(super) fn fill(&mut self, stream: &TcpStream, wait: Wait) -> Result<bool, NoInput> {
        let left = match wait {
            Wait::Not => return self.receive(stream, RecvFlags::DONTWAIT),
            Wait::AtMost(left) => left,
        };
        if self.look(stream, left)? {
            return Ok(true);
        }
        if let Some(change) = self.timeout.change(left) {
            stream.set_read_timeout(Some(change)).map_err(|error| NoInput::Lost(error.to_string()))?;
        }
        self.receive(stream, RecvFlags::empty())
    }

    /// Looks for a while whether something comes.
    fn look(&mut self, stream: &TcpStream, left: Duration) -> Result<bool, NoInput> {
        let budget = self.patience.begin().min(left);
        if budget.is_zero() {
            return Ok(false);
        }
        // With many connections it is there already, and no clock is needed.
        let mut start = None;
        loop {
            if self.receive(stream, RecvFlags::DONTWAIT)? {
                self.patience.hit();
                return Ok(true);
            }
            let start = start.get_or_insert_with(Instant::now);
            if start.elapsed() >= budget {
                self.patience.miss();
                return Ok(false);
            }
            // What is looked for comes from another processor: it may as well be one that shares this core.
            hint::spin_loop();
        }
    }

    /// Whether anything came.
    fn receive(&mut self, stream: &TcpStream, flags: RecvFlags) -> Result<bool, NoInput> {
        match recv(stream, self.frames.space(), flags) {
            Ok((_, 0)) => Err(NoInput::Lost("the service closed the connection".to_owned())),
            Ok((_, count)) => {
                self.frames.filled(count);
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(NoInput::Lost(io::Error::from(error).to_string())),
        }
    }

    fn collect(&mut self) -> Result<(), NoInput> {
        while let Some(frame) = self.frames.next().map_err(NoInput::Bad)? {
            self.whole.push(frame);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_kept_while_it_is_about_right_and_never_late() {
        let mut timeout = SetTimeout::default();
        let seconds = Duration::from_secs;
        let set = timeout.change(seconds(30)).unwrap();
        assert!(set < seconds(30) && set > seconds(25));
        assert_eq!(timeout.change(seconds(29)), None);
        assert!(timeout.change(seconds(20)).is_some_and(|set| set <= seconds(20)));
        assert!(timeout.change(seconds(60)).is_some(), "not so early that waiting becomes polling");
        assert_eq!(timeout.change(Duration::from_nanos(1)), Some(TIMEOUT_MIN), "zero would mean for ever");
    }
}
