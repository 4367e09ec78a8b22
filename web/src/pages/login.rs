//! The door, for browsers.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;

use super::html;
use crate::app::App;
use crate::server::Visitor;

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    is_wrong: bool,
}

/// A form's field.
#[derive(Deserialize)]
pub(crate) struct Brought {
    token: String,
}

pub(crate) async fn page(State(app): State<Arc<App>>) -> Response {
    if app.guard.asks() { html(&Login { is_wrong: false }) } else { Redirect::to("/").into_response() }
}

pub(crate) async fn log_in(
    State(app): State<Arc<App>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    Form(brought): Form<Brought>,
) -> Response {
    match app.guard.log_in(&brought.token, visitor.0.ip()) {
        Ok(Some(cookie)) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        Ok(None) => (StatusCode::UNAUTHORIZED, html(&Login { is_wrong: true })).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}
