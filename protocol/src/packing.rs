//! Bodies made smaller, and checked and made whole again. Pure; memory is the caller's, and its bounds come first.
//!
//! What arrives compressed says how large it will be, and is written into just so much room: never more, whatever the
//! bytes say. How much room that may be, for so few bytes, is a rule of the frame's header ([`crate::frame`]).

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::{self, CompressTable};

use crate::archive::Buffer;
use crate::frame::{self, BadFrame, Header};
use crate::limits::{COMPRESS_FROM, COMPRESS_SAMPLE, FRAME_HEADER, expands_to};
use crate::wire::{Compression, Wire};

/// Compressing saves at least an eighth, or is left alone: below, the receiver's work is worth more than the bytes.
const SAVED: usize = 8;

/// Compresses, with tables kept from call to call.
pub struct Packer {
    /// For inputs below 64 KiB, whose positions fit 16 bits, and for all others: one grows into the other for good.
    lz4: (CompressTable, CompressTable),
    snappy: snap::raw::Encoder,
    /// A quarter of a MiB: made when it is needed.
    zlib: Option<Box<Compress>>,
    sample: Buffer,
}

impl Default for Packer {
    fn default() -> Self {
        let lz4 = (CompressTable::small(), CompressTable::large());
        Self { lz4, snappy: snap::raw::Encoder::new(), zlib: None, sample: Buffer::new(0) }
    }
}

impl Packer {
    /// Compresses `body` into `out`. `false` when that is not worth while: it is short, does not shrink (judged by a
    /// piece of it when it is long), or shrinks so well that the receiver would have to suspect it.
    pub fn pack(&mut self, how: Compression, body: &[u8], out: &mut Buffer) -> bool {
        if body.len() < COMPRESS_FROM {
            return false;
        }
        if body.len() > COMPRESS_SAMPLE * 4 {
            // From the middle: the beginning of a message is often unlike the rest of it.
            let begin = (body.len() - COMPRESS_SAMPLE) / 2;
            let mut sample = std::mem::replace(&mut self.sample, Buffer::new(0));
            let shrinks = self.shrink(how, &body[begin..begin + COMPRESS_SAMPLE], &mut sample);
            self.sample = sample;
            if !shrinks {
                return false;
            }
        }
        self.shrink(how, body, out) && body.len() <= expands_to(out.as_slice().len())
    }

    fn shrink(&mut self, how: Compression, body: &[u8], out: &mut Buffer) -> bool {
        let enough = body.len() - body.len() / SAVED;
        let most = match how {
            Compression::Lz4 => block::get_maximum_output_size(body.len()),
            Compression::Snappy => snap::raw::max_compress_len(body.len()),
            Compression::Zlib => enough,
        };
        out.set_limit(most);
        let Ok(room) = out.room(most) else { return false };
        let packed = match how {
            Compression::Lz4 if body.len() < usize::from(u16::MAX) => {
                block::compress_into_with_table(body, room, &mut self.lz4.0).ok()
            }
            Compression::Lz4 => block::compress_into_with_table(body, room, &mut self.lz4.1).ok(),
            Compression::Snappy => self.snappy.compress(body, room).ok(),
            Compression::Zlib => self.deflate(body, room),
        };
        // Shorter than the room that it has.
        packed.is_some_and(|len| len <= enough && out.room(len).is_ok())
    }

    fn deflate(&mut self, body: &[u8], room: &mut [u8]) -> Option<usize> {
        let zlib = self.zlib.get_or_insert_with(|| Box::new(Compress::new(flate2::Compression::fast(), true)));
        zlib.reset();
        let status = zlib.compress(body, room, FlushCompress::Finish).ok()?;
        (status == Status::StreamEnd).then(|| usize::try_from(zlib.total_out()).ok())?
    }
}

/// Makes bodies whole again, with tables kept from call to call.
#[derive(Default)]
pub struct Unpacker {
    snappy: snap::raw::Decoder,
    /// Made when it is needed.
    zlib: Option<Box<Decompress>>,
}

impl Unpacker {
    /// Decompresses the body of a frame that was sent in `sent` bytes; `out` has just the length that its header says.
    ///
    /// # Errors
    /// [`BadFrame::Body`] when these bytes do not come to just that. `out` may hold anything then.
    pub fn unpack(&mut self, how: Compression, sent: &[u8], out: &mut [u8]) -> Result<(), BadFrame> {
        let whole = match how {
            Compression::Lz4 => block::decompress_into(sent, out).is_ok_and(|len| len == out.len()),
            // It would refuse room that is too small; too large is no error there.
            Compression::Snappy => self.snappy.decompress(sent, out).is_ok_and(|len| len == out.len()),
            Compression::Zlib => self.inflate(sent, out),
        };
        if whole { Ok(()) } else { Err(BadFrame::Body) }
    }

    fn inflate(&mut self, sent: &[u8], out: &mut [u8]) -> bool {
        let zlib = self.zlib.get_or_insert_with(|| Box::new(Decompress::new(true)));
        zlib.reset(true);
        let ended = zlib.decompress(sent, out, FlushDecompress::Finish).is_ok_and(|status| status == Status::StreamEnd);
        ended && zlib.total_in() == sent.len() as u64 && zlib.total_out() == out.len() as u64
    }
}

/// Judges a whole frame by what was agreed, before anything of its body is used.
///
/// # Errors
/// [`BadFrame`] when it carries what was not agreed, or is not what was sent.
pub fn check(head: &[u8; FRAME_HEADER], header: &Header, sent: &[u8], wire: Wire) -> Result<(), BadFrame> {
    header.within(wire)?;
    if header.checksum.is_some() { frame::verify(head, sent) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(len: usize) -> Vec<u8> {
        let words =
            (0_u32..).map(|n| format!("{{\"id\": {n}, \"name\": \"user{}\"}}, ", n.wrapping_mul(2_654_435_761)));
        words.flat_map(String::into_bytes).take(len).collect()
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(state >> 56).expect("eight bits")
        };
        (0..len).map(|_| next()).collect()
    }

    fn unpacked(how: Compression, sent: &[u8], len: usize) -> Result<Vec<u8>, BadFrame> {
        let mut out = vec![0; len];
        Unpacker::default().unpack(how, sent, &mut out).map(|()| out)
    }

    #[test]
    fn text_shrinks_and_comes_back_at_every_size() {
        for how in Compression::ALL {
            let (mut packer, mut unpacker, mut out) = (Packer::default(), Unpacker::default(), Buffer::new(0));
            // Up and down again: the same tables, whatever they have seen.
            for len in [860, 1024, 65_534, 65_535, 65_536, 1 << 20, 4096, 860] {
                let body = text(len);
                assert!(packer.pack(how, &body, &mut out), "{how:?} {len}");
                assert!(out.as_slice().len() < len * 7 / 8, "{how:?} {len}: {}", out.as_slice().len());
                let mut back = vec![1; len];
                unpacker.unpack(how, out.as_slice(), &mut back).unwrap();
                assert!(back == body, "{how:?} {len}");
            }
        }
    }

    #[test]
    fn what_is_short_or_does_not_shrink_is_left_alone() {
        for how in Compression::ALL {
            let (mut packer, mut out) = (Packer::default(), Buffer::new(0));
            assert!(!packer.pack(how, &text(COMPRESS_FROM - 1), &mut out));
            for len in [860, 10_000, 100_000] {
                assert!(!packer.pack(how, &noise(len), &mut out), "{how:?} {len}");
            }
            // Judged by its middle.
            let mut mixed = text(200_000);
            mixed[50_000..150_000].copy_from_slice(&noise(100_000));
            assert!(!packer.pack(how, &mixed, &mut out), "{how:?}");
        }
    }

    /// No sender of ours may be taken for a bomb.
    #[test]
    fn nothing_is_sent_that_a_receiver_would_refuse() {
        for how in Compression::ALL {
            let (mut packer, mut out) = (Packer::default(), Buffer::new(0));
            for len in [1 << 14, 1 << 20, 16 << 20] {
                let packed = packer.pack(how, &vec![0; len], &mut out);
                assert!(!packed || len <= expands_to(out.as_slice().len()), "{how:?} {len}");
            }
        }
    }

    /// Fault row C6: what says less or more than it is, ends early, or has something behind its end.
    #[test]
    fn another_length_than_announced_is_refused_and_nothing_is_written_beyond_it() {
        for how in Compression::ALL {
            let (mut out, body) = (Buffer::new(0), text(50_000));
            assert!(Packer::default().pack(how, &body, &mut out));
            let sent = out.as_slice();
            for len in [0, 1, 49_999, 50_001, 100_000] {
                assert_eq!(unpacked(how, sent, len), Err(BadFrame::Body), "{how:?} {len}");
            }
            for cut in [0, 1, sent.len() / 2, sent.len() - 1] {
                assert_eq!(unpacked(how, &sent[..cut], 50_000), Err(BadFrame::Body), "{how:?} cut at {cut}");
            }
            assert_eq!(unpacked(how, &[sent, &[0; 9]].concat(), 50_000), Err(BadFrame::Body), "{how:?} and more");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..3000), len in 0_usize..5000) {
            for how in Compression::ALL {
                let _judged = unpacked(how, &bytes, len).is_ok();
                let mut out = Buffer::new(0);
                if Packer::default().pack(how, &bytes, &mut out) {
                    let back = unpacked(how, out.as_slice(), bytes.len());
                    prop_assert_eq!(back.as_ref(), Ok(&bytes));
                }
            }
        }
    }
}
