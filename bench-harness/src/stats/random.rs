//! Random numbers that are the same at every run: who repeats an analysis gets the same intervals.

/// The next number (splitmix64, Steele and others 2014).
pub(crate) fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A number below `bound`, which is small: the bias is below `bound / 2^32`.
pub(crate) fn below(state: &mut u64, bound: usize) -> usize {
    let high = next(state) >> 32;
    usize::try_from((high * bound as u64) >> 32).unwrap_or(0)
}

/// A number from 0 up to, and without, 1: 53 random bits.
pub(crate) fn unit(state: &mut u64) -> f64 {
    (next(state) >> 11) as f64 / (1_u64 << 53) as f64
}

/// An exponentially distributed number with this mean.
pub(crate) fn exponential(state: &mut u64, mean: f64) -> f64 {
    -mean * (1.0 - unit(state)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper() {
        let mut state = 1_234_567;
        assert_eq!(next(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(next(&mut state), 3_203_168_211_198_807_973);
    }

    #[test]
    fn every_place_is_drawn_about_as_often() {
        let (mut state, mut counts) = (1, [0; 7]);
        for _ in 0..70_000 {
            counts[below(&mut state, 7)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn exponential_numbers_have_their_mean_and_tail() {
        let mut state = 9;
        let drawn: Vec<f64> = (0..100_000).map(|_| exponential(&mut state, 2.0)).collect();
        let mean = drawn.iter().sum::<f64>() / 100_000.0;
        let beyond = drawn.iter().filter(|value| **value > 2.0 * 100_f64.ln()).count();
        assert!((1.98..2.02).contains(&mean) && (900..1_100).contains(&beyond), "{mean}, {beyond}");
    }
}
