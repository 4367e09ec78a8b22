//! Requests of HTTP/1.1: the same whatever the cutting, and never two where another reader could see one.

use speedysvc_core::first_bytes::{Speech, decide};
use speedysvc_core::http::head::{Body, Head, Method};
use speedysvc_core::http::reader::{Event, Reader};

/// Small, so that the fuzzer finds it.
const LIMIT: usize = 64;

/// Requests as they were told: method, path, body.
type Told = Vec<(Method, String, Option<Vec<u8>>)>;

/// How reading ended.
#[derive(PartialEq, Debug)]
enum End {
    Waits,
    /// With the status code of the refusal.
    Refused(u16),
}

pub fn target(data: &[u8]) {
    assert_eq!(decide(data).is_none(), data.is_empty());
    for len in 1..data.len().min(4) {
        assert_eq!(decide(&data[..len]), decide(data), "decided once");
    }
    if decide(data) != Some(Speech::Http) {
        return;
    }
    let whole = feed(data, data.len());
    for piece in [1, 3] {
        let cut = feed(data, piece);
        let waits = cut.1 == End::Waits && !data.ends_with(b"\n");
        assert!(whole == cut || (waits && whole.0 == cut.0), "{whole:?}, {cut:?}");
    }
}

fn feed(data: &[u8], piece: usize) -> (Told, End) {
    let (mut reader, mut inbox, mut told) = (Reader::new(LIMIT), Vec::new(), Told::new());
    for bytes in data.chunks(piece) {
        inbox.extend_from_slice(bytes);
        loop {
            match step(&mut reader, &mut inbox, &mut told) {
                Ok(true) => {}
                Ok(false) => break,
                Err(status) => return (told, End::Refused(status)),
            }
        }
    }
    (told, End::Waits)
}

fn step(reader: &mut Reader, inbox: &mut Vec<u8>, told: &mut Told) -> Result<bool, u16> {
    let (used, event) = reader.next(inbox).map_err(|refusal| refusal.status)?;
    assert!(used <= inbox.len());
    let goes_on = !matches!(event, Event::Wait(_));
    match event {
        Event::Wait(whole) => assert!(whole == 0 || (whole > inbox.len() && whole <= LIMIT), "waits for {whole}"),
        Event::Nothing => {}
        Event::Head(head) => {
            unambiguous(&head, &inbox[..used]);
            told.push((head.method, head.path.to_owned(), None));
            let (method, body) = (head.method, head.body);
            if method == Method::Post && reader.accept(body).is_err() {
                told.last_mut().expect("just pushed").2 = Some(b"over the limit".to_vec());
            }
        }
        Event::Body(body) => {
            assert!(body.len() <= LIMIT);
            told.last_mut().expect("behind a head").2 = Some(body.to_vec());
        }
        Event::TooLarge => told.last_mut().expect("behind a head").2 = Some(b"over the limit".to_vec()),
    }
    inbox.drain(..used);
    Ok(goes_on)
}

/// The stupidest reader there is, and what it sees in a head: lines, and in them names before colons.
fn unambiguous(head: &Head<'_>, bytes: &[u8]) {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let body = text.strip_suffix("\r\n\r\n").expect("a head ends with an empty line");
    assert!(!body.replace("\r\n", "").contains(['\r', '\n', '\0']), "bare ends of lines");
    let fields: Vec<(String, &str)> = body
        .split("\r\n")
        .skip(1)
        .map(|line| line.split_once(':').expect("a colon"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
        .collect();
    let values = |wanted: &str| -> Vec<&str> {
        fields.iter().filter(|(name, _)| name.trim() == wanted).map(|(_, value)| *value).collect()
    };
    assert!(fields.iter().all(|(name, _)| name.trim() == name), "a space beside a name");
    match (&values("content-length")[..], &values("transfer-encoding")[..], head.body) {
        ([], [], Body::Length(0)) => {}
        ([one], [], Body::Length(length)) => {
            assert_eq!(one.parse(), Ok(length));
            assert!(one.bytes().all(|byte| byte.is_ascii_digit()));
        }
        ([], [one], Body::Chunked) => assert!(one.eq_ignore_ascii_case("chunked")),
        other => panic!("two ways to read the body: {other:?}"),
    }
    assert!(values("host").len() <= 1 && (head.is_1_0 || values("host").len() == 1));
    assert!(head.path.starts_with('/') || head.path == "*");
}
