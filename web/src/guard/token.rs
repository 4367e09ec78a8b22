//! The secret that visitors bring.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq as _;

/// Fewest letters. Of hexadecimal ones these are 128 bits.
const LETTERS_MIN: usize = 32;

/// A secret that is compared without telling how much of it was right. Its length is none.
pub(crate) struct Token(Vec<u8>);

/// Why a file holds no token.
#[derive(Debug)]
pub struct TokenError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token_file {}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for TokenError {}

impl Token {
    /// Reads it from a file that nobody else can read.
    pub(crate) fn read(path: &Path) -> Result<Self, TokenError> {
        let wrong = |why: String| TokenError { path: path.to_owned(), why };
        let about = fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
        if about.mode() & 0o077 != 0 {
            return Err(wrong("others may read it: chmod 600 it".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let text = text.trim();
        if text.len() < LETTERS_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let make = "`(umask 077; openssl rand -hex 32 > FILE)` makes a good one";
            return Err(wrong(format!("expected {LETTERS_MIN} or more letters without a blank; {make}")));
        }
        Ok(Self(text.as_bytes().to_vec()))
    }

    pub(super) fn is(&self, brought: &[u8]) -> bool {
        self.0.ct_eq(brought).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_long_and_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = |text: &str, mode| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path).map_err(|error| error.to_string())
        };
        let good = "0123456789abcdef0123456789abcdef";
        let token = read(&format!("{good}\n"), 0o600).ok().unwrap();
        assert!(token.is(good.as_bytes()));
        for bad in ["", "0123456789abcdef0123456789abcde", "0123456789abcdef0123456789abcdeg", &format!("{good}0")] {
            assert!(!token.is(bad.as_bytes()), "{bad}");
        }
        assert!(read(good, 0o640).err().unwrap().contains("chmod 600"));
        assert!(read("short", 0o600).err().unwrap().contains("32 or more"));
        assert!(read(&"a b ".repeat(20), 0o600).is_err());
        assert!(Token::read(&folder.path().join("none")).is_err());
    }
}
