//! Where the sockets live. Clients must find what the engine made, so both use this rule.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Namespace, ServiceName};

/// The longest path that a Unix socket can have, in bytes: Linux has 108, and the last is a zero.
pub const MAX_SOCKET_PATH: usize = 107;

/// Why there is no run folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRunDir {
    /// `SPEEDYSVC_RUN_DIR` holds this relative path, which would mean another folder in each process.
    Relative(PathBuf),
    /// Nothing names one: not root, and `XDG_RUNTIME_DIR` is not set or not absolute.
    Unset,
}

impl fmt::Display for NoRunDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative(path) => {
                write!(f, "SPEEDYSVC_RUN_DIR is `{}`, which is relative: it must be an absolute path", path.display())
            }
            Self::Unset => f.write_str(
                "no run folder is known: `run_dir` and SPEEDYSVC_RUN_DIR are not set, this is not root, \
                 and XDG_RUNTIME_DIR is not set",
            ),
        }
    }
}

impl std::error::Error for NoRunDir {}

/// The run folder: `run_dir` of the file, else `SPEEDYSVC_RUN_DIR`, else `/run/speedysvc` for root, else
/// `$XDG_RUNTIME_DIR/speedysvc`. Empty values count as not set. Touches neither disk nor environment.
pub fn default_run_dir(
    from_file: Option<&Path>,
    run_dir_env: Option<&Path>,
    is_root: bool,
    xdg_runtime_dir: Option<&Path>,
) -> Result<PathBuf, NoRunDir> {
    let said = |path: &&Path| !path.as_os_str().is_empty();
    if let Some(path) = from_file.filter(said) {
        return Ok(path.to_owned());
    }
    if let Some(path) = run_dir_env.filter(said) {
        return if path.is_absolute() { Ok(path.to_owned()) } else { Err(NoRunDir::Relative(path.to_owned())) };
    }
    if is_root {
        return Ok(PathBuf::from("/run/speedysvc"));
    }
    // The XDG specification wants relative paths ignored.
    xdg_runtime_dir.filter(|path| path.is_absolute()).map(|path| path.join("speedysvc")).ok_or(NoRunDir::Unset)
}

/// A service's rendezvous socket: `RUN_DIR/NAMESPACE/SERVICE.sock`.
#[must_use]
pub fn socket_path(run_dir: &Path, namespace: &Namespace, service: &ServiceName) -> PathBuf {
    run_dir.join(namespace.as_str()).join(format!("{service}.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(file: &str, env: &str, is_root: bool, xdg: &str) -> Result<PathBuf, NoRunDir> {
        default_run_dir(Some(Path::new(file)), Some(Path::new(env)), is_root, Some(Path::new(xdg)))
    }

    #[test]
    fn first_that_is_said_wins() {
        assert_eq!(rule("/f", "/e", true, "/x"), Ok("/f".into()));
        assert_eq!(rule("", "/e", true, "/x"), Ok("/e".into()));
        assert_eq!(rule("", "", true, "/x"), Ok("/run/speedysvc".into()));
        assert_eq!(rule("", "", false, "/x"), Ok("/x/speedysvc".into()));
        assert_eq!(rule("", "e", true, "/x"), Err(NoRunDir::Relative("e".into())));
        assert_eq!(rule("", "", false, "x"), Err(NoRunDir::Unset));
        assert_eq!(default_run_dir(None, None, false, None), Err(NoRunDir::Unset));
    }

    #[test]
    fn sockets_have_a_folder_per_namespace() {
        let name = ServiceName::new("echo").unwrap();
        let path = socket_path(Path::new("/run/speedysvc"), &Namespace::default(), &name);
        assert_eq!(path, Path::new("/run/speedysvc/default/echo.sock"));
    }
}
