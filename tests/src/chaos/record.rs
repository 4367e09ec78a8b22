//! What the handlers write down: one line of fixed size for each run, appended in one write, before the reply.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use super::plan::mix;

/// A power of two: no line lies across two pages, where a kill could cut the kernel's copying in two.
pub const LINE: usize = 32;

/// One run of a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// Of the call.
    pub id: u64,
    /// The worker that ran it.
    pub pid: u32,
    /// Of the payload as the handler saw it.
    pub checksum: u64,
}

impl Record {
    fn to_line(self) -> [u8; LINE] {
        let mut line = [0; LINE];
        line[..8].copy_from_slice(&self.id.to_le_bytes());
        line[8..16].copy_from_slice(&u64::from(self.pid).to_le_bytes());
        line[16..24].copy_from_slice(&self.checksum.to_le_bytes());
        line[24..].copy_from_slice(&self.seal().to_le_bytes());
        line
    }

    fn of_line(line: &[u8; LINE]) -> Option<Self> {
        let word = |place: usize| {
            let (words, _) = line.as_chunks::<8>();
            u64::from_le_bytes(words[place])
        };
        let record = Self { id: word(0), pid: u32::try_from(word(1)).ok()?, checksum: word(2) };
        (record.seal() == word(3)).then_some(record)
    }

    /// Tells a whole line from a torn one.
    fn seal(self) -> u64 {
        mix(mix(self.id, self.pid.into()), self.checksum)
    }
}

/// Where a worker writes.
#[derive(Debug)]
pub struct Recorder(File);

impl Recorder {
    /// Opens the record for appending.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).open(path).map(Self)
    }

    /// Writes a line in one system call: what a killed worker has written is whole.
    ///
    /// # Errors
    /// When it is not written whole.
    pub fn append(&self, record: Record) -> io::Result<()> {
        match (&self.0).write(&record.to_line())? {
            LINE => Ok(()),
            short => Err(io::Error::other(format!("{short} of {LINE} bytes were written"))),
        }
    }
}

/// Reads the whole record.
///
/// # Errors
/// When it cannot be read, or a line of it is torn.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let (lines, rest) = bytes.as_chunks::<LINE>();
    let torn = |place: usize| io::Error::other(format!("line {place} of {} is torn", path.display()));
    let records = lines.iter().enumerate().map(|(place, line)| Record::of_line(line).ok_or_else(|| torn(place)));
    let records = records.collect::<io::Result<Vec<Record>>>()?;
    if rest.is_empty() { Ok(records) } else { Err(torn(lines.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_and_torn_ones_do_not() {
        let record = Record { id: 1 << 40, pid: 77, checksum: u64::MAX };
        let line = record.to_line();
        assert_eq!(Record::of_line(&line), Some(record));
        for place in 0..LINE {
            let mut torn = line;
            torn[place] ^= 0x10;
            assert_eq!(Record::of_line(&torn), None, "{place}");
        }
        assert_eq!(Record::of_line(&[0; LINE]), None, "a hole in the file is no run of call 0");
    }
}
