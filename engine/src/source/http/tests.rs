//! The pure halves: what is read and written, however it is cut.

use proptest::prelude::*;
use speedysvc_protocol::status::{Code, Failure};

use super::head::{Body, Head, Method};
use super::reader::{Event, Reader};
use super::refusal::Refusal;
use super::reply::{self, Date, Manner};

const LIMIT: usize = 70_000;

/// Requests as a stupid reader would tell them: method, path, body.
type Told = Vec<(Method, String, Option<Vec<u8>>)>;

/// How reading ended.
#[derive(PartialEq, Debug)]
enum End {
    Whole,
    Unfinished,
    Refused(Refusal),
}

/// Feeds a reader in pieces of these sizes, over and over, and accepts what is posted.
fn feed(bytes: &[u8], pieces: &[usize], limit: usize) -> (Told, End) {
    let (mut reader, mut inbox, mut told) = (Reader::new(limit), Vec::new(), Told::new());
    let mut rest = bytes;
    for piece in pieces.iter().cycle() {
        loop {
            match step(&mut reader, &mut inbox, &mut told) {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => return (told, End::Refused(refusal)),
            }
        }
        if rest.is_empty() {
            break;
        }
        let count = rest.len().min(*piece);
        inbox.extend_from_slice(&rest[..count]);
        rest = &rest[count..];
    }
    let end = if inbox.is_empty() && reader.is_between() { End::Whole } else { End::Unfinished };
    (told, end)
}

/// One event; `false` when more must come.
fn step(reader: &mut Reader, inbox: &mut Vec<u8>, told: &mut Told) -> Result<bool, Refusal> {
    let (used, event) = reader.next(inbox)?;
    let goes_on = !matches!(event, Event::Wait(_));
    match event {
        Event::Wait(_) | Event::Nothing => {}
        Event::Head(head) => {
            told.push((head.method, head.path.to_owned(), None));
            let (method, body) = (head.method, head.body);
            if method == Method::Post {
                reader.accept(body)?;
            }
        }
        Event::Body(body) => told.last_mut().expect("behind a head").2 = Some(body.to_vec()),
        Event::TooLarge => return Err(Refusal::too_large(None, 0)),
    }
    inbox.drain(..used);
    Ok(goes_on)
}

fn refused(bytes: &[u8], pieces: &[usize], limit: usize) -> Refusal {
    match feed(bytes, pieces, limit) {
        (_, End::Refused(refusal)) => refusal,
        other => panic!("{other:?}: {}", bytes.escape_ascii()),
    }
}

fn one(bytes: &[u8]) -> Result<Head<'_>, Refusal> {
    super::head::parse(bytes).map(|head| head.expect("whole").0)
}

/// A request of the oracle's.
#[derive(Clone, Debug)]
struct Asked {
    post: bool,
    path: String,
    body: Vec<u8>,
    /// Sizes of its chunks; none: by its length.
    chunks: Vec<usize>,
}

impl Asked {
    fn write(&self, out: &mut Vec<u8>) {
        let method = if self.post { "POST" } else { "GET" };
        out.extend(format!("{method} {} HTTP/1.1\r\nhost: a\r\nx: \u{e9} \r\n", self.path).bytes());
        if self.chunks.is_empty() {
            out.extend(format!("Content-Length: {}\r\n\r\n", self.body.len()).bytes());
            out.extend_from_slice(&self.body);
            return;
        }
        out.extend_from_slice(b"Transfer-Encoding: Chunked\r\n\r\n");
        let mut rest = &self.body[..];
        for size in self.chunks.iter().cycle() {
            let (chunk, behind) = rest.split_at(rest.len().min(*size));
            out.extend(format!("{:X}{}\r\n", chunk.len(), if size % 2 == 0 { " ;a=b" } else { "" }).bytes());
            if chunk.is_empty() {
                break;
            }
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
            rest = behind;
        }
        out.extend_from_slice(b"Check: 1\r\n\r\n");
    }

    fn told(&self) -> (Method, String, Option<Vec<u8>>) {
        let method = if self.post { Method::Post } else { Method::Get };
        let wanted = self.post && (!self.chunks.is_empty() || !self.body.is_empty());
        (method, self.path.clone(), (wanted || self.post).then(|| self.body.clone()))
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let body = prop_oneof![0_usize..20, 1000_usize..LIMIT].prop_map(|len| (0..=250).cycle().take(len).collect());
    (any::<bool>(), "/[a-z]{0,9}", body, prop::collection::vec(1_usize..40_000, 0..4))
        .prop_map(|(post, path, body, chunks)| Asked { post, path, body, chunks })
}

proptest! {
    #[test]
    fn requests_survive_any_cutting(
        all in prop::collection::vec(asked(), 1..5),
        pieces in prop::collection::vec(prop_oneof![1_usize..10, 1_usize..30_000], 1..20),
    ) {
        let mut bytes = Vec::new();
        all.iter().for_each(|asked| asked.write(&mut bytes));
        let told: Told = all.iter().map(Asked::told).collect();
        prop_assert_eq!(feed(&bytes, &pieces, LIMIT), (told, End::Whole));
    }

    /// Broken or not: cutting changes nothing of what is understood, nor of how it ends. Only the rest of a line that
    /// is broken may be waited for.
    #[test]
    fn broken_requests_break_however_they_are_cut(
        asked in asked(), at in any::<prop::sample::Index>(), byte in any::<u8>(), piece in 1_usize..50,
    ) {
        let mut bytes = Vec::new();
        Asked { body: asked.body[..asked.body.len().min(300)].to_vec(), ..asked }.write(&mut bytes);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (whole, cut) = (feed(&bytes, &[bytes.len()], LIMIT), feed(&bytes, &[piece], LIMIT));
        let waits = matches!(whole.1, End::Refused(_)) && cut.1 == End::Unfinished && !bytes.ends_with(b"\n");
        prop_assert!(whole == cut || (waits && whole.0 == cut.0), "{whole:?}, {cut:?}");
    }
}

#[test]
fn what_two_readers_could_take_for_two_things_is_refused() {
    let bad: &[(&str, u16)] = &[
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Content-Length: 3, 3\r\n", 400),
        ("Content-Length: +3\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 0x3\r\n", 400),
        ("Content-Length: 3 3\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 99999999999999999999\r\n", 400),
        ("Content-Length : 3\r\n", 400),
        (" Content-Length: 3\r\n", 400),
        ("X: a\r\n Content-Length: 3\r\n", 400), // a folded line
        ("X: a\r\n\tb\r\n", 400),
        ("X: a\nContent-Length: 3\r\n", 400), // bare LF
        ("X: a\rContent-Length: 3\r\n", 400), // bare CR
        ("X: a\0b\r\n", 400),
        ("X\r\n", 400),
        (": x\r\n", 400),
        ("X(: x\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Host: b\r\n", 400), // twice
        ("Expect: 200-maybe\r\n", 417),
        ("Speedysvc-Timeout-Ms: 0\r\n", 400),
        ("Speedysvc-Timeout-Ms: 1s\r\n", 400),
        ("Speedysvc-Timeout-Ms: 86400001\r\n", 400),
    ];
    for (fields, status) in bad {
        let text = format!("POST /a/b HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for piece in [1, text.len()] {
            let refusal = refused(text.as_bytes(), &[piece], LIMIT);
            assert_eq!(refusal.status, *status, "{fields:?}: {}", refusal.failure);
        }
    }
}

#[test]
fn lines_that_are_no_request_are_refused() {
    for (text, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),              // no Host
        ("GET / HTTP/1.1\nHost: a\n\n", 400),         // bare LF throughout
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400), // a space in Host
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400), // HTTP/0.9
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ] {
        for piece in [1, text.len()] {
            let refusal = refused(text.as_bytes(), &[piece], LIMIT);
            assert_eq!(refusal.status, status, "{text:?}: {}", refusal.failure);
        }
    }
}

#[test]
fn bad_chunks_are_refused() {
    let head = "POST /a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        " 1\r\n",
        ";a\r\n",
        "1 1\r\n",
        "11111111111111111\r\n",
        "1\n",
        "1\nx\r\n",
        "1\rx\r\n",
        "1;a\nb\r\n",
        "1;\0\r\n",
        "3\r\nabcd\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "0\r\nno field\r\n\r\n",
        "0\r\na: b\n\r\n",
    ] {
        let text = format!("{head}{body}");
        for piece in [1, text.len()] {
            let refusal = refused(text.as_bytes(), &[piece], LIMIT);
            assert_eq!(refusal.status, 400, "{body:?}: {}", refusal.failure);
        }
    }
}

#[test]
fn limits_come_before_memory() {
    let too_large = |text: &str| refused(text.as_bytes(), &[7], 100).status;
    assert_eq!(too_large("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n"), 413);
    assert_eq!(too_large("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n"), 413);
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(too_large(&format!("{chunked}65\r\n")), 413);
    assert_eq!(too_large(&format!("{chunked}FFFFFFFFFFFFFFFF\r\n")), 413);
    let chunk = format!("32\r\n{}\r\n", "x".repeat(50));
    assert_eq!(too_large(&format!("{chunked}{chunk}{chunk}1\r\n")), 413);
    let long = |what: String| refused(format!("GET / HTTP/1.1\r\nHost: a\r\n{what}").as_bytes(), &[999], 100);
    assert_eq!(long("X: y\r\n".repeat(64)).status, 431);
    assert_eq!(long(format!("X: {}", "y".repeat(16 * 1024))).status, 431);
    let extension = format!("{chunked}1;{}", "x".repeat(300));
    assert_eq!(refused(extension.as_bytes(), &[50], 100).status, 400);
    let trailers = format!("{chunked}0\r\nX: {}", "y".repeat(5000));
    assert_eq!(refused(trailers.as_bytes(), &[50], 100).status, 431);
}

#[test]
fn heads_say_what_they_say() {
    let head = one(b"\r\nPOST http://h:1/a/b?c=/d HTTP/1.1\r\nHost: [::1]:5\r\nExpect: 100-Continue\r\n\r\n").unwrap();
    assert_eq!((head.path, head.method, head.expects, head.close), ("/a/b", Method::Post, true, false));
    let head = one(b"OPTIONS * HTTP/1.1\r\nHost:\r\nConnection: x , Close\r\nOrigin: null\r\n\r\n").unwrap();
    assert_eq!((head.path, head.close, head.from_browser), ("*", true, true));
    let head = one(b"GET http://h HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!((head.path, head.is_1_0, head.close, head.expects), ("/", true, true, false));
    assert!(!one(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().close);
    let head = one(b"PUT / HTTP/1.1\r\nHost: a\r\nSPEEDYSVC-timeout-ms: 250 \r\nContent-Length: 007\r\n\r\n").unwrap();
    assert_eq!((head.left_us, head.body, head.method), (250_000, Body::Length(7), Method::Other));
    for (json, text) in [
        (true, "application/json; charset=utf-8"),
        (true, "Application/Problem+JSON"),
        (true, "application/x-www-form-urlencoded"),
        (false, "text/plain"),
        (false, "multipart/form-data; boundary=application/json"),
    ] {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {text}\r\n\r\n");
        assert_eq!(one(text.as_bytes()).unwrap().other_type.is_none(), json, "{text}");
    }
}

/// Whoever sends another type is told why not, and what to send instead.
#[test]
fn another_type_is_told_why_and_what_to_send() {
    let told = |said: &str| Refusal::other_type(said.as_bytes()).failure.message.to_string();
    for (said, why) in [
        ("application/x-pickle", "runs whatever code"),
        ("application/python-PICKLE", "runs whatever code"),
        ("application/x-marshal", "versions of Python"),
        ("application/msgpack", "spoken in frames only"),
        ("text/plain", "said to be `text/plain`. Send"),
    ] {
        let text = told(said);
        assert!(text.contains(why) && text.contains("`Content-Type: application/json`"), "{said}: {text}");
        assert!(text.contains(said), "{text}");
    }
    assert!(told(&"x".repeat(5000)).len() < 400, "what somebody else wrote is not shown without end");
}

/// A head is parsed when it may be whole, not at each of its bytes; but a wrong beginning is told at once.
#[test]
fn a_wrong_line_is_told_at_once() {
    let mut reader = Reader::new(LIMIT);
    assert_eq!(reader.next(b"hello\n").map(|_| ()).unwrap_err().status, 400);
}

#[test]
fn answers_are_proper() {
    let (mut out, mut date) = (Vec::new(), Date::default());
    reply::append(&mut out, 200, "", &[b"[1", b",2]"], Manner::default(), &mut date);
    let text = String::from_utf8(out).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(lines[0], "HTTP/1.1 200 OK");
    assert!(lines[1].starts_with("Date: ") && lines[1].ends_with(" GMT"), "{}", lines[1]);
    assert_eq!(&lines[2..], ["Content-Type: application/json", "Content-Length: 5"]);
    assert_eq!(body, "[1,2]");

    let mut out = Vec::new();
    let manner = Manner { close: true, is_1_0: true, headless: true };
    let refusal = Refusal::of(Failure::done(Code::Internal, "a \"b\"\r\n"));
    reply::append_refusal(&mut out, &refusal, manner, &mut date);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("HTTP/1.1 500 Internal Server Error\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    assert!(text.contains("\r\nConnection: close\r\n"), "{text}");
    let body = br#"{"code":"INTERNAL","outcome":"done","message":"a \"b\"\r\n"}"#;
    assert_eq!(refusal.body(), body);
    assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
}
