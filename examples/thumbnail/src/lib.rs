//! Makes thumbnails of pictures in another process: a real job with real input.
#![forbid(unsafe_code)]

mod jpeg;
mod make;

use std::fmt;

pub use make::{PIXELS_MAX, SIDE_MAX, make};

/// Makes thumbnails.
#[speedysvc::service]
pub trait Thumbnail {
    /// Takes a JPEG or PNG file and gives a JPEG file that fits into a box. Small pictures are not enlarged.
    fn thumbnail(&self, image: &[u8], fit: Fit) -> Result<Vec<u8>, ThumbnailError>;
}

/// The box that a thumbnail fits into, and how well it is kept.
#[speedysvc::data]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fit {
    /// Largest width in pixels, from 1 to 65535.
    pub width: u32,
    /// Largest height in pixels, from 1 to 65535.
    pub height: u32,
    /// JPEG's quality, from 1 to 100.
    pub quality: u8,
}

/// Why there is no thumbnail. The texts say what was wrong, for people.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ThumbnailError {
    /// The caller's: the picture is neither JPEG nor PNG, or of a kind of them that is not known here.
    UnsupportedFormat(String),
    /// The caller's: the picture is damaged or not all there.
    Broken(String),
    /// The caller's: the picture would need too much memory. A small file can claim to be a huge picture.
    TooLarge(Pixels),
    /// The caller's: no thumbnail fits into such a box.
    BadFit(String),
    /// The service's: the picture was read, and the thumbnail could not be written.
    Failed(String),
}

/// How large a picture is, and how large it may be.
#[speedysvc::data]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pixels {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
    /// The most that width times height may be.
    pub limit: u64,
}

impl ThumbnailError {
    /// Whether another picture or box would help: the service did its part.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}

impl fmt::Display for ThumbnailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnsupportedFormat(found) => write!(f, "the picture is not supported: {found}; send JPEG or PNG"),
            Self::Broken(why) => write!(f, "the picture is broken: {why}"),
            Self::TooLarge(Pixels { width, height, limit }) => {
                write!(f, "the picture has {width} x {height} pixels, and the service takes {limit} in all")
            }
            Self::BadFit(why) => write!(f, "no thumbnail fits: {why}"),
            Self::Failed(why) => write!(f, "the service could not write the thumbnail: {why}"),
        }
    }
}

impl std::error::Error for ThumbnailError {}
