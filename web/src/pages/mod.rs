//! The pages: each is a function from what was seen to a [`Page`], and one template draws them all.
//!
//! | module     | shows |
//! |------------|-------|
//! | `overview` | all services and where the time goes |
//! | `service`  | one of them |
//! | `latency`  | distributions, and two windows compared |
//! | `loops`    | what each loop does |
//! | `clients`  | who is connected |
//! | `logs`     | the log |
//! | `settings` | the file in force |
//! | `bench`    | the last bench report |
//! | `act`      | what buttons do |
//! | `login`    | the door |

pub(crate) mod act;
pub(crate) mod bench;
pub(crate) mod clients;
mod figures;
pub(crate) mod latency;
pub(crate) mod login;
pub(crate) mod logs;
mod loops;
mod overview;
mod service;
pub(crate) mod settings;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse as _, Response};

use crate::app::App;
use crate::moment::Moment;
use crate::page::{Action, Page};

/// A page that lives.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Address {
    Overview,
    Service(String),
    Latency(latency::Query),
    Loops,
}

impl Address {
    /// From a path with its query, as it stands in a browser's address line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        match path {
            "/" => Some(Self::Overview),
            "/loops" => Some(Self::Loops),
            "/latency" => Some(Self::Latency(latency::Query::parse(query))),
            _ => path
                .strip_prefix("/services/")
                .filter(|name| !name.contains('/'))
                .map(|name| Self::Service(name.into())),
        }
    }

    /// The page as it is now; `None` when it is about something that is not there.
    pub(crate) fn page(&self, app: &App) -> Option<Page> {
        let page = match self {
            Self::Overview => overview::page(app),
            Self::Service(name) => service::page(app, name)?,
            Self::Latency(query) => latency::page(app, query),
            Self::Loops => loops::page(app),
        };
        Some(Page { troubles: troubles(&app.moment()), ..page })
    }
}

/// What is wrong with everything, in sentences.
pub(crate) fn troubles(moment: &Moment) -> Vec<String> {
    let mut troubles: Vec<String> = moment.status.iter().flat_map(|status| status.troubles.clone()).collect();
    troubles.extend(moment.unheard.iter().filter(|_| moment.status.is_some()).cloned());
    if moment.status.as_ref().is_some_and(|status| status.stopping) {
        troubles.push("the engine is being stopped".to_owned());
    }
    troubles
}

/// Any page that lives.
pub(crate) async fn live(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let address = uri.path_and_query().map_or("/", |path| path.as_str());
    let page = Address::parse(address).and_then(|parsed| Some((parsed.page(&app)?, parsed)));
    let Some((mut page, parsed)) = page else { return missing(&app) };
    if let Address::Service(name) = &parsed {
        page.log = Some(logs::last(&app, &logs::Query::of_service(name)).await);
    }
    draw(&app, &page, address)
}

#[derive(Template)]
#[template(path = "page.html")]
struct Drawn<'p> {
    page: &'p Page,
    address: &'p str,
    shape: String,
    engine: String,
}

/// A page as HTML. `address` is where its updates come from; empty where there are none.
pub(crate) fn draw(app: &App, page: &Page, address: &str) -> Response {
    let moment = app.moment();
    let engine = moment.status.as_ref().map_or_else(
        || "starting".to_owned(),
        |status| format!("speedysvc {} on {}", status.version, moment.host.name),
    );
    html(&Drawn { page, address, shape: page.shape(), engine })
}

pub(crate) fn html(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot draw this page: {error}\n")).into_response(),
    }
}

pub(crate) fn missing(app: &App) -> Response {
    let page = Page {
        title: "Nothing here".to_owned(),
        lead: "There is no such page or service. It may have been removed from the file.".to_owned(),
        ..Page::default()
    };
    (StatusCode::NOT_FOUND, draw(app, &page, "")).into_response()
}

/// What can be done with a service in this state.
pub(crate) fn actions(name: &str, state: &str, target: u16) -> Vec<Action> {
    let action = |verb, ask: Option<String>| Action { verb, service: name.to_owned(), ask, workers: None };
    let rests = matches!(state, "stopped" | "failed" | "stopping");
    let mut actions = Vec::new();
    if rests {
        actions.push(action("start", None));
    } else {
        let restart = format!("Replace all workers of {name}, one by one? No call is lost.");
        let stop =
            format!("Stop {name}? Calls that were begun are finished; new ones are refused until it is started.");
        actions.push(action("restart", Some(restart)));
        actions.push(action("stop", Some(stop)));
        let scale = format!("Give {name} another number of workers, until its file says another?");
        actions.push(Action { workers: Some(target), ..action("scale", Some(scale)) });
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_pages() {
        assert_eq!(Address::parse("/"), Some(Address::Overview));
        assert_eq!(Address::parse("/services/echo?x=1"), Some(Address::Service("echo".to_owned())));
        assert_eq!(Address::parse("/loops"), Some(Address::Loops));
        for none in ["", "x", "/services/a/b", "//evil.example", "/logs"] {
            assert_eq!(Address::parse(none), None, "{none}");
        }
    }

    /// Everything that a page can show, with this text in every place that can hold one.
    fn page_of(text: &str) -> Page {
        use crate::page::{Block, Cell, Chart, Choice, Column, Fact, LogBox, LogRow, Row, Table};
        let own = || text.to_owned();
        let cell = Cell::text(text).link(own()).more(own());
        let action = Action { verb: "stop", service: own(), ask: Some(own()), workers: Some(1) };
        let row = Row { id: own(), cells: vec![cell.clone()], actions: vec![action.clone()] };
        let line = LogRow { time: own(), level: "info", origin: own(), text: own() };
        Page {
            title: own(),
            place: "overview",
            lead: own(),
            troubles: vec![own()],
            actions: vec![action],
            choices: vec![
                Choice { name: "a", label: "A", options: vec![(own(), own(), true)], text: own() },
                Choice { name: "b", label: "B", options: Vec::new(), text: own() },
            ],
            facts: vec![Fact::new("f", "F.", cell)],
            charts: vec![Chart { kind: "rate", title: "T", source: own() }],
            downloads: vec![(own(), own())],
            tables: vec![Table {
                id: "t",
                caption: own(),
                columns: vec![Column::text("c", "C.")],
                rows: vec![row],
                empty: "",
            }],
            blocks: vec![Block { title: own(), text: own() }],
            log: Some(LogBox { lines: vec![line], source: own() }),
        }
    }

    /// Marks of HTML, all of which are the template's.
    fn marks(text: &str) -> Vec<usize> {
        let page = page_of(text);
        let html =
            Drawn { page: &page, address: text, shape: text.to_owned(), engine: text.to_owned() }.render().unwrap();
        ["<", ">", "\"", "'", "="].iter().map(|mark| html.matches(mark).count()).collect()
    }

    /// Whatever is shown, tags and attributes are those of the template.
    #[test]
    fn text_from_outside_is_text_in_every_place() {
        let pieces =
            ["<script>", "</script>", "<img src=x onerror=y>", "\"", "'", "-->", "<!--", "]]>", "</title>", "</pre>"];
        let more =
            ["javascript:", "&lt;", "\u{202e}", "{{x}}", "</textarea>", "\" onclick=\"x", "' x='", "<svg/onload=x>"];
        let all: Vec<&str> = pieces.into_iter().chain(more).collect();
        let plain = marks("x");
        for one in &all {
            for other in &all {
                let text = format!("{one}{other}");
                // `=` by itself is harmless, and is left as it is.
                let (found, equals) = (marks(&text), text.matches('=').count());
                assert_eq!(found[..4], plain[..4], "{text}");
                assert_eq!((found[4] - plain[4]).checked_rem(equals).unwrap_or(0), 0, "{text}");
            }
        }
    }

    #[test]
    fn what_loses_something_asks_first() {
        let verbs = |state| actions("echo", state, 2).iter().map(|action| action.verb).collect::<Vec<_>>();
        assert_eq!(verbs("ready"), ["restart", "stop", "scale"]);
        assert_eq!(verbs("failed"), ["start"]);
        assert!(actions("echo", "ready", 2).iter().all(|action| action.ask.is_some()));
    }
}
