//! Addresses: `tcp://127.0.0.1:5555`, `unix:///run/echo.sock`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use toml::de::DeValue;

use crate::Listen;
use crate::leaf::wrong_type;
use crate::problem::Complaint;
use crate::run_dir::MAX_SOCKET_PATH;
use crate::suggest::closest;

const EXPECTED: &str = "an address such as \"tcp://127.0.0.1:5555\", \"tcp://[::1]:5555\" or \"unix:///run/echo.sock\"";

/// Schemes that will come, or that people will try.
const LATER: [&str; 2] = ["https", "tls"];

/// Reads one address.
pub(crate) fn listen(value: &DeValue<'_>) -> Result<Listen, Complaint> {
    let DeValue::String(text) = value else {
        return Err(wrong_type(value, EXPECTED).meant(port_alone(value)));
    };
    match text.split_once("://") {
        Some(("tcp", address)) => tcp(address).map(Listen::Tcp),
        Some(("unix", path)) => unix(path).map(Listen::Unix),
        Some(("shm", _)) => Err(Complaint::new("holds a shared memory address", EXPECTED)
            .help("remove it: every service is at shm://NAME already")),
        Some(("http", address)) => Err(Complaint::new("holds `http://`", EXPECTED)
            .help("HTTP is served at every tcp:// address")
            .meant(address.trim_end_matches('/').parse::<SocketAddr>().ok().map(shown))),
        Some((scheme, address)) => Err(wrong_scheme(scheme, address)),
        None => Err(Complaint::new("holds an address without a scheme", EXPECTED)
            .meant(text.parse::<SocketAddr>().ok().map(shown).or_else(|| named(text)))),
    }
}

fn tcp(address: &str) -> Result<SocketAddr, Complaint> {
    let Ok(parsed) = address.parse::<SocketAddr>() else {
        return Err(Complaint::new("holds what is not an address and a port", EXPECTED)
            .meant(named(address).or_else(|| without_port(address)))
            .help("names are not looked up: write the number that `localhost` stands for"));
    };
    Ok(parsed)
}

fn unix(path: &str) -> Result<PathBuf, Complaint> {
    let expected = "the absolute path of a socket, such as \"unix:///run/echo.sock\"";
    if !path.starts_with('/') || path.ends_with('/') {
        return Err(Complaint::new("holds what is not the path of a socket", expected));
    }
    if path.len() > MAX_SOCKET_PATH {
        let what = format!("holds a path of {} bytes, and Unix sockets take {MAX_SOCKET_PATH}", path.len());
        return Err(Complaint::new(what, expected));
    }
    Ok(PathBuf::from(path))
}

/// An address that others can reach, in a service that does not say that it may be.
pub(crate) fn beyond(address: SocketAddr) -> Complaint {
    let instead = if address.is_ipv4() { "127.0.0.1" } else { "[::1]" };
    Complaint::new("reaches beyond this machine", "a loopback address, or `insecure = true`")
        .help("anybody on the network could call the service, and read its calls: TLS and tokens come later")
        .help("where everybody who can reach it may call it, say so with `insecure = true`")
        .meant(Some(format!("\"tcp://{instead}:{}\"", address.port())))
}

fn wrong_scheme(scheme: &str, address: &str) -> Complaint {
    let complaint = if LATER.contains(&scheme) {
        Complaint::new(format!("holds `{scheme}://`, which is not supported yet"), EXPECTED)
    } else {
        Complaint::new(format!("holds the unknown scheme `{scheme}://`"), EXPECTED)
    };
    let near = closest(scheme, ["tcp"]).is_some() || scheme.starts_with("http");
    let parsed = address.trim_end_matches('/').parse::<SocketAddr>().ok();
    complaint.meant(parsed.filter(|_| near).map(shown))
}

fn shown(address: SocketAddr) -> String {
    format!("\"tcp://{address}\"")
}

/// `localhost:5555`, `:5555` and `*:5555`
fn named(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    ["localhost", "", "*"].contains(&host).then(|| shown(local(port)))
}

/// An address that lacks its port: show where it goes.
fn without_port(address: &str) -> Option<String> {
    let ip = if address == "localhost" { local(0).ip() } else { address.parse().ok()? };
    ip.is_loopback().then(|| shown(SocketAddr::new(ip, 5555)))
}

fn port_alone(value: &DeValue<'_>) -> Option<String> {
    let DeValue::Integer(port) = value else { return None };
    port.as_str().parse().ok().map(|port| shown(local(port)))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
