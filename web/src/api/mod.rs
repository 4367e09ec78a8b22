//! `/api/v1`: what pages show, in JSON; and what buttons do.
//!
//! | module    | idea |
//! |-----------|------|
//! | `types`   | what comes out |
//! | `openapi` | the same, described |

mod heat;
mod openapi;
pub(crate) mod types;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Serialize;
use speedysvc_protocol::control::operator::Level;
use speedysvc_protocol::stats::Timing;

use crate::app::App;
use crate::export;
use crate::history::{DAY, HOUR, Series};
use crate::pages::{act, clients, latency, logs, settings};
use types::{Client, Curve, Log, Problem, Said, Service, Setting, TimeSeries};

/// Most points of a line over time: as many as a wide chart has room for.
const POINTS_MAX: u64 = 300;
/// Most lines of the log in one answer.
const LINES_MAX: u32 = 1000;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/services", get(services))
        .route("/api/v1/services/{service}", get(service))
        .route("/api/v1/services/{service}/{verb}", post(change))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/history", get(history))
        .route("/api/v1/latency", get(percentiles))
        .route("/api/v1/loops", get(loops))
        .route("/api/v1/clients", get(list_clients))
        .route("/api/v1/logs", get(log))
        .route("/api/v1/config", get(config))
        .route("/latency/{file}", get(download))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn problem(status: StatusCode, why: impl Into<String>) -> Response {
    json(status, &Problem { error: why.into() })
}

/// What no other path fits.
pub(crate) async fn missing() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no such path; /api/v1/openapi.json lists those that there are")
}

async fn services(State(app): State<Arc<App>>) -> Response {
    let moment = app.moment();
    let all: Vec<Service> = moment.services().iter().map(|service| Service::of(&app, service)).collect();
    json(StatusCode::OK, &all)
}

async fn service(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    match app.moment().service(&name) {
        Some(service) => json(StatusCode::OK, &Service::of(&app, service)),
        None => problem(StatusCode::NOT_FOUND, "there is no such service"),
    }
}

async fn change(
    State(app): State<Arc<App>>,
    Path((service, verb)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let workers = parameter(query.as_deref(), "workers").unwrap_or_default();
    if verb == "reload" {
        return missing().await;
    }
    obey(&app, &act::Wish::new(&verb, &service, &workers)).await
}

async fn reload(State(app): State<Arc<App>>, _body: Bytes) -> Response {
    obey(&app, &act::Wish::new("reload", "", "")).await
}

async fn obey(app: &App, wish: &act::Wish) -> Response {
    let request = match wish.request() {
        Ok(request) => request,
        Err(why) if why.starts_with("`verb`") => return missing().await,
        Err(why) => return problem(StatusCode::UNPROCESSABLE_ENTITY, why),
    };
    let outcome = act::obey(app, &request).await;
    match outcome.status {
        StatusCode::OK | StatusCode::ACCEPTED => json(outcome.status, &Said { said: outcome.said }),
        failed => problem(failed, outcome.said.join("\n")),
    }
}

/// A parameter of a query.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut all = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    all.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A number of a query: as it is there, or this one where it is not; `Err` where it is none or out of range.
fn number(query: Option<&str>, name: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let Some(text) = parameter(query, name) else { return Ok(default) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{name}` is a whole number from {} to {}", range.start(), range.end()))
}

/// The series that a query is about. Without a service: all services together.
async fn history(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let query = query.as_deref();
    let seconds = match number(query, "seconds", 600, 1..=DAY) {
        Ok(seconds) => seconds,
        Err(why) => return problem(StatusCode::UNPROCESSABLE_ENTITY, why),
    };
    let method = parameter(query, "method").filter(|method| !method.is_empty());
    let moment = app.moment();
    let which: Vec<Series> = match parameter(query, "service") {
        Some(service) => vec![Series { service, method }],
        None => moment.numbers.keys().map(|service| Series::service(service)).collect(),
    };
    let end = moment.at + 1;
    let step = seconds.div_ceil(POINTS_MAX);
    let step = if seconds > HOUR { step.next_multiple_of(60) } else { step };
    json(StatusCode::OK, &TimeSeries::of(&app.history(), &which, (end.saturating_sub(seconds), end), step))
}

async fn percentiles(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let known = |seconds: &str| latency::WINDOWS.iter().any(|(window, _)| window.to_string() == seconds);
    if parameter(Some(&query), "seconds").is_some_and(|seconds| !known(&seconds)) {
        let windows: Vec<String> = latency::WINDOWS.iter().map(|(window, _)| window.to_string()).collect();
        return problem(StatusCode::UNPROCESSABLE_ENTITY, format!("`seconds` is one of {}", windows.join(", ")));
    }
    let query = latency::Query::parse(&query);
    let windows = query.windows(app.moment().at);
    let curves: Vec<Curve> =
        windows.iter().map(|(from, to)| Curve::of(&app.history().sum(&query.series(), *from, *to))).collect();
    json(StatusCode::OK, &curves)
}

async fn loops(State(app): State<Arc<App>>) -> Response {
    let all: Vec<types::Loop> = app.moment().loops.iter().map(types::Loop::of).collect();
    json(StatusCode::OK, &all)
}

async fn list_clients(State(app): State<Arc<App>>) -> Response {
    match clients::all(&app).await {
        Ok((over_shm, over_sockets)) => {
            let shm = over_shm.iter().map(Client::over_shm);
            json(StatusCode::OK, &shm.chain(over_sockets.iter().map(Client::over_socket)).collect::<Vec<_>>())
        }
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn log(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let most = match number(query.as_deref(), "lines", 100, 1..=u64::from(LINES_MAX)) {
        Ok(most) => u32::try_from(most).unwrap_or(LINES_MAX),
        Err(why) => return problem(StatusCode::UNPROCESSABLE_ENTITY, why),
    };
    if parameter(query.as_deref(), "level").is_some_and(|level| Level::named(&level).is_none()) {
        return problem(StatusCode::UNPROCESSABLE_ENTITY, "`level` is trace, debug, info, warn or error");
    }
    match logs::lines(&app, &logs::Query::parse(&query.unwrap_or_default()), most).await {
        Ok(lines) => json(StatusCode::OK, &lines.iter().map(Log::of).collect::<Vec<_>>()),
        Err((status, why)) => problem(status, why),
    }
}

async fn config(State(app): State<Arc<App>>) -> Response {
    let Some(config) = app.sight.config() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the engine is starting");
    };
    let of_all = settings::general(&config).into_iter().map(|(key, value)| Setting::new(None, key, value));
    let of_services = config.services.iter().flat_map(|service| {
        let name = service.name.to_string();
        settings::of(service).into_iter().map(move |(key, value)| Setting::new(Some(name.clone()), key, value))
    });
    json(StatusCode::OK, &of_all.chain(of_services).collect::<Vec<_>>())
}

/// `/latency/download.hgrm` and `.hlog`
async fn download(State(app): State<Arc<App>>, Path(file): Path<String>, RawQuery(query): RawQuery) -> Response {
    let query = latency::Query::parse(&query.unwrap_or_default());
    let (from, to) = query.windows(app.moment().at)[0];
    let text = match file.as_str() {
        "download.hgrm" => export::hgrm(&app.history().sum(&query.series(), from, to).times(Timing::Total)),
        "download.hlog" => {
            let step = query.seconds.div_ceil(POINTS_MAX);
            let step = if query.seconds > HOUR { step.next_multiple_of(60) } else { step };
            let points = app.history().points(&query.series(), from, to, step);
            let intervals = points.iter().map(|point| (point.at, step, point.sum.times(Timing::Total)));
            export::hlog(&intervals.collect::<Vec<_>>())
        }
        _ => return (StatusCode::NOT_FOUND, "there are download.hgrm and download.hlog\n").into_response(),
    };
    let as_file = format!("attachment; filename=\"latency{}\"", &file["download".len()..]);
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, as_file)], text)
        .into_response()
}
