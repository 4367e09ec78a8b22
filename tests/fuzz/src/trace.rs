//! `traceparent`: read to one meaning, or ignored.

use speedysvc_protocol::trace::{TraceContext, from_words, hex, to_words};

pub fn target(data: &[u8]) {
    read(data);
    // The same bytes over a good one: most random ones end at the first dash.
    let mut almost = *b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    if let [at, rest @ ..] = data {
        let at = usize::from(*at) % almost.len();
        let len = rest.len().min(almost.len() - at);
        almost[at..at + len].copy_from_slice(&rest[..len]);
        read(&almost);
    }
}

fn read(text: &[u8]) {
    let Some(trace) = TraceContext::parse(text) else { return };
    // Only what has these ids at these places is read; none of them is all zero, and no digit stands for itself and
    // another.
    assert_eq!(hex(&trace.trace_id()).as_bytes(), &text[3..35]);
    assert_eq!(hex(&trace.span_id()).as_bytes(), &text[36..52]);
    assert!(trace.trace_id() != [0; 16] && trace.span_id() != [0; 8]);
    let version = &text[..2];
    assert!(version != b"ff" && (version != b"00" || text.len() == 55));
    let written = trace.to_string();
    assert_eq!(written.parse(), Ok(trace), "written and read again");
    if version == b"00" {
        assert_eq!(written.as_bytes(), text);
    }
    assert_eq!(from_words(to_words(&trace)), Some(trace));
    let child = trace.child();
    assert_eq!((child.trace_id(), child.is_sampled()), (trace.trace_id(), trace.is_sampled()));
}
