//! What `[log]` can say. `None` is "not said".

use std::path::PathBuf;
use std::time::Duration;

use super::plain;
use crate::fields::Fields;
use crate::problem::Problems;
use crate::{ByteSize, LogLevel, leaf};

/// The `[log]` of a file.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) size: Option<ByteSize>,
    pub(crate) age: Option<Duration>,
    pub(crate) keep: Option<u32>,
    pub(crate) level: Option<LogLevel>,
}

impl Log {
    pub(super) fn read(fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        Self {
            dir: plain(fields.read("dir", leaf::path, problems)),
            size: plain(fields.read("size", leaf::size(crate::Log::SIZE), problems)),
            age: plain(fields.read("age", leaf::duration(crate::Log::AGE), problems)),
            keep: plain(fields.read("keep", leaf::files_kept, problems)).map(u32::from),
            level: plain(fields.read("level", leaf::level, problems)),
        }
    }
}
