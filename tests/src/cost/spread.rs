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
        let last = self.0.len() - 1;
        self.0[(last * percent).div_ceil(100).min(last)]
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

    /// Whether a number lies between the least and the greatest.
    #[must_use]
    pub fn holds(&self, number: f64) -> bool {
        let (least, greatest) = self.ends();
        (least..=greatest).contains(&number)
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
        assert!(spread.holds(1.0) && spread.holds(5.0) && !spread.holds(5.1));
        assert_eq!(spread.to_string(), "3.00 (1.00..5.00)");
    }
}
