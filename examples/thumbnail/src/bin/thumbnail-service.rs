//! The service: run it alone, or let a supervisor start it.
#![forbid(unsafe_code)]

use thumbnail::{Fit, Thumbnail, ThumbnailError};

struct Maker;

#[speedysvc::service]
impl Thumbnail for Maker {
    fn thumbnail(&self, image: &[u8], fit: Fit) -> Result<Vec<u8>, ThumbnailError> {
        thumbnail::make(image, fit)
    }
}

fn main() -> std::process::ExitCode {
    speedysvc::serve(Maker)
}
