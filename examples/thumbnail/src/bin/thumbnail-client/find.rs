//! Which pictures there are, and where their thumbnails go.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A picture to be made small.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Picture {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its path within the folder.
    pub(crate) name: PathBuf,
}

impl Picture {
    /// The thumbnail's path. The old extension stays, so that a.jpg and a.png both have one.
    pub(crate) fn thumbnail_in(&self, out: &Path) -> PathBuf {
        let mut path = OsString::from(out.join(&self.name));
        path.push(".jpg");
        path.into()
    }
}

/// What a search found.
#[derive(Default, Debug)]
pub(crate) struct Found {
    /// In the order of their paths.
    pub(crate) pictures: Vec<Picture>,
    /// What could not be looked at.
    pub(crate) problems: Vec<String>,
}

/// Looks for pictures, but not in `out`: thumbnails of thumbnails are nobody's wish.
///
/// # Errors
/// When the folder itself cannot be read.
pub(crate) fn pictures(folder: &Path, out: &Path, recursive: bool) -> io::Result<Found> {
    let out = fs::canonicalize(out).ok();
    let mut found = Found::default();
    let mut folders = vec![PathBuf::new()];
    while let Some(name) = folders.pop() {
        let path = folder.join(&name);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if name.as_os_str().is_empty() => return Err(error),
            Err(error) => {
                found.problems.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        for entry in entries {
            let entry = entry?;
            let name = name.join(entry.file_name());
            // Links to folders are not followed: they may lead back.
            if entry.file_type()?.is_dir() {
                let is_out = out.is_some() && fs::canonicalize(entry.path()).ok() == out;
                if recursive && !is_out {
                    folders.push(name);
                }
            } else if is_picture(&name) {
                found.pictures.push(Picture { path: entry.path(), name });
            }
        }
    }
    found.pictures.sort();
    Ok(found)
}

fn is_picture(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_known_by_their_names() {
        for (name, expected) in [("a.jpg", true), ("a.JPEG", true), ("a.b.Png", true), ("png", false), ("a.gif", false)]
        {
            assert_eq!(is_picture(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn thumbnails_of_thumbnails_are_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        for name in ["b.png", "a.jpg", "notes.txt", "sub/a.jpg", "out/old.jpg"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("sub/loop")).unwrap();
        let names = |recursive| {
            let found = pictures(folder.path(), &out, recursive).unwrap();
            assert!(found.problems.is_empty());
            found.pictures.iter().map(|picture| picture.name.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["a.jpg", "b.png"]);
        assert_eq!(names(true), ["a.jpg", "b.png", "sub/a.jpg"]);
        assert!(pictures(&out.join("none"), &out, true).is_err());
    }

    #[test]
    fn names_do_not_collide() {
        let at = |name: &str| Picture { path: name.into(), name: name.into() }.thumbnail_in(Path::new("o"));
        assert_eq!((at("s/a.png"), at("s/a.jpg")), ("o/s/a.png.jpg".into(), "o/s/a.jpg.jpg".into()));
    }
}
