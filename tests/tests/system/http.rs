//! HTTP/1.1 on the port of the frames: what is said over a real socket, to a real engine.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use speedysvc_tests::harness::{Engine, wait_for, wait_until};
use speedysvc_tests::test_service::TestServiceClient;

use crate::fixture::{Gate, LONG, connect, engine};

/// One answer: status, head, body.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn has(&self, line: &str) -> bool {
        self.head.split("\r\n").any(|field| field == line)
    }
}

/// A connection that is spoken on in bytes.
struct Raw(TcpStream);

impl Raw {
    fn open(engine: &Engine) -> Self {
        let address = engine.tcp_address("test");
        let socket = TcpStream::connect(address.strip_prefix("tcp://").expect("TCP")).expect("it listens");
        socket.set_read_timeout(Some(LONG)).expect("not zero");
        socket.set_nodelay(true).expect("it is open");
        Self(socket)
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the engine reads");
    }

    fn post(&mut self, method: &str, body: &str) -> Answer {
        self.say(request(method, body).as_bytes());
        self.hear()
    }

    /// The next answer, to its last byte and no further.
    fn hear(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {}", head.escape_ascii()));
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = head.split("\r\n").find_map(|field| field.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        self.0.read_exact(&mut body).expect("the whole body");
        Answer { status, head, body: String::from_utf8(body).expect("text") }
    }

    /// Everything until the engine closes.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).expect("an end, and no reset that takes the answer away");
        rest
    }
}

fn request(method: &str, body: &str) -> String {
    format!("POST /test/{method} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn still_answers(engine: &Engine) {
    assert_eq!(connect(&engine.tcp_address("test")).echo("frames").unwrap(), "frames");
    assert_eq!(Raw::open(engine).post("echo", "\"http\"").body, "\"http\"");
}

#[test]
fn first_bytes_decide_even_one_at_a_time() {
    let engine = engine("");
    let mut http = Raw::open(&engine);
    for _ in 0..2 {
        request("echo", "\"slowly\"").bytes().for_each(|byte| http.say(&[byte]));
        assert_eq!(http.hear().body, "\"slowly\"");
    }
    let mut frames = Raw::open(&engine);
    let hello = br#"{"version_min":1,"version_max":1,"library":"raw","service":"test","methods":[]}"#;
    let mut frame = vec![0xF5, b'S', b'V', b'C', 1, 1];
    frame.resize(48, 0);
    frame[32] = hello.len().to_le_bytes()[0];
    frame[36] = frame[32];
    frame.iter().chain(hello).for_each(|byte| frames.say(&[*byte]));
    let mut kind = [0; 6];
    frames.0.read_exact(&mut kind).unwrap();
    assert_eq!(kind, [0xF5, b'S', b'V', b'C', 1, 2], "a WELCOME");
    still_answers(&engine);
}

/// Fault row C13.
#[test]
fn a_tls_hello_gets_a_clear_refusal() {
    let engine = engine("");
    let hello = [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3];
    for pieces in [1, hello.len()] {
        let mut tls = Raw::open(&engine);
        hello.chunks(pieces).for_each(|piece| tls.say(piece));
        tls.0.shutdown(Shutdown::Write).unwrap();
        assert_eq!(tls.rest(), [21, 3, 1, 0, 2, 2, 40], "the alert `handshake failure`");
    }
    // What a worker says reaches the engine's log by a pipe.
    let told = || engine.err().iter().filter(|line| line.contains("began with TLS")).count();
    wait_for("the log to tell of it", || told() > 0);
    assert_eq!(told(), 1, "{:#?}", engine.err());
    still_answers(&engine);
}

#[test]
fn many_requests_at_once_are_answered_in_their_order() {
    let engine = engine("");
    let mut http = Raw::open(&engine);
    let all: String = (0..500).map(|number| request("echo", &format!("\"{number}\""))).collect();
    http.say(all.as_bytes());
    for number in 0..500 {
        assert_eq!(http.hear().body, format!("\"{number}\""));
    }
    // One that is broken ends it, behind the answers to those before it.
    http.say((request("echo", "\"a\"") + "GET / HTTP/1.1\r\n\r\n" + &request("echo", "\"b\"")).as_bytes());
    assert_eq!(http.hear().body, "\"a\"");
    let refused = http.hear();
    assert!(refused.status == 400 && refused.has("Connection: close"), "{refused:?}");
    assert!(http.rest().is_empty());
    still_answers(&engine);
}

/// Bodies from 64 KiB on go by buffers of their own, both ways; before and behind them come others.
#[test]
fn large_bodies_cross_between_small_ones() {
    let engine = engine("");
    let mut http = Raw::open(&engine);
    let lengths = [3, 65_535, 65_536, 65_537, 5, 1 << 20, 200_000, 2, 3 << 20, 70_000, 3];
    let bodies = lengths.map(|length| {
        let letters = ('a'..='z').cycle().skip(length % 26).step_by(7).take(length - 2);
        format!("\"{}\"", letters.collect::<String>())
    });
    let mut writer = Raw(http.0.try_clone().expect("a descriptor"));
    let all: String = bodies.iter().map(|body| request("echo", body)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.say(all.as_bytes()));
        for body in &bodies {
            let answer = http.hear();
            assert!(answer.status == 200 && answer.body == *body, "{} bytes: {}", body.len(), answer.head);
        }
    });
    // What is no JSON is refused however long it is, and the connection goes on.
    let refused = http.post("echo", &bodies[5][1..]);
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(http.post("echo", &bodies[5]).body, bodies[5]);
    // One that ends in the middle is given up with its connection.
    http.say(&request("echo", &bodies[5]).as_bytes()[..100_000]);
    drop((http, writer));
    still_answers(&engine);
}

#[test]
fn a_request_that_could_be_two_is_refused_and_ends_the_connection() {
    let engine = engine("");
    for (fields, body) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\nPOST"),
        ("Content-Length: 3\r\nContent-Length: 3", "\"a\""),
        ("Content-Length: 3\r\n X: y", "\"a\""),
        ("Content-Length: 3\nX: y", "\"a\""),
        ("Transfer-Encoding: chunked", "3\r\n\"a\"0\r\n\r\n"),
    ] {
        let mut http = Raw::open(&engine);
        let smuggled = request("echo", "\"smuggled\"");
        http.say(format!("POST /test/echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{smuggled}").as_bytes());
        let refused = http.hear();
        assert!(refused.status == 400 && refused.has("Connection: close"), "{fields}: {refused:?}");
        assert!(refused.body.contains(r#""outcome":"not_started""#), "{refused:?}");
        assert!(http.rest().is_empty(), "{fields}: nothing behind it is answered");
    }
    still_answers(&engine);
}

#[test]
fn bodies_come_in_chunks_and_after_continue() {
    let engine = engine("");
    let mut http = Raw::open(&engine);
    let begin = "POST /test/echo HTTP/1.1\r\nHost: a\r\n";
    http.say(
        format!("{begin}Transfer-Encoding: chunked\r\n\r\n2\r\n\"a\r\n1;x=y\r\nb\r\n1\r\n\"\r\n0\r\nT: 1\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(http.hear().body, "\"ab\"");
    http.say(format!("{begin}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n").as_bytes());
    assert_eq!(http.hear().status, 100);
    http.say(b"\"c\"");
    assert_eq!(http.hear().body, "\"c\"");
    // A body that nobody wants is not asked for; whether it comes is unclear, so the connection ends.
    http.say(b"POST /test/none HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let refused = http.hear();
    assert!(refused.status == 404 && refused.has("Connection: close"), "{refused:?}");
    assert!(http.rest().is_empty());
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_connection_goes_on() {
    let engine = engine("limits = { tcp_message = \"4KiB\" }");
    let mut http = Raw::open(&engine);
    let exactly = format!("\"{}\"", "x".repeat(4094));
    assert_eq!(http.post("echo", &exactly).body, exactly);
    let over = http.post("echo", &format!("\"{}\"", "x".repeat(4095)));
    assert_eq!(over.status, 413);
    assert!(over.body.contains("4097 bytes") && over.body.contains("4096 bytes"), "{over:?}");
    http.say(b"POST /test/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n");
    assert_eq!(http.hear().status, 413, "before the body came");
    http.say(&[b'x'; 4097]);
    http.say(b"\r\n0\r\n\r\n");
    assert_eq!(http.post("echo", "\"on\"").body, "\"on\"");
    let reply = http.post("big", "4000");
    assert_eq!(reply.status, 500, "{reply:?}");
    assert!(reply.body.contains(r#""code":"RESOURCE_EXHAUSTED","outcome":"done""#), "{reply:?}");
}

/// A call is not started when the time that its caller gives it was over before, here behind a long one.
#[test]
fn deadlines_come_in_a_field() {
    let engine = engine("");
    let (mut http, gate) = (Raw::open(&engine), Gate::new(&engine.home(), "gate"));
    let hold = request("hold", &format!("{:?}", gate.path()));
    let late = "POST /test/echo HTTP/1.1\r\nHost: a\r\nSpeedysvc-Timeout-Ms: 1\r\nContent-Length: 3\r\n\r\n\"a\"";
    http.say((hold + late + &request("echo", "\"b\"")).as_bytes());
    gate.wait_for(1);
    wait_until("more than a millisecond", || {
        let begin = std::time::Instant::now();
        while begin.elapsed().as_millis() < 2 {
            std::hint::spin_loop();
        }
        Some(())
    });
    gate.open();
    assert_eq!(http.hear().status, 200);
    let late = http.hear();
    assert_eq!(late.status, 504, "{late:?}");
    assert!(late.body.contains(r#""code":"DEADLINE_EXCEEDED","outcome":"not_started""#), "{late:?}");
    assert_eq!(http.hear().body, "\"b\"");
}

/// Draining: idle connections end, and a request that has begun is answered with the news that it is the last.
#[test]
fn a_stop_answers_what_has_begun_and_closes_the_rest() {
    let mut engine = engine("drain = \"60s\"");
    let (mut begun, mut idle) = (Raw::open(&engine), Raw::open(&engine));
    assert_eq!(idle.post("echo", "\"a\"").status, 200);
    assert_eq!(begun.post("echo", "\"b\"").status, 200);
    let whole = request("echo", "\"last\"");
    let (first, rest) = whole.split_at(whole.len() - 3);
    begun.say(first.as_bytes());
    engine.terminate();
    assert!(idle.rest().is_empty(), "which shows that the worker drains");
    begun.say(rest.as_bytes());
    let last = begun.hear();
    assert!(last.body == "\"last\"" && last.has("Connection: close"), "{last:?}");
    assert!(begun.rest().is_empty());
    drop((begun, idle));
    assert_eq!(engine.wait(), 0);
}

/// Whoever opens a page must not call services with it.
#[test]
fn pages_in_browsers_are_refused() {
    let engine = engine("");
    let mut http = Raw::open(&engine);
    http.say(b"POST /test/echo HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\nContent-Length: 3\r\n\r\n\"a\"");
    assert_eq!(http.hear().status, 403);
    http.say(b"OPTIONS /test/echo HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nAccess-Control-Request-Method: POST\r\n\r\n");
    let preflight = http.hear();
    assert!(preflight.status == 403 && !preflight.head.contains("Access-Control"), "{preflight:?}");
    http.say(b"POST /test/echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n\"a\"");
    assert_eq!(http.hear().status, 415);
    http.say(
        b"POST /test/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-pickle\r\nContent-Length: 3\r\n\r\n\"a\"",
    );
    let pickled = http.hear();
    assert!(pickled.status == 415 && pickled.body.contains("pickle is refused: reading it runs"), "{pickled:?}");
    assert_eq!(http.post("echo", "\"on\"").body, "\"on\"");
}

#[test]
fn calls_over_http_are_counted() {
    use speedysvc::stats::Counter;
    let folder = tempfile::tempdir().unwrap();
    let server = speedysvc::Server::new(speedysvc_tests::test_service::Obedient);
    let running = server.folder(folder.path()).listen("tcp://127.0.0.1:0").start().unwrap();
    let address = running.addresses().find(|address| address.starts_with("tcp://")).expect("it listens");
    let socket = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
    let mut http = Raw(socket);
    assert_eq!(http.post("echo", "\"a\"").status, 200);
    assert_eq!(http.post("echo", "{").status, 400);
    assert_eq!(http.post("none", "").status, 404);
    let client: TestServiceClient = connect(&address);
    assert_eq!(client.echo("b").unwrap(), "b");
    let stats = wait_until("all to be counted", || {
        let stats = running.stats();
        (stats.counter(Counter::TcpCalls) == 1).then_some(stats)
    });
    assert_eq!((stats.counter(Counter::HttpCalls), stats.counter(Counter::Refused)), (3, 1));
}

fn script(name: &str, engine: &Engine, more: &[&str]) -> Option<String> {
    let address = engine.tcp_address("test");
    let url = address.replacen("tcp", "http", 1);
    let script = format!("{}/other-language/{name}", env!("CARGO_MANIFEST_DIR"));
    let output = match Command::new("python3").arg(script).arg(url).args(more).output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: python3: {error}; apt-get install python3");
            return None;
        }
    };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {text}");
    Some(text)
}

#[test]
fn pythons_own_client_is_served() {
    let engine = engine("");
    if let Some(text) = script("http_client.py", &engine, &[]) {
        assert!(text.contains("all well"), "{text}");
    }
}

/// What the page for people who come from Python shows is what was run above.
#[test]
fn the_page_for_python_shows_what_was_tried() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let read = |path: String| std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let script = read(format!("{folder}/other-language/http_client.py"));
    let (_, shown) = script.split_once("# begin: docs/from-python.md\n").expect("a beginning");
    let (shown, _) = shown.split_once("# end\n").expect("an end");
    assert!(shown.lines().count() > 20);
    assert!(read(format!("{folder}/../docs/from-python.md")).contains(shown), "the page shows something else");
}

#[test]
fn curl_is_a_client() {
    let engine = engine("");
    let url = engine.tcp_address("test").replacen("tcp", "http", 1);
    let curl = |arguments: &[&str], path: &str| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "60", "-w", " %{http_code} %{num_connects}"]).args(arguments);
        let output = command.arg(format!("{url}{path}")).output();
        output.map(|output| String::from_utf8(output.stdout).expect("text"))
    };
    match curl(&["-d", "\"hi\""], "/test/echo") {
        Ok(text) => assert_eq!(text, "\"hi\" 200 1"),
        Err(error) => return println!("SKIPPED: curl: {error}; apt-get install curl"),
    }
    let said = |arguments: &[&str], path: &str| curl(arguments, path).expect("it ran before");
    assert_eq!(
        said(&["-d", "\"x\""], "/test/fail").split_once(" 422"),
        Some((r#"{"code":"APPLICATION","outcome":"done","error":{"Wrong":{"text":"x","length":1}}}"#, " 1",))
    );
    assert!(said(&[], "/test").contains(r#""signature":"echo(&str) -> String""#));
    assert!(said(&[], "/openapi.json").contains(r#""openapi":"3.1.0""#));
    assert!(said(&["-I"], "/test").contains("HTTP/1.1 200 OK"));
    assert!(said(&["-i", "-X", "OPTIONS"], "/test/echo").contains("Allow: POST, OPTIONS"));
    let large = format!("\"{}\"", "x".repeat(100_000));
    for field in ["Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let text = said(&["-d", &large, "-H", field], "/test/echo");
        assert!(text.starts_with(&large) && text.ends_with(" 200 1"), "{field}: {}", &text[text.len() - 100..]);
    }
    let again = said(&["-d", "1", &format!("{url}/test/sleep_ms")], "/test/sleep_ms");
    assert_eq!(again, "1 200 11 200 0", "the second on the same connection");
}
