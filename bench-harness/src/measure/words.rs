//! Bodies that look like text to a compressor: words, often the same ones, some of them rare.

use crate::stats::random;

/// Words that there are. With Zipf's law over so many, zlib makes a third of 64 KiB of them, as of English prose.
const WORDS: usize = 4_000;
/// Always the same words.
const SEED: u64 = 0x00DD_BA11;
const ONSETS: &[&str] = &["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "st", "t", "th", "tr", "w", ""];
const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "ea", "ou"];
const ENDS: &[&str] = &["", "", "n", "r", "s", "t", "nd", "ng"];

fn pick<'a>(state: &mut u64, from: &[&'a str]) -> &'a str {
    from[random::below(state, from.len())]
}

fn words() -> Vec<String> {
    let mut state = SEED;
    let syllable = |state: &mut u64| [ONSETS, VOWELS, ENDS].map(|part| pick(state, part)).concat();
    let mut word = || (0..=random::below(&mut state, 2)).map(|_| syllable(&mut state)).collect();
    (0..WORDS).map(|_| word()).collect()
}

/// Fills a body with words and spaces: ASCII, the same for the same seed.
pub(crate) fn fill(bytes: &mut [u8], seed: u64) {
    let words = words();
    let mut state = seed;
    let mut left = bytes;
    while !left.is_empty() {
        // The n-th word comes about 1/n times as often as the first: uniform in the logarithm.
        let place = (WORDS as f64).powf(random::unit(&mut state)) - 1.0;
        let word = &words[usize::try_from(crate::measure::clock::round(place)).unwrap_or(0).min(WORDS - 1)];
        let taken = word.bytes().chain([b' ']).zip(left.iter_mut()).map(|(from, to)| *to = from).count();
        left = &mut left[taken..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn bodies_are_text_and_depend_on_the_seed() {
        let of = |seed| {
            let mut bytes = vec![0; 100];
            fill(&mut bytes, seed);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(1).chars().all(|letter| letter.is_ascii_lowercase() || letter == ' '), "{}", of(1));
        fill(&mut [], 1);
    }

    #[test]
    fn words_come_often_enough_to_be_worth_a_code() {
        let mut bytes = vec![0; 1 << 16];
        fill(&mut bytes, 3);
        let text = String::from_utf8(bytes).unwrap();
        let mut counts: HashMap<&str, f64> = HashMap::new();
        text.split(' ').for_each(|word| *counts.entry(word).or_default() += 1.0);
        let all: f64 = counts.values().sum();
        let bits: f64 = counts.values().map(|count| -count * (count / all).log2()).sum();
        let ratio = text.len() as f64 * 8.0 / bits;
        // A compressor must also learn the words: of this, zlib makes 3.1.
        assert!((5.0..6.5).contains(&ratio), "{ratio}");
    }
}
