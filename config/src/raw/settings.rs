//! What both `[defaults]` and services can say. `None` is "not said".

use std::ops::RangeInclusive;
use std::time::Duration;

use super::plain;
use super::process::ProcessSettings;
use crate::fields::Fields;
use crate::keys::Home;
use crate::leaf;
use crate::problem::{Placed, Problem, Problems};
use crate::{
    ByteSize, Compression, DriverChoice, Limits, Principal, RestartLimit, Scale, ScaleRule, SlotCount, Spin, Trust,
    WorkerCount,
};

/// What a `drain` may be. `"0"` stops at once.
pub(super) const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// How long a service may be silent, or take to die.
const PATIENCE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const START: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// The settings of one table. Tables inside (`limits` and so on) are flattened: they are inherited key by key.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) workers: Option<WorkerCount>,
    pub(crate) scale: ScaleSettings,
    pub(crate) driver: Option<DriverChoice>,
    pub(crate) compression: Option<Compression>,
    pub(crate) backoff: Option<(Duration, Duration)>,
    /// The inner `None` is `"none"`: never gives up.
    pub(crate) restart_limit: Option<Option<RestartLimit>>,
    pub(crate) shm_message: Option<ByteSize>,
    pub(crate) tcp_message: Option<ByteSize>,
    pub(crate) slots: Option<SlotCount>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) spin: Option<Spin>,
    pub(crate) users: Option<Vec<Principal>>,
    pub(crate) groups: Option<Vec<Principal>>,
    pub(crate) insecure: Option<bool>,
    pub(crate) trust: Option<Trust>,
    pub(crate) drain: Option<Duration>,
    pub(crate) kill: Option<Duration>,
    /// The inner `None` is `"none"`: never.
    pub(crate) hang: Option<Option<Duration>>,
    pub(crate) orphan: Option<Duration>,
    /// The inner `None` is `"none"`: as much as it likes.
    pub(crate) memory: Option<Option<ByteSize>>,
    pub(crate) process: ProcessSettings,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) env: Vec<(String, String)>,
}

/// What `workers = { ... }` says beside `min`.
#[derive(Clone, Copy, Default)]
pub(crate) struct ScaleSettings {
    pub(crate) max: Option<WorkerCount>,
    rule: Option<ScaleRule>,
    up: Option<u16>,
    down: Option<u16>,
    up_after: Option<Duration>,
    down_after: Option<Duration>,
    queue: Option<Duration>,
}

impl ScaleSettings {
    pub(crate) fn or(self, there: Self) -> Self {
        Self {
            max: self.max.or(there.max),
            rule: self.rule.or(there.rule),
            up: self.up.or(there.up),
            down: self.down.or(there.down),
            up_after: self.up_after.or(there.up_after),
            down_after: self.down_after.or(there.down_after),
            queue: self.queue.or(there.queue),
        }
    }

    /// Nothing without `max`.
    pub(crate) fn in_force(self, min: WorkerCount) -> Option<Scale> {
        let rule = self.rule.unwrap_or_default();
        let default = if rule == ScaleRule::Cpu { Scale::seed() } else { Scale::default() };
        Some(Scale {
            max: self.max?.max(min),
            rule,
            up: self.up.unwrap_or(default.up),
            down: self.down.unwrap_or(default.down),
            up_after: self.up_after.unwrap_or(default.up_after),
            down_after: self.down_after.unwrap_or(default.down_after),
            queue: self.queue.unwrap_or(default.queue),
        })
    }
}

impl Settings {
    pub(super) fn read(fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        let mut settings = Self {
            driver: plain(fields.read("driver", leaf::driver, problems)),
            compression: plain(fields.read("compression", leaf::compression, problems)),
            spin: plain(fields.read("spin", leaf::spin, problems)),
            insecure: plain(fields.read("insecure", leaf::yes_or_no, problems)),
            trust: plain(fields.read("trust", leaf::trust, problems)),
            drain: plain(fields.read("drain", leaf::duration(DRAIN), problems)),
            kill: plain(fields.read("kill", leaf::duration(DRAIN), problems)),
            hang: plain(fields.read("hang", leaf::duration_or_none(PATIENCE), problems)),
            orphan: plain(fields.read("orphan", leaf::duration(DRAIN), problems)),
            memory: plain(fields.read("memory", leaf::process::memory, problems)),
            process: ProcessSettings::read(fields, problems),
            start_timeout: plain(fields.read("start_timeout", leaf::duration(START), problems)),
            env: fields.entries("env", leaf::variable, problems).unwrap_or_default(),
            ..Self::default()
        };
        settings.read_workers(fields, problems);
        settings.read_restart(fields, problems);
        settings.read_limits(fields, problems);
        settings.read_allow(fields, problems);
        settings
    }

    /// A number, or a table with the fewest, the most, and the rule between them.
    fn read_workers(&mut self, fields: &Fields<'_, '_>, problems: &mut Problems) {
        if fields.node("workers").is_none_or(|node| !node.get_ref().is_table()) {
            self.workers = plain(fields.read("workers", leaf::workers, problems));
            return;
        }
        let Some(inner) = fields.inner("workers", Home::Workers, problems) else { return };
        let (min, max) = (inner.read("min", leaf::workers, problems), inner.read("max", leaf::workers, problems));
        if let (Some(min), Some(max)) = (&min, &max)
            && min.value > max.value
        {
            let problem = Problem::new("`workers` has more at least than at most");
            let problem = problem.at(max.span.clone(), "expected at least `min`").at(min.span.clone(), "this is `min`");
            problems.push(problem.help("exchange them, or write one number: `workers = 2`"));
        }
        (self.workers, self.scale.max) = (plain(min), plain(max));
        self.scale.rule = plain(inner.read("rule", leaf::scale_rule, problems));
        self.scale.up = plain(inner.read("up", leaf::percent, problems));
        self.scale.down = plain(inner.read("down", leaf::percent, problems));
        self.scale.up_after = plain(inner.read("up_after", leaf::duration(Scale::AFTER), problems));
        self.scale.down_after = plain(inner.read("down_after", leaf::duration(Scale::AFTER), problems));
        self.scale.queue = plain(inner.read("queue", leaf::duration(Scale::QUEUE), problems));
    }

    fn read_restart(&mut self, fields: &Fields<'_, '_>, problems: &mut Problems) {
        let Some(inner) = fields.inner("restart", Home::Restart, problems) else { return };
        self.backoff = plain(inner.read("backoff", leaf::backoff, problems));
        self.restart_limit = plain(inner.read("limit", leaf::restart_limit, problems));
    }

    fn read_limits(&mut self, fields: &Fields<'_, '_>, problems: &mut Problems) {
        let Some(inner) = fields.inner("limits", Home::Limits, problems) else { return };
        let (shm, tcp) = (leaf::size(Limits::SHM_MESSAGE), leaf::size(Limits::TCP_MESSAGE));
        self.shm_message = plain(inner.read("shm_message", shm, problems));
        self.tcp_message = plain(inner.read("tcp_message", tcp, problems));
        self.slots = plain(inner.read("slots", leaf::slots, problems));
        self.deadline = plain(inner.read("deadline", leaf::duration(Limits::DEADLINE), problems));
    }

    fn read_allow(&mut self, fields: &Fields<'_, '_>, problems: &mut Problems) {
        let Some(inner) = fields.inner("allow", Home::Allow, problems) else { return };
        let plain = |list: Vec<_>| list.into_iter().map(|placed: Placed<_>| placed.value).collect();
        self.users = inner.list("users", leaf::principal, problems).map(plain);
        self.groups = inner.list("groups", leaf::principal, problems).map(plain);
    }
}
