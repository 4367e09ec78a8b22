//! The service of the example, hosted in the test's own process, and the pictures.

use std::path::{Path, PathBuf};

use speedysvc::{Running, Server};
use tempfile::TempDir;
use thumbnail::{Fit, Thumbnail, ThumbnailError};

pub const FIT: Fit = Fit { width: 100, height: 80, quality: 85 };

struct Maker;

#[speedysvc::service]
impl Thumbnail for Maker {
    fn thumbnail(&self, image: &[u8], fit: Fit) -> Result<Vec<u8>, ThumbnailError> {
        thumbnail::make(image, fit)
    }
}

pub struct Host {
    running: Running,
    _folder: TempDir,
}

impl Host {
    /// With this limit for messages, in bytes.
    pub fn start(message_max: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::new(Maker).folder(folder.path()).listen("tcp://127.0.0.1:0");
        Self { running: server.message_max(message_max, message_max).start().unwrap(), _folder: folder }
    }

    /// Over shared memory and over TCP.
    pub fn addresses(&self) -> Vec<String> {
        self.running.addresses().collect()
    }
}

pub fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures")
}

pub fn picture(name: &str) -> Vec<u8> {
    std::fs::read(pictures().join(name)).unwrap()
}
