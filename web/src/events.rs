//! The event streams.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::app::App;
use crate::hub::{Refused, Update};
use crate::pages::Address;

/// `/events?page=/services/echo`: what changes on a page.
pub(crate) async fn events(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let page = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "page");
    let Some(address) = page.and_then(|(_, page)| Address::parse(&page)) else {
        return no_page();
    };
    let Some(place) = seat(&app) else { return no_room() };
    match app.hub.watch(&app, address) {
        Ok(updates) => Sse::new(stream(updates, place)).keep_alive(KeepAlive::default()).into_response(),
        Err(Refused::NoPage) => no_page(),
        Err(Refused::NoRoom) => no_room(),
    }
}

/// A place among the watchers, for as long as it is held.
pub(crate) fn seat(app: &App) -> Option<OwnedSemaphorePermit> {
    Arc::clone(&app.watchers).try_acquire_owned().ok()
}

fn no_page() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

pub(crate) fn no_room() -> Response {
    let why = "too many live pages are open: close some, or reload this one for newer numbers\n";
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "10")], why).into_response()
}

fn stream(
    updates: watch::Receiver<Arc<Update>>,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    // What was seen last; nothing yet, so the first update is a whole one.
    futures_util::stream::unfold((updates, 0, place), |(mut updates, seen, place)| async move {
        if seen > 0 {
            updates.changed().await.ok()?;
        }
        let update = Arc::clone(&updates.borrow_and_update());
        let text = if update.number == seen + 1 && seen > 0 { &update.difference } else { &update.whole };
        let event = Event::default().event("cells").data(text);
        Some((Ok(event), (updates, update.number, place)))
    })
}
