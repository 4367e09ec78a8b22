//! Who gives up a place among the links that a loop polls, when there are no more (rule 28). Pure.

/// The user that should give one up for a newcomer, of those who have some of the places; `None` when the newcomer's
/// user has as many as anybody, or would have with one more: then it must go without.
pub(crate) fn gives_way(places: impl Iterator<Item = u32> + Clone, newcomer: u32) -> Option<u32> {
    let of = |user| places.clone().filter(|other| *other == user).count();
    let (most, user) = places.clone().map(|user| (of(user), user)).max()?;
    (most > of(newcomer) + 1).then_some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users ask in this order for `room` places; who has them in the end, counted.
    fn fill(room: usize, asking: impl Iterator<Item = u32>) -> Vec<usize> {
        let mut places: Vec<u32> = Vec::new();
        for user in asking {
            if places.len() < room {
                places.push(user);
            } else if let Some(other) = gives_way(places.iter().copied(), user) {
                assert_ne!(other, user);
                let place = places.iter().position(|who| *who == other).expect("it has one");
                places[place] = user;
            }
        }
        (0..4).map(|user| places.iter().filter(|who| **who == user).count()).collect()
    }

    #[test]
    fn whoever_comes_late_gets_its_part() {
        let first = || std::iter::repeat_n(0, 100);
        assert_eq!(fill(64, first()), [64, 0, 0, 0]);
        assert_eq!(fill(64, first().chain([1])), [63, 1, 0, 0], "who wants one gets one");
        assert_eq!(fill(64, first().chain(std::iter::repeat_n(1, 100))), [32, 32, 0, 0]);
        let three = first().chain((0..300).map(|number| 1 + number % 2)).chain([0; 50]);
        let three = fill(64, three);
        assert!(three.iter().take(3).all(|places| (21..=22).contains(places)), "{three:?}");
    }

    #[test]
    fn nobody_gives_way_to_its_equal() {
        assert_eq!(gives_way([].into_iter(), 1), None);
        assert_eq!(gives_way([0, 1].into_iter(), 2), None, "a place for a place is nobody's gain");
        assert_eq!(gives_way([0, 0, 1].into_iter(), 2), Some(0));
        assert_eq!(gives_way([0, 0, 1].into_iter(), 1), None);
    }
}
