//! Standard error behind a thread: a terminal that stands still, or a pipe that nobody reads, costs lines and no time.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Most pieces of text that wait to be written.
const QUEUE: usize = 4096;
/// How long the end waits for what is left: whoever reads does so at once, or never.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A writer that never waits.
pub(crate) struct Detached {
    queue: Option<SyncSender<Vec<u8>>>,
    ended: Receiver<()>,
    lost: Arc<AtomicU64>,
}

impl Detached {
    /// What is written goes to `out`, in a thread of its own. What finds no room is counted in `lost`.
    pub(crate) fn new(mut out: impl Write + Send + 'static, lost: Arc<AtomicU64>) -> io::Result<Self> {
        let (queue, texts) = sync_channel::<Vec<u8>>(QUEUE);
        let (ending, ended) = sync_channel(1);
        thread::Builder::new().name("speedysvc-stderr".to_owned()).spawn(move || {
            for text in texts {
                // Nobody listens any more: no reason to stop serving.
                out.write_all(&text).and_then(|()| out.flush()).ok();
            }
            // Whoever waited has gone when this fails.
            ending.send(()).ok();
        })?;
        Ok(Self { queue: Some(queue), ended, lost })
    }
}

impl Write for Detached {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(text.to_vec()).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        self.queue = None;
        // If it takes longer, somebody holds the other end and does not read.
        self.ended.recv_timeout(LAST_WORDS).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_reader_that_does_not_read_costs_lines_only() {
        let (mut reader, writer) = io::pipe().unwrap();
        let lost = Arc::default();
        let mut detached = Detached::new(writer, Arc::clone(&lost)).unwrap();
        let line = [b'x'; 1024];
        for _ in 0..2 * QUEUE {
            detached.write_all(&line).unwrap();
        }
        assert!(lost.load(Ordering::Relaxed) > 0);
        // And it goes on when somebody reads.
        let reading = thread::spawn(move || reader.read_to_end(&mut Vec::new()).unwrap());
        drop(detached);
        let read = reading.join().unwrap() / line.len();
        assert_eq!(read as u64 + lost.load(Ordering::Relaxed), 2 * QUEUE as u64);
    }
}
