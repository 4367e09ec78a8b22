//! The log: filtered, searched, followed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use speedysvc_protocol::control::operator::{Level, LogLine, LogQuery, Reason, Reply, Request};
use tokio::sync::OwnedSemaphorePermit;

use super::draw;
use crate::app::App;
use crate::control::Line;
use crate::events::{no_room, seat};
use crate::page::{Choice, LogBox, LogRow, Page};
use crate::words::{clock, encoded};

/// Lines that a page begins with.
const LINES: u32 = 200;
/// Lines of one event; what comes faster is left out, and said.
const EVENT_LINES_MAX: usize = 500;
const PATIENCE: Duration = Duration::from_secs(3);

/// Which lines.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Query {
    service: Option<String>,
    level: Option<Level>,
    text: Option<String>,
    worker: Option<u32>,
}

impl Query {
    pub(crate) fn of_service(name: &str) -> Self {
        Self { service: Some(name.to_owned()), ..Self::default() }
    }

    pub(crate) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            match name.as_ref() {
                "service" => parsed.service = Some(value.chars().take(64).collect()),
                "level" => parsed.level = Level::named(&value),
                "text" => parsed.text = Some(value.chars().take(200).collect()),
                "worker" => parsed.worker = value.parse().ok(),
                _ => {}
            }
        }
        parsed
    }

    fn request(&self, tail: u32, follow: bool) -> Request {
        let Self { service, level, text, worker } = self.clone();
        Request::Logs(LogQuery { service, worker, level, text, tail, follow })
    }

    fn encoded(&self) -> String {
        let text = |value: &Option<String>| encoded(value.as_deref().unwrap_or_default());
        let level = self.level.map_or("", Level::as_str);
        let worker = self.worker.map(|worker| worker.to_string()).unwrap_or_default();
        format!("service={}&level={level}&text={}&worker={worker}", text(&self.service), text(&self.text))
    }
}

/// The last lines that fit.
pub(crate) async fn lines(app: &App, query: &Query, most: u32) -> Result<Vec<LogLine>, (StatusCode, String)> {
    match app.control.ask(&query.request(most, false), PATIENCE).await {
        Ok(Reply::Log { lines, .. }) => Ok(lines),
        Ok(Reply::Refused { reason: Reason::Usage, why }) => Err((StatusCode::NOT_FOUND, why)),
        Ok(Reply::Refused { why, .. }) => Err((StatusCode::SERVICE_UNAVAILABLE, why)),
        Ok(_) => Err((StatusCode::BAD_GATEWAY, "the supervisor answers in an unknown way".to_owned())),
        Err(error) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
    }
}

/// The same for a page.
pub(crate) async fn last(app: &App, query: &Query) -> LogBox {
    let lines = match lines(app, query, LINES).await {
        Ok(lines) => lines.iter().map(row).collect(),
        Err((_, why)) => vec![LogRow { time: String::new(), level: "warn", origin: "dashboard".to_owned(), text: why }],
    };
    LogBox { lines, source: format!("/events/logs?{}", query.encoded()) }
}

fn row(line: &LogLine) -> LogRow {
    let origin = match (&line.service, line.worker) {
        (Some(service), Some(worker)) => format!("{service}/{worker}"),
        (Some(service), None) => service.clone(),
        _ => "engine".to_owned(),
    };
    let call = line.call.as_ref().map(|call| format!("[{call}] ")).unwrap_or_default();
    let trace = line.trace.as_ref().map(|trace| format!("[trace {}] ", trace.trace_id)).unwrap_or_default();
    let cut = if line.cut { " … (cut)" } else { "" };
    LogRow {
        time: clock(line.time_us),
        level: line.level.as_str(),
        origin,
        text: format!("{call}{trace}{}{cut}", line.text),
    }
}

pub(crate) async fn page(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(&query.unwrap_or_default());
    let moment = app.moment();
    let is = |name: &str| query.service.as_deref() == Some(name);
    let mut services = vec![(String::new(), "everything".to_owned(), query.service.is_none())];
    services.extend(moment.services().iter().map(|one| (one.name.clone(), one.name.clone(), is(&one.name))));
    let mut levels = vec![(String::new(), "all levels".to_owned(), query.level.is_none())];
    let of_level =
        |level: Level| (level.as_str().to_owned(), format!("{} and worse", level.as_str()), query.level == Some(level));
    levels.extend(Level::ALL.map(of_level));
    let choice = |name, label, options| Choice { name, label, options, text: String::new() };
    let search = Choice { text: query.text.clone().unwrap_or_default(), ..choice("text", "With", Vec::new()) };
    let page = Page {
        title: "Log".to_owned(),
        place: "logs",
        lead: "What the engine says, and what workers print or log. Times are UTC.".to_owned(),
        troubles: super::troubles(&moment),
        choices: vec![choice("service", "Of", services), choice("level", "Level", levels), search],
        log: Some(last(&app, &query).await),
        ..Page::default()
    };
    draw(&app, &page, "")
}

/// `/events/logs`: the last lines and, behind them without a gap, those that come.
pub(crate) async fn events(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let query = Query::parse(&query.unwrap_or_default());
    let Some(place) = seat(&app) else { return no_room() };
    match app.control.open(&query.request(LINES, true)).await {
        Ok(line) => Sse::new(stream(line, place)).keep_alive(KeepAlive::default()).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")).into_response(),
    }
}

/// Whoever reads slowly is not waited for: the supervisor leaves lines out, and says how many.
fn stream(line: Line, place: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold((line, place), |(mut line, place)| async move {
        let Ok(Some(Reply::Log { lines, missed })) = line.next().await else { return None };
        let left_out = missed + lines.len().saturating_sub(EVENT_LINES_MAX) as u64;
        let begin = lines.len().saturating_sub(EVENT_LINES_MAX);
        let rows: Vec<LogRow> = lines[begin..].iter().map(row).collect();
        let text = serde_json::json!({ "lines": rows, "missed": left_out }).to_string();
        Some((Ok(Event::default().event("lines").data(text)), (line, place)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_come_back() {
        let query = Query::parse("service=echo&level=warn&text=a%26b+%3C&worker=3&x=y");
        assert_eq!(query.text.as_deref(), Some("a&b <"));
        assert_eq!((query.level, query.worker), (Some(Level::Warn), Some(3)));
        assert_eq!(Query::parse(&query.encoded()), query);
        assert_eq!(Query::parse("service=&level=&text=&worker="), Query::default());
    }

    #[test]
    fn lines_say_whose_they_are() {
        let line = LogLine {
            time_us: 0,
            level: Level::Info,
            service: Some("echo".to_owned()),
            worker: Some(2),
            about: None,
            target: "stdout".to_owned(),
            call: Some("echo".to_owned()),
            trace: None,
            text: "<b>".to_owned(),
            cut: true,
        };
        let row = row(&line);
        assert_eq!((row.origin.as_str(), row.text.as_str()), ("echo/2", "[echo] <b> … (cut)"));
    }
}
