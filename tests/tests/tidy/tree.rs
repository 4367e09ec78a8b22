//! The files that rules look at, and what a rule says when one of them is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::blocks::{self, TestCode};
use super::lexer::{self, Lexed};

/// A Rust file, cut into what rules ask about.
pub struct Source {
    pub path: String,
    pub text: String,
    pub lexed: Lexed,
    pub tests: TestCode,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let lexed = lexer::lex(text);
        let tests = TestCode::find(&lexed.code);
        Self { path: path.into(), text: text.into(), lexed, tests }
    }

    /// The code without what is compiled for tests only.
    pub fn shipped_code(&self) -> String {
        self.tests.remove_from(&self.lexed.code)
    }

    /// The code that is compiled for tests only.
    pub fn test_code(&self) -> String {
        self.tests.keep_in(&self.lexed.code)
    }
}

/// All files of the project by their path from the root: tracked ones, and new ones that git does not ignore.
pub struct Tree {
    pub files: BTreeMap<String, String>,
    pub sources: Vec<Source>,
}

impl Tree {
    pub fn load() -> Self {
        let root = root();
        let paths = listed_by_git(&root).unwrap_or_else(|| walk(&root));
        assert!(paths.iter().any(|path| path == "Cargo.toml"), "no Cargo.toml among the files of {}", root.display());
        // A file that is listed and gone was just deleted.
        let texts = paths.into_iter().filter_map(|path| Some((path.clone(), read(&root.join(path))?)));
        Self::from_files(texts)
    }

    /// A tree for unit tests.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self::from_files(files.iter().map(|(path, text)| ((*path).into(), (*text).into())))
    }

    fn from_files(files: impl Iterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<String, String> = files.collect();
        let rust = files.iter().filter(|(path, _)| path.ends_with(".rs"));
        let mut sources: Vec<Source> = rust.map(|(path, text)| Source::new(path, text)).collect();
        blocks::mark_test_files(&mut sources);
        Self { files, sources }
    }

    /// Sources below any of these folders, or with exactly one of these paths.
    pub fn sources_under(&self, places: &'static [&'static str]) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(move |source| is_under(&source.path, places))
    }

    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty() || self.files.keys().any(|file| file == path || file.starts_with(&folder))
    }
}

/// Whether a path is one of the places or below one of them.
pub fn is_under(path: &str, places: &[&str]) -> bool {
    let below = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    places.iter().any(|place| below(place))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").into()
}

/// None where there is no git or no repository, as in an unpacked archive.
fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let flags = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").current_dir(root).args(flags).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split_terminator('\0').map(Into::into).collect())
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project can be read") {
            let path = entry.expect("an entry of the project can be read").path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "target" && name != ".git" {
                folders.push(path);
            } else if path.is_file() {
                let relative = path.strip_prefix(root).expect("found below the root");
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// A file that is not UTF-8 (a picture) is there, and has no text of which anything could be said.
fn read(path: &Path) -> Option<String> {
    Some(String::from_utf8(std::fs::read(path).ok()?).unwrap_or_default())
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Violation {
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.into(), line, what: what.into() }
    }

    /// At a byte of a text, whose line is counted from 1.
    pub fn at(path: &str, text: &str, offset: usize, what: impl Into<String>) -> Self {
        Self::new(path, line_of(text, offset), what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

pub fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Violations as text, for comparing in unit tests.
pub fn shown(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn places_are_folders_or_files_and_not_prefixes() {
    assert!(is_under("protocol/src/shm/slot.rs", &["protocol/src/shm"]));
    assert!(is_under("config/src/raw.rs", &["config/src/raw.rs"]));
    assert!(!is_under("protocol/src/shmem.rs", &["protocol/src/shm"]));
}

#[test]
fn walking_finds_what_git_lists() {
    let root = root();
    let walked = walk(&root);
    assert!(walked.iter().any(|path| path == "tests/tests/tidy.rs"), "the walk misses this test");
    assert!(!walked.iter().any(|path| path.starts_with("target/")), "the walk enters target/");
}
