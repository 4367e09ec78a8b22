//! Whether a JPEG file is all there. The decoder fills what is missing with grey and says nothing.

const END: u8 = 0xD9;

/// Walks the markers to the end of the picture. What comes after that does not matter: phones put films there.
pub(crate) fn is_whole(file: &[u8]) -> bool {
    let mut rest = file;
    loop {
        let Some((marker, after)) = next_marker(rest) else { return false };
        rest = match marker {
            END => return true,
            // Markers without a body.
            0x01 | 0xD0..=0xD8 => after,
            _ => match after {
                [high, low, ..] => after.get(usize::from(u16::from_be_bytes([*high, *low])).max(2)..).unwrap_or(&[]),
                _ => return false,
            },
        };
    }
}

/// The next marker and what follows it. Pixels may lie before it; in them a zero follows each 0xFF, and before a marker
/// there may be more than one 0xFF.
fn next_marker(mut rest: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = rest.iter().position(|byte| *byte == 0xFF)?;
        match &rest[at + 1..] {
            [] => return None,
            [0, after @ ..] => rest = after,
            [0xFF, ..] => rest = &rest[at + 1..],
            [marker, after @ ..] => return Some((*marker, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Start, a comment that holds an end, a scan with a stuffed 0xFF and a restart, fill bytes, end.
    const FILE: &[u8] = b"\xFF\xD8\xFF\xFE\0\x04\xFF\xD9\xFF\xDA\0\x03\x01pix\xFF\0els\xFF\xD0more\xFF\xFF\xFF\xD9";

    #[test]
    fn only_all_of_it_is_whole() {
        assert!(is_whole(FILE));
        assert!(is_whole(&[FILE, b"and a film"].concat()));
        for length in 0..FILE.len() {
            assert!(!is_whole(&FILE[..length]), "{length} bytes");
        }
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        assert!(!is_whole(b"\xFF\xD8\xFF\xE0\xFF\xFF\xFF\xD9"));
        assert!(is_whole(b"\xFF\xD8\xFF\xE0\0\0\xFF\xD9"));
    }
}
