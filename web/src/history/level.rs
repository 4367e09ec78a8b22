//! One resolution of the history: frames of equal length, the oldest of which go first.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::sample::Sample;

/// What all services and methods did in one stretch of time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Frame {
    /// When it began, in seconds since 1970.
    pub(crate) at: u64,
    /// By number, ascending; who did nothing is not in it.
    pub(crate) samples: Vec<(u32, Sample)>,
}

impl Frame {
    fn size(&self) -> usize {
        let samples: usize = self.samples.iter().map(|(_, sample)| sample.size() + size_of::<u32>()).sum();
        size_of::<Self>() + samples
    }

    pub(crate) fn sample(&self, number: u32) -> Option<&Sample> {
        let place = self.samples.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(&self.samples[place].1)
    }
}

/// Frames, oldest first, within a time and a number of bytes.
#[derive(Debug)]
pub(crate) struct Level {
    /// Seconds that are kept.
    keep: u64,
    bytes_max: usize,
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Level {
    pub(crate) const fn new(keep: u64, bytes_max: usize) -> Self {
        Self { keep, bytes_max, frames: VecDeque::new(), bytes: 0 }
    }

    /// Adds a frame that is later than all others; another is left out.
    pub(crate) fn push(&mut self, frame: Frame) {
        if self.frames.back().is_some_and(|last| last.at >= frame.at) {
            return;
        }
        let newest = frame.at;
        self.bytes += frame.size();
        self.frames.push_back(frame);
        while self.frames.front().is_some_and(|first| first.at + self.keep <= newest || self.bytes > self.bytes_max) {
            let gone = self.frames.pop_front().map_or(0, |frame| frame.size());
            self.bytes -= gone;
        }
    }

    /// Frames that begin in this time.
    pub(crate) fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &Frame> {
        let begin = self.frames.partition_point(|frame| frame.at < from);
        self.frames.range(begin..).take_while(move |frame| frame.at < to)
    }

    pub(crate) fn frames(&self) -> &VecDeque<Frame> {
        &self.frames
    }

    pub(crate) fn newest(&self) -> Option<u64> {
        self.frames.back().map(|frame| frame.at)
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        self.frames.front().map(|frame| frame.at)
    }

    pub(crate) fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
