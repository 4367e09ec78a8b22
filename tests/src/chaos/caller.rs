//! One call as its caller sees it: made, answered, compared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use speedysvc::__private::archive::{Bytes, Ref};
use speedysvc::__private::{Channel, ids::MethodIndex};
use speedysvc::{CallError, Code, Error, Outcome};

use super::api::{ChaosService, Refused};
use super::checker::{Told, Verdict};
use super::plan::{Call, Kind, Plan, checksum, reply_key, stream};

// The places of the methods in their trait. A channel is called as the generated client does it, because only a channel
// tells of its rescues.
const RUN: MethodIndex = MethodIndex(0);
const DWELL: MethodIndex = MethodIndex(1);
const REFUSE: MethodIndex = MethodIndex(2);

/// Connects to the service under fire.
///
/// # Errors
/// As the generated client.
pub fn connect(address: &str, deadline: Duration) -> Result<Channel, Error> {
    Ok(Channel::connect(ChaosService::contract(), address)?.with_timeout(deadline))
}

/// One thread's work.
#[derive(Debug)]
pub struct Caller {
    channel: Channel,
    plan: Plan,
    payload: Vec<u8>,
    expected: Vec<u8>,
    /// What the thread has to tell.
    pub ends: Ends,
}

/// How a thread's calls ended.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// One for each call.
    pub verdicts: Vec<Verdict>,
    /// How often each error came, by its words without its numbers.
    pub errors: BTreeMap<String, u64>,
    /// Errors that no kill excuses.
    pub surprises: Vec<String>,
    /// The calls that took longest, the longest first.
    pub slowest: Vec<Slow>,
}

/// A call that took long.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// How long.
    pub took: Duration,
    /// When it ended.
    pub end: Instant,
    /// Which it was.
    pub call: Call,
}

/// How many of those are kept.
const SLOWEST_MAX: usize = 5;

impl Ends {
    /// All errors, a line for each kind, and the first that no kill excuses.
    #[must_use]
    pub fn in_words(&self) -> String {
        let kinds = self.errors.iter().map(|(words, count)| format!("\n  {count} times: {words}"));
        kinds.chain(self.surprises.first().map(|first| format!("\n  such as {first}"))).collect()
    }

    /// Notes how long a call took, if it is one of the slowest.
    pub fn note_time(&mut self, slow: Slow) {
        let place = self.slowest.partition_point(|other| other.took >= slow.took);
        self.slowest.insert(place, slow);
        self.slowest.truncate(SLOWEST_MAX);
    }
}

/// What a call ended with, before anybody thinks about it.
enum Answer {
    Reply(Vec<u8>),
    Refused(Refused),
    Nothing,
    Error(Error),
}

impl Caller {
    /// A thread that calls by this channel.
    #[must_use]
    pub fn new(channel: Channel, plan: Plan) -> Self {
        Self { channel, plan, payload: Vec::new(), expected: Vec::new(), ends: Ends::default() }
    }

    /// Makes a call, and notes how it ended. While it is under way it counts as in flight.
    pub fn make(&mut self, id: u64, in_flight: &AtomicU64) -> Told {
        let call = self.plan.call(id);
        self.plan.fill_payload(&call, &mut self.payload);
        let checksum = checksum(&self.payload);
        let begin = Instant::now();
        in_flight.fetch_add(1, Ordering::Relaxed);
        let answer = self.exchange(&call);
        in_flight.fetch_sub(1, Ordering::Relaxed);
        self.ends.note_time(Slow { took: begin.elapsed(), end: Instant::now(), call });
        let told = self.judge(&call, checksum, answer);
        self.ends.verdicts.push(Verdict { id, checksum, told });
        told
    }

    fn exchange(&self, call: &Call) -> Answer {
        let (id, payload) = (Ref(&call.id), Bytes(&self.payload));
        let reply = match call.kind {
            Kind::Run { reply_len } | Kind::TooLarge { reply_len } => {
                self.channel.call::<_, Vec<u8>>(RUN, &(id, Ref(&reply_len), payload))
            }
            Kind::Dwell { reply_len, micros, busy } => {
                self.channel.call::<_, Vec<u8>>(DWELL, &(id, Ref(&reply_len), Ref(&micros), Ref(&busy), payload))
            }
            Kind::Refuse => {
                return match self.channel.call_fallible::<_, (), Refused>(REFUSE, &(id, payload)) {
                    Ok(()) => Answer::Nothing,
                    Err(CallError::App(refused)) => Answer::Refused(refused),
                    Err(CallError::Rpc(error)) => Answer::Error(error),
                };
            }
        };
        reply.map_or_else(Answer::Error, Answer::Reply)
    }

    fn judge(&mut self, call: &Call, checksum: u64, answer: Answer) -> Told {
        let is_right = match (&answer, call.kind) {
            (Answer::Reply(reply), Kind::Run { reply_len } | Kind::Dwell { reply_len, .. }) => {
                stream(reply_key(call.id, checksum), reply_len as usize, &mut self.expected);
                *reply == self.expected
            }
            (Answer::Refused(refused), Kind::Refuse) => refused.id == call.id,
            (Answer::Error(error), Kind::TooLarge { .. }) => {
                (error.code(), error.outcome()) == (Code::ResourceExhausted, Outcome::Done)
            }
            _ => false,
        };
        match answer {
            _ if is_right => Told::Right,
            Answer::Error(error) => self.note(call, &error),
            Answer::Reply(_) | Answer::Refused(_) | Answer::Nothing => Told::Wrong,
        }
    }

    fn note(&mut self, call: &Call, error: &Error) -> Told {
        // Numbers in it, such as ports, would make each the only one of its kind.
        let words = error.to_string().replace(|c: char| c.is_ascii_digit(), "");
        *self.ends.errors.entry(words).or_default() += 1;
        if !is_of_a_kill(error) {
            self.ends.surprises.push(format!("call {} ({call:?}): {error}", call.id));
        }
        match error.outcome() {
            Outcome::NotStarted => Told::NotStarted,
            Outcome::Unknown => Told::Unknown,
            Outcome::Done => Told::Done,
        }
    }
}

/// Whether a kill explains the error: the worker is gone, and with it the call or a reply that it held.
fn is_of_a_kill(error: &Error) -> bool {
    match error.outcome() {
        Outcome::NotStarted | Outcome::Unknown => error.code() == Code::Unavailable,
        Outcome::Done => error.code() == Code::DataLoss,
    }
}
