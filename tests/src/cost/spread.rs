//! Medians and intervals of a few numbers.

use std::fmt;

/// Numbers in their order.
#[derive(Clone, Debug)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of these, which must be at least one.
    #[must_use]
    pub fn of(mut numbers: Vec<f64>) -> Self {
        assert!(!numbers.is_empty(), "there is no median of nothing");
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    /// The number that so many hundredths are at or below.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent).div_ceil(100).saturating_sub(1)]
    }

    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// Least and greatest.
    #[must_use]
    pub fn ends(&self) -> (f64, f64) {
        (self.percentile(0), self.percentile(100))
    }

    /// Between what the median of `count` of these numbers lies, 95 times of 100: drawn again and again, with a fixed
    /// seed. What a comparison of these numbers with themselves gives.
    #[must_use]
    pub fn median_of(&self, count: usize) -> (f64, f64) {
        const DRAWS: usize = 4000;
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            self.0[usize::try_from(random >> 33).expect("31 bits") % self.0.len()]
        };
        let medians = Self::of((0..DRAWS).map(|_| Self::of((0..count).map(|_| draw()).collect()).median()).collect());
        let tail = DRAWS / 40;
        (medians.0[tail], medians.0[DRAWS - 1 - tail])
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, greatest) = self.ends();
        write!(f, "{:.2} ({least:.2}..{greatest:.2})", self.median())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_that_were_seen() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 5.0, 4.0]);
        assert_eq!([0, 50, 99, 100].map(|percent| spread.percentile(percent)), [1.0, 3.0, 5.0, 5.0]);
        assert_eq!(Spread::of((1..=100).map(f64::from).collect()).percentile(99), 99.0);
        assert_eq!(spread.to_string(), "3.00 (1.00..5.00)");
    }

    #[test]
    fn medians_of_few_spread_more_than_those_of_many() {
        let spread = Spread::of((0..=100).map(f64::from).collect());
        let width = |count| {
            let (low, high) = spread.median_of(count);
            assert!(low < 50.0 && 50.0 < high, "{low} {high}");
            high - low
        };
        assert!(width(41) < width(5) && width(5) < 90.0);
    }
}
