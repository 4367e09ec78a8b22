//! Which path leads where.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::app::App;
use crate::pages::{act, bench, clients, live, login, logs, settings};
use crate::{api, assets, events, guard, metrics};

pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(live))
        .route("/services/{service}", get(live))
        .route("/latency", get(live))
        .route("/loops", get(live))
        .route("/clients", get(clients::page))
        .route("/logs", get(logs::page))
        .route("/config", get(settings::page))
        .route("/bench", get(bench::page))
        .route("/act", post(act::act))
        .route("/login", get(login::page).post(login::log_in))
        .route("/events", get(events::events))
        .route("/events/logs", get(logs::events))
        .route("/assets/{name}", get(assets::asset))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .merge(api::routes())
        .fallback(api::missing)
        .layer(from_fn_with_state(Arc::clone(&app), guard::check))
        .with_state(app)
}

/// Whether calls should be sent here, as the supervisor said a second ago at most.
async fn ready(State(app): State<Arc<App>>) -> Response {
    let moment = app.moment();
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let (status, text) = match (&moment.status, &moment.unheard) {
        (Some(status), None) if status.ready => (StatusCode::OK, "ready".to_owned()),
        (Some(status), None) => (StatusCode::SERVICE_UNAVAILABLE, status.not_ready.join("\n")),
        (_, Some(why)) => (StatusCode::SERVICE_UNAVAILABLE, why.clone()),
        (None, None) => (StatusCode::SERVICE_UNAVAILABLE, "the supervisor has not said yet".to_owned()),
    };
    (status, kind, format!("{text}\n")).into_response()
}
