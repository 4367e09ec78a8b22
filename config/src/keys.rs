//! Every key there is, and where it belongs.

use crate::suggest::closest;

/// A kind of table in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// The top of the file.
    File,
    /// `[defaults]`
    Defaults,
    /// `[service.NAME]`
    Service,
    /// `restart = { ... }`
    Restart,
    /// `limits = { ... }`
    Limits,
    /// `allow = { ... }`
    Allow,
    /// `[log]`
    Log,
    /// `workers = { ... }`
    Workers,
    /// `run_as = { ... }`
    RunAs,
    /// `[web]`
    Web,
}

const FILE: &[&str] = &["run_dir", "namespace", "drain", "log", "web", "defaults", "service"];
const DEFAULTS: &[&str] = &[
    "workers",
    "driver",
    "compression",
    "restart",
    "limits",
    "spin",
    "allow",
    "insecure",
    "trust",
    "drain",
    "kill",
    "hang",
    "orphan",
    "memory",
    "run_as",
    "umask",
    "rlimits",
    "working_dir",
    "cpus",
    "env",
    "start_timeout",
];
const SERVICE: &[&str] = &[
    "builtin",
    "program",
    "args",
    "listen",
    "after", // of one service only; the rest is DEFAULTS
    "workers",
    "driver",
    "compression",
    "restart",
    "limits",
    "spin",
    "allow",
    "insecure",
    "trust",
    "drain",
    "kill",
    "hang",
    "orphan",
    "memory",
    "run_as",
    "umask",
    "rlimits",
    "working_dir",
    "cpus",
    "env",
    "start_timeout",
];
const RESTART: &[&str] = &["backoff", "limit"];
const LIMITS: &[&str] = &["shm_message", "tcp_message", "slots", "deadline"];
const ALLOW: &[&str] = &["users", "groups"];
const WORKERS: &[&str] = &["min", "max", "rule", "up", "down", "up_after", "down_after", "queue"];
const RUN_AS: &[&str] = &["user", "group", "groups"];
const LOG: &[&str] = &["dir", "size", "age", "keep", "level"];
const WEB: &[&str] = &["listen", "token_file", "insecure", "hosts", "history", "report"];

/// Words of the design, and of people's hopes, that the engine does not have yet.
const LATER: &[&str] = &["loops", "idle", "include", "tls"];

/// What other tools call it, and what it is called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("exec", "program"),
    ("command", "program"),
    ("cmd", "program"),
    ("path", "program"),
    ("arguments", "args"),
    ("bind", "listen"),
    ("address", "listen"),
    ("port", "listen"),
    ("processes", "workers"),
    ("max_proc", "workers"),
    ("environment", "env"),
    ("timeout", "start_timeout"),
    ("name", "namespace"),
    ("user", "users"),
    ("group", "groups"),
    ("cores", "cpus"),
    ("cwd", "working_dir"),
    ("chdir", "working_dir"),
    ("max_memory", "memory"),
];

impl Home {
    /// Where a key stands in several, advice names the first.
    pub(crate) const ALL: [Self; 10] = [
        Self::File,
        Self::Service,
        Self::Defaults,
        Self::Restart,
        Self::Limits,
        Self::Allow,
        Self::Log,
        Self::Workers,
        Self::RunAs,
        Self::Web,
    ];

    /// The keys that may stand here.
    pub(crate) const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::File => FILE,
            Self::Defaults => DEFAULTS,
            Self::Service => SERVICE,
            Self::Restart => RESTART,
            Self::Limits => LIMITS,
            Self::Allow => ALLOW,
            Self::Log => LOG,
            Self::Workers => WORKERS,
            Self::RunAs => RUN_AS,
            Self::Web => WEB,
        }
    }

    /// How to write `key` here.
    fn example(self, key: &str) -> String {
        match self {
            Self::File => format!("at the top of the file: `{key} = ...`"),
            Self::Defaults => format!("in [defaults]: `{key} = ...`"),
            Self::Service => format!("in [service.NAME]: `{key} = ...`"),
            Self::Restart => format!("in `restart = {{ {key} = ... }}`"),
            Self::Limits => format!("in `limits = {{ {key} = ... }}`"),
            Self::Allow => format!("in `allow = {{ {key} = ... }}`"),
            Self::Log => format!("in [log]: `{key} = ...`"),
            Self::Workers => format!("in `workers = {{ {key} = ... }}`"),
            Self::RunAs => format!("in `run_as = {{ {key} = ... }}`"),
            Self::Web => format!("in [web]: `{key} = ...`"),
        }
    }

    /// What to say under a key that does not belong here.
    pub(crate) fn advice(self, key: &str) -> String {
        let belongs = || Some(format!("it belongs {}", home_of(key)?.example(key)));
        let later = || LATER.contains(&key).then(|| "not supported yet: remove it".to_owned());
        let meant = || Some(format!("did you mean `{}`?", self.meant(key)?));
        let alias = || Some(format!("did you mean `{}`?", self.alias(key)?));
        alias().or_else(belongs).or_else(later).or_else(meant).unwrap_or_else(|| "there is no such key".to_owned())
    }

    /// The key of this table that an unknown one is probably a slip of.
    pub(crate) fn meant(self, key: &str) -> Option<&'static str> {
        self.alias(key).or_else(|| closest(key, self.keys().iter().copied()))
    }

    fn alias(self, key: &str) -> Option<&'static str> {
        let mut aliases = ELSEWHERE.iter().filter(|(theirs, _)| *theirs == key).map(|(_, ours)| *ours);
        aliases.find(|ours| self.keys().contains(ours))
    }
}

/// Every key that a file may have, in any of its tables. For tests that must leave none out.
pub fn keys() -> impl Iterator<Item = &'static str> {
    let is_table = |key: &str| ["defaults", "log", "service", "web"].contains(&key);
    Home::ALL.into_iter().flat_map(Home::keys).copied().filter(move |key| !is_table(key))
}

fn home_of(key: &str) -> Option<Home> {
    Home::ALL.into_iter().find(|home| home.keys().contains(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_take_every_default() {
        assert!(DEFAULTS.iter().all(|key| SERVICE.contains(key)));
        assert_eq!(SERVICE.len(), DEFAULTS.len() + 5);
    }

    #[test]
    fn advice_is_about_the_likeliest_slip() {
        assert_eq!(Home::Service.advice("wokers"), "did you mean `workers`?");
        assert_eq!(Home::Service.advice("exec"), "did you mean `program`?");
        assert_eq!(Home::Service.advice("slots"), "it belongs in `limits = { slots = ... }`");
        assert_eq!(Home::Defaults.advice("program"), "it belongs in [service.NAME]: `program = ...`");
        assert_eq!(Home::Service.advice("loops"), "not supported yet: remove it");
        assert_eq!(Home::Service.advice("user"), "it belongs in `run_as = { user = ... }`");
        assert_eq!(Home::Allow.advice("user"), "did you mean `users`?");
        assert_eq!(Home::Service.advice("colour"), "there is no such key");
    }
}
