//! The file in force. What may be a secret is named and not shown.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use speedysvc_config::{Config, Launch, Principal, Service};

use super::draw;
use crate::app::App;
use crate::page::{Action, Block, Cell, Column, Page, Row, Table};
use crate::words::{age, encoded};

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    let moment = app.moment();
    let mut page = Page {
        title: "Configuration".to_owned(),
        place: "settings",
        troubles: super::troubles(&moment),
        ..Page::default()
    };
    match app.sight.config() {
        None => page.lead = "The engine is starting.".to_owned(),
        Some(config) => {
            page.lead = format!("What is in force of {}. Secrets are not shown.", config.source.display());
            let ask = "Read the file again, and apply what is different?".to_owned();
            let reload = Action { verb: "reload", service: String::new(), ask: Some(ask), workers: None };
            page.actions = vec![reload];
            page.tables = vec![of_all(&config)];
            page.tables.push(of_services(&config));
            page.blocks = config.services.iter().map(of_service).collect();
        }
    }
    draw(&app, &page, "")
}

/// Settings of the engine, with names as in the file.
pub(crate) fn general(config: &Config) -> Vec<(&'static str, String)> {
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map_or("none".to_owned(), |path| path.display().to_string());
    let mut all = vec![
        ("run_dir", config.run_dir.display().to_string()),
        ("namespace", config.namespace.to_string()),
        ("drain", show(config.drain)),
        ("log.dir", path(&config.log.dir)),
        ("log.level", config.log.level.as_str().to_owned()),
        ("log.size", config.log.size.to_string()),
        ("log.age", show(config.log.age)),
        ("log.keep", config.log.keep.to_string()),
    ];
    if let Some(web) = &config.web {
        all.push(("web.listen", web.listen.to_string()));
        all.push(("web.token_file", path(&web.token_file)));
        all.push(("web.hosts", web.hosts.join(", ")));
        all.push(("web.report", path(&web.report)));
    }
    all
}

/// Settings of a service, with names as in the file.
pub(crate) fn of(service: &Service) -> Vec<(&'static str, String)> {
    let principals = |list: &[Principal]| {
        let name = |one: &Principal| match one {
            Principal::Name(name) => name.clone(),
            Principal::Id(id) => id.to_string(),
        };
        list.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let program = match &service.launch {
        Launch::Builtin(builtin) => format!("builtin {}", builtin.as_str()),
        Launch::Program { path, args } => format!("{} {}", path.display(), without_secrets(args).join(" ")),
    };
    let names: Vec<String> = service.env.iter().map(|(name, _)| format!("{name}=…")).collect();
    let listen: Vec<String> = service.listen.iter().map(ToString::to_string).collect();
    let after: Vec<String> = service.after.iter().map(ToString::to_string).collect();
    let limit = service.restart.limit.map_or("none".to_owned(), |l| format!("{} in {}", l.deaths, show(l.within)));
    let backoff = format!("{}..{}", show(service.restart.backoff_min), show(service.restart.backoff_max));
    vec![
        ("program", program),
        ("workers", service.workers.get().to_string()),
        ("scale", service.scale.as_ref().map_or("none".to_owned(), |scale| format!("{scale:?}"))),
        ("listen", listen.join(", ")),
        ("insecure", service.insecure.to_string()),
        ("driver", format!("{:?}", service.driver).to_lowercase()),
        ("after", after.join(", ")),
        ("restart.backoff", backoff),
        ("restart.limit", limit),
        ("limits.shm_message", service.limits.shm_message.to_string()),
        ("limits.tcp_message", service.limits.tcp_message.to_string()),
        ("limits.slots", service.limits.slots.get().to_string()),
        ("limits.deadline", show(service.limits.deadline)),
        ("spin", show(service.spin.get())),
        ("trust", format!("{:?}", service.trust).to_lowercase()),
        ("allow.users", principals(&service.allow.users)),
        ("allow.groups", principals(&service.allow.groups)),
        ("drain", show(service.drain)),
        ("kill", show(service.kill)),
        ("hang", service.hang.map_or("none".to_owned(), show)),
        ("start_timeout", show(service.start_timeout)),
        ("env", names.join(" ")),
    ]
}

/// Arguments, without the values of those whose names speak of secrets.
fn without_secrets(args: &[String]) -> Vec<String> {
    const WORDS: [&str; 7] = ["token", "secret", "password", "passwd", "key", "credential", "auth"];
    let speaks = |name: &str| WORDS.iter().any(|word| name.to_ascii_lowercase().contains(word));
    let mut shown = Vec::new();
    let mut hide_next = false;
    for arg in args {
        let (name, value) = arg.split_once('=').map_or((arg.as_str(), None), |(name, value)| (name, Some(value)));
        if std::mem::take(&mut hide_next) && !arg.starts_with('-') {
            shown.push("…".to_owned());
        } else if speaks(name) && value.is_some() {
            shown.push(format!("{name}=…"));
        } else {
            hide_next = arg.starts_with('-') && speaks(name);
            shown.push(arg.clone());
        }
    }
    shown
}

fn show(time: std::time::Duration) -> String {
    if time.as_secs() >= 60 { age(time.as_secs_f64()) } else { format!("{time:?}") }
}

fn of_all(config: &Config) -> Table {
    let columns = vec![Column::text("key", "As in the file."), Column::text("in force", "Defaults included.")];
    let row = |(key, value): (&str, String)| Row {
        id: key.to_owned(),
        cells: vec![Cell::text(key), Cell::text(value)],
        actions: Vec::new(),
    };
    let rows = general(config).into_iter().map(row).collect();
    Table { id: "general", caption: "The engine".to_owned(), columns, rows, empty: "" }
}

fn of_services(config: &Config) -> Table {
    let columns = vec![
        Column::text("service", "Its name. Leads to its page."),
        Column::text("program", "What its workers run."),
        Column::number("workers", "The fewest."),
        Column::text("listen", "Beside shared memory."),
        Column::text("driver", "How its loops wait for sockets."),
    ];
    let rows = config.services.iter().map(|service| {
        let all = of(service);
        let value =
            |key| all.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone()).unwrap_or_default();
        let name = service.name.as_str();
        let cells = vec![
            Cell::text(name).link(format!("/services/{}", encoded(name))),
            Cell::text(value("program")),
            Cell::number(value("workers"), f64::from(service.workers.get())),
            Cell::text(value("listen")),
            Cell::text(value("driver")),
        ];
        Row { id: name.to_owned(), cells, actions: Vec::new() }
    });
    Table { id: "files", caption: "Services".to_owned(), columns, rows: rows.collect(), empty: "" }
}

fn of_service(service: &Service) -> Block {
    let lines: Vec<String> = of(service).into_iter().map(|(key, value)| format!("{key:<20} {value}")).collect();
    Block { title: format!("[service.{}]", service.name), text: lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_where_they_are() {
        let args =
            ["--token=abc", "--api-key", "abc", "-v", "PASSWORD=abc", "--auth", "--next", "plain"].map(str::to_owned);
        let shown = without_secrets(&args);
        assert_eq!(shown, ["--token=…", "--api-key", "…", "-v", "PASSWORD=…", "--auth", "--next", "plain"]);
    }
}
