//! The calls: many threads, one client.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;
use speedysvc::{CallError, Code, Error, Outcome};
use thumbnail::{Fit, ThumbnailClient, ThumbnailError};

use crate::find::Picture;

/// How often a call is made that finds no service. The client itself has tried for a second by then, when it was
/// connected before; services under a supervisor are back soon.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// What all threads share.
pub(crate) struct Work<'a> {
    pub(crate) client: &'a ThumbnailClient,
    pub(crate) fit: Fit,
    /// Whether to do each again here, and compare.
    pub(crate) verify: bool,
    pub(crate) out: &'a Path,
    pub(crate) bar: &'a ProgressBar,
}

/// What became of the pictures.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Tally {
    pub(crate) made: usize,
    pub(crate) failed: usize,
    /// Sizes of those that were made.
    pub(crate) bytes: u64,
    /// The service went away.
    pub(crate) is_gone: bool,
}

/// Why a picture has no thumbnail.
enum Problem {
    Read(io::Error),
    Write(io::Error),
    /// The service looked at it.
    Picture(ThumbnailError),
    /// The call failed; with the picture's size, which may be why.
    Call(Error, usize),
    Differs,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Write(error) => write!(f, "its thumbnail cannot be written: {error}"),
            Self::Picture(error) => error.fmt(f),
            Self::Call(error, size) => write!(f, "the call with its {size} bytes failed: {error}"),
            Self::Differs => f.write_str("the service's answer is not that of the same function in this process"),
        }
    }
}

impl Work<'_> {
    /// Makes all thumbnails, with so many calls at once. What fails is said at once, and the rest go on; only without a
    /// service they cannot.
    pub(crate) fn all(&self, pictures: &[Picture], jobs: usize) -> Tally {
        let next = AtomicUsize::new(0);
        let is_gone = AtomicBool::new(false);
        let worker = || {
            let mut tally = Tally::default();
            while !is_gone.load(Ordering::Relaxed) {
                let Some(picture) = pictures.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                if self.count(picture, &mut tally) {
                    is_gone.store(true, Ordering::Relaxed);
                }
                self.bar.inc(1);
            }
            tally
        };
        let mut tally = thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs.min(pictures.len())).map(|_| scope.spawn(worker)).collect();
            let tallies = threads.into_iter().map(|thread| {
                // A panic here is a bug here, and already has its text.
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            tallies.fold(Tally::default(), Tally::plus)
        });
        let left = pictures.len() - tally.made - tally.failed;
        if left > 0 {
            self.bar.suspend(|| eprintln!("{left} more were not tried: the service is gone"));
            tally.failed += left;
        }
        tally
    }

    /// One picture; whether the service is gone.
    fn count(&self, picture: &Picture, tally: &mut Tally) -> bool {
        match self.one(picture) {
            Ok(bytes) => {
                tally.made += 1;
                tally.bytes += bytes;
                false
            }
            Err(problem) => {
                tally.failed += 1;
                self.bar.suspend(|| eprintln!("{}: {problem}", picture.path.display()));
                let is_gone = matches!(&problem, Problem::Call(error, _) if finds_nobody(error));
                tally.is_gone |= is_gone;
                is_gone
            }
        }
    }

    /// One picture; gives its size.
    fn one(&self, picture: &Picture) -> Result<u64, Problem> {
        let image = fs::read(&picture.path).map_err(Problem::Read)?;
        let answer = self.call(&image).map_err(|error| Problem::Call(error, image.len()))?;
        if self.verify && answer != thumbnail::make(&image, self.fit) {
            return Err(Problem::Differs);
        }
        let path = picture.thumbnail_in(self.out);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(Problem::Write)?;
        }
        fs::write(path, answer.map_err(Problem::Picture)?).map_err(Problem::Write)?;
        Ok(image.len() as u64)
    }

    /// What the service says. A call that surely did not start is made again.
    fn call(&self, image: &[u8]) -> Result<Result<Vec<u8>, ThumbnailError>, Error> {
        let mut tries = 1;
        loop {
            match self.client.thumbnail(image, self.fit) {
                Ok(thumbnail) => return Ok(Ok(thumbnail)),
                Err(CallError::App(error)) => return Ok(Err(error)),
                Err(CallError::Rpc(error)) if tries == TRIES || !finds_nobody(&error) => return Err(error),
                Err(CallError::Rpc(_)) => {
                    tries += 1;
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}

fn finds_nobody(error: &Error) -> bool {
    error.code() == Code::Unavailable && error.outcome() == Outcome::NotStarted
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            made: self.made + other.made,
            failed: self.failed + other.failed,
            bytes: self.bytes + other.bytes,
            is_gone: self.is_gone || other.is_gone,
        }
    }
}
