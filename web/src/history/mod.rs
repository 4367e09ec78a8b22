//! What happened: every second of the last hour, every minute of the last day, within a fixed number of bytes.
//!
//! A pure core: it knows no clock and no file system. Whoever records says when it is.
//!
//! | module   | idea |
//! |----------|------|
//! | `sample` | what a stretch of time has seen of a service or a method |
//! | `packed` | its histograms in few bytes |
//! | `level`  | stretches of one length; the oldest go first |
//! | `file`   | how it is kept over a restart |

mod file;
mod level;
mod packed;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub(crate) use file::replace;
use level::{Frame, Level};
pub(crate) use sample::{Sample, Sum, Usage};

/// Seconds of the fine level.
pub(crate) const HOUR: u64 = 3600;
/// Seconds of the coarse level.
pub(crate) const DAY: u64 = 24 * HOUR;
const MINUTE: u64 = 60;
/// Most bytes of each level. The hour of sixty methods that are always busy fits; of more, less than an hour is kept.
const BYTES_MAX: usize = 64 << 20;
/// Most services and methods; those that come later are not kept apart.
const NAMES_MAX: usize = 2000;
/// A clock that was put back by more begins a new history; by less, its seconds are added to the newest.
const BACK_MAX: u64 = 60;

/// A service as a whole, or one of its methods.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Series {
    pub(crate) service: String,
    /// `None` for all of them together.
    pub(crate) method: Option<String>,
}

impl Series {
    pub(crate) fn service(name: &str) -> Self {
        Self { service: name.to_owned(), method: None }
    }

    pub(crate) fn method(service: &str, method: &str) -> Self {
        Self { service: service.to_owned(), method: Some(method.to_owned()) }
    }
}

/// One point of a line over time.
#[derive(Debug)]
pub(crate) struct Point {
    /// When it begins, in seconds since 1970.
    pub(crate) at: u64,
    pub(crate) sum: Sum,
}

/// The history of everything.
#[derive(Debug)]
pub(crate) struct History {
    names: Vec<Series>,
    numbers: HashMap<Series, u32>,
    seconds: Level,
    minutes: Level,
    /// When the minute began that is not over.
    minute: u64,
}

impl Default for History {
    fn default() -> Self {
        Self::within(BYTES_MAX)
    }
}

impl History {
    fn within(bytes_max: usize) -> Self {
        Self {
            names: Vec::new(),
            numbers: HashMap::new(),
            seconds: Level::new(HOUR, bytes_max),
            minutes: Level::new(DAY, bytes_max),
            minute: 0,
        }
    }

    /// Adds what happened in the second that began at `at`.
    pub(crate) fn record(&mut self, at: u64, samples: Vec<(Series, Sample)>) {
        let newest = self.seconds.newest().unwrap_or(0);
        if at + BACK_MAX < newest {
            self.seconds.clear();
            self.minutes.clear();
            self.minute = 0;
        }
        let mut numbered: Vec<(u32, Sample)> =
            samples.into_iter().filter_map(|(series, sample)| Some((self.number(series)?, sample))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered.dedup_by_key(|(number, _)| *number);
        // A clock that stood still or went back a little: the second gets the next free number.
        let at = self.seconds.newest().map_or(at, |newest| at.max(newest + 1));
        let begin = at - at % MINUTE;
        if begin > self.minute {
            if let Some(minute) = self.running_minute() {
                self.minutes.push(minute);
            }
            self.minute = begin;
        }
        self.seconds.push(Frame { at, samples: numbered });
    }

    /// The minute that is not over, from its seconds.
    fn running_minute(&self) -> Option<Frame> {
        let seconds = || self.seconds.between(self.minute, self.minute + MINUTE);
        let mut numbers: Vec<u32> =
            seconds().flat_map(|frame| frame.samples.iter().map(|(number, _)| *number)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let sum_of = |number: u32| {
            let mut sum = Sum::default();
            seconds().filter_map(|frame| frame.sample(number)).for_each(|sample| sum.add(sample));
            (number, sum.pack())
        };
        seconds().next()?;
        Some(Frame { at: self.minute, samples: numbers.into_iter().map(sum_of).collect() })
    }

    fn number(&mut self, series: Series) -> Option<u32> {
        if let Some(number) = self.numbers.get(&series) {
            return Some(*number);
        }
        let number = u32::try_from(self.names.len()).ok().filter(|_| self.names.len() < NAMES_MAX)?;
        self.names.push(series.clone());
        self.numbers.insert(series, number);
        Some(number)
    }

    /// Everything of a series in the seconds `from..to`.
    pub(crate) fn sum(&self, series: &Series, from: u64, to: u64) -> Sum {
        let step = to.saturating_sub(from).max(1);
        let mut sum = Sum::default();
        self.each(series, from, to, step, |_, sample| sum.add(sample));
        sum
    }

    /// A series over the seconds `from..to`, a point for every `step` seconds. Times in which nothing happened have
    /// points, too, as far back as the history reaches.
    pub(crate) fn points(&self, series: &Series, from: u64, to: u64, step: u64) -> Vec<Point> {
        let Some(oldest) = self.since(is_fine(from, to)) else { return Vec::new() };
        let step = step_of(from, to, step);
        let begin = from.max(oldest) / step * step;
        let mut points: Vec<Point> = Vec::new();
        let mut next = begin;
        while next < to {
            points.push(Point { at: next, sum: Sum::default() });
            next += step;
        }
        self.each(series, from, to, step, |at, sample| {
            let place = usize::try_from(at.saturating_sub(begin) / step).unwrap_or(usize::MAX);
            if let Some(point) = points.get_mut(place) {
                point.sum.add(sample);
            }
        });
        points
    }

    /// Visits every sample of a series in the seconds `from..to`.
    fn each(&self, series: &Series, from: u64, to: u64, step: u64, mut visit: impl FnMut(u64, &Sample)) {
        let Some(number) = self.numbers.get(series).copied() else { return };
        if is_fine(from, to) {
            let frames = self.seconds.between(from, to);
            frames.filter_map(|frame| Some((frame.at, frame.sample(number)?))).for_each(|(at, s)| visit(at, s));
            return;
        }
        let from = from / step * step;
        let running = self.running_minute().filter(|minute| (from..to).contains(&minute.at));
        let frames = self.minutes.between(from, to).chain(&running);
        frames.filter_map(|frame| Some((frame.at, frame.sample(number)?))).for_each(|(at, s)| visit(at, s));
    }

    /// Since when there is something to see in this resolution.
    pub(crate) fn since(&self, fine: bool) -> Option<u64> {
        if fine {
            self.seconds.oldest()
        } else {
            self.minutes.oldest().or(Some(self.minute).filter(|minute| *minute > 0))
        }
    }
}

const fn is_fine(from: u64, to: u64) -> bool {
    to.saturating_sub(from) <= HOUR
}

/// As asked, in whole frames.
fn step_of(from: u64, to: u64, step: u64) -> u64 {
    step.max(1).next_multiple_of(if is_fine(from, to) { 1 } else { MINUTE })
}
