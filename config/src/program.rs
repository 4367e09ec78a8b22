//! Finding a service's program, as a shell would, but beside the engine first.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Surroundings;
use crate::problem::Complaint;
use crate::suggest::closest;

/// Finds `program`. A bare name is looked up beside the engine and in `PATH`; what has a `/` is a path, from
/// `folder` (the file's, absolute) if it is relative.
pub(crate) fn find(program: &str, folder: &Path, surroundings: &Surroundings) -> Result<PathBuf, Complaint> {
    if program.contains('/') {
        // Collected anew, which drops the `.` of `./program`.
        return at(&folder.join(program).components().collect::<PathBuf>());
    }
    let folders = search_path(surroundings);
    let candidates: Vec<PathBuf> = folders.iter().map(|folder| folder.join(program)).collect();
    if let Some(found) = candidates.iter().find(|path| is_executable(path)) {
        return Ok(found.clone());
    }
    match candidates.iter().find(|path| path.exists()) {
        Some(path) => Err(not_executable(path)),
        None => Err(nowhere(program, &folders, folder)),
    }
}

/// A program at a known place.
fn at(path: &Path) -> Result<PathBuf, Complaint> {
    if is_executable(path) {
        Ok(path.to_owned())
    } else if path.exists() {
        Err(not_executable(path))
    } else {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let what = "names a program that is not there";
        Err(Complaint::new(what, format!("an executable file at {}", path.display()))
            .meant(similar(&name, [folder]).map(|found| folder.join(found).display().to_string()))
            .help(format!("relative paths start at the folder of this file; looked in {}", folder.display())))
    }
}

fn nowhere(program: &str, folders: &[&Path], folder: &Path) -> Complaint {
    let shown: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    let looked = if shown.is_empty() { "nowhere: PATH is empty".to_owned() } else { shown.join(", ") };
    Complaint::new("names a program that is not there", "a program beside the engine or in PATH")
        .meant(similar(program, folders.iter().copied()))
        .help(format!("looked in {looked}"))
        .help(format!("to name a path, write a `/` in it; relative ones start at {}", folder.display()))
}

fn not_executable(path: &Path) -> Complaint {
    let complaint = Complaint::new("names what cannot be executed", "an executable file");
    if path.is_dir() {
        complaint.help(format!("{} is a folder", path.display()))
    } else {
        complaint.help(format!("make it executable: chmod +x {}", path.display()))
    }
}

/// Relative folders in `PATH` are skipped: they mean whatever folder the engine was started in.
fn search_path(surroundings: &Surroundings) -> Vec<&Path> {
    let engine = surroundings.engine_dir.iter();
    let all = engine.chain(&surroundings.path).map(PathBuf::as_path);
    let mut folders: Vec<&Path> = Vec::new();
    for folder in all.filter(|folder| folder.is_absolute()) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The executable in these folders whose name is nearest.
fn similar<'a>(name: &str, folders: impl IntoIterator<Item = &'a Path>) -> Option<String> {
    let mut names: Vec<String> = folders.into_iter().flat_map(executables).collect();
    names.sort();
    closest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

fn executables(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries
        .filter(|entry| is_executable(&entry.path()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
