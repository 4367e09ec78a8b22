//! Frames that are compressed and have checksums, read as both ends read them.

use speedysvc_protocol::archive::Buffer;
use speedysvc_protocol::frame::{self, BadFrame, Header, Kind, Sent};
use speedysvc_protocol::ids::{CallId, Codec, MethodId};
use speedysvc_protocol::limits::FRAME_HEADER;
use speedysvc_protocol::packing::{self, Packer, Unpacker};
use speedysvc_protocol::wire::{Compression, Wire};

/// As a service's: what is larger is refused by the header.
const LIMIT: usize = 1 << 20;

pub fn target(data: &[u8]) {
    let Some((&choice, data)) = data.split_first() else { return };
    let how = Compression::ALL[usize::from(choice) % 3];
    let wire = Wire { compression: Some(how), checksum: choice & 0x80 != 0, trace: false };
    read_on(data, wire);
    comes_back_unless_it_was_changed(choice, data, how);
}

/// What the reader of a connection does with a whole frame: its body, and how many bytes it took.
fn read(bytes: &[u8], wire: Wire) -> Result<Option<(Header, Vec<u8>, usize)>, BadFrame> {
    let Some(header) = frame::peek(bytes)? else { return Ok(None) };
    header.within(wire)?;
    if header.full_len as usize > LIMIT {
        return Ok(None);
    }
    let ends = FRAME_HEADER + header.body_len as usize;
    let (Some(sent), Some(head)) = (bytes.get(FRAME_HEADER..ends), bytes.first_chunk()) else { return Ok(None) };
    packing::check(head, &header, sent, wire)?;
    let mut body = vec![0x5A; header.full_len as usize];
    match wire.compression.filter(|_| header.is_compressed()) {
        Some(how) => Unpacker::default().unpack(how, sent, &mut body)?,
        None => body.copy_from_slice(sent),
    }
    Ok(Some((header, body, ends)))
}

/// Whatever comes is read or refused. What is refused before anything was agreed is never accepted after.
fn read_on(mut data: &[u8], wire: Wire) {
    while let Ok(Some((header, body, ends))) = read(data, wire) {
        assert_eq!(body.len(), header.full_len as usize);
        let plain = read(data, Wire::default());
        assert_eq!(plain.is_ok(), !header.is_compressed() && header.checksum.is_none());
        data = &data[ends..];
    }
}

fn comes_back_unless_it_was_changed(choice: u8, body: &[u8], how: Compression) {
    let mut packed = Buffer::new(0);
    let pays = Packer::default().pack(how, body, &mut packed);
    let sent = if pays { Sent { bytes: packed.as_slice(), full_len: body.len() } } else { Sent::plain(body) };
    let kind = Kind::Call { id: CallId(1), method: MethodId(2), codec: Codec::Json, left_us: 3 };
    let mut stream = Vec::new();
    frame::append_sent(&mut stream, kind, sent, true);
    let wire = Wire { compression: Some(how), checksum: true, trace: false };
    let (header, back, ends) = read(&stream, wire).expect("ours").expect("whole");
    assert_eq!((header.kind, ends), (kind, stream.len()));
    assert!(back == body, "it came back changed");
    // A byte that is not what it was: never the same call with another body.
    let at = usize::from(choice) * 31 % stream.len();
    stream[at] ^= choice | 1;
    if let Ok(Some((header, body, _))) = read(&stream, wire) {
        panic!("byte {at} was changed, and it is read as {header:?} with {} bytes", body.len());
    }
}
