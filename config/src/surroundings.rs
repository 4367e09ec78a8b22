//! What of a process's environment decides how a file is read. A value, so that tests need no environment.

use std::path::PathBuf;

/// The environment that [`crate::load`] looks at, and nothing else of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Folder of the engine's binary: bare program names are looked up here first.
    pub engine_dir: Option<PathBuf>,
    /// The folders of `PATH`: bare program names are looked up here next. Relative ones are skipped.
    pub path: Vec<PathBuf>,
    /// `SPEEDYSVC_RUN_DIR`
    pub run_dir_env: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`
    pub xdg_runtime_dir: Option<PathBuf>,
    /// Whether the effective user is root.
    pub is_root: bool,
}

impl Surroundings {
    /// Reads them from this process. The standard library does not know who is root, so the caller says.
    #[must_use]
    pub fn from_process(is_root: bool) -> Self {
        let engine = std::env::current_exe().ok();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            engine_dir: engine.and_then(|engine| Some(engine.parent()?.to_owned())),
            path: std::env::split_paths(&path).collect(),
            run_dir_env: std::env::var_os("SPEEDYSVC_RUN_DIR").map(PathBuf::from),
            xdg_runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            is_root,
        }
    }
}
