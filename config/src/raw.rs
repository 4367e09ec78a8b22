//! The file as written: typed, but nothing inherited, looked up or compared yet. Text ends here.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeTable;

use crate::fields::{Fields, in_file_order};
use crate::keys::Home;
use crate::leaf::{self, wrong_type};
use crate::listen::listen;
use crate::problem::{Placed, Problem, Problems, Span};
use crate::{Builtin, Listen, Namespace, ServiceName};

mod log;
mod process;
mod settings;
mod web;

pub(crate) use log::Log;
pub(crate) use settings::Settings;
pub(crate) use web::Web;

/// The whole file.
pub(crate) struct File {
    pub(crate) run_dir: Option<Placed<PathBuf>>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) drain: Option<Duration>,
    pub(crate) log: Log,
    pub(crate) web: Web,
    pub(crate) defaults: Settings,
    /// In the order of the file.
    pub(crate) services: Vec<Service>,
}

/// One `[service.NAME]`.
pub(crate) struct Service {
    /// What stands in the header, right or wrong.
    pub(crate) written: Placed<String>,
    /// `None` if that cannot be a name, which was said then.
    pub(crate) name: Option<ServiceName>,
    /// `None` if what the file says is wrong; this was said then, too.
    pub(crate) launch: Option<Launch>,
    pub(crate) listen: Vec<Placed<Listen>>,
    pub(crate) after: Vec<Placed<String>>,
    pub(crate) settings: Settings,
}

/// What a service runs, before the program was looked for.
pub(crate) enum Launch {
    Builtin(Builtin),
    Program { program: Placed<String>, args: Vec<String> },
}

impl File {
    pub(crate) fn read(document: &DeTable<'_>, problems: &mut Problems) -> Self {
        let fields = Fields::open(document, "", Home::File, problems);
        let defaults = fields.inner("defaults", Home::Defaults, problems);
        let log = fields.inner("log", Home::Log, problems);
        let web = fields.inner("web", Home::Web, problems);
        Self {
            run_dir: fields.read("run_dir", leaf::path, problems),
            namespace: plain(fields.read("namespace", leaf::namespace, problems)),
            drain: plain(fields.read("drain", leaf::duration(settings::DRAIN), problems)),
            log: log.map(|fields| Log::read(&fields, problems)).unwrap_or_default(),
            web: web.map(|fields| Web::read(&fields, problems)).unwrap_or_default(),
            defaults: defaults.map(|fields| Settings::read(&fields, problems)).unwrap_or_default(),
            services: read_services(&fields, document, problems),
        }
    }
}

fn read_services(file: &Fields<'_, '_>, document: &DeTable<'_>, problems: &mut Problems) -> Vec<Service> {
    if let Some(list) = file.node("service").filter(|node| node.get_ref().is_array()) {
        problems.push(
            Problem::new("`service` must not be a list")
                .at(list.span(), "expected [service.NAME], a table for each service"),
        );
        return Vec::new();
    }
    let services = file.subtable("service", problems);
    match services {
        Some(table) if !table.is_empty() => read_each(table, problems),
        // Of another type, which was said, or under a misspelt name, which was said too.
        None if file.node("service").is_some() || has_unknown_table(document) => Vec::new(),
        _ => {
            problems.push(no_services(file.key_span("service").unwrap_or(0..0)));
            Vec::new()
        }
    }
}

fn read_each(services: &DeTable<'_>, problems: &mut Problems) -> Vec<Service> {
    let fields = Fields::free(services, "service");
    let mut read = Vec::new();
    for (key, value) in in_file_order(services) {
        let written = Placed { value: key.get_ref().clone().into_owned(), span: key.span() };
        if value.get_ref().is_table() {
            let inner = fields.inner(key.get_ref(), Home::Service, problems);
            read.extend(inner.map(|fields| Service::read(written, &fields, problems)));
        } else {
            let complaint = wrong_type(value.get_ref(), "a table, [service.NAME]");
            problems.push(complaint.help("give the service a name").about(&fields.path(&written.value), value.span()));
        }
    }
    read
}

fn has_unknown_table(document: &DeTable<'_>) -> bool {
    document
        .iter()
        .any(|(key, value)| value.get_ref().is_table() && !Home::File.keys().contains(&key.get_ref().as_ref()))
}

fn no_services(span: Span) -> Problem {
    Problem::new("there is no service in this file")
        .at(span, "expected at least one [service.NAME]")
        .help("add two lines: `[service.echo]` and `builtin = \"echo\"`")
}

fn read_name(written: &Placed<String>, problems: &mut Problems) -> Option<ServiceName> {
    let name = &written.value;
    let refused = match ServiceName::new(name) {
        Ok(name) => return Some(name),
        Err(refused) => refused,
    };
    let instead = name.to_lowercase().replace([' ', '.', '/'], "-");
    let mut problem = Problem::new(format!("`{name}` cannot be the name of a service"))
        .at(written.span.clone(), format!("expected {}", refused.expected));
    if ServiceName::new(&instead).is_ok() {
        problem = problem.help(format!("did you mean [service.{instead}]?"));
    }
    problems.push(problem);
    None
}

impl Service {
    fn read(written: Placed<String>, fields: &Fields<'_, '_>, problems: &mut Problems) -> Self {
        Self {
            name: read_name(&written, problems),
            launch: read_launch(&written.span, fields, problems),
            listen: fields.list("listen", listen, problems).unwrap_or_default(),
            after: fields.list("after", leaf::some_text, problems).unwrap_or_default(),
            settings: Settings::read(fields, problems),
            written,
        }
    }
}

fn read_launch(name: &Span, fields: &Fields<'_, '_>, problems: &mut Problems) -> Option<Launch> {
    let builtin = fields.read("builtin", leaf::builtin, problems);
    let program = fields.read("program", leaf::some_text, problems);
    let args = fields.list("args", leaf::text, problems).unwrap_or_default();
    let args = args.into_iter().map(|placed| placed.value).collect();
    match (fields.key_span("builtin"), fields.key_span("program")) {
        (Some(builtin_key), None) => {
            problems.extend(fields.key_span("args").map(|args| args_of_builtin(args, builtin_key)));
            Some(Launch::Builtin(builtin?.value))
        }
        (None, Some(_)) => Some(Launch::Program { program: program?, args }),
        (Some(first), Some(second)) => {
            problems.push(two_launches(first, second));
            None
        }
        (None, None) => {
            // A misspelt one was said already.
            if !fields.has_slip_of(Home::Service, &["builtin", "program"]) {
                problems.push(no_launch(name.clone()));
            }
            None
        }
    }
}

fn two_launches(builtin: Span, program: Span) -> Problem {
    Problem::new("a service is either a builtin or a program")
        .at(program, "this says a program")
        .at(builtin, "this says a builtin")
        .help("remove one of them, or make two services")
}

fn no_launch(name: Span) -> Problem {
    Problem::new("this service has nothing to run")
        .at(name, "expected `program` or `builtin` in this table")
        .help("add `program = \"NAME\"`, or `builtin = \"echo\"` to try things out")
}

fn args_of_builtin(args: Span, builtin: Span) -> Problem {
    Problem::new("a builtin takes no arguments")
        .at(args, "expected only beside `program`")
        .at(builtin, "this is a builtin")
        .help("remove `args`")
}

fn plain<T>(value: Option<Placed<T>>) -> Option<T> {
    value.map(|placed| placed.value)
}
