//! Rules between values: addresses that are taken, and room for a socket's path.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::listen::beyond;
use crate::problem::{Placed, Problem, Problems};
use crate::raw;
use crate::run_dir::{MAX_SOCKET_PATH, socket_path};
use crate::suggest::closest;
use crate::{Listen, Namespace};

/// Every address that an earlier one has taken is a mistake, shown with that one.
pub(crate) fn addresses(services: &[raw::Service], problems: &mut Problems) {
    let mut taken: Vec<Address<'_>> = Vec::new();
    let all = services.iter().flat_map(|service| {
        let owner = service.written.value.as_str();
        service.listen.iter().map(move |address| Address { owner, address })
    });
    for address in all.filter(|it| it.port() != Some(0)) {
        match taken.iter().find(|other| other.clashes_with(&address)) {
            Some(first) => problems.push(taken_by(first, &address)),
            None => taken.push(address),
        }
    }
}

/// Addresses that other machines reach are a mistake unless the file says that they are none.
pub(crate) fn loopback(addresses: &[Placed<Listen>], insecure: bool, problems: &mut Problems) {
    for address in addresses.iter().filter(|address| !insecure && address.value.reaches_beyond()) {
        if let Listen::Tcp(tcp) = address.value {
            problems.push(beyond(tcp).about("listen", address.span.clone()));
        }
    }
}

/// A dashboard that other machines reach asks who it is, and says that others can read along.
pub(crate) fn dashboard(web: &raw::Web, problems: &mut Problems) {
    let Some(Placed { value: Some(address), span }) = &web.listen else { return };
    if address.ip().is_loopback() || (web.token_file.is_some() && web.insecure == Some(true)) {
        return;
    }
    problems.push(
        Problem::new("the dashboard would reach beyond this machine")
            .at(span.clone(), "expected a loopback address, or `token_file` and `insecure = true` beside it")
            .help("whoever reaches it can stop services: `token_file` names a file with a secret of 32 letters or more")
            .help("there is no TLS yet, so whoever is between can read the secret: say so with `insecure = true`")
            .help("or keep it on loopback, and reach it with `ssh -L 5155:127.0.0.1:5155 HOST`"),
    );
}

/// The first address for which a worker's message has no room is a mistake.
pub(crate) fn count(addresses: &[Placed<Listen>], problems: &mut Problems) {
    let most = Listen::PER_SERVICE_MAX;
    let Some(over) = addresses.get(most) else { return };
    problems.push(
        Problem::new(format!("a service listens at {} addresses", addresses.len()))
            .at(over.span.clone(), format!("expected at most {most} addresses in `listen`"))
            .help("0.0.0.0 and [::] stand for every address of the machine, if `insecure = true` says that they may"),
    );
}

/// An address and the name of the service that has it.
struct Address<'a> {
    owner: &'a str,
    address: &'a Placed<Listen>,
}

impl Address<'_> {
    /// One service may have a port on several addresses, such as 127.0.0.1 and ::1. Two services may not share
    /// one even then: `localhost:5555` would reach whichever the client's resolver puts first.
    fn clashes_with(&self, other: &Self) -> bool {
        match (&self.address.value, &other.address.value) {
            (Listen::Tcp(one), Listen::Tcp(two)) => {
                one.port() == two.port() && (self.owner != other.owner || one.ip() == two.ip())
            }
            (one, two) => one == two,
        }
    }

    fn port(&self) -> Option<u16> {
        if let Listen::Tcp(address) = self.address.value { Some(address.port()) } else { None }
    }
}

fn taken_by(first: &Address<'_>, second: &Address<'_>) -> Problem {
    let Some(port) = second.port() else {
        return Problem::new(format!("{} is used twice", second.address.value))
            .at(second.address.span.clone(), "expected a socket that nothing else in this file uses")
            .at(first.address.span.clone(), format!("service `{}` has it", first.owner))
            .help("change one of them");
    };
    Problem::new(format!("TCP port {port} is used twice"))
        .at(second.address.span.clone(), "expected a port that nothing else in this file uses")
        .at(first.address.span.clone(), format!("service `{}` has it", first.owner))
        .help("change one of them; port 0 takes any free port")
}

/// `after` names services of this file, and nobody comes after itself by any way.
pub(crate) fn order(services: &[raw::Service], problems: &mut Problems) {
    let names: Vec<&str> = services.iter().map(|service| service.written.value.as_str()).collect();
    for service in services {
        for name in service.after.iter().filter(|name| !names.contains(&name.value.as_str())) {
            let meant = closest(&name.value, names.iter().copied());
            let problem = Problem::new(format!("there is no service `{}` in this file", name.value))
                .at(name.span.clone(), "expected the name of a service that is started before this one");
            problems.push(match meant {
                Some(meant) => problem.help(format!("did you mean \"{meant}\"?")),
                None => problem.help(format!("services of this file: {}", names.join(", "))),
            });
        }
        if let Some(name) = service.after.iter().find(|name| leads_to(services, &name.value, &service.written.value)) {
            problems.push(
                Problem::new(format!("service `{}` would wait for itself", service.written.value))
                    .at(name.span.clone(), format!("`{}` comes after `{}`", name.value, service.written.value))
                    .help("remove one of the names that lead in a circle"),
            );
        }
    }
}

/// Whether `from` is `to`, or waits for it by any way.
fn leads_to(services: &[raw::Service], from: &str, to: &str) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut open = vec![from];
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if !seen.contains(&name) {
            seen.push(name);
            let next = services.iter().filter(|service| service.written.value == name);
            open.extend(next.flat_map(|service| &service.after).map(|after| after.value.as_str()));
        }
    }
    false
}

/// Each service's socket must fit into a Unix address. Said once, for the longest name.
pub(crate) fn socket_room(run_dir: &Path, namespace: &Namespace, file: &raw::File, problems: &mut Problems) {
    let names = file.services.iter().filter_map(|service| Some((service.name.as_ref()?, &service.written.span)));
    let Some((name, place)) = names.max_by_key(|(name, _)| name.as_str().len()) else { return };
    let socket = socket_path(run_dir, namespace, name);
    let length = socket.as_os_str().as_bytes().len();
    let Some(over @ 1..) = length.checked_sub(MAX_SOCKET_PATH) else { return };
    let span = file.run_dir.as_ref().map_or(place, |written| &written.span);
    problems.push(
        Problem::new(format!("the path of a socket would be {over} bytes too long"))
            .at(span.clone(), format!("expected a run folder whose path is {over} bytes shorter"))
            .help(format!("{} has {length} bytes; Unix sockets take {MAX_SOCKET_PATH}", socket.display()))
            .help("set a shorter `run_dir`, such as \"/run/speedysvc\""),
    );
}
