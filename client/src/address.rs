//! Addresses as users write them. Pure: the environment is given, and nothing is looked up.

mod named;
mod wishes;

use std::fmt;
use std::path::{Path, PathBuf};

use speedysvc_protocol::control::rendezvous_name;
use speedysvc_protocol::limits::NAME_MAX;
use speedysvc_protocol::status::Code;

use crate::error::Error;

pub(crate) use named::Named;
pub(crate) use wishes::Wishes;

const FORMS: &str = "an address is service://SERVICE, shm://SERVICE, shm://NAMESPACE/SERVICE, \
                     shm:///FOLDER/SERVICE.sock, tcp://HOST:PORT, tcp://[IPV6]:PORT or unix:///FOLDER/SOCKET";
/// Linux has room for 108 bytes in a socket's path, and the last is a zero.
const SOCKET_PATH_MAX: usize = 107;

/// Where a service is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// On this machine, by shared memory.
    Shm {
        /// The rendezvous socket.
        path: PathBuf,
        /// `SERVICE` or `NAMESPACE/SERVICE`, when the address says it.
        name: Option<String>,
    },
    /// Anywhere.
    Tcp {
        /// A name or number; IPv6 without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// How frames shall be.
        wishes: Wishes,
    },
    /// On this machine, by frames as over TCP.
    Unix {
        /// The socket.
        path: PathBuf,
        /// How frames shall be.
        wishes: Wishes,
    },
}

/// What the surroundings say of where sockets live.
#[derive(Clone, Default, Debug)]
pub(crate) struct Environment {
    /// `SPEEDYSVC_RUN_DIR`.
    pub(crate) run_dir: Option<PathBuf>,
    /// `SPEEDYSVC_NAMESPACE`.
    pub(crate) namespace: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub(crate) xdg_runtime_dir: Option<PathBuf>,
    /// Whether this is root.
    pub(crate) is_root: bool,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        let said = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            run_dir: said("SPEEDYSVC_RUN_DIR").map(PathBuf::from),
            namespace: said("SPEEDYSVC_NAMESPACE").map(|value| value.to_string_lossy().into_owned()),
            xdg_runtime_dir: said("XDG_RUNTIME_DIR").map(PathBuf::from),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// The same rule as the engine's: `SPEEDYSVC_RUN_DIR`, else `/run/speedysvc` for root, else in `XDG_RUNTIME_DIR`.
    fn run_dir(&self) -> Result<PathBuf, String> {
        let absolute = |path: &&PathBuf| path.is_absolute();
        match &self.run_dir {
            Some(path) if path.is_absolute() => return Ok(path.clone()),
            Some(path) => {
                return Err(format!("SPEEDYSVC_RUN_DIR is `{}`; it must be an absolute path", path.display()));
            }
            None if self.is_root => return Ok(PathBuf::from("/run/speedysvc")),
            None => {}
        }
        self.xdg_runtime_dir.as_ref().filter(absolute).map(|path| path.join("speedysvc")).ok_or_else(|| {
            "no run folder is known: SPEEDYSVC_RUN_DIR is not set, this is not root, and XDG_RUNTIME_DIR is not set; \
             write shm:///FOLDER/SERVICE.sock, or set SPEEDYSVC_RUN_DIR as for the engine"
                .to_owned()
        })
    }

    fn namespace(&self) -> Result<&str, String> {
        let name = self.namespace.as_deref().unwrap_or("default");
        namespace(name).map_err(|rule| format!("SPEEDYSVC_NAMESPACE is `{name}`; {rule}"))
    }
}

impl Address {
    /// Reads an address.
    pub(crate) fn parse(text: &str, environment: &Environment) -> Result<Self, Error> {
        let parsed = match text.split_once("://") {
            Some(("shm", rest)) if rest.starts_with('/') => by_path(rest),
            Some(("shm", name)) => by_name(name, environment),
            Some(("tcp", rest)) => tcp(rest),
            Some(("unix", rest)) if rest.starts_with('/') => unix(rest),
            _ => Err(FORMS.to_owned()),
        };
        parsed.map_err(|why| Error::not_started(Code::InvalidArgument, format!("`{text}` is no address: {why}")))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shm { name: Some(name), .. } => write!(f, "shm://{name}"),
            Self::Shm { path, name: None } => write!(f, "shm://{}", path.display()),
            Self::Tcp { host, port, wishes } if host.contains(':') => write!(f, "tcp://[{host}]:{port}{wishes}"),
            Self::Tcp { host, port, wishes } => write!(f, "tcp://{host}:{port}{wishes}"),
            Self::Unix { path, wishes } => write!(f, "unix://{}{wishes}", path.display()),
        }
    }
}

fn by_path(path: &str) -> Result<Address, String> {
    socket_path(path).map(|path| Address::Shm { path, name: None })
}

fn socket_path(path: &str) -> Result<PathBuf, String> {
    if path.ends_with('/') {
        return Err(format!("the path is a folder, not a socket; {FORMS}"));
    }
    fits(Path::new(path))?;
    Ok(PathBuf::from(path))
}

/// `SERVICE`, or `NAMESPACE/SERVICE`.
fn by_name(name: &str, environment: &Environment) -> Result<Address, String> {
    let (folder, service) = folder_of(name, environment)?;
    let path = folder.join(rendezvous_name(service));
    fits(&path)?;
    Ok(Address::Shm { path, name: Some(name.to_owned()) })
}

/// The folder where a service of this name has its socket, and the service's name alone.
fn folder_of<'a>(name: &'a str, environment: &Environment) -> Result<(PathBuf, &'a str), String> {
    let (copy, service) = match name.split_once('/') {
        Some((copy, service)) => (Some(copy), service),
        None => (None, name),
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let starts = service.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || service.len() > NAME_MAX || !service.bytes().all(plain) {
        let rule = "a service's name is at most 48 of a-z, 0-9, `_` and `-` and starts with a letter";
        return Err(format!("{rule}; {FORMS}"));
    }
    let copy = match copy {
        Some(copy) => namespace(copy).map_err(|rule| format!("the namespace is `{copy}`; {rule}; {FORMS}"))?,
        None => environment.namespace()?,
    };
    Ok((environment.run_dir()?.join(copy), service))
}

fn namespace(name: &str) -> Result<&str, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(name);
    }
    Err("it must be 1 to 32 of a-z, 0-9 and `-`".to_owned())
}

fn fits(path: &Path) -> Result<(), String> {
    let len = path.as_os_str().len();
    if len <= SOCKET_PATH_MAX {
        return Ok(());
    }
    Err(format!("the socket's path `{}` has {len} bytes, and Linux takes {SOCKET_PATH_MAX}", path.display()))
}

fn unix(rest: &str) -> Result<Address, String> {
    let (path, wishes) = Wishes::split(rest)?;
    socket_path(path).map(|path| Address::Unix { path, wishes })
}

fn tcp(rest: &str) -> Result<Address, String> {
    let (rest, wishes) = Wishes::split(rest)?;
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| format!("the port is missing; {FORMS}"))?;
    let port = match port.parse::<u16>() {
        // `u16::from_str` takes a plus sign.
        Ok(port) if port > 0 && !rest.contains('+') => port,
        _ => return Err(format!("`{port}` is no port from 1 to 65535; {FORMS}")),
    };
    let host = match host.strip_prefix('[') {
        Some(inner) => {
            let number = inner.strip_suffix(']').filter(|number| number.contains(':'));
            number.ok_or_else(|| format!("`{host}` is no IPv6 address in brackets; {FORMS}"))?
        }
        None if host.contains(':') => return Err(format!("an IPv6 address stands in brackets; {FORMS}")),
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, '/' | '@' | '[' | ']')) {
        return Err(format!("`{host}` is no host; {FORMS}"));
    }
    Ok(Address::Tcp { host: host.to_owned(), port, wishes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(run_dir: &str, namespace: &str, xdg: &str, is_root: bool) -> Environment {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Environment {
            run_dir: said(run_dir).map(PathBuf::from),
            namespace: said(namespace),
            xdg_runtime_dir: said(xdg).map(PathBuf::from),
            is_root,
        }
    }

    #[test]
    fn names_lead_to_the_engines_sockets() {
        for (environment, path) in [
            (surroundings("", "", "", true), "/run/speedysvc/default/echo.sock"),
            (surroundings("", "", "/run/user/7", true), "/run/speedysvc/default/echo.sock"),
            (surroundings("", "", "/run/user/7", false), "/run/user/7/speedysvc/default/echo.sock"),
            (surroundings("/r", "blue", "/run/user/7", true), "/r/blue/echo.sock"),
        ] {
            let address = Address::parse("shm://echo", &environment).unwrap();
            assert_eq!(address, Address::Shm { path: path.into(), name: Some("echo".into()) });
            assert_eq!(address.to_string(), "shm://echo");
        }
    }

    #[test]
    fn copies_side_by_side_are_told_apart_by_their_namespace() {
        let environment = surroundings("/r", "blue", "", true);
        for (text, path) in [("shm://echo", "/r/blue/echo.sock"), ("shm://green/echo", "/r/green/echo.sock")] {
            let address = Address::parse(text, &environment).unwrap();
            assert!(matches!(&address, Address::Shm { path: there, .. } if there == Path::new(path)), "{address:?}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn surroundings_that_name_no_folder_are_explained() {
        for (environment, why) in [
            (surroundings("", "", "", false), "no run folder is known"),
            (surroundings("", "", "relative", false), "no run folder is known"),
            (surroundings("relative", "", "/x", true), "SPEEDYSVC_RUN_DIR is `relative`"),
            (surroundings("/r", "../x", "", true), "SPEEDYSVC_NAMESPACE is `../x`"),
            (surroundings(&format!("/{}", "r".repeat(100)), "", "", true), "and Linux takes 107"),
        ] {
            let error = Address::parse("shm://echo", &environment).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn addresses_are_read_and_written() {
        let parse = |text| Address::parse(text, &Environment::default());
        for (text, host, port) in [
            ("tcp://localhost:1", "localhost", 1),
            ("tcp://[::1]:65535", "::1", 65535),
            ("tcp://10.0.0.1:80", "10.0.0.1", 80),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address, Address::Tcp { host: host.into(), port, wishes: Wishes::default() });
            assert_eq!(address.to_string(), text);
        }
        let by_path = parse("shm:///tmp/x.sock").unwrap();
        assert_eq!(by_path, Address::Shm { path: "/tmp/x.sock".into(), name: None });
        assert_eq!(by_path.to_string(), "shm:///tmp/x.sock");
        let unix = parse("unix:///tmp/x.sock").unwrap();
        assert_eq!(unix, Address::Unix { path: "/tmp/x.sock".into(), wishes: Wishes::default() });
        assert_eq!(unix.to_string(), "unix:///tmp/x.sock");
        for text in ["tcp://a:1?compression=zlib&checksum=crc32c", "unix:///x?checksum=crc32c"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        let error = parse("tcp://a:1?compression=lz5").unwrap_err();
        assert!(error.message().contains("`lz5` is no compression"), "{error}");
    }

    #[test]
    fn anything_else_is_refused_with_the_forms() {
        let environment = surroundings("/r", "", "", true);
        for text in [
            "",
            "echo",
            "shm:echo",
            "shm://",
            "shm://Echo",
            "shm://A/b",
            "shm://a/b/c",
            "shm://a/",
            "shm:///folder/",
            "http://x:1",
            "tcp://",
            "tcp://host",
            "tcp://host:",
            "tcp://host:0",
            "tcp://host:65536",
            "tcp://host:+1",
            "tcp://::1:5",
            "tcp://[::1",
            "tcp://[x]:5",
            "tcp://:5",
            "tcp://a b:5",
            "tcp://user@host:5",
            "unix://x",
            "unix:///folder/",
        ] {
            let error = Address::parse(text, &environment).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
            assert!(error.message().contains("tcp://HOST:PORT"), "{error}");
        }
    }
}
