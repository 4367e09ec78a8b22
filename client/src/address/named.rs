//! `service://NAME`: wherever the service is on this machine, by whatever carries a call best.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use speedysvc_protocol::control::addresses_name;
use speedysvc_protocol::status::Code;

use super::{Address, Environment, by_name, folder_of};
use crate::error::Error;

const SCHEME: &str = "service://";
/// What is read of a file of addresses. Fifteen of the longest fit.
const FILE_MAX: u64 = 4096;

/// A service that is looked for each time when somebody connects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    /// As it was written.
    pub(crate) text: String,
    /// By shared memory: the best way, if it is open.
    shm: Address,
    /// The file in which its host tells where else it listens.
    file: PathBuf,
}

/// Where a service may be now.
#[derive(Debug)]
pub(crate) struct Found {
    /// The best first.
    pub(crate) addresses: Vec<Address>,
    /// Why there are no others, when there are none.
    pub(crate) no_others: Option<String>,
}

impl Named {
    /// `None` when the text is another kind of address.
    pub(crate) fn parse(text: &str, environment: &Environment) -> Option<Result<Self, Error>> {
        let name = text.strip_prefix(SCHEME)?;
        let parsed = folder_of(name, environment).and_then(|(folder, service)| {
            let shm = by_name(name, environment)?;
            Ok(Self { text: text.to_owned(), shm, file: folder.join(addresses_name(service)) })
        });
        let invalid = |why| Error::not_started(Code::InvalidArgument, format!("`{text}` is no address: {why}"));
        Some(parsed.map_err(invalid))
    }

    /// Looks where the service says that it is.
    pub(crate) fn find(&self) -> Found {
        let mut addresses = vec![self.shm.clone()];
        let (others, no_others) = match self.read() {
            Ok(text) => (others(&text), None),
            Err(why) => (Vec::new(), Some(why)),
        };
        let none = || format!("{} names no other address", self.file.display());
        let no_others = if others.is_empty() { no_others.or_else(|| Some(none())) } else { None };
        addresses.extend(others);
        Found { addresses, no_others }
    }

    fn read(&self) -> Result<String, String> {
        let unread = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!("no {} tells of another address", self.file.display()),
            _ => format!("{} cannot be read: {error}", self.file.display()),
        };
        let mut text = String::new();
        let file = std::fs::File::open(&self.file).map_err(unread)?;
        file.take(FILE_MAX).read_to_string(&mut text).map_err(unread)?;
        Ok(text)
    }
}

/// What a file says: Unix sockets first, as they are cheaper. Lines that are no address are of a later version.
fn others(text: &str) -> Vec<Address> {
    let parsed = text.lines().filter_map(|line| Address::parse(line.trim(), &Environment::default()).ok());
    let (unix, tcp): (Vec<_>, Vec<_>) = parsed.partition(|address| matches!(address, Address::Unix { .. }));
    unix.into_iter().chain(tcp).filter(|address| !matches!(address, Address::Shm { .. })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(run_dir: &std::path::Path, text: &str) -> Named {
        let environment = Environment { run_dir: Some(run_dir.to_owned()), ..Environment::default() };
        Named::parse(text, &environment).unwrap().unwrap()
    }

    fn shown(found: &Found) -> Vec<String> {
        found.addresses.iter().map(Address::to_string).collect()
    }

    #[test]
    fn the_cheapest_way_comes_first_and_what_is_not_known_is_passed_over() {
        let run = tempfile::tempdir().unwrap();
        let folder = run.path().join("blue");
        std::fs::create_dir(&folder).unwrap();
        let text = "tcp://127.0.0.1:7\nquic://x\nunix:///r/e.unix\nshm://other\n";
        std::fs::write(folder.join("echo.addresses"), text).unwrap();
        let found = named(run.path(), "service://blue/echo").find();
        assert_eq!(shown(&found), ["shm://blue/echo", "unix:///r/e.unix", "tcp://127.0.0.1:7"]);
        assert_eq!(found.no_others, None);
    }

    #[test]
    fn without_a_file_shared_memory_is_left_and_the_file_is_named() {
        let run = tempfile::tempdir().unwrap();
        let found = named(run.path(), "service://echo").find();
        assert_eq!(shown(&found), ["shm://echo"]);
        assert!(found.no_others.unwrap().contains("default/echo.addresses"));
    }

    #[test]
    fn names_are_judged_as_those_of_shared_memory() {
        let environment = Environment { run_dir: Some("/r".into()), ..Environment::default() };
        assert!(Named::parse("shm://echo", &environment).is_none());
        for text in ["service://", "service://Echo", "service:///r/echo.sock", "service://a/b/c"] {
            let error = Named::parse(text, &environment).unwrap().unwrap_err();
            assert!(error.code() == Code::InvalidArgument && error.message().contains("service://SERVICE"), "{error}");
        }
    }
}
