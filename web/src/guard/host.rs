//! Which names are ours, and whose pages may ask.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use super::Refusal;

/// Names by which browsers may reach us. A name that somebody else points at this machine is none: so the pages of its
/// owner cannot pass for ours.
pub(crate) struct Hosts {
    names: Vec<String>,
    /// Other addresses of this machine are listened on, too.
    is_open: bool,
}

impl Hosts {
    pub(crate) fn new(names: Vec<String>, address: SocketAddr) -> Self {
        Self { names, is_open: !address.ip().is_loopback() }
    }

    /// The host of a request as its client wrote it, in lower case.
    pub(super) fn check(&self, fields: &HeaderMap, authority: Option<&str>) -> Result<String, Refusal> {
        let mut hosts = fields.get_all(header::HOST).into_iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| Refusal::Host)?,
            _ => return Err(Refusal::Host),
        };
        let host = host.to_ascii_lowercase();
        let named = authority.is_none_or(|authority| authority.eq_ignore_ascii_case(&host));
        if named && self.is_ours(without_port(&host)) { Ok(host) } else { Err(Refusal::Host) }
    }

    /// Numbers cannot be pointed elsewhere, only names can. Ports may differ, behind a tunnel.
    fn is_ours(&self, name: &str) -> bool {
        let number = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        name == "localhost"
            || number.is_some_and(|number| number.is_loopback() || self.is_open)
            || self.names.iter().any(|known| known == name)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// A browser says whose page asks; only our own may, and others may lead here by a link.
pub(super) fn check_origin(fields: &HeaderMap, host: &str) -> Result<(), Refusal> {
    const WHY: &str = "pages of others may not ask here\n";
    let mut origins = fields.get_all(header::ORIGIN).into_iter();
    if let Some(origin) = origins.next() {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if from != Some(host) || origins.next().is_some() {
            return Err(Refusal::Origin(WHY));
        }
    }
    let says = |name: &str, value: &str| fields.get(name).is_some_and(|field| field.as_bytes() == value.as_bytes());
    let foreign = says("sec-fetch-site", "cross-site") || says("sec-fetch-site", "same-site");
    if foreign && !says("sec-fetch-mode", "navigate") {
        return Err(Refusal::Origin(WHY));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;

    fn fields(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = all.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut fields = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            fields.append(name, value);
        });
        fields
    }

    #[test]
    fn only_our_names_are_ours() {
        let closed = Hosts::new(vec!["dash.example".to_owned()], "127.0.0.1:5155".parse().unwrap());
        let open = Hosts::new(Vec::new(), "0.0.0.0:5155".parse().unwrap());
        let is_ours = |hosts: &Hosts, host| hosts.check(&fields(&[("host", host)]), None).is_ok();
        for good in ["localhost", "LocalHost:5155", "127.0.0.1:5155", "127.0.0.1:8000", "[::1]:5155", "dash.example"] {
            assert!(is_ours(&closed, good), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:5155",
            "127.0.0.1.evil.example",
            "",
            ":5155",
            "10.0.0.1",
            "[::2]:5155",
            "localhost.evil",
            "localhost:5155:evil",
            "localhost@evil",
            "127.0.0.1:80a",
        ] {
            assert!(!is_ours(&closed, bad), "{bad}");
        }
        assert!(is_ours(&open, "10.0.0.1:5155") && !is_ours(&open, "dash.example"));
        assert!(closed.check(&fields(&[]), None).is_err());
        assert!(closed.check(&fields(&[("host", "localhost"), ("host", "evil")]), None).is_err());
        assert!(closed.check(&fields(&[("host", "localhost")]), Some("evil.example")).is_err());
    }

    #[test]
    fn only_our_pages_may_ask() {
        let may = |all: &[(&'static str, &'static str)]| check_origin(&fields(all), "localhost:5155").is_ok();
        assert!(
            may(&[]) && may(&[("origin", "http://localhost:5155")]) && may(&[("origin", "https://LOCALHOST:5155")])
        );
        for bad in
            ["http://evil.example", "null", "http://localhost:8000", "http://localhost:5155.evil", "localhost:5155"]
        {
            assert!(!may(&[("origin", bad)]), "{bad}");
        }
        assert!(!may(&[("origin", "http://localhost:5155"), ("origin", "http://evil.example")]));
        assert!(!may(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(may(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]));
    }
}
