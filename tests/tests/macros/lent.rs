//! Results that are lent: the same contract and the same replies as of those that are given, in every codec and on
//! every way to a service.

mod shelf;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use speedysvc::__private::service::Service;
use speedysvc::{CallError, untyped};
use speedysvc_protocol::archive::{Buffer, Bytes, Ref, Sink, Str};
use speedysvc_protocol::ids::{Codec, MethodIndex};
use speedysvc_protocol::service::{Body, Call, Reply};
use speedysvc_protocol::status::{Failure, Status};

use shelf::*;

use super::api::{archived, served};

#[test]
fn it_is_the_contract_of_what_is_given() {
    let (lent, given) = (ShelfService::contract(), given::ShelfService::contract());
    assert_eq!((lent, lent.methods.len()), (given, 16));
    assert_eq!(ShelfService::describe(), {
        let mut described = given::ShelfService::describe();
        described["docs"] = "What it lends is its own, or its caller's.".into();
        described
    });
}

/// Bytes of a reply.
const LIMIT: usize = 1 << 19;

/// Keeps what is written into it, if it is no more than so many bytes.
struct Noted(Arc<Mutex<Vec<u8>>>, usize);

impl Sink for Noted {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut written = self.0.lock().unwrap();
        if written.len() + bytes.len() > self.1 {
            return Err(Failure::done(speedysvc::Code::Internal, "full"));
        }
        written.extend_from_slice(bytes);
        Ok(())
    }

    fn written(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Status, body, and what is in the window.
type Replied = (Status, Vec<u8>, Option<Vec<u8>>);

/// What comes back, and what was written into a window of so many bytes, if there is one.
fn replied(
    service: &dyn Service,
    name: &str,
    (codec, body): (Codec, &[u8]),
    window: Option<usize>,
) -> Result<Replied, Failure> {
    let methods = &service.contract().methods;
    let place = methods.iter().position(|method| method.name == name).expect("it has the method");
    let index = MethodIndex(u16::try_from(place).unwrap());
    let (mut scratch, mut reply) = (Buffer::new(2 * LIMIT), Reply::new(0));
    let written = Arc::new(Mutex::new(Vec::new()));
    let noted = window.map(|room| Box::new(Noted(Arc::clone(&written), room)) as Box<dyn Sink + Send>);
    reply.prepare(LIMIT, LIMIT, noted);
    service.call(index, Call { codec, body: Body::Own(body), scratch: &mut scratch, reply: &mut reply })?;
    let in_window = reply.in_window().map(|len| written.lock().unwrap()[..len].to_vec());
    Ok((reply.status(), reply.body().to_vec(), in_window))
}

#[test]
fn its_replies_are_those_of_what_is_given() {
    let (lent, given) = (Held::new(), Giver(Held::new()));
    let (odd, large) = (noise(301), noise(100_000));
    let in_archives = [
        ("name", archived(&())),
        ("version", archived(&())),
        ("bytes", archived(&(Str("small"),))),
        ("bytes", archived(&(Str("large"),))),
        ("bytes", archived(&(Str("none"),))),
        ("vector", archived(&())),
        ("first", archived(&())),
        ("row", archived(&(2_u64,))),
        ("row", archived(&(3_u64,))),
        ("echo", archived(&(Bytes(&[]),))),
        ("echo", archived(&(Bytes(&odd),))),
        ("echo", archived(&(Bytes(&large),))),
        ("echo_text", archived(&(Str("text"), Str("other")))),
        ("longer", archived(&(Str("text"), Str("other")))),
        ("longer", archived(&(Str("a text"), Str("other")))),
        ("longer", archived(&(Str("equal"), Str("other")))),
        ("named_or", archived(&(Str("small"), Ref(&"or".to_owned())))),
        ("named_or", archived(&(Str("none"), Ref(&"or".to_owned())))),
        ("echo_beside", archived(&(Bytes(&odd),))),
        ("raw", archived(&(Bytes(&odd),))),
        ("packed", archived(&(1_u64,))),
    ];
    for (name, body) in &in_archives {
        for window in [None, Some(LIMIT), Some(40)] {
            let call = (Codec::Rkyv, body.as_slice());
            let (lends, gives) = (replied(&lent, name, call, window), replied(&given, name, call, window));
            assert!(lends.is_ok() && lends == gives, "{name} {window:?}: {:?}", lends.map(|(status, ..)| status));
        }
    }
    let in_words: [(&str, Codec, &[u8]); 17] = [
        ("name", Codec::Json, b""),
        ("version", Codec::MsgPack, b""),
        ("bytes", Codec::Json, b"\"small\""),
        ("bytes", Codec::Json, b"\"none\""),
        ("bytes", Codec::MsgPack, b"\xa5small"),
        ("vector", Codec::Json, b""),
        ("vector", Codec::MsgPack, b""),
        ("first", Codec::Json, b""),
        ("row", Codec::Json, b"1"),
        ("row", Codec::MsgPack, b"\x02"),
        ("row", Codec::MsgPack, b"\x03"),
        ("echo", Codec::Json, b"\"AP8=\""),
        ("echo", Codec::MsgPack, b"\xc4\x02\x00\xff"),
        ("echo", Codec::Raw, b"\x00\xff"),
        ("raw", Codec::Raw, b""),
        ("longer", Codec::Json, b"[\"longer\",\"other\"]"),
        ("named_or", Codec::Json, br#"{"key":"small","or":"or"}"#),
    ];
    for (name, codec, body) in in_words {
        let (lends, gives) = (replied(&lent, name, (codec, body), None), replied(&given, name, (codec, body), None));
        assert!(lends.is_ok() && lends == gives, "{name} {codec:?}: {lends:?}");
    }
    let over = archived(&(Bytes(&noise(LIMIT - 7)),));
    let (lends, gives) = [&lent as &dyn Service, &given]
        .map(|service| replied(service, "echo", (Codec::Rkyv, over.as_slice()), None))
        .into();
    assert!(lends == gives && lends.unwrap_err().message.contains("limit"));
}

/// What the method gives to whoever posts this.
fn posted(address: &str, method: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address.strip_prefix("tcp://").expect("TCP")).unwrap();
    let head =
        format!("POST /shelf/{method} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}", body.len());
    socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
}

#[test]
fn it_arrives_whichever_way_it_goes() {
    let (rows, large) = (Held::new().rows, noise(100_000));
    served("lent", Held::new(), |address| {
        let client = ShelfClient::connect(address).unwrap();
        assert_eq!((client.name().unwrap(), client.version().unwrap()), ("row 0".to_owned(), "1.0".to_owned()));
        assert_eq!((client.first().unwrap(), client.later().unwrap()), (rows[0].clone(), rows[2].clone()));
        assert_eq!((client.row(1), client.row(9)), (Ok(rows[1].clone()), Err(CallError::App(NoRow(9)))));
        assert_eq!((client.packed(1), client.packed(9)), (Ok(rows[1].clone()), Err(CallError::App(NoRow(9)))));
        assert_eq!(client.named_or("none", "or").unwrap(), "or");
        assert_eq!(client.longer("a", &"bc".to_owned()).unwrap(), "bc");
        // Twice and more, as large replies are expected from a method that has given one, and may go over the request.
        for len in [0, 1, 32, 33, 47, 48, 300, 5_000, 70_000, 70_001, 70_002, 7] {
            let bytes = noise(len);
            let text = "é".repeat(len / 2);
            assert!(client.echo(&bytes).unwrap() == bytes, "{address} {len}");
            assert!(client.echo_text(&text, "").unwrap() == text, "{address} {len}");
            assert!(client.echo_beside(&bytes).unwrap() == bytes, "{address} {len}");
            assert!(client.raw(&bytes).unwrap() == bytes[len / 2..], "{address} {len}");
            assert!(client.in_json(&bytes).unwrap() == bytes, "{address} {len}");
            assert!(client.echo_later(&bytes, "now").unwrap() == bytes, "{address} {len}");
            assert!(client.bytes("large").unwrap() == large, "{address} {len}");
        }
        assert_eq!(client.echo_later(&[1], ""), Err(CallError::App(NoRow(7))));
        let many: Vec<Vec<u8>> = (0..200).map(noise).collect();
        let starts = client.start();
        let pending: Vec<_> = many.iter().map(|bytes| starts.echo(bytes)).collect();
        drop(starts);
        assert!(pending.into_iter().map(|pending| pending.wait().unwrap()).eq(many.iter().cloned()), "{address}");
        // Who was built when the service gave is no worse off.
        let older = given::ShelfClient::connect(address).unwrap();
        assert_eq!((older.row(2), older.echo(&[7]).unwrap()), (Ok(rows[2].clone()), vec![7]));
        let untyped::Reply::Ok(json) = untyped::call(address, "first", b"", None).unwrap() else { panic!("an error") };
        assert_eq!(serde_json::from_slice::<Row>(&json).unwrap(), rows[0]);
        if address.starts_with("tcp://") {
            assert_eq!(posted(address, "echo", "\"AP8=\""), "\"AP8=\"");
            assert_eq!(posted(address, "named_or", r#"["small", ""]"#), "\"row 1\"");
        }
    });
    let client = ShelfClient::in_process(Held::new()).unwrap();
    assert_eq!((client.echo(&[1, 2]).unwrap(), client.later().unwrap()), (vec![1, 2], rows[2].clone()));
}
