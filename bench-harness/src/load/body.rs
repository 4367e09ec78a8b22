//! What is sent: JSON that was given, or a text or bytes of some size, whichever the method takes.

use anyhow::{Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use speedysvc::untyped::Method;
use speedysvc::{Code, Error, Outcome};

use crate::measure::words;

/// Of no meaning but that bodies are the same at every run.
const SEED: u64 = 1;

/// Finds out which kind of body of this size the method takes, by calling it once: a text, or bytes.
///
/// # Errors
/// When it takes neither, or cannot be called.
pub(crate) fn of_size(method: &Method, bytes: usize) -> Result<Vec<u8>> {
    let text = text(bytes);
    match refusal(method, &text)? {
        None => Ok(text),
        Some(_) => {
            let base64 = base64(bytes);
            match refusal(method, &base64)? {
                None => Ok(base64),
                Some(why) => bail!(
                    "--payload is for methods with one argument that is a text or bytes; give the arguments with \
                     --json. The service said: {why}"
                ),
            }
        }
    }
}

/// Makes a first call with JSON that was given.
///
/// # Errors
/// When the method does not take it, or cannot be called.
pub(crate) fn checked(method: &Method, json: &str) -> Result<Vec<u8>> {
    match refusal(method, json.as_bytes())? {
        None => Ok(json.as_bytes().to_vec()),
        Some(why) => bail!("the method does not take what --json says: {why}"),
    }
}

/// Why a method does not take a body. Its own errors are answers, too.
fn refusal(method: &Method, body: &[u8]) -> Result<Option<Error>> {
    match method.call(body) {
        Ok(_) => Ok(None),
        Err(error) if error.code() == Code::InvalidArgument && error.outcome() == Outcome::NotStarted => {
            Ok(Some(error))
        }
        Err(error) => Err(anyhow!("the first call failed: {error}")),
    }
}

/// A text of so many bytes. It ends with a letter that base64 does not have: nobody takes it for bytes.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = vec![0; bytes];
    words::fill(&mut text, SEED);
    if let Some(last) = text.last_mut() {
        *last = b'.';
    }
    [b"\"".as_slice(), &text, b"\""].concat()
}

/// So many bytes, which JSON carries as base64: a third more.
fn base64(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes];
    words::fill(&mut noise, SEED);
    format!("\"{}\"", STANDARD.encode(noise)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_their_size() {
        for size in [0, 1, 3, 4, 64, 1_000] {
            let text: String = serde_json::from_slice(&text(size)).unwrap();
            assert_eq!(text.len(), size);
            assert!(size == 0 || STANDARD.decode(&text).is_err(), "{text}");
            let bytes: String = serde_json::from_slice(&base64(size)).unwrap();
            assert_eq!(STANDARD.decode(bytes).unwrap().len(), size);
        }
    }
}
