//! Axes: from values to places, in percent of a drawing's width or height.

/// From the least to the greatest value more than this many times: tens are equally far apart.
const LINEAR_MAX: f64 = 20.0;

/// An axis.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Scale {
    /// Equal distances are equal factors.
    Log {
        /// At 0 %.
        low: f64,
        /// At 100 %.
        high: f64,
    },
    /// From zero.
    Linear {
        /// At 100 %.
        high: f64,
    },
}

/// A place on an axis with a line and, when it is a main one, a label.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) is_main: bool,
}

impl Scale {
    /// One that has room for all of these; `None` when there is no positive number among them.
    pub(super) fn of(values: impl Iterator<Item = f64>, is_log: bool) -> Option<Self> {
        let values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(if is_log || high > low * LINEAR_MAX {
            // A tenth and a half of a power of ten beside, so that no mark stands on the edge.
            Self::Log { low: low / 1.4, high: high * 1.4 }
        } else {
            Self::Linear { high: high * 1.08 }
        })
    }

    pub(super) fn is_log(&self) -> bool {
        matches!(self, Self::Log { .. })
    }

    /// Where a value is, in percent; never off the drawing.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = match self {
            Self::Log { low, high } => (value.max(*low) / low).ln() / (high / low).ln(),
            Self::Linear { high } => value / high,
        };
        if part.is_finite() { part.clamp(0.0, 1.0) * 100.0 } else { 0.0 }
    }

    /// Lines to read values by.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        match *self {
            Self::Log { low, high } => log_ticks(low, high),
            Self::Linear { high } => linear_ticks(high),
        }
    }
}

fn log_ticks(low: f64, high: f64) -> Vec<Tick> {
    let decades = (high / low).log10();
    let (mut ticks, mut decade) = (vec![], 10_f64.powf(low.log10().floor()));
    while decade <= high {
        for (times, is_main) in [(1.0, true), (2.0, decades < 0.8), (5.0, decades < 1.6)] {
            let value = decade * times;
            // Lines without a label are of use only while there are few.
            if (low..=high).contains(&value) && (is_main || decades < 4.5) {
                ticks.push(Tick { value, is_main });
            }
        }
        decade *= 10.0;
    }
    ticks
}

fn linear_ticks(high: f64) -> Vec<Tick> {
    let rough = high / 4.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * decade).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(high);
    let mut ticks = vec![];
    let mut value = 0.0;
    while value <= high && step > 0.0 {
        ticks.push(Tick { value, is_main: true });
        value += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tens_are_equally_far() {
        let scale = Scale::of([1.4, 1e6 / 1.4].into_iter(), false).unwrap();
        assert!((scale.at(1_000.0) - 50.0).abs() < 1e-9 && scale.is_log());
        let main: Vec<f64> = scale.ticks().iter().filter(|tick| tick.is_main).map(|tick| tick.value.round()).collect();
        assert_eq!(main, [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]);
    }

    #[test]
    fn little_differences_begin_at_zero() {
        let scale = Scale::of([30.0, 100.0].into_iter(), false).unwrap();
        assert_eq!((scale.at(54.0), scale.is_log()), (50.0, false));
        let values: Vec<f64> = scale.ticks().iter().map(|tick| tick.value).collect();
        assert_eq!(values, [0.0, 50.0, 100.0]);
    }

    #[test]
    fn every_place_is_a_number_on_the_drawing() {
        for scale in
            [Scale::Log { low: 1.0, high: 10.0 }, Scale::Log { low: 1.0, high: 1.0 }, Scale::Linear { high: 0.0 }]
        {
            for value in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
                assert!((0.0..=100.0).contains(&scale.at(value)), "{scale:?} {value}");
            }
        }
        assert_eq!(Scale::of([f64::NAN, 0.0].into_iter(), true), None);
    }
}
