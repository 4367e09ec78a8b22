//! The rows of one service.

use std::time::Duration;

use toml::Value;

use super::{Page, list, path, text};
use crate::units::show_duration;
use crate::{
    ByteSize, DriverChoice, Launch, Principal, Process, RestartLimit, Rlimit, RunAs, Scale, ScaleRule, Service, Trust,
    Umask,
};

/// The keys of one service, as they are looked for.
struct Rows<'p, 'a> {
    page: &'p mut Page<'a>,
    name: &'p str,
}

pub(super) fn write(page: &mut Page<'_>, service: &Service) {
    let name = service.name.as_str();
    page.table(&format!("service.{name}"));
    let mut rows = Rows { page, name };
    rows.launch(&service.launch);
    rows.own("listen", &list(&service.listen, |address| text(address)));
    rows.own("after", &list(&service.after, |name| text(name)));
    rows.workers(service);
    rows.inherited(&["driver"], &text(driver(service.driver)));
    rows.inherited(&["compression"], &text(service.compression.as_str()));
    let restart = &service.restart;
    let backoff = format!("{}..{}", show_duration(restart.backoff_min), show_duration(restart.backoff_max));
    rows.inherited(&["restart", "backoff"], &text(backoff));
    rows.inherited(&["restart", "limit"], &text(restart.limit.map_or("none".to_owned(), limit)));
    let limits = &service.limits;
    rows.inherited(&["limits", "shm_message"], &text(limits.shm_message));
    rows.inherited(&["limits", "tcp_message"], &text(limits.tcp_message));
    rows.inherited(&["limits", "slots"], &i64::from(limits.slots.get()).into());
    rows.inherited(&["limits", "deadline"], &duration(limits.deadline));
    rows.inherited(&["spin"], &duration(service.spin.get()));
    rows.inherited(&["allow", "users"], &list(&service.allow.users, principal));
    rows.inherited(&["allow", "groups"], &list(&service.allow.groups, principal));
    rows.inherited(&["insecure"], &service.insecure.into());
    rows.inherited(&["trust"], &text(trust(service.trust)));
    rows.drain(service.drain);
    rows.inherited(&["kill"], &duration(service.kill));
    rows.inherited(&["hang"], &service.hang.map_or_else(|| text("none"), duration));
    rows.inherited(&["orphan"], &duration(service.orphan));
    rows.inherited(&["memory"], &service.memory.map_or_else(|| text("none"), text));
    rows.process(&service.process);
    rows.inherited(&["start_timeout"], &duration(service.start_timeout));
    for (name, value) in &service.env {
        rows.inherited(&["env", name], &text(value));
    }
}

impl Rows<'_, '_> {
    fn own(&mut self, key: &str, value: &Value) {
        self.page.own(key, &["service", self.name], value);
    }

    /// What stands in the service's table, or in `[defaults]`.
    fn inherited(&mut self, key: &[&str], value: &Value) {
        self.from(key, &[key], value);
    }

    /// The same where more than one way of writing can have said it.
    fn from(&mut self, key: &[&str], ways: &[&[&str]], value: &Value) {
        let origin = self.page.origins.of(&self.ways(ways));
        self.page.row(&dotted(key), value, &origin);
    }

    fn ways<'k>(&'k self, ways: &[&'k [&'k str]]) -> Vec<Vec<&'k str>> {
        let in_table = |table: &[&'k str]| ways.iter().map(|way| [table, way].concat()).collect::<Vec<_>>();
        [in_table(&["service", self.name]), in_table(&["defaults"])].concat()
    }

    /// What nobody has said of a user has no word of its own: it is the engine's.
    fn process(&mut self, process: &Process) {
        let RunAs { user, group, groups } = &process.run_as;
        for (key, value) in [("user", user), ("group", group)] {
            value.iter().for_each(|value| self.inherited(&["run_as", key], &principal(value)));
        }
        groups.iter().for_each(|groups| self.inherited(&["run_as", "groups"], &list(groups, principal)));
        let octal = |mask: Umask| text(format!("{:03o}", mask.bits()));
        self.inherited(&["umask"], &process.umask.map_or_else(|| text("none"), octal));
        for (limit, value) in &process.rlimits {
            self.inherited(&["rlimits", limit.as_str()], &bound(*limit, *value));
        }
        self.inherited(&["working_dir"], &process.working_dir.as_deref().map_or_else(|| text("none"), path));
        self.inherited(&["cpus"], &process.cpus.as_ref().map_or_else(|| text("all"), text));
    }

    fn launch(&mut self, launch: &Launch) {
        match launch {
            Launch::Builtin(builtin) => self.own("builtin", &text(builtin.as_str())),
            Launch::Program { path: program, args } => {
                self.own("program", &path(program));
                self.own("args", &list(args, |argument| text(argument)));
            }
        }
    }

    fn workers(&mut self, service: &Service) {
        let fewest = Value::from(i64::from(service.workers.get()));
        let Some(scale) = &service.scale else {
            return self.from(&["workers"], &[&["workers", "min"], &["workers"]], &fewest);
        };
        let Scale { max, rule, up, down, up_after, down_after, queue } = scale;
        self.from(&["workers", "min"], &[&["workers", "min"], &["workers"]], &fewest);
        self.inherited(&["workers", "max"], &i64::from(max.get()).into());
        self.inherited(&["workers", "rule"], &text(scale_rule(*rule)));
        self.inherited(&["workers", "up"], &i64::from(*up).into());
        self.inherited(&["workers", "down"], &i64::from(*down).into());
        self.inherited(&["workers", "up_after"], &duration(*up_after));
        self.inherited(&["workers", "down_after"], &duration(*down_after));
        self.inherited(&["workers", "queue"], &duration(*queue));
    }

    /// The one key that is also inherited from the top of the file.
    fn drain(&mut self, drain: Duration) {
        let mut ways = self.ways(&[&["drain"]]);
        ways.push(vec!["drain"]);
        let origin = self.page.origins.of(&ways);
        self.page.row("drain", &duration(drain), &origin);
    }
}

fn dotted(key: &[&str]) -> String {
    let is_bare = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let each = |name: &&str| if is_bare(name) { (*name).to_owned() } else { text(name).to_string() };
    key.iter().map(each).collect::<Vec<_>>().join(".")
}

fn duration(duration: Duration) -> Value {
    text(show_duration(duration))
}

fn bound(limit: Rlimit, value: Option<u64>) -> Value {
    match value {
        None => text("unlimited"),
        Some(count) if limit.is_count() => i64::try_from(count).unwrap_or(i64::MAX).into(),
        Some(bytes) => text(ByteSize::from_bytes(bytes)),
    }
}

fn limit(limit: RestartLimit) -> String {
    format!("{} in {}", limit.deaths, show_duration(limit.within))
}

fn principal(principal: &Principal) -> Value {
    match principal {
        Principal::Name(name) => text(name),
        Principal::Id(id) => i64::from(*id).into(),
    }
}

fn driver(driver: DriverChoice) -> &'static str {
    match driver {
        DriverChoice::Auto => "auto",
        DriverChoice::IoUring => "io_uring",
        DriverChoice::Epoll => "epoll",
    }
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::SameUser => "same-user",
        Trust::Never => "never",
    }
}

fn scale_rule(rule: ScaleRule) -> &'static str {
    match rule {
        ScaleRule::Busy => "busy",
        ScaleRule::Cpu => "cpu",
    }
}
