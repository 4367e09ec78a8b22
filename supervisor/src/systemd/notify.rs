//! The protocol of sd_notify(3): datagrams of `NAME=value` lines.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long a manager whose queue is full is waited for: what it does not hear then is lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// Says how we are to whoever started us, if it wants to hear that.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
    /// Between two signs of life.
    every: Option<Duration>,
    next: Duration,
    status: String,
    was_ready: bool,
    is_stopping: bool,
}

impl Notifier {
    /// By the environment.
    pub(crate) fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> io::Result<Self> {
        let Some(path) = variable("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address(&path)?)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        let every = watchdog(text("WATCHDOG_USEC").as_deref(), text("WATCHDOG_PID").as_deref(), pid);
        Ok(Self { socket: Some(socket), every, ..Self::default() })
    }

    pub(crate) const fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// All services are ready, or a reload is over.
    pub(crate) fn ready(&mut self) {
        self.was_ready = true;
        self.say("READY=1");
    }

    /// A worker needs so long until it is ready, from now: so may we, for the first time.
    pub(crate) fn extend(&self, more: Duration) {
        if !self.was_ready {
            self.say(&format!("EXTEND_TIMEOUT_USEC={}", more.as_micros()));
        }
    }

    /// The file is read again. [`Notifier::ready`] ends it.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// Everything is being stopped. Said once.
    pub(crate) fn stopping(&mut self) {
        if !std::mem::replace(&mut self.is_stopping, true) {
            self.say("STOPPING=1");
        }
    }

    /// For people. Said when it is different.
    pub(crate) fn status(&mut self, text: &str) {
        if self.status != text {
            self.status = text.to_owned();
            self.say(&format!("STATUS={text}"));
        }
    }

    /// When the next sign of life is due.
    pub(crate) fn next_ping(&self) -> Option<Duration> {
        self.every.map(|_| self.next)
    }

    /// A sign of life, if it is due.
    pub(crate) fn ping(&mut self, now: Duration) {
        if let Some(every) = self.every.filter(|_| self.next <= now) {
            self.next = now + every;
            self.say("WATCHDOG=1");
        }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // Whoever listens may have gone, or be slow: no reason not to serve.
            let _unheard = socket.send(text.as_bytes());
        }
    }
}

/// A path, or with `@` an abstract name.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(path),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "NOTIFY_SOCKET is neither a path nor an abstract name")),
    }
}

/// Half of the time after which we are taken for dead, if that is meant for this process.
fn watchdog(usec: Option<&str>, for_pid: Option<&str>, pid: u32) -> Option<Duration> {
    let is_ours = for_pid.is_none_or(|for_pid| for_pid.parse() == Ok(pid));
    let micros: u64 = usec?.parse().ok()?;
    (is_ours && micros > 0).then(|| Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn everything_is_said_once_and_in_the_words_of_sd_notify() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let variable = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.clone().into_os_string()),
            "WATCHDOG_USEC" => Some("4000000".into()),
            _ => None,
        };
        let mut notifier = Notifier::new(variable, 7).unwrap();
        assert!(notifier.is_there());
        notifier.extend(Duration::from_millis(1500));
        assert_eq!(heard(&manager), "EXTEND_TIMEOUT_USEC=1500000");
        notifier.ready();
        assert_eq!(heard(&manager), "READY=1");
        notifier.extend(Duration::from_millis(1500));
        notifier.status("fine");
        notifier.status("fine");
        assert_eq!(heard(&manager), "STATUS=fine");
        notifier.reloading();
        let text = heard(&manager);
        let micros: u64 = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(micros > 0);
        let at = Duration::from_secs;
        [0, 1, 2, 3].iter().for_each(|second| notifier.ping(at(*second)));
        assert_eq!((heard(&manager), heard(&manager)), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
        assert_eq!(notifier.next_ping(), Some(at(4)));
        (0..3).for_each(|_| notifier.stopping());
        assert_eq!(heard(&manager), "STOPPING=1");
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut [0; 9]).is_err(), "nothing was said twice");
        // Whoever does not listen any more is no obstacle.
        drop(manager);
        notifier.ready();
    }

    #[test]
    fn abstract_names_are_understood_and_nonsense_is_not() {
        let name = format!("speedysvc-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let variable = |which: &str| (which == "NOTIFY_SOCKET").then(|| format!("@{name}").into());
        Notifier::new(variable, 7).unwrap().ready();
        assert_eq!(heard(&manager), "READY=1");
        assert!(Notifier::new(|_| Some("relative".into()), 7).is_err());
        assert!(!Notifier::new(|_| None, 7).unwrap().is_there());
    }

    #[test]
    fn the_watchdog_is_for_one_process_and_hears_twice_in_its_time() {
        let half = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(watchdog(Some("30000000"), None, 7), half(15));
        assert_eq!(watchdog(Some("30000000"), Some("7"), 7), half(15));
        assert_eq!(watchdog(Some("30000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("x"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}
