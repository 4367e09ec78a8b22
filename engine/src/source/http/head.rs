//! The head of a request: its line and its fields. Parsed by httparse, and judged here more strictly than it does.
//!
//! Nothing stands between us and the client that could read a request otherwise, but somebody will put a proxy there:
//! whatever two readers could take for two different things is refused.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use speedysvc_protocol::trace::TraceContext;

use super::refusal::Refusal;

/// Most bytes of a head.
pub const HEAD_MAX: usize = 16 * 1024;
/// Most fields of a head.
const FIELDS_MAX: usize = 64;
/// The field with which a caller says how long it will wait.
pub const TIMEOUT_FIELD: &str = "Speedysvc-Timeout-Ms";
/// The field that names the caller's trace and span (W3C Trace Context). One that cannot be read is ignored.
pub const TRACE_FIELD: &str = "traceparent";
/// A day: as for deadlines in the file.
const TIMEOUT_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// What is asked for, as far as we know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// OPTIONS
    Options,
    /// Any other: nothing here takes it.
    Other,
}

/// How the body's end is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    /// By its length; 0 where there is none.
    Length(u64),
    /// By its last chunk.
    Chunked,
}

/// A request's head.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head<'a> {
    /// What is asked for.
    pub method: Method,
    /// Of what: the path, without the query.
    pub path: &'a str,
    /// What follows.
    pub body: Body,
    /// HTTP/1.0: such a client hears `keep-alive` when the connection stays, and knows no chunks.
    pub is_1_0: bool,
    /// The connection ends after the answer, because the client wants it.
    pub close: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects: bool,
    /// How long the caller will wait, in microseconds; 0 when it does not say.
    pub left_us: u64,
    /// The trace that the call belongs to.
    pub trace: Option<TraceContext>,
    /// What type its body is said to have, when that is another than JSON.
    pub other_type: Option<&'a [u8]>,
    /// Sent by a page in a browser.
    pub from_browser: bool,
}

/// Reads the head at the front of what has arrived, and its length; `None` while it is not whole.
///
/// # Errors
/// [`Refusal`] when it is no head, or one that must not be answered otherwise.
pub(super) fn parse(arrived: &[u8]) -> Result<Option<(Head<'_>, usize)>, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = Request::new(&mut []);
    let within = &arrived[..arrived.len().min(HEAD_MAX)];
    let parsed = request.parse_with_uninit_headers(within, &mut fields);
    let length = match parsed.map_err(not_a_head)? {
        Status::Complete(length) => length,
        Status::Partial if within.len() == HEAD_MAX => return Err(Refusal::head_too_large()),
        Status::Partial => return Ok(None),
    };
    if !lines_end_properly(&within[..length]) {
        return Err(Refusal::bad("a line does not end with CR LF"));
    }
    judge(&request).map(|head| Some((head, length)))
}

fn not_a_head(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::head_too_large(),
        httparse::Error::Version => Refusal::version(),
        other => Refusal::bad(other.to_string()),
    }
}

/// httparse takes a bare LF for the end of a line; other readers may not.
pub(super) fn lines_end_properly(head: &[u8]) -> bool {
    let count = |wanted: u8| head.iter().filter(|byte| **byte == wanted).count();
    let pairs = head.windows(2).filter(|pair| *pair == b"\r\n").count();
    count(b'\n') == pairs && count(b'\r') == pairs
}

fn judge<'a>(request: &Request<'_, 'a>) -> Result<Head<'a>, Refusal> {
    let is_1_0 = request.version == Some(0);
    let fields = Fields::read(request.headers)?;
    if !is_1_0 && fields.host.is_none() {
        return Err(Refusal::bad("the field Host is missing"));
    }
    if fields.expects_other {
        return Err(Refusal::expectation());
    }
    let method = match request.method.unwrap_or_default() {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    };
    Ok(Head {
        method,
        path: path(request.path.unwrap_or_default(), method)?,
        body: fields.body(is_1_0)?,
        is_1_0,
        close: fields.close || (is_1_0 && !fields.keep_alive),
        // A client of 1.0 does not know what to do with a 100 (RFC 9110, section 10.1.1).
        expects: fields.expects && !is_1_0,
        left_us: fields.left_us,
        trace: fields.trace.flatten(),
        other_type: fields.other_type,
        from_browser: fields.from_browser,
    })
}

/// The path of a target in origin form, or in the absolute form that proxies are sent; `*` of OPTIONS as it is.
fn path(target: &str, method: Method) -> Result<&str, Refusal> {
    if target == "*" && method == Method::Options {
        return Ok(target);
    }
    let begins = |scheme: &str| target.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let path = match target {
        _ if target.starts_with('/') => target,
        _ if begins("http://") => target["http://".len()..].find('/').map_or("/", |at| &target["http://".len() + at..]),
        _ => return Err(Refusal::bad("the target is no path")),
    };
    Ok(path.split('?').next().unwrap_or(path))
}

/// What the fields say, as far as it matters here.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects: bool,
    expects_other: bool,
    left_us: u64,
    /// Read, or to be ignored.
    trace: Option<Option<TraceContext>>,
    other_type: Option<&'a [u8]>,
    from_browser: bool,
}

impl<'a> Fields<'a> {
    fn read(headers: &[Header<'a>]) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for header in headers {
            fields.take(header)?;
        }
        Ok(fields)
    }

    fn take(&mut self, header: &Header<'a>) -> Result<(), Refusal> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value.trim_ascii();
        if is("Content-Length") {
            return set_once(&mut self.length, digits(value), "Content-Length");
        } else if is("Transfer-Encoding") {
            if self.chunked {
                return Err(Refusal::bad("Transfer-Encoding twice"));
            }
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
            return if self.chunked { Ok(()) } else { Err(Refusal::coding()) };
        } else if is("Host") {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_:[]%".contains(byte);
            return set_once(&mut self.host, value.iter().all(plain).then_some(value), "Host");
        } else if is("Connection") {
            self.connection(value);
        } else if is("Expect") {
            self.expects |= value.eq_ignore_ascii_case(b"100-continue");
            self.expects_other |= !value.eq_ignore_ascii_case(b"100-continue");
        } else if is("Content-Type") {
            self.other_type = (!is_json(value)).then_some(value);
        } else if is("Origin") {
            self.from_browser = true;
        } else if is(TRACE_FIELD) {
            // Of two nobody knows which is meant.
            self.trace = Some(if self.trace.is_none() { TraceContext::parse(value) } else { None });
        } else if is(TIMEOUT_FIELD) {
            let ms = digits(value).filter(|ms| (1..=TIMEOUT_MAX_MS).contains(ms)).ok_or_else(Refusal::timeout)?;
            self.left_us = ms * 1000;
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn body(&self, is_1_0: bool) -> Result<Body, Refusal> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Refusal::bad("both Content-Length and Transfer-Encoding")),
            (true, None) if is_1_0 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
            (true, None) => Ok(Body::Chunked),
            (false, length) => Ok(Body::Length(length.unwrap_or(0))),
        }
    }
}

/// A field that must stand once at most: two that say the same are two, too.
fn set_once<T>(place: &mut Option<T>, value: Option<T>, name: &str) -> Result<(), Refusal> {
    let value = value.ok_or_else(|| Refusal::bad(format!("{name} cannot be read")))?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad(format!("{name} twice"))),
    }
}

/// Digits and nothing else: no sign, no space, no list.
fn digits(value: &[u8]) -> Option<u64> {
    let plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| plain)?.parse().ok()
}

/// JSON by any of its names; also what `curl -d` says unless it is told otherwise.
fn is_json(value: &[u8]) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii().to_ascii_lowercase();
    essence.is_empty()
        || essence.ends_with(b"/json")
        || essence.ends_with(b"+json")
        || essence == b"application/x-www-form-urlencoded"
}
