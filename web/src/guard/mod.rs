//! Who may look, and who may change: everything that comes in passes here first.
//!
//! | module    | against |
//! |-----------|---------|
//! | `host`    | names that are pointed at us (DNS rebinding), and pages of others (cross-site requests) |
//! | `token`   | strangers, beyond loopback: a secret from a file |
//! | `session` | the same for browsers: what a cookie stands for |
//! | `attempts`| guessing |
//! | `headers` | scripts and frames that are not ours |

mod attempts;
mod headers;
mod host;
mod session;
mod token;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::server::Visitor;
use attempts::Attempts;
pub(crate) use host::Hosts;
use session::{COOKIE, Sessions};
pub(crate) use token::Token;
pub use token::TokenError;

/// Largest body of a request: a form of ours has some hundred bytes.
const BODY_MAX: usize = 16 << 10;
/// How long a body may take.
const BODY_PATIENCE: Duration = Duration::from_secs(10);
/// What programs say that change something, in place of a browser's word of where a request comes from.
const DELIBERATE: &str = "x-speedysvc";

pub(crate) struct Guard {
    hosts: Hosts,
    token: Option<Token>,
    sessions: Mutex<Sessions>,
    attempts: Mutex<Attempts>,
}

/// Why a request goes no further.
pub(crate) enum Refusal {
    /// Another name than ours.
    Host,
    /// From a page of somebody else.
    Origin(&'static str),
    /// Nobody we know.
    Stranger,
    /// Too many wrong tokens.
    Guessing(Duration),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Host => {
                let why = "this dashboard is not known by that name; `hosts` in [web] lists other names\n";
                (StatusCode::MISDIRECTED_REQUEST, why).into_response()
            }
            Self::Origin(why) => (StatusCode::FORBIDDEN, why).into_response(),
            Self::Stranger => {
                let ask = [(header::WWW_AUTHENTICATE, "Bearer realm=\"speedysvc\"")];
                (StatusCode::UNAUTHORIZED, ask, "bring the token: `Authorization: Bearer ...`, or log in at /login\n")
                    .into_response()
            }
            Self::Guessing(pause) => {
                let retry = [(header::RETRY_AFTER, (pause.as_secs() + 1).to_string())];
                (StatusCode::TOO_MANY_REQUESTS, retry, "too many wrong tokens: wait\n").into_response()
            }
        }
    }
}

/// The first thing that a request meets.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    ConnectInfo(visitor): ConnectInfo<Visitor>,
    request: Request,
    next: Next,
) -> Response {
    let response = match app.guard.admit(&request, visitor.0.ip()) {
        Ok(()) => match whole(request).await {
            Ok(request) => next.run(request).await,
            Err(refused) => refused,
        },
        Err(Refusal::Stranger) if wants_page(&request) => Redirect::to("/login").into_response(),
        Err(refusal) => refusal.into_response(),
    };
    headers::added(response)
}

/// The request once all of its body is here, which must be little and soon.
async fn whole(request: Request) -> Result<Request, Response> {
    if request.method() != Method::POST {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_PATIENCE, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, Body::from(bytes))),
        Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 16 KiB\n").into_response()),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response()),
    }
}

fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    request.method() == Method::GET && accept.is_some_and(|accept| accept.contains("text/html"))
}

impl Guard {
    pub(crate) fn new(hosts: Hosts, token: Option<Token>) -> Self {
        Self { hosts, token, sessions: Mutex::default(), attempts: Mutex::default() }
    }

    /// Whether visitors must bring a token.
    pub(crate) const fn asks(&self) -> bool {
        self.token.is_some()
    }

    fn admit(&self, request: &Request, from: IpAddr) -> Result<(), Refusal> {
        let fields = request.headers();
        let host = self.hosts.check(fields, request.uri().authority().map(|authority| authority.as_str()))?;
        host::check_origin(fields, &host)?;
        match *request.method() {
            Method::GET | Method::HEAD => {}
            // Beside POST no route knows any: it says which ones it knows.
            _ => check_deliberate(fields)?,
        }
        let path = request.uri().path();
        if is_for_all(path) { Ok(()) } else { self.check_token(fields, from) }
    }

    fn check_token(&self, fields: &HeaderMap, from: IpAddr) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let session = cookie(fields, COOKIE);
        if session.is_some_and(|session| self.sessions().is_known(session, Instant::now())) {
            return Ok(());
        }
        let brought = fields.get(header::AUTHORIZATION).and_then(|field| field.as_bytes().strip_prefix(b"Bearer "));
        let Some(brought) = brought else { return Err(Refusal::Stranger) };
        if self.is_right(token, brought, from)? { Ok(()) } else { Err(Refusal::Stranger) }
    }

    /// A browser brings the token in a form: the cookie that stands for it from now on.
    pub(crate) fn log_in(&self, brought: &str, from: IpAddr) -> Result<Option<String>, Refusal> {
        let Some(token) = &self.token else { return Ok(None) };
        if !self.is_right(token, brought.trim().as_bytes(), from)? {
            return Ok(None);
        }
        let session = self.sessions().begin(Instant::now());
        Ok(session.map(|session| format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200")))
    }

    fn is_right(&self, token: &Token, brought: &[u8], from: IpAddr) -> Result<bool, Refusal> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.may_try(from, Instant::now()).map_err(Refusal::Guessing)?;
        let right = token.is(brought);
        if !right {
            attempts.failed(from, Instant::now());
        }
        Ok(right)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What strangers may see: whether we live, the door, and how the door looks.
fn is_for_all(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/login") || path.starts_with("/assets/")
}

/// A change is asked for by a page of ours, or by a program that says that it means it. Forms and pictures of other
/// pages can do neither.
fn check_deliberate(fields: &HeaderMap) -> Result<(), Refusal> {
    let says = |name: &str, value: &str| fields.get(name).is_some_and(|field| field.as_bytes() == value.as_bytes());
    let own = fields.contains_key(header::ORIGIN) || says("sec-fetch-site", "same-origin");
    let program = fields.contains_key(DELIBERATE) || fields.contains_key(header::AUTHORIZATION);
    if own || program {
        return Ok(());
    }
    Err(Refusal::Origin("a change needs `Origin` (browsers send it), or the field `X-Speedysvc: yes`\n"))
}

fn cookie<'h>(fields: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = fields.get_all(header::COOKIE).into_iter().filter_map(|field| field.to_str().ok());
    all.flat_map(|field| field.split(';')).find_map(|one| one.trim().strip_prefix(name)?.strip_prefix('='))
}
