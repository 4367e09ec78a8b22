//! Which trace a call belongs to, in the words of W3C Trace Context
//! (<https://www.w3.org/TR/trace-context-2/>): level 1, and of level 2 the flag of random ids.
//!
//! A call's caller gives it a span id of its own, by which its handler and its lines in the log go; calls made inside
//! the handler are children of that span. `tracestate` is not carried (decision 0054).

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The caller records this trace.
const SAMPLED: u8 = 1;
/// The trace's id is random in its last seven bytes (level 2, section 3.2.5.2).
const RANDOM: u8 = 2;
/// Others are of later levels. Whoever passes a trace on clears them.
const KNOWN: u8 = SAMPLED | RANDOM;

/// Bytes of a `traceparent` of version 0; later ones may be longer.
const LEN: usize = 55;

/// Words that carry a trace context in shared memory and in frames.
pub const WORDS: usize = 4;

/// The trace that a call belongs to, and the call's own span in it: what the HTTP header `traceparent` says.
///
/// ```
/// use speedysvc_protocol::trace::TraceContext;
///
/// let caller: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?;
/// let call = caller.child();
/// assert_eq!(call.trace_id(), caller.trace_id());
/// assert_ne!(call.span_id(), caller.span_id());
/// # Ok::<_, speedysvc_protocol::trace::BadTraceparent>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Never all zero.
    trace_id: [u8; 16],
    /// As a number of the big end first.
    span_id: NonZeroU64,
    /// Also unknown ones: see [`KNOWN`].
    flags: u8,
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "no traceparent as W3C Trace Context has it, such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01: \
     version, trace id, span id and flags, in lower-case hexadecimal digits, neither id all zero"
)]
pub struct BadTraceparent;

impl TraceContext {
    /// The beginning of a new trace: random ids, sampled.
    #[must_use]
    pub fn root() -> Self {
        let random = RandomState::new();
        let [high, low] = [0_u8, 1].map(|half| random.hash_one(half));
        let trace_id = (u128::from(high) << 64 | u128::from(low)).max(1).to_be_bytes();
        Self { trace_id, span_id: random_span(), flags: SAMPLED | RANDOM }
    }

    /// The context with these ids, as another library of tracing has them; `None` when one of them is all zero. Of the
    /// flags bit 0 says that the trace is sampled.
    #[must_use]
    pub fn from_parts(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let span_id = NonZeroU64::new(u64::from_be_bytes(span_id))?;
        (trace_id != [0; 16]).then_some(Self { trace_id, span_id, flags })
    }

    /// The same trace with a new, random span id: what a call carries that is made in this span.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: random_span(), flags: self.flags & KNOWN, ..*self }
    }

    /// The trace's id. Shown with [`hex`], as logs do.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span's id.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id.get().to_be_bytes()
    }

    /// Whether the caller says that it records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Reads a `traceparent` without spaces around it; `None` when it is none, and is to be ignored. Of a version after
    /// 0 what version 0 has is read (section 3.2.4).
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, more) = text.split_at_checked(LEN)?;
        if [2, 35, 52].iter().any(|dash| head[*dash] != b'-') {
            return None;
        }
        let [version] = from_hex(&head[..2])?;
        let [flags] = from_hex(&head[53..])?;
        let flags = match (version, more) {
            (0, []) => flags,
            (1..=254, [] | [b'-', ..]) => flags & KNOWN,
            _ => return None,
        };
        Self::from_parts(from_hex(&head[3..35])?, from_hex(&head[36..52])?, flags)
    }
}

/// As words: the ids' bytes in their order, then the flags in the lowest byte.
#[inline]
#[must_use]
pub fn to_words(trace: &TraceContext) -> [u64; WORDS] {
    let trace_id = u128::from_le_bytes(trace.trace_id);
    #[expect(clippy::cast_possible_truncation, reason = "split into halves")]
    let (first, second) = (trace_id as u64, (trace_id >> 64) as u64);
    [first, second, trace.span_id.get().swap_bytes(), u64::from(trace.flags)]
}

/// What words say; `None` for ids of zeros. Of the last word only the lowest byte means something.
#[must_use]
pub fn from_words([first, second, span_id, flags]: [u64; WORDS]) -> Option<TraceContext> {
    let trace_id = (u128::from(second) << 64 | u128::from(first)).to_le_bytes();
    let [flags, ..] = flags.to_le_bytes();
    TraceContext::from_parts(trace_id, span_id.to_le_bytes(), flags)
}

/// As a `traceparent` of version 0.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex(&self.trace_id), hex(&self.span_id()), self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

impl FromStr for TraceContext {
    type Err = BadTraceparent;

    fn from_str(text: &str) -> Result<Self, BadTraceparent> {
        Self::parse(text.as_bytes()).ok_or(BadTraceparent)
    }
}

/// An id as it is written.
#[must_use]
pub fn hex(id: &[u8]) -> String {
    use fmt::Write as _;
    id.iter().fold(String::with_capacity(2 * id.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// What lines of the log say of a call's trace, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogTrace {
    /// The trace: the same in all services that took part.
    pub trace_id: String,
    /// The call that was being served.
    pub span_id: String,
}

impl From<TraceContext> for LogTrace {
    fn from(trace: TraceContext) -> Self {
        Self { trace_id: hex(&trace.trace_id()), span_id: hex(&trace.span_id()) }
    }
}

/// As people read it behind a call.
impl fmt::Display for LogTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " trace={} span={}", self.trace_id, self.span_id)
    }
}

/// Lower-case digits only, as the standard has it.
fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Hash maps of the standard library are seeded by the system, each differently.
fn random_span() -> NonZeroU64 {
    NonZeroU64::new(RandomState::new().hash_one(())).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    /// The standard's text read by its sentences, slowly.
    fn oracle(text: &str) -> Option<(String, String, u8)> {
        let fields: Vec<&str> = text.split('-').collect();
        let [version, trace_id, span_id, flags, more @ ..] = &fields[..] else { return None };
        let is_hex = |field: &str, len| field.len() == len && field.chars().all(|c| "0123456789abcdef".contains(c));
        let is_zero = |field: &str| field.chars().all(|c| c == '0');
        let well_formed = is_hex(version, 2) && is_hex(trace_id, 32) && is_hex(span_id, 16) && is_hex(flags, 2);
        let known_length = *version != "00" || more.is_empty();
        if !well_formed || !known_length || *version == "ff" || is_zero(trace_id) || is_zero(span_id) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).unwrap();
        let flags = if *version == "00" { flags } else { flags % 4 };
        Some(((*trace_id).to_owned(), (*span_id).to_owned(), flags))
    }

    fn parsed(text: &str) -> Option<(String, String, u8)> {
        TraceContext::parse(text.as_bytes()).map(|trace| (hex(&trace.trace_id()), hex(&trace.span_id()), trace.flags))
    }

    /// Source: the cases of the W3C's own test suite (w3c/trace-context, test/test.py), and some beside them.
    #[test]
    fn what_the_standards_own_suite_asks_is_answered_as_it_says() {
        let good = [
            format!("00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-00"),
            format!("00-{TRACE}-{SPAN}-ff"),
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
            format!("fe-{TRACE}-{SPAN}-01-"),
        ];
        let bad = [
            String::new(),
            format!("00-{TRACE}-{SPAN}-01."),
            format!("00-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
            format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!(".0-{TRACE}-{SPAN}-01"),
            format!("0.-{TRACE}-{SPAN}-01"),
            format!("000-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{}-{SPAN}-01", TRACE.replace('f', ".")),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{}-01", SPAN.replace('f', ".")),
            format!("00-{TRACE}-{SPAN}0-01"),
            format!("00-{TRACE}-{}-01", &SPAN[1..]),
            format!("00-{TRACE}-{SPAN}-.0"),
            format!("00-{TRACE}-{SPAN}-0."),
            format!("00-{TRACE}-{SPAN}-001"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
        ];
        for text in &good {
            assert_eq!(parsed(text), oracle(text), "{text}");
            assert!(parsed(text).is_some(), "{text}");
        }
        for text in &bad {
            assert_eq!((parsed(text), oracle(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn children_have_new_ids_in_the_same_trace_and_no_flags_of_later_levels() {
        let parent: TraceContext = format!("00-{TRACE}-{SPAN}-fd").parse().unwrap();
        let spans: HashSet<_> = (0..1000).map(|_| parent.child().span_id()).collect();
        assert_eq!(spans.len(), 1000);
        let child = parent.child();
        assert_eq!((child.trace_id(), child.flags), (parent.trace_id(), 1));
        assert!(child.is_sampled() && !TraceContext { flags: 2, ..child }.is_sampled());
        let roots: HashSet<_> = (0..1000).map(|_| TraceContext::root().trace_id()).collect();
        assert_eq!(roots.len(), 1000);
        assert!(TraceContext::root().is_sampled());
    }

    #[test]
    fn ids_of_zeros_are_none_wherever_they_come_from() {
        assert!(TraceContext::from_parts([0; 16], [1; 8], 0).is_none());
        assert!(TraceContext::from_parts([1; 16], [0; 8], 0).is_none());
        assert!(from_words([0, 0, 7, 1]).is_none());
        assert!(from_words([0, 1, 0, 1]).is_none());
        assert!(from_words([0, 1, 7, u64::MAX]).is_some_and(|trace| trace.flags == 255));
    }

    /// The wire is a promise to other languages.
    #[test]
    fn words_have_the_ids_bytes_in_their_order() {
        let trace: TraceContext = format!("00-{TRACE}-{SPAN}-01").parse().unwrap();
        let bytes: Vec<u8> = to_words(&trace).iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(hex(&bytes), format!("{TRACE}{SPAN}0100000000000000"));
    }

    /// Mostly right, with a few places changed: chance alone would never come near.
    fn almost() -> impl Strategy<Value = String> {
        let whole = prop_oneof![
            Just(format!("00-{TRACE}-{SPAN}-01")),
            Just(format!("01-{TRACE}-{SPAN}-03-more")),
            Just(format!("00-{}1-{}1-00", "0".repeat(31), "0".repeat(15))),
        ];
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), "[-0-9a-fA-F g.]{0,2}"), 0..3);
        (whole, changes).prop_map(|(mut text, changes)| {
            for (place, with) in changes {
                let at = place.index(text.len());
                text.replace_range(at..=at, &with);
            }
            text
        })
    }

    proptest! {
        #[test]
        fn it_reads_what_the_oracle_reads(text in almost()) {
            prop_assert_eq!(parsed(&text), oracle(&text));
        }

        #[test]
        fn any_bytes_are_read_or_ignored(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(trace) = TraceContext::parse(&bytes) {
                let (id, ..) = oracle(std::str::from_utf8(&bytes).unwrap()).unwrap();
                prop_assert_eq!(id, hex(&trace.trace_id()));
            }
        }

        #[test]
        fn a_context_survives_text_and_words(id in any::<[u8; 16]>(), span in any::<[u8; 8]>(), flags: u8) {
            prop_assume!(id != [0; 16] && span != [0; 8]);
            let trace = TraceContext::from_parts(id, span, flags).unwrap();
            prop_assert_eq!(trace.to_string().parse(), Ok(trace));
            prop_assert_eq!(from_words(to_words(&trace)), Some(trace));
            prop_assert_eq!((trace.trace_id(), trace.span_id()), (id, span));
        }
    }
}
