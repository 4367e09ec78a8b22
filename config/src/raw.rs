//! The file as written: typed, but nothing inherited, looked up or compared yet. Text ends here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use crate::fields::{Fields, in_file_order};
use crate::keys::Home;
use crate::leaf;
use crate::listen::listen;
use crate::problem::{Problem, Problems, Span};
use crate::{
    Builtin, ByteSize, DriverChoice, Limits, Namespace, Principal, RestartLimit, ServiceName,
    SlotCount, Spin, WorkerCount,
};

const DRAIN: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const START: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(3600);

/// The whole file.
pub(crate) struct File {
    pub(crate) run_dir: Option<Spanned<PathBuf>>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) drain: Option<Duration>,
    pub(crate) defaults: Settings,
    /// In the order of the file.
    pub(crate) services: Vec<Service>,
}

/// One `[service.NAME]`.
pub(crate) struct Service {
    pub(crate) name: Spanned<ServiceName>,
    /// `None` if what the file says is wrong, which was said then.
    pub(crate) launch: Option<Launch>,
    pub(crate) listen: Vec<Spanned<SocketAddr>>,
    pub(crate) settings: Settings,
}

/// What a service runs, before the program was looked for.
pub(crate) enum Launch {
    Builtin(Builtin),
    Program { program: Spanned<String>, args: Vec<String> },
}

/// What both `[defaults]` and services can say.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) workers: Option<WorkerCount>,
    pub(crate) driver: Option<DriverChoice>,
    pub(crate) backoff: Option<(Duration, Duration)>,
    pub(crate) restart_limit: Option<Option<RestartLimit>>,
    pub(crate) shm_message: Option<ByteSize>,
    pub(crate) tcp_message: Option<ByteSize>,
    pub(crate) slots: Option<SlotCount>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) spin: Option<Spin>,
    pub(crate) users: Option<Vec<Principal>>,
    pub(crate) groups: Option<Vec<Principal>>,
    pub(crate) drain: Option<Duration>,
    pub(crate) start_timeout: Option<Duration>,
    pub(crate) env: Vec<(String, String)>,
}

impl File {
    pub(crate) fn read(document: &DeTable<'_>, problems: &mut Problems) -> Self {
        let fields = Fields::open(document, "", Home::File, problems);
        let defaults = fields.inner("defaults", Home::Defaults, problems);
        Self {
            run_dir: fields.read("run_dir", leaf::path, problems),
            namespace: plain(fields.read("namespace", leaf::namespace, problems)),
            drain: plain(fields.read("drain", leaf::duration(DRAIN), problems)),
            defaults: defaults.map(|fields| Settings::read(&fields, problems)).unwrap_or_default(),
            services: read_services(&fields, document, problems),
        }
    }
}

fn read_services(
    fields: &Fields<'_, '_>,
    document: &DeTable<'_>,
    problems: &mut Problems,
) -> Vec<Service> {
    let services = fields.node("service");
    if let Some(array) = services.filter(|node| node.get_ref().is_array()) {
        let problem = Problem::new("`service` must not be a list")
            .at(array.span(), "expected [service.NAME], one table for each service");
        problems.push(problem);
        return Vec::new();
    }
    let Some(table) = fields.subtable("service", problems).filter(|table| !table.is_empty()) else {
        // A table under a misspelt name was said already, and is probably the service.
        let misspelt = document.iter().any(|(key, value)| {
            value.get_ref().is_table() && !Home::File.keys().contains(&key.get_ref().as_ref())
        });
        if !misspelt && services.is_none_or(|node| node.get_ref().is_table()) {
            problems.push(no_services(services.map_or(0..0, Spanned::span)));
        }
        return Vec::new();
    };
    let read = in_file_order(table).into_iter().filter_map(|(key, _)| {
        let name = read_name(key.get_ref(), key.span(), problems);
        let inner = Fields::open_at(table, key.get_ref(), "service", problems)?;
        Service::read(name, key.span(), &inner, problems)
    });
    read.collect()
}
