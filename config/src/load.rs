//! The way in: a path or a text becomes a [`Config`], or a [`Report`] of everything that is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::problem::{Problem, Problems};
use crate::suggest::closest;
use crate::{Config, Report, Surroundings, document, raw, resolve};

/// Far more than any file needs; keeps a wrong path such as /dev/zero from filling the memory.
const LARGEST_FILE: u64 = 1 << 20;

/// Reads and resolves the file at `path`. Looks for programs on disk; changes nothing.
pub fn load(path: &Path, surroundings: &Surroundings) -> Result<Config, Report> {
    load_text(&read_text(path)?, path, surroundings)
}

/// The text of the file at `path`, or a report that says why there is none.
pub(crate) fn read_text(path: &Path) -> Result<String, Report> {
    match read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| not_utf8(path, error.as_bytes())),
        Err(error) => Err(Report::new(path, "", vec![unreadable(path, &error)])),
    }
}

/// As [`load`], for a text that is already here. `path` is where it came from: relative paths start at its
/// folder, and mistakes are shown under its name.
pub fn load_text(text: &str, path: &Path, surroundings: &Surroundings) -> Result<Config, Report> {
    let mut problems = Problems::new();
    let source = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let config = document::parse(text, &mut problems).and_then(|document| {
        let file = raw::File::read(&document, &mut problems);
        resolve::resolve(file, &source, surroundings, &mut problems)
    });
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(Report::new(path, text, problems)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::other("it is larger than 1MiB, which no service.toml is"));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read {}: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::NotFound => match neighbour(path) {
            Some(name) => problem.help(format!("did you mean `{}`?", path.with_file_name(name).display())),
            None => problem.help("name the file to use; `speedysvc-engine init` writes a commented one to start from"),
        },
        io::ErrorKind::PermissionDenied => problem.help("its mode, or that of a folder above it, keeps this user out"),
        _ => problem.help("name a service.toml"),
    }
}

/// The TOML file in the same folder whose name is nearest.
fn neighbour(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = folder.read_dir().ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    let wanted = path.file_name()?.to_str()?;
    closest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

fn not_utf8(path: &Path, bytes: &[u8]) -> Report {
    let good = bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    let text = String::from_utf8_lossy(bytes);
    let bad = good..good + char::REPLACEMENT_CHARACTER.len_utf8();
    let problem =
        Problem::new("the file is not UTF-8").at(bad, "expected UTF-8, which TOML requires").help("save it as UTF-8");
    Report::new(path, &text, vec![problem])
}
