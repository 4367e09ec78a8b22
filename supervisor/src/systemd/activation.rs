//! The protocol of sd_listen_fds(3): descriptors from 3 up, and variables that say how many and what they are called.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::FdFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::spares::Spares;

/// Longest accept when somebody has made the socket wait: the kernel makes one tick of its clock of it.
const ACCEPT_MAX: Duration = Duration::from_millis(1);

/// Why sockets that we were started with cannot be used: for the operator.
pub(crate) type Unusable = String;

/// The sockets that this process was started with, and those which are no use.
pub(crate) fn activated(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> (Spares, Vec<Unusable>) {
    let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
    let names =
        names(text("LISTEN_PID").as_deref(), text("LISTEN_FDS").as_deref(), text("LISTEN_FDNAMES").as_deref(), pid);
    let (mut spares, mut unusable) = (Spares::default(), Vec::new());
    if names.is_empty() {
        return (spares, unusable);
    }
    // It knows by the same variables what may be taken.
    let mut there = listenfd::ListenFd::from_env();
    for (index, name) in names.iter().enumerate() {
        let taken = take(&mut there, index).map(|socket| spares.add_activated(name, socket));
        if !matches!(taken, Some(Ok(()))) {
            unusable.push(format!(
                "the socket `{name}` that this process was started with is no listening TCP or Unix socket"
            ));
        }
    }
    (spares, unusable)
}

fn take(there: &mut listenfd::ListenFd, index: usize) -> Option<OwnedFd> {
    let socket: OwnedFd = match there.take_tcp_listener(index) {
        Ok(tcp) => tcp?.into(),
        Err(_) => there.take_unix_listener(index).ok()??.into(),
    };
    // Workers get copies of what is theirs; and nobody waits in an accept for a client that has gone.
    rustix::io::fcntl_setfd(&socket, FdFlags::CLOEXEC).ok()?;
    rustix::io::ioctl_fionbio(&socket, true).ok()?;
    // The flag is shared with whoever opened the socket: systemd takes it away each time that it starts the service,
    // and the workers of a killed engine would stand still in an accept. This belongs to the socket, and stays.
    set_socket_timeout(&socket, Timeout::Recv, Some(ACCEPT_MAX)).ok()?;
    Some(socket)
}

/// What each of the sockets is called, if they are for this process.
fn names(for_pid: Option<&str>, count: Option<&str>, names: Option<&str>, pid: u32) -> Vec<String> {
    /// More than anybody has; the number comes from outside.
    const MOST: usize = 1024;
    let is_ours = for_pid.and_then(|text| text.parse().ok()) == Some(pid);
    let count = count.and_then(|text| text.parse::<usize>().ok()).filter(|_| is_ours).unwrap_or(0).min(MOST);
    let mut names = names.unwrap_or_default().split(':');
    // systemd's own word for those without a name.
    (0..count).map(|_| names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn sockets_of_another_process_are_not_ours() {
        assert_eq!(names(Some("7"), Some("2"), Some("a:b"), 7), ["a", "b"]);
        assert!(names(Some("8"), Some("2"), Some("a:b"), 7).is_empty());
        assert!(names(None, Some("2"), Some("a:b"), 7).is_empty());
        assert!(names(Some("x"), Some("2"), None, 7).is_empty());
    }

    #[test]
    fn names_may_be_missing_and_numbers_may_be_nonsense() {
        assert_eq!(names(Some("7"), Some("3"), Some("a::c:d"), 7), ["a", "unknown", "c"]);
        assert_eq!(names(Some("7"), Some("2"), None, 7), ["unknown", "unknown"]);
        for count in ["-1", "", "many", "99999999999999999999999"] {
            assert!(names(Some("7"), Some(count), None, 7).is_empty(), "{count}");
        }
        assert_eq!(names(Some("7"), Some("4294967295"), None, 7).len(), 1024);
    }
}
