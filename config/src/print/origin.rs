//! Where a value came from.

use std::path::Path;

use toml::de::DeTable;

use crate::Surroundings;

/// Where the keys of a file stand.
pub(super) struct Origins<'a> {
    text: &'a str,
    document: &'a DeTable<'a>,
    /// As it was named, without its folder.
    file: String,
}

impl<'a> Origins<'a> {
    pub(super) fn new(text: &'a str, document: &'a DeTable<'a>, path: &Path) -> Self {
        let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self { text, document, file }
    }

    /// `service.toml:12` of the first of these keys that is there, else `default`.
    pub(super) fn of(&self, keys: &[Vec<&str>]) -> String {
        self.said(keys).unwrap_or_else(|| "default".to_owned())
    }

    /// The place of the first of these keys that is there. What came by inheritance says so.
    pub(super) fn said(&self, keys: &[Vec<&str>]) -> Option<String> {
        let (place, key) = keys.iter().find_map(|key| Some((self.place(key)?, key)))?;
        let line = self.text[..place].matches('\n').count() + 1;
        let by = if key[0] == "defaults" { ", [defaults]" } else { "" };
        Some(format!("{}:{line}{by}", self.file))
    }

    /// Which rule chose the run folder.
    pub(super) fn of_run_dir(&self, surroundings: &Surroundings) -> String {
        let is_set = |path: &Option<std::path::PathBuf>| path.as_ref().is_some_and(|path| !path.as_os_str().is_empty());
        self.said(&[vec!["run_dir"]]).unwrap_or_else(|| {
            let why = match surroundings {
                around if is_set(&around.run_dir_env) => "SPEEDYSVC_RUN_DIR",
                around if around.is_root => "default, of root",
                _ => "default, from XDG_RUNTIME_DIR",
            };
            why.to_owned()
        })
    }

    /// Where a dotted key begins, in bytes.
    fn place(&self, key: &[&str]) -> Option<usize> {
        let (last, tables) = key.split_last()?;
        let mut table = self.document;
        for name in tables {
            table = table.get(*name)?.get_ref().as_table()?;
        }
        table.get_key_value(*last).map(|(key, _)| key.span().start)
    }
}
