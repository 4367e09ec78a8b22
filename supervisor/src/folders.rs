//! The run folder and the namespace's folder in it: made where they are missing, and removed where we made them, or an
//! engine before us that was killed.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::StartError;

/// Who may find a socket in our folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// We and root.
    Private,
    /// Everybody may pass through, and nobody may look around: some service's `allow` names others. The broker
    /// refuses those that it does not name.
    Passage,
}

impl Reach {
    const fn mode(self) -> u32 {
        match self {
            Self::Private => 0o700,
            Self::Passage => 0o711,
        }
    }
}

/// In the namespace's folder, for whoever comes after an engine that was killed: the folders that it made, a line each.
const MADE_NAME: &str = "_engine.made";

/// Folders that we made, the outer ones first. Those which are empty when this is dropped are removed.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    made: Vec<PathBuf>,
    /// What says so to the next one.
    note: Option<PathBuf>,
}

impl Folders {
    /// Makes whatever is missing of `path`, and refuses a folder in which everybody could swap our sockets.
    pub(crate) fn make(&mut self, path: &Path, reach: Reach) -> Result<(), StartError> {
        let failed = |source| StartError::Folder { path: path.to_owned(), source };
        let missing: Vec<_> = path.ancestors().take_while(|folder| !folder.exists()).collect();
        for folder in missing.into_iter().rev() {
            match DirBuilder::new().mode(0o700).create(folder) {
                Ok(()) => {
                    self.made.push(folder.to_owned());
                    // The umask has no say in who may use a service.
                    fs::set_permissions(folder, Permissions::from_mode(reach.mode())).map_err(failed)?;
                }
                // Another engine starts at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let about = fs::metadata(path).map_err(failed)?;
        if !about.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let (everybody_writes, sticky) = (0o002, 0o1000);
        if about.mode() & everybody_writes != 0 && about.mode() & sticky == 0 {
            return Err(StartError::OpenFolder { path: path.to_owned() });
        }
        Ok(())
    }

    /// What a killed engine made is ours to remove, and we leave word of it as that one did. The caller holds the lock
    /// of the namespace's folder, so that nobody else comes after the same engine.
    pub(crate) fn inherit(&mut self, folder: &Path) {
        let note = folder.join(MADE_NAME);
        let left = fs::read_to_string(&note).unwrap_or_default();
        // Nothing but folders on the way to ours, whatever is written there.
        let mut made: Vec<_> = left.lines().map(PathBuf::from).filter(|path| folder.starts_with(path)).collect();
        made.append(&mut self.made);
        made.sort_unstable();
        made.dedup();
        let lines: Vec<_> = made.iter().filter_map(|path| path.to_str()).collect();
        // Without room for it an empty folder may stay behind, if we are killed.
        let _unsaid = fs::write(&note, lines.join("\n"));
        (self.made, self.note) = (made, Some(note));
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Some(note) = &self.note {
            // Somebody else may have cleaned the folder.
            fs::remove_file(note).ok();
        }
        for folder in self.made.iter().rev() {
            // Not empty means that another engine moved in, and it needs the folders above, too.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn only_what_was_made_is_removed_and_only_if_empty() {
        let outer = tempfile::tempdir().unwrap();
        let (run, deep) = (outer.path().join("run"), outer.path().join("run/default"));
        let mut folders = Folders::default();
        folders.make(&run, Reach::Private).unwrap();
        folders.make(&deep, Reach::Passage).unwrap();
        assert_eq!((mode(&run), mode(&deep)), (0o700, 0o711));
        Folders::default().make(&deep, Reach::Private).unwrap();
        assert!(deep.exists(), "whoever found it there leaves it there");
        drop(folders);
        assert!(!run.exists() && outer.path().exists());

        let mut folders = Folders::default();
        folders.make(&deep, Reach::Private).unwrap();
        fs::write(run.join("somebody-else"), "").unwrap();
        drop(folders);
        assert!(run.exists() && !deep.exists());
    }

    #[test]
    fn what_a_killed_engine_made_is_removed_by_the_next_and_nothing_else() {
        let outer = tempfile::tempdir().unwrap();
        let (other, run) = (outer.path().join("other"), outer.path().join("run"));
        let deep = run.join("default");
        fs::create_dir(&other).unwrap();
        let start = || {
            let mut folders = Folders::default();
            folders.make(&deep, Reach::Private).unwrap();
            folders.inherit(&deep);
            folders
        };
        // Killed: nothing is dropped.
        std::mem::forget(start());
        std::mem::forget(start());
        let note = deep.join(MADE_NAME);
        let said = fs::read_to_string(&note).unwrap();
        assert_eq!(said, format!("{}\n{}", run.display(), deep.display()));
        fs::write(&note, format!("{said}\n{}", other.display())).unwrap();
        drop(start());
        assert!(!run.exists() && other.exists());
        // A folder of somebody else's stays.
        fs::create_dir(&run).unwrap();
        std::mem::forget(start());
        drop(start());
        assert_eq!(fs::read_dir(&run).unwrap().count(), 0);
    }

    #[test]
    fn folders_that_cannot_be_trusted_are_refused() {
        let outer = tempfile::tempdir().unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o777)).unwrap();
        let error = Folders::default().make(outer.path(), Reach::Private).unwrap_err();
        assert!(matches!(error, StartError::OpenFolder { .. }) && error.to_string().contains("chmod o-w"), "{error}");
        fs::set_permissions(outer.path(), Permissions::from_mode(0o1777)).unwrap();
        Folders::default().make(outer.path(), Reach::Private).unwrap();

        let file = outer.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            assert!(matches!(Folders::default().make(&path, Reach::Private), Err(StartError::Folder { .. })));
        }
    }
}
