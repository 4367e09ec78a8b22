//! What buttons do: a form comes, is asked back where something could be lost, and the supervisor is told.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use speedysvc_protocol::control::operator::{Reason, Reply, Request};

use super::{actions, html};
use crate::app::App;
use crate::control::Unheard;
use crate::page::Action;

/// How long a page waits for something to be done; it goes on afterwards.
const PATIENCE: Duration = Duration::from_secs(60);

/// A form's fields.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Wish {
    verb: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    workers: String,
    /// Where to go afterwards.
    #[serde(default)]
    back: String,
    /// Whether it was asked back.
    #[serde(default)]
    confirmed: String,
}

/// What became of it.
pub(crate) struct Outcome {
    pub(crate) status: StatusCode,
    pub(crate) said: Vec<String>,
}

impl Wish {
    /// What to tell the supervisor; or why that makes no sense.
    pub(crate) fn request(&self) -> Result<Request, String> {
        let services = vec![self.service.clone()];
        if self.service.is_empty() && self.verb != "reload" {
            return Err("`service` says which".to_owned());
        }
        match self.verb.as_str() {
            "start" => Ok(Request::Start { services }),
            "stop" => Ok(Request::Stop { services }),
            "restart" => Ok(Request::Restart { services }),
            "reload" => Ok(Request::Reload { dry_run: false }),
            "scale" => {
                let workers = match self.workers.trim() {
                    "auto" => None,
                    number => Some(number.parse::<u16>().map_err(|_| "`workers` is a number, or `auto`".to_owned())?),
                };
                Ok(Request::Scale { service: self.service.clone(), workers })
            }
            _ => Err("`verb` is start, stop, restart, scale or reload".to_owned()),
        }
    }

    /// What to ask before.
    fn question(&self) -> Option<String> {
        let known = actions(&self.service, "ready", 1);
        known.into_iter().find(|action| action.verb == self.verb).and_then(|action: Action| action.ask)
    }

    /// Only paths of ours: `//host` would be somebody else's.
    fn back(&self) -> &str {
        let is_ours =
            self.back.starts_with('/') && !self.back.starts_with("//") && !self.back.contains(['\\', '\n', '\r']);
        if is_ours { &self.back } else { "/" }
    }

    /// For tests and the API.
    pub(crate) fn new(verb: &str, service: &str, workers: &str) -> Self {
        let own = str::to_owned;
        Self {
            verb: own(verb),
            service: own(service),
            workers: own(workers),
            back: String::new(),
            confirmed: own("yes"),
        }
    }
}

/// Tells the supervisor.
pub(crate) async fn obey(app: &App, request: &Request) -> Outcome {
    let outcome = |status, said| Outcome { status, said };
    match app.control.ask(request, PATIENCE).await {
        Ok(Reply::Done { said }) => outcome(StatusCode::OK, said),
        Ok(Reply::Reload { changes, said }) => outcome(StatusCode::OK, [changes, said].concat()),
        Ok(Reply::Refused { reason, why }) => {
            let status = match reason {
                Reason::Usage if why.starts_with("there is no service") => StatusCode::NOT_FOUND,
                Reason::Usage => StatusCode::UNPROCESSABLE_ENTITY,
                Reason::Config => StatusCode::CONFLICT,
                Reason::Failed => StatusCode::BAD_GATEWAY,
                Reason::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            };
            outcome(status, vec![why])
        }
        Ok(_) => outcome(StatusCode::BAD_GATEWAY, vec!["the supervisor answers in an unknown way".to_owned()]),
        Err(error @ Unheard::Late) => outcome(StatusCode::ACCEPTED, vec![error.to_string()]),
        Err(error @ Unheard::Nobody(_)) => outcome(StatusCode::SERVICE_UNAVAILABLE, vec![error.to_string()]),
    }
}

/// `POST /act`
pub(crate) async fn act(State(app): State<Arc<App>>, fields: HeaderMap, Form(wish): Form<Wish>) -> Response {
    let wants_json = fields.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"application/json");
    let request = match wish.request() {
        Ok(request) => request,
        Err(why) => return (StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")).into_response(),
    };
    if wish.confirmed != "yes"
        && let Some(question) = wish.question()
    {
        return ask_back(&wish, &question);
    }
    let outcome = obey(&app, &request).await;
    if wants_json {
        let text = serde_json::json!({ "said": outcome.said }).to_string();
        return (outcome.status, [(header::CONTENT_TYPE, "application/json")], text).into_response();
    }
    #[derive(Template)]
    #[template(path = "done.html")]
    struct Done<'w> {
        what: String,
        well: bool,
        said: &'w [String],
        back: &'w str,
    }
    let what = format!("{} {}", wish.verb, wish.service);
    let page = html(&Done { what, well: outcome.status == StatusCode::OK, said: &outcome.said, back: wish.back() });
    (outcome.status, page).into_response()
}

fn ask_back(wish: &Wish, question: &str) -> Response {
    #[derive(Template)]
    #[template(path = "ask.html")]
    struct Ask<'w> {
        wish: &'w Wish,
        back: &'w str,
        question: &'w str,
    }
    html(&Ask { wish, back: wish.back(), question })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_requests() {
        let request = |verb, service, workers| Wish::new(verb, service, workers).request();
        let services = || vec!["echo".to_owned()];
        assert_eq!(request("stop", "echo", ""), Ok(Request::Stop { services: services() }));
        assert_eq!(request("scale", "echo", "3"), Ok(Request::Scale { service: "echo".into(), workers: Some(3) }));
        assert_eq!(request("scale", "echo", "auto"), Ok(Request::Scale { service: "echo".into(), workers: None }));
        // An empty name would mean all of them.
        for bad in
            [("start", "", ""), ("stop", "", ""), ("scale", "echo", "-1"), ("scale", "echo", ""), ("drain", "echo", "")]
        {
            assert!(request(bad.0, bad.1, bad.2).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_way_back_stays_here() {
        let back = |back: &str| Wish { back: back.to_owned(), ..Wish::new("stop", "echo", "") }.back().to_owned();
        assert_eq!(back("/services/echo"), "/services/echo");
        for bad in ["", "//evil.example", "http://evil.example", "/\\evil.example", "/a\r\nx: y"] {
            assert_eq!(back(bad), "/", "{bad}");
        }
    }
}
