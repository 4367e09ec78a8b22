//! A granted buffer as a place to write an archive, so that a large reply is copied once less.

use std::sync::Arc;

use super::segment::Segment;
use crate::archive::Sink;
use crate::status::{Code, Failure};

/// The beginning of a granted buffer, as far as something has been written there.
///
/// Nothing reads it before the reply is published, and what a client does to its own memory meanwhile can only spoil
/// its own reply: bytes go in, and none of them is looked at again.
#[derive(Debug)]
pub struct Window {
    segment: Arc<Segment>,
    offset: u64,
    capacity: usize,
    written: usize,
}

impl Window {
    /// `capacity` bytes at `offset` of a segment, which has them.
    pub(super) fn new(segment: Arc<Segment>, offset: u64, capacity: usize) -> Self {
        Self { segment, offset, capacity, written: 0 }
    }
}

impl Sink for Window {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if bytes.len() > self.capacity - self.written {
            let message = format!("more than the {} bytes that were granted", self.capacity);
            return Err(Failure::done(Code::ResourceExhausted, message));
        }
        self.segment.copy_in(self.offset + self.written as u64, bytes);
        self.written += bytes.len();
        Ok(())
    }

    fn written(&self) -> usize {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive;
    use crate::shm::layout::{Geometry, Grant};
    use crate::shm::link::{ClientLink, LinkFiles, WorkerLink};

    #[test]
    fn an_archive_lies_where_its_reader_looks_and_one_too_large_is_refused() {
        let geometry = Geometry::new(1, 1 << 14).unwrap();
        let files = LinkFiles::create(geometry).unwrap();
        let client = ClientLink::map(geometry, &files.request, &files.reply_read_only).unwrap();
        let worker = WorkerLink::map(geometry, &files.request, &files.reply).unwrap();
        let grant = Grant { offset: 64, capacity: 256 };
        let value = (vec![7_u64; 20], "a text that is stored elsewhere".to_owned());
        client.copy_in(grant, &[0xff; 200]);
        assert_eq!(client.byte_string(grant, 200), None);
        let mut window = client.window(grant, 1 << 20);
        archive::encode_into(&vec![7_u8; 100], &mut window).unwrap();
        assert_eq!(client.byte_string(grant, window.written()), Some(vec![7; 100]));
        let mut window = worker.window(grant, 1 << 20);
        archive::encode_into(&value, &mut window).unwrap();
        let mut buffer = archive::Buffer::new(1024);
        client.copy_out(grant, buffer.room(window.written()).unwrap());
        assert_eq!(archive::decode::<(Vec<u64>, String)>(buffer.as_slice()).unwrap(), value);

        let failed = archive::encode_into(&vec![7_u64; 40], &mut worker.window(grant, 1 << 20)).unwrap_err();
        assert_eq!(failed.code, Code::Internal);
        assert!(archive::encode_into(&vec![7_u8; 200], &mut worker.window(grant, 100)).is_err(), "over the limit");
        let mut beyond = [0; 8];
        client.copy_out(Grant { offset: 64 + 256, capacity: 64 }, &mut beyond);
        assert_eq!(beyond, [0; 8]);
    }
}
