//! What a client does in a row: the kind of load, and of bodies. Data of `experiments/*.toml`.

use serde::{Deserialize, Serialize};

use crate::stats::random;

/// Processes that work in the scenarios with handlers.
pub(crate) const WORKERS: u32 = 2;

/// A client's task.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Task {
    pub(crate) load: Load,
    pub(crate) body: Body,
    /// The measured span in place of the campaign's own.
    pub(crate) span_ms: Option<u64>,
}

/// A kind of load.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Load {
    /// So many calls in flight; the next is begun when the oldest is answered.
    #[default]
    Closed,
    /// One call at a time at equal gaps, so few that both sides sleep in between.
    Paced {
        /// Calls in a second.
        rate: u32,
    },
    /// Connections that nobody calls on.
    Idle,
    /// As the closed loop, with links beside the connections that nobody calls on.
    Links,
    /// As the closed loop, for contenders that differ by their setup flags.
    Ladder,
    /// A thread for each connection, each with a closed loop of blocking calls; on all processors.
    Threads,
    /// Calls at random moments to handlers that take their time.
    Queue {
        /// What a handler does.
        handler: Handler,
        /// Calls in a second.
        rate: u32,
    },
    /// As many calls, or more, than there are workers for; calls carry a deadline.
    Overload {
        /// What a handler does.
        handler: Handler,
        /// Calls in a second.
        rate: u32,
        /// How long a call may take.
        deadline_ms: u32,
    },
}

/// What bodies are made of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    /// Random bytes: no compressor gains anything.
    #[default]
    Noise,
    /// Words: a third remains.
    Text,
}

/// How long handlers take, and whether they need a processor meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Handler {
    /// Busy for so long.
    Busy {
        /// Microseconds.
        us: u32,
    },
    /// Waits for so long, as for a disk.
    Waits {
        /// Microseconds.
        us: u32,
    },
    /// Busy for a short time; one in so many waits long instead.
    Sometimes {
        /// Microseconds of those that are busy.
        busy_us: u32,
        /// Microseconds of those that wait.
        waits_us: u32,
        /// How rare those are.
        one_in: u32,
    },
    /// Waits for an exponentially distributed time.
    Exponential {
        /// Microseconds.
        mean_us: u32,
    },
}

/// One call's handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Drawn {
    pub(crate) ns: u64,
    pub(crate) waits: bool,
}

impl Handler {
    /// The handler of the call with this number, the same at every run.
    pub(crate) fn draw(self, seed: u64) -> Drawn {
        let mut state = seed;
        let drawn = |us: u32, waits| Drawn { ns: u64::from(us) * 1_000, waits };
        match self {
            Self::Busy { us } => drawn(us, false),
            Self::Waits { us } => drawn(us, true),
            Self::Sometimes { busy_us, waits_us, one_in } => {
                let waits = random::unit(&mut state) * f64::from(one_in) < 1.0;
                drawn(if waits { waits_us } else { busy_us }, waits)
            }
            Self::Exponential { mean_us } => {
                let ns = random::exponential(&mut state, f64::from(mean_us) * 1e3);
                Drawn { ns: super::clock::round(ns), waits: true }
            }
        }
    }

    /// The mean, in nanoseconds.
    pub(crate) fn mean_ns(self) -> f64 {
        let ns = |us| f64::from(us) * 1e3;
        match self {
            Self::Busy { us } | Self::Waits { us } => ns(us),
            Self::Sometimes { busy_us, waits_us, one_in } => {
                let part = 1.0 / f64::from(one_in);
                ns(busy_us) * (1.0 - part) + ns(waits_us) * part
            }
            Self::Exponential { mean_us } => ns(mean_us),
        }
    }
}

impl Load {
    /// Whether calls come at moments of their own, whatever became of those before.
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::Queue { .. } | Self::Overload { .. })
    }

    /// In a few words, beside the connections: none for the closed loop.
    pub(crate) fn said(self) -> Option<String> {
        let capacity = |handler: Handler, rate: u32| {
            let load = f64::from(rate) * handler.mean_ns() / 1e9 / f64::from(WORKERS);
            format!("{rate} calls/s at random moments, {:.0} % of what {WORKERS} handlers can do", load * 100.0)
        };
        match self {
            Self::Closed | Self::Ladder => None,
            Self::Paced { rate } => Some(format!("{rate} calls/s, one at a time")),
            Self::Idle => Some("no calls".into()),
            Self::Links => Some("among more that are quiet".into()),
            Self::Threads => Some("a thread each".into()),
            Self::Queue { handler, rate } => Some(capacity(handler, rate)),
            Self::Overload { handler, rate, deadline_ms } => {
                Some(format!("{}, within {deadline_ms} ms", capacity(handler, rate)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(handler: Handler) -> f64 {
        let mut state = 1;
        let drawn = (0..200_000).map(|_| handler.draw(random::next(&mut state)).ns as f64);
        drawn.sum::<f64>() / 200_000.0
    }

    #[test]
    fn handlers_have_the_mean_that_they_say() {
        let sometimes = Handler::Sometimes { busy_us: 1, waits_us: 5_000, one_in: 100 };
        for handler in [Handler::Busy { us: 3 }, sometimes, Handler::Exponential { mean_us: 2_000 }] {
            let (found, said) = (mean_of(handler), handler.mean_ns());
            assert!((found / said - 1.0).abs() < 0.03, "{handler:?}: {found} instead of {said}");
        }
        assert_eq!(Handler::Busy { us: 3 }.draw(1), Drawn { ns: 3_000, waits: false });
        assert_eq!(sometimes.draw(5), sometimes.draw(5));
    }

    #[test]
    fn a_load_says_how_much_it_is() {
        let load = Load::Queue { handler: Handler::Exponential { mean_us: 2_000 }, rate: 800 };
        assert_eq!(load.said().unwrap(), "800 calls/s at random moments, 80 % of what 2 handlers can do");
    }
}
