//! What a worker writes to one of its outputs, cut into lines.

use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::OFlags;

/// Longest line, in bytes; longer ones are cut, and what follows until the next newline is left out.
pub(crate) const LINE_MAX: usize = 16 * 1024;
/// Most bytes that are taken from one output at a time, so that a flood holds up nobody else.
const TURN_MAX: usize = 256 * 1024;

/// One output of a worker. The worker never waits for us as long as we look now and then.
#[derive(Debug)]
pub(crate) struct Capture {
    /// `stdout` or `stderr`.
    pub(crate) name: &'static str,
    pipe: PipeReader,
    splitter: Splitter,
    has_ended: bool,
}

impl Capture {
    /// A new pipe, and its end for the worker.
    pub(crate) fn pipe(name: &'static str) -> io::Result<(Self, PipeWriter)> {
        let (pipe, writer) = io::pipe()?;
        let flags = rustix::fs::fcntl_getfl(&pipe)?;
        rustix::fs::fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok((Self { name, pipe, splitter: Splitter::default(), has_ended: false }, writer))
    }

    /// Whether there may be more.
    pub(crate) const fn is_open(&self) -> bool {
        !self.has_ended
    }

    /// Takes what is there, and calls for each whole line. Never waits.
    pub(crate) fn drain(&mut self, mut line: impl FnMut(&[u8], bool)) {
        let mut bytes = [0; 16 * 1024];
        let mut taken = 0;
        while taken < TURN_MAX && !self.has_ended {
            match self.pipe.read(&mut bytes) {
                Ok(0) => self.end(&mut line),
                Ok(count) => {
                    taken += count;
                    self.splitter.feed(&bytes[..count], &mut line);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.end(&mut line),
            }
        }
    }

    /// What is left of a line is a line: its worker is gone.
    pub(crate) fn end(&mut self, line: impl FnMut(&[u8], bool)) {
        self.has_ended = true;
        self.splitter.end(line);
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Bytes in, lines out.
#[derive(Debug, Default)]
struct Splitter {
    begun: Vec<u8>,
    /// The rest of the line is left out.
    skipping: bool,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8], bool)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LINE_MAX - self.begun.len();
            self.begun.extend_from_slice(&text[..text.len().min(room)]);
            self.skipping |= text.len() > room;
            if ends {
                self.end(&mut line);
            }
        }
    }

    fn end(&mut self, mut line: impl FnMut(&[u8], bool)) {
        if !self.begun.is_empty() {
            line(&self.begun, self.skipping);
        }
        self.begun.clear();
        self.skipping = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn split(pieces: &[Vec<u8>]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Vec::new();
        let mut splitter = Splitter::default();
        pieces.iter().for_each(|piece| splitter.feed(piece, |line, cut| lines.push((line.to_vec(), cut))));
        splitter.end(|line, cut| lines.push((line.to_vec(), cut)));
        lines
    }

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_whole() {
        let text = [vec![b'x'; LINE_MAX + 5], b"\nnext\nlast".to_vec()].concat();
        let lines = split(&text.chunks(1000).map(<[u8]>::to_vec).collect::<Vec<_>>());
        assert_eq!(lines[0], (vec![b'x'; LINE_MAX], true));
        assert_eq!(lines[1..], [(b"next".to_vec(), false), (b"last".to_vec(), false)]);
    }

    #[test]
    fn a_pipe_is_read_until_its_end() {
        let (mut capture, mut writer) = Capture::pipe("stdout").unwrap();
        let mut lines = Vec::new();
        writer.write_all(b"one\ntw").unwrap();
        capture.drain(|line, _| lines.push(line.to_vec()));
        assert_eq!(lines, [b"one"]);
        drop(writer);
        capture.drain(|line, _| lines.push(line.to_vec()));
        assert_eq!(lines, [b"one".to_vec(), b"tw".to_vec()]);
        assert!(!capture.is_open());
    }

    proptest! {
        #[test]
        fn where_the_bytes_were_cut_does_not_matter(
            lines in prop::collection::vec("[a-z]{0,9}", 0..9),
            cut in 1_usize..7,
        ) {
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let pieces: Vec<Vec<u8>> = text.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
            let expected: Vec<_> =
                lines.iter().filter(|line| !line.is_empty()).map(|line| (line.clone().into_bytes(), false)).collect();
            prop_assert_eq!(split(&pieces), expected);
        }
    }
}
