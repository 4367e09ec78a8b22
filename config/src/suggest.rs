//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that `word` is probably a slip of, if any is near enough.
pub(crate) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance(&word, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A third of the letters may be wrong, as in rustc: more and the hint misleads.
fn tolerance(word: &str, candidate: &str) -> usize {
    let longest = word.chars().count().max(candidate.chars().count());
    (longest / 3).max(1)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn near_words_only() {
        let keys = ["workers", "driver", "drain"];
        assert_eq!(closest("wokers", keys), Some("workers"));
        assert_eq!(closest("Workers", keys), Some("workers"));
        assert_eq!(closest("drian", keys), Some("drain"));
        assert_eq!(closest("colour", keys), None);
        assert_eq!(closest("", keys), None);
    }
}
