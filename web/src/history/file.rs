//! How the history is kept over a restart: one file, replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::level::Frame;
use super::{BYTES_MAX, History, MINUTE, NAMES_MAX, Series};

/// Which layout this is; a file of another is as good as none.
const LAYOUT: u32 = 1;
/// No history of ours is longer: both levels, and what surrounds their samples.
const FILE_MAX: u64 = 4 * BYTES_MAX as u64;

#[derive(Serialize, Deserialize)]
struct Saved {
    layout: u32,
    names: Vec<(String, Option<String>)>,
    seconds: Vec<Frame>,
    minutes: Vec<Frame>,
}

impl History {
    /// As bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let minutes = self.minutes.frames().iter().cloned().collect();
        let names = self.names.iter().map(|series| (series.service.clone(), series.method.clone())).collect();
        let seconds = self.seconds.frames().iter().cloned().collect();
        rmp_serde::to_vec(&Saved { layout: LAYOUT, names, seconds, minutes }).unwrap_or_default()
    }

    /// From bytes of [`History::to_bytes`]; `None` when they are none, or of another version.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let saved: Saved = rmp_serde::from_slice(bytes).ok().filter(|saved: &Saved| saved.layout == LAYOUT)?;
        let mut history = Self::default();
        for (service, method) in saved.names.into_iter().take(NAMES_MAX) {
            history.number(Series { service, method })?;
        }
        let known = history.names.len();
        let is_sound = |frame: &Frame| {
            let numbers: Vec<u32> = frame.samples.iter().map(|(number, _)| *number).collect();
            numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|number| (*number as usize) < known)
        };
        saved.seconds.into_iter().filter(is_sound).for_each(|frame| history.seconds.push(frame));
        saved.minutes.into_iter().filter(is_sound).for_each(|frame| history.minutes.push(frame));
        history.minute = history.seconds.newest().map_or(0, |newest| newest - newest % MINUTE);
        Some(history)
    }

    /// Reads a file; a new history when there is none, with a sentence when there is one that cannot be used.
    pub(crate) fn load(path: &Path) -> (Self, Option<String>) {
        let read = fs::metadata(path).and_then(|about| match about.len() {
            length if length > FILE_MAX => Err(io::Error::other("it is too long")),
            _ => fs::read(path),
        });
        match read {
            Ok(bytes) => match Self::from_bytes(&bytes) {
                Some(history) => (history, None),
                None => (Self::default(), Some(format!("{} holds no history of this version", path.display()))),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Self::default(), None),
            Err(error) => (Self::default(), Some(format!("cannot read {}: {error}", path.display()))),
        }
    }
}

/// Replaces a file; whoever reads it finds the old or the new one whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let write = || {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        // What is half written is of no use; there may be nothing at all.
        fs::remove_file(&new).ok();
    })
}
