//! The service under fire.

/// Why the method that refuses refuses.
#[speedysvc::data]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The call's number, so that an answer to another call is noticed.
    pub id: u64,
}

/// Every method writes down that it ran before it answers.
#[speedysvc::service]
pub trait Chaos {
    /// Answers with so many bytes of the stream that call and payload begin.
    fn run(&self, id: u64, reply_len: u32, payload: &[u8]) -> Vec<u8>;
    /// The same, slowly: so many microseconds asleep, or busy.
    fn dwell(&self, id: u64, reply_len: u32, micros: u32, busy: bool, payload: &[u8]) -> Vec<u8>;
    /// Runs and answers with an error of its own.
    fn refuse(&self, id: u64, payload: &[u8]) -> Result<(), Refused>;
}
