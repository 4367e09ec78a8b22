//! What both `[defaults]` and services can say. `None` is "not said".

use std::ops::RangeInclusive;
use std::time::Duration;

use super::plain;
use crate::fields::Fields;
use crate::keys::Home;
use crate::leaf;
use crate::problem::{Placed, Problems};
use crate::{ByteSize, DriverChoice, Limits, Principal, RestartLimit, SlotCount, Spin, Trust, WorkerCount};

/// What a `drain` may be. `"0"` stops at once.
pub(super) const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// How long a service may be silent, or take to die.
const PATIENCE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(24 * 3600);
const START: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// The settings of one table. Tables inside (`limits` and so on) are flattened: they are inherited key by key.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) workers: Option<WorkerCount>,
    pub(crate) driver: Option<DriverChoice>,
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
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) env: Vec<(String, String)>,
}

impl Settings {
    pub(super) fn read(fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        let mut settings = Self {
            workers: plain(fields.read("workers", leaf::workers, problems)),
            driver: plain(fields.read("driver", leaf::driver, problems)),
            spin: plain(fields.read("spin", leaf::spin, problems)),
            insecure: plain(fields.read("insecure", leaf::yes_or_no, problems)),
            trust: plain(fields.read("trust", leaf::trust, problems)),
            drain: plain(fields.read("drain", leaf::duration(DRAIN), problems)),
            kill: plain(fields.read("kill", leaf::duration(DRAIN), problems)),
            hang: plain(fields.read("hang", leaf::duration_or_none(PATIENCE), problems)),
            start_timeout: plain(fields.read("start_timeout", leaf::duration(START), problems)),
            env: fields.entries("env", leaf::variable, problems).unwrap_or_default(),
            ..Self::default()
        };
        settings.read_restart(fields, problems);
        settings.read_limits(fields, problems);
        settings.read_allow(fields, problems);
        settings
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
