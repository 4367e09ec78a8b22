//! The closed loop: a fixed number of calls in flight, the next begun when the oldest has been answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::clock::Clock;
use super::found::Found;
use super::payload::Payload;
use super::recorder::Recorder;
use super::task::Body;
use crate::contender::{Client, Shape};

/// Calls at the start of a warm-up whose payload is new each time, and compared to the last byte.
const COMPARED: u64 = 32;
/// The shortest warm-up, since the clock is calibrated by it.
const CALIBRATION: Duration = Duration::from_millis(50);

/// A client with its payload. Calls go round its connections, so that they are answered in the order of their numbers.
pub(super) struct Closed<C> {
    clients: Vec<C>,
    in_flight: u64,
    payload: Payload,
    reply: Vec<u8>,
    clock: Clock,
    sent: u64,
    answered: u64,
    /// The connections whose turn it is.
    sender: usize,
    receiver: usize,
}

impl<C: Client> Closed<C> {
    /// Of at least one connection, if any calls are to be made.
    pub(super) fn new(clients: Vec<C>, shape: Shape, body: Body) -> Self {
        let (payload, reply) = (Payload::new(shape.size, body), vec![0; shape.size]);
        let in_flight = (shape.depth * clients.len()) as u64;
        let clock = Clock::new();
        Self { clients, in_flight, payload, reply, clock, sent: 0, answered: 0, sender: 0, receiver: 0 }
    }

    /// Replies that were checked so far: all of them.
    pub(super) fn checked(&self) -> u64 {
        self.answered
    }

    /// Makes calls, one at a time, with a new payload each, and compares every byte of the replies.
    pub(super) fn check(&mut self, calls: u64) -> Result<()> {
        for _ in 0..calls {
            self.payload.renew(self.sent);
            let call = self.sent;
            self.one()?;
            if !self.payload.is_whole(call, &self.reply) {
                bail!("the reply to call {call} is not what was sent");
            }
        }
        // Then as many at once as the row has in flight.
        for _ in 0..self.in_flight {
            self.send()?;
        }
        self.drain()
    }

    /// Checks, then makes calls for some time, and learns how long a tick is.
    pub(super) fn warm_up(&mut self, time: Duration) -> Result<()> {
        self.check(COMPARED)?;
        let (ticks, begin) = (self.clock.now(), Instant::now());
        self.run_for(time.max(CALIBRATION))?;
        self.clock.calibrate(ticks, begin);
        Ok(())
    }

    /// Makes calls, one at a time, of which nothing is kept.
    pub(super) fn run_for(&mut self, time: Duration) -> Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.send()?;
            self.receive()?;
        }
        Ok(())
    }

    /// Makes calls for some time. One look at the clock per call: the moment of a reply is that of the next request.
    pub(super) fn measure(&mut self, span: Duration) -> Result<Found> {
        if self.in_flight == 1 {
            return self.measure_one_by_one(span);
        }
        let mut recorder = Recorder::new();
        let mut sent_at = vec![0_u64; usize::try_from(self.in_flight)?];
        for at in &mut sent_at {
            *at = self.clock.now();
            self.send()?;
        }
        let begin = sent_at[0];
        let end = begin + self.clock.ticks(span);
        let (mut oldest, mut calls) = (0, 0_u64);
        let last = loop {
            self.receive()?;
            let now = self.clock.now();
            recorder.add(now.saturating_sub(sent_at[oldest]));
            calls += 1;
            if now >= end {
                break now;
            }
            sent_at[oldest] = now;
            self.send()?;
            oldest = next(oldest, sent_at.len());
        };
        self.drain()?;
        Ok(self.found(recorder, calls, last - begin))
    }

    /// The same where one is in flight: no call has to begin before it ends.
    fn measure_one_by_one(&mut self, span: Duration) -> Result<Found> {
        let mut recorder = Recorder::new();
        let (begin, mut calls) = (self.clock.now(), 0_u64);
        let (end, mut sent_at) = (begin + self.clock.ticks(span), begin);
        loop {
            self.one()?;
            let now = self.clock.now();
            recorder.add(now.saturating_sub(sent_at));
            calls += 1;
            if now >= end {
                return Ok(self.found(recorder, calls, now - begin));
            }
            sent_at = now;
        }
    }

    fn found(&self, recorder: Recorder, calls: u64, ticks: u64) -> Found {
        let (seconds, latencies) = (self.clock.ns(ticks) / 1e9, recorder.into_nanoseconds(&self.clock));
        Found { calls, seconds, latencies, extras: vec![], void: None, client: None }
    }

    /// Makes one call while none is in flight.
    #[inline]
    pub(super) fn one(&mut self) -> Result<()> {
        let call = self.sent;
        let client = &mut self.clients[self.sender];
        client.call(self.payload.stamped(call), &mut self.reply).with_context(|| format!("call {call} failed"))?;
        self.sent += 1;
        self.sender = next(self.sender, self.clients.len());
        self.receiver = self.sender;
        self.note_answer(call)
    }

    /// The reply to this call has come.
    #[inline]
    fn note_answer(&mut self, call: u64) -> Result<()> {
        if !self.payload.is_answered(call, &self.reply) {
            bail!("the reply to call {call} has another size or stamp than its request");
        }
        self.answered += 1;
        Ok(())
    }

    /// Waits for what is still in flight.
    fn drain(&mut self) -> Result<()> {
        while self.answered < self.sent {
            self.receive()?;
        }
        Ok(())
    }

    #[inline]
    fn send(&mut self) -> Result<()> {
        let client = &mut self.clients[self.sender];
        client.send(self.payload.stamped(self.sent)).with_context(|| format!("call {} failed", self.sent))?;
        self.sender = next(self.sender, self.clients.len());
        self.sent += 1;
        Ok(())
    }

    /// The number of the call that was answered.
    #[inline]
    fn receive(&mut self) -> Result<u64> {
        let call = self.answered;
        let client = &mut self.clients[self.receiver];
        client.receive(&mut self.reply).with_context(|| format!("call {call} failed"))?;
        self.receiver = next(self.receiver, self.clients.len());
        self.note_answer(call)?;
        Ok(call)
    }
}

/// The one after this one, in a circle.
#[inline]
fn next(place: usize, count: usize) -> usize {
    if place + 1 == count { 0 } else { place + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::io;

    /// Answers what it was sent, or with one bit changed.
    struct Loopback {
        queue: VecDeque<Vec<u8>>,
        wrong_at: Option<usize>,
        most: usize,
    }

    impl Loopback {
        fn new(wrong_at: Option<usize>) -> Self {
            Self { queue: VecDeque::new(), wrong_at, most: 0 }
        }
    }

    impl Client for &mut Loopback {
        fn send(&mut self, request: &[u8]) -> io::Result<()> {
            self.queue.push_back(request.to_vec());
            self.most = self.most.max(self.queue.len());
            Ok(())
        }

        fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
            *reply = self.queue.pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
            if let Some(at) = self.wrong_at {
                reply[at] ^= 1;
            }
            Ok(())
        }
    }

    const SHAPE: Shape = Shape::new(64, 4);

    #[test]
    fn as_many_are_in_flight_as_the_row_says_and_all_are_checked() {
        let mut loopback = Loopback::new(None);
        let mut closed = Closed::new(vec![&mut loopback], SHAPE, Body::Noise);
        closed.warm_up(Duration::ZERO).unwrap();
        let before = closed.checked();
        let measured = closed.measure(Duration::from_millis(2)).unwrap();
        assert_eq!(measured.latencies.len(), measured.calls);
        assert_eq!(closed.checked() - before, measured.calls + 3);
        assert_eq!((loopback.most, loopback.queue.len()), (4, 0));
    }

    #[test]
    fn a_wrong_byte_anywhere_fails_the_row() {
        for at in [0, 30, 63] {
            let mut loopback = Loopback::new(Some(at));
            let error = Closed::new(vec![&mut loopback], SHAPE, Body::Noise).check(1).unwrap_err();
            assert!(error.to_string().starts_with("the reply to call 0"), "{error}");
        }
    }
}
