//! A disk that is soon full.

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Nothing in it is longer.
const FILLER_MAX: usize = 64 << 20;

/// A folder whose disk is small, and can be filled.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
    /// Why it is not a disk of its own.
    instead: Option<String>,
}

impl SmallDisk {
    /// Makes the folder, with so many KiB of room. Where mounting is not allowed the files of these names in it lead to
    /// `/dev/full`, on which there is never room; [`SmallDisk::about`] says so.
    ///
    /// # Panics
    /// When not even a folder can be made.
    #[must_use]
    pub fn at(folder: &Path, kib: u32, files: &[&str]) -> Self {
        fs::create_dir_all(folder).expect("a folder for a test can be made");
        let room = CString::new(format!("size={kib}k")).expect("it has no zero");
        let instead = match mount("speedysvc-test", folder, "tmpfs", MountFlags::empty(), room.as_c_str()) {
            Ok(()) => None,
            Err(error) => {
                for file in files {
                    symlink("/dev/full", folder.join(file)).expect("the folder is new");
                }
                Some(format!("mounting is not allowed here ({error}), so that its files lead to /dev/full"))
            }
        };
        Self { folder: folder.to_owned(), instead }
    }

    /// What kind of disk it is, in words.
    #[must_use]
    pub fn about(&self) -> &str {
        self.instead.as_deref().unwrap_or("a small tmpfs")
    }

    /// Whether it can be emptied again.
    #[must_use]
    pub fn is_a_disk(&self) -> bool {
        self.instead.is_none()
    }

    /// Leaves no room on it.
    pub fn fill(&self) {
        if self.is_a_disk() {
            let filler = fs::File::create(self.folder.join("filler"));
            // That there is no room left is the aim.
            filler.and_then(|mut file| file.write_all(&vec![0; FILLER_MAX])).ok();
        }
    }

    /// Gives the room back.
    pub fn empty(&self) {
        fs::remove_file(self.folder.join("filler")).ok();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_a_disk() {
            // An engine that is still running keeps it until its end.
            unmount(&self.folder, UnmountFlags::DETACH).ok();
        }
    }
}
