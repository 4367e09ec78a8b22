//! What went wrong, in HTTP's words: a status code, and the failure that the body tells in JSON.

use std::borrow::Cow;

use serde_json::json;
use speedysvc_protocol::status::{Code, Failure, Outcome, RetryAfter};

use super::head::{HEAD_MAX, TIMEOUT_FIELD};

/// So many bytes of a type that nobody knows are shown to who sent it.
const TYPE_SHOWN: usize = 80;

/// A request that is answered with an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// HTTP's status code.
    pub status: u16,
    /// The same codes and outcomes as everywhere.
    pub failure: Failure,
    /// What the path takes instead, for the field `Allow`.
    pub allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: u16, code: Code, message: impl Into<String>) -> Self {
        Self { status, failure: Failure::not_started(code, message), allow: None }
    }

    /// Bytes that are no request.
    pub(super) fn bad(why: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, Code::InvalidArgument, format!("not a proper HTTP request: {}", why.into()))
    }

    pub(super) fn head_too_large() -> Self {
        Self::new(431, Code::ResourceExhausted, format!("the fields of the request are over {HEAD_MAX} bytes, or 64"))
    }

    pub(super) fn version() -> Self {
        Self::new(505, Code::Unimplemented, "only HTTP/1.1 and HTTP/1.0 are spoken here")
    }

    pub(super) fn coding() -> Self {
        Self::new(501, Code::Unimplemented, "the only Transfer-Encoding is `chunked`")
    }

    pub(super) fn expectation() -> Self {
        Self::new(417, Code::Unimplemented, "the only expectation is `100-continue`")
    }

    pub(super) fn timeout() -> Self {
        let text = format!("{TIMEOUT_FIELD} takes whole milliseconds from 1 to 86400000");
        Self::new(400, Code::InvalidArgument, text)
    }

    /// A request that was begun and does not end.
    pub(super) fn too_slow() -> Self {
        Self::new(408, Code::DeadlineExceeded, "the rest of the request did not come in time")
    }

    /// A body over the limit; `None` for one whose length is not known before its end.
    pub(super) fn too_large(length: Option<u64>, limit: usize) -> Self {
        let length = length.map_or_else(|| "a body".to_owned(), |length| format!("a body of {length} bytes"));
        Self::new(413, Code::ResourceExhausted, format!("{length} is over the limit of {limit} bytes"))
    }

    /// A body that is said to be of this type.
    pub(super) fn other_type(said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(&said[..said.len().min(TYPE_SHOWN)]);
        let is = |name: &str| said.to_ascii_lowercase().contains(name);
        let why = match () {
            () if is("pickle") => "; pickle is refused: reading it runs whatever code the sender put into it",
            () if is("marshal") => {
                "; marshal is refused: it differs between versions of Python, and is not safe to read"
            }
            () if is("msgpack") => "; MessagePack is spoken in frames only, see docs/protocol.md",
            () => "",
        };
        let text = format!(
            "a body over HTTP must be JSON, and this one is said to be `{said}`{why}. Send the arguments \
            as JSON with `Content-Type: application/json`, a byte string as base64 text"
        );
        Self::new(415, Code::InvalidArgument, text)
    }

    /// Any page that somebody opens could call services of that machine; so none may.
    pub(super) fn from_browser() -> Self {
        let text = "calls from pages in a browser (with the field Origin) are refused: let a web server of yours call";
        Self::new(403, Code::PermissionDenied, text)
    }

    pub(super) fn not_found(message: String) -> Self {
        Self::new(404, Code::NotFound, message)
    }

    pub(super) fn no_method(message: String) -> Self {
        Self::new(404, Code::Unimplemented, message)
    }

    pub(super) fn not_allowed(allow: &'static str) -> Self {
        let refusal = Self::new(405, Code::Unimplemented, format!("this path takes {allow}"));
        Self { allow: Some(allow), ..refusal }
    }

    /// A failure from further inside.
    pub(super) fn of(failure: Failure) -> Self {
        Self { status: status_of(failure.code, failure.outcome), failure, allow: None }
    }

    /// Fields of the answer's head that only errors have.
    pub(super) fn fields(&self) -> String {
        let allow = self.allow.map(|allow| format!("Allow: {allow}\r\n")).unwrap_or_default();
        // RFC 9110, section 10.2.3: whole seconds, rounded up.
        let seconds = |after: RetryAfter| after.duration().as_micros().div_ceil(1_000_000);
        let after = self.failure.retry_after.map(|after| format!("Retry-After: {}\r\n", seconds(after)));
        allow + &after.unwrap_or_default()
    }

    /// The body of the answer: `{"code":"INTERNAL","outcome":"done","message":"..."}`.
    pub(super) fn body(&self) -> Vec<u8> {
        let Failure { code, outcome, retry_after, .. } = self.failure;
        let mut body = json!({ "code": code, "outcome": outcome, "message": self.failure.wire_text() });
        if let Some(after) = retry_after {
            // Rounded up: a time in which nothing has to be done may be a little longer.
            body["retry_after_ms"] =
                u64::try_from(after.duration().as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).into();
        }
        body.to_string().into_bytes()
    }
}

/// HTTP's status code for one of ours. Source: `google/rpc/code.proto` of googleapis, which maps gRPC's codes; but a
/// reply over a limit is the service's fault, and a second try would meet the same limit.
fn status_of(code: Code, outcome: Outcome) -> u16 {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
        Code::Unauthenticated => 401,
        Code::PermissionDenied => 403,
        Code::NotFound => 404,
        Code::AlreadyExists | Code::Aborted => 409,
        Code::ResourceExhausted if outcome == Outcome::Done => 500,
        Code::ResourceExhausted => 429,
        Code::Cancelled => 499,
        Code::Unknown | Code::Internal | Code::DataLoss => 500,
        Code::Unimplemented => 501,
        Code::Unavailable => 503,
        Code::DeadlineExceeded => 504,
    }
}

/// What the code is called in the answer's first line.
pub(super) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        499 => "Client Closed Request",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}
