//! Addresses: `tcp://127.0.0.1:5555`. Loopback only, until there are TLS and tokens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::de::DeValue;

use crate::leaf::wrong_type;
use crate::problem::Complaint;
use crate::suggest::closest;

const EXPECTED: &str = "an address such as \"tcp://127.0.0.1:5555\" or \"tcp://[::1]:5555\"";

/// Schemes that will come, or that people will try.
const LATER: [&str; 4] = ["unix", "http", "https", "tls"];

/// Reads one address.
pub(crate) fn listen(value: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    let DeValue::String(text) = value else {
        return Err(wrong_type(value, EXPECTED).meant(port_alone(value)));
    };
    match text.split_once("://") {
        Some(("tcp", address)) => tcp(address),
        Some(("shm", _)) => Err(Complaint::new("holds a shared memory address", EXPECTED)
            .help("remove it: every service is at shm://NAME already")),
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
    if !parsed.ip().is_loopback() {
        let instead = if parsed.is_ipv4() { "127.0.0.1" } else { "[::1]" };
        return Err(Complaint::new("reaches beyond this machine", "a loopback address")
            .help("anybody on the network could call the service: TLS and tokens come later")
            .meant(Some(format!("\"tcp://{instead}:{}\"", parsed.port()))));
    }
    Ok(parsed)
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
