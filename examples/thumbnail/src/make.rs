//! The job itself, without any service: bytes in, bytes out.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};

use crate::{Fit, Pixels, ThumbnailError, jpeg};

/// How many pixels a picture may have: more than any camera's, and few enough to be held in memory.
pub const PIXELS_MAX: u64 = 100_000_000;
/// How wide and high a JPEG file can be.
pub const SIDE_MAX: u32 = 65_535;
/// The most that a pixel takes: four channels of 16 bits.
const PIXEL_BYTES: u64 = 8;

/// Makes a thumbnail: the function behind the service, for callers who would rather do it themselves.
///
/// The picture is turned as its camera was held, shrunk when it is larger than the box, and laid on white where it is
/// transparent. Colour profiles are not kept.
///
/// # Errors
/// [`ThumbnailError`], which says whose fault it is.
pub fn make(image: &[u8], fit: Fit) -> Result<Vec<u8>, ThumbnailError> {
    check(fit)?;
    let mut decoder = open(image)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(ThumbnailError::TooLarge(Pixels { width, height, limit: PIXELS_MAX }));
    }
    // A picture whose notes cannot be read is a picture still.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| unread(error, width, height))?;
    let (small_width, small_height) = shrunk((width, height), upright_box(fit, orientation));
    let mut picture = opaque(picture);
    if (small_width, small_height) != (width, height) {
        picture = picture.thumbnail_exact(small_width, small_height);
    }
    // Last, because it is less work then.
    picture.apply_orientation(orientation);
    encode(picture, fit.quality)
}

fn check(fit: Fit) -> Result<(), ThumbnailError> {
    let Fit { width, height, quality } = fit;
    let why = if !(1..=SIDE_MAX).contains(&width) || !(1..=SIDE_MAX).contains(&height) {
        format!("the box is {width} x {height}; each side is 1 to {SIDE_MAX}")
    } else if !(1..=100).contains(&quality) {
        format!("the quality is {quality}; it is 1 to 100")
    } else {
        return Ok(());
    };
    Err(ThumbnailError::BadFit(why))
}

fn open(file: &[u8]) -> Result<impl ImageDecoder, ThumbnailError> {
    if file.is_empty() {
        return Err(broken("it is empty"));
    }
    let mut reader =
        ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|error| broken(error.to_string()))?;
    match reader.format() {
        Some(ImageFormat::Png) => {}
        Some(ImageFormat::Jpeg) if jpeg::is_whole(file) => {}
        Some(ImageFormat::Jpeg) => return Err(broken("it ends before its end: part of the file is missing")),
        Some(other) => return Err(unsupported(format!("it is {other:?}"))),
        None => return Err(unsupported("it begins like no picture")),
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(PIXELS_MAX * PIXEL_BYTES);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| unread(error, 0, 0))
}

fn broken(why: impl Into<String>) -> ThumbnailError {
    // Decoders end some of their texts with a new line.
    ThumbnailError::Broken(why.into().trim_end().to_owned())
}

fn unsupported(found: impl Into<String>) -> ThumbnailError {
    ThumbnailError::UnsupportedFormat(found.into())
}

fn unread(error: ImageError, width: u32, height: u32) -> ThumbnailError {
    match error {
        ImageError::Limits(_) => ThumbnailError::TooLarge(Pixels { width, height, limit: PIXELS_MAX }),
        ImageError::Unsupported(error) => unsupported(error.to_string()),
        error => broken(error.to_string()),
    }
}

/// The box as the picture lies in its file, before it is turned.
fn upright_box(fit: Fit, orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH => {
            (fit.height, fit.width)
        }
        _ => (fit.width, fit.height),
    }
}

/// The largest size of the same shape that fits into the box, but never larger than it was.
fn shrunk((width, height): (u32, u32), (box_width, box_height): (u32, u32)) -> (u32, u32) {
    if width <= box_width && height <= box_height {
        return (width, height);
    }
    // Rounded, and at least 1 for pictures like a hair. The product of two sides fits into 64 bits.
    let scaled = |side: u32, by: u32, of: u32| {
        let rounded = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of);
        u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
    };
    if u64::from(width) * u64::from(box_height) > u64::from(height) * u64::from(box_width) {
        (box_width, scaled(height, box_width, width).min(box_height))
    } else {
        (scaled(width, box_height, height).min(box_width), box_height)
    }
}

/// JPEG knows no transparency. What is transparent is laid on white before it is shrunk: colours that were not to be
/// seen must not shine through at the edges.
fn opaque(picture: DynamicImage) -> DynamicImage {
    if !picture.color().has_alpha() {
        return picture;
    }
    let from: RgbaImage = picture.into_rgba8();
    let mut onto = RgbImage::new(from.width(), from.height());
    for (to, from) in onto.pixels_mut().zip(from.pixels()) {
        let [colours @ .., alpha] = from.0;
        to.0 = colours.map(|colour| over_white(colour, alpha));
    }
    DynamicImage::ImageRgb8(onto)
}

fn over_white(colour: u8, alpha: u8) -> u8 {
    let mixed = u16::from(colour) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
    u8::try_from((mixed + 127) / 255).unwrap_or(u8::MAX)
}

fn encode(picture: DynamicImage, quality: u8) -> Result<Vec<u8>, ThumbnailError> {
    let picture = match picture {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) => picture,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(picture.into_luma8()),
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    };
    let mut file = Vec::new();
    let written = picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality));
    written.map_err(|error| ThumbnailError::Failed(error.to_string()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_shape_and_are_never_nothing() {
        for (picture, fit, expected) in [
            ((512, 600), (256, 256), (218, 256)),
            ((600, 512), (256, 256), (256, 218)),
            ((100, 50), (256, 256), (100, 50)),
            ((256, 256), (256, 256), (256, 256)),
            ((65_535, 1), (10, 10), (10, 1)),
            ((1, 65_535), (65_535, 10), (1, 10)),
            ((u32::MAX, u32::MAX), (1, 65_535), (1, 1)),
        ] {
            assert_eq!(shrunk(picture, fit), expected, "{picture:?} into {fit:?}");
        }
    }

    #[test]
    fn transparent_is_white() {
        assert_eq!((over_white(0, 0), over_white(9, 255), over_white(0, 128)), (255, 9, 127));
    }

    #[test]
    fn a_fit_is_checked_first() {
        for (width, height, quality, why) in [
            (0, 9, 85, "the box is 0 x 9"),
            (9, 0, 85, "the box is 9 x 0"),
            (65_536, 9, 85, "the box is 65536 x 9"),
            (9, 9, 0, "the quality is 0"),
            (9, 9, 101, "the quality is 101"),
        ] {
            let error = make(b"", Fit { width, height, quality }).unwrap_err();
            assert!(error.to_string().contains(why) && error.is_callers(), "{error}");
        }
    }
}
