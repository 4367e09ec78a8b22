//! Which bucket a time falls into. Log-linear: each octave has a hundred steps, so a bucket is never wider than one
//! per cent of the times in it, and two significant digits are kept.
//!
//! Halves of powers of two, as in HdrHistogram, would need 128 steps for that, and 35 KiB of counts from 64 ns to 1 h.

/// Below this many nanoseconds all times fall into the first bucket: a clock read alone takes 23.
pub const SHORTEST_NS: u64 = 1 << FIRST_OCTAVE;
/// Above this many nanoseconds, an hour, all times fall into the last bucket.
pub const LONGEST_NS: u64 = 3_600_000_000_000;
/// How many buckets there are.
pub const BUCKETS: usize = LAST + 1;

const FIRST_OCTAVE: u32 = 6;
const STEPS: u64 = 100;
const LAST: usize = regular(LONGEST_NS) + 1;

/// The bucket of a time.
#[must_use]
pub const fn bucket_of(ns: u64) -> usize {
    if ns < SHORTEST_NS {
        0
    } else if ns > LONGEST_NS {
        LAST
    } else {
        regular(ns)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a step is below 100")]
const fn regular(ns: u64) -> usize {
    let zeros = ns.leading_zeros();
    // The time without its leading one, as a fraction of 2^64: how far it is in its octave.
    let fraction = ns << zeros << 1;
    let step = ((fraction as u128 * STEPS as u128) >> 64) as usize;
    let octave = 63 - zeros - FIRST_OCTAVE;
    1 + octave as usize * STEPS as usize + step
}

/// The shortest time of a bucket, in nanoseconds.
const fn shortest_of(bucket: usize) -> u64 {
    if bucket == 0 {
        return 0;
    }
    if bucket >= LAST {
        return LONGEST_NS + 1;
    }
    let octave = 1 << (FIRST_OCTAVE as u64 + (bucket as u64 - 1) / STEPS);
    let step = (bucket as u64 - 1) % STEPS;
    octave + (octave * step).div_ceil(STEPS)
}

/// The time that stands for a bucket, in nanoseconds: its middle, at most half a per cent (or half a nanosecond) from
/// every time in it. The first bucket is given by its longest time, 63, and the last one by the longest of all.
#[must_use]
pub const fn value_of(bucket: usize) -> u64 {
    if bucket == 0 {
        return SHORTEST_NS - 1;
    }
    if bucket >= LAST {
        return LONGEST_NS;
    }
    let (shortest, next) = (shortest_of(bucket), shortest_of(bucket + 1));
    // In the first octave some buckets are narrower than a nanosecond, and stay empty.
    shortest + next.saturating_sub(shortest).saturating_sub(1) / 2
}

const _: () = assert!(LONGEST_NS < 1 << 42 && BUCKETS * 8 <= 32 * 1024);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bucket by its definition: the octave by halving, the step by division.
    fn oracle(ns: u64) -> usize {
        let mut octave = 0;
        while ns >> octave >= 2 * SHORTEST_NS {
            octave += 1;
        }
        let (ns, start) = (u128::from(ns), u128::from(SHORTEST_NS << octave));
        1 + octave * 100 + usize::try_from((ns - start) * 100 / start).unwrap()
    }

    /// Every size is as likely as every other; uniform numbers would nearly all be in the last octave.
    fn times() -> impl Strategy<Value = u64> {
        (0..46_u32, any::<u64>()).prop_map(|(bits, noise)| 1 << bits | noise & ((1 << bits) - 1))
    }

    #[test]
    fn the_ends_are_where_they_are_said_to_be() {
        assert_eq!(BUCKETS, 3566);
        assert_eq!([0, 63, 64, 65].map(bucket_of), [0, 0, 1, 2]);
        assert_eq!([LONGEST_NS, LONGEST_NS + 1, u64::MAX].map(bucket_of), [LAST - 1, LAST, LAST]);
        assert_eq!([0, 1, LAST].map(value_of), [63, 64, LONGEST_NS]);
        assert_eq!(value_of(usize::MAX), LONGEST_NS);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut expected = SHORTEST_NS;
        for bucket in 1..LAST {
            let (shortest, next) = (shortest_of(bucket), shortest_of(bucket + 1).min(LONGEST_NS + 1));
            assert_eq!(shortest, expected);
            for edge in shortest..next.min(shortest + 2) {
                assert_eq!(bucket_of(edge), bucket);
            }
            if next > shortest {
                assert_eq!(bucket_of(next - 1), bucket);
            }
            expected = next;
        }
        assert_eq!(expected, LONGEST_NS + 1);
    }

    proptest! {
        #[test]
        fn a_bucket_is_what_its_definition_says(
            ns in times().prop_filter("in range", |ns| (SHORTEST_NS..=LONGEST_NS).contains(ns)),
        ) {
            prop_assert_eq!(bucket_of(ns), oracle(ns));
        }

        #[test]
        fn the_value_of_a_bucket_is_within_half_a_per_cent(ns in SHORTEST_NS..=LONGEST_NS, shift in 0..36_u32) {
            let ns = (ns >> shift).max(SHORTEST_NS);
            let value = value_of(bucket_of(ns));
            prop_assert!(value.abs_diff(ns) * 200 <= ns + 200, "{} for {}", value, ns);
            prop_assert_eq!(bucket_of(value), bucket_of(ns), "the value lies in its own bucket");
        }

        #[test]
        fn longer_times_are_in_later_buckets(a in times(), b in times()) {
            prop_assert!(bucket_of(a.min(b)) <= bucket_of(a.max(b)));
            prop_assert!(value_of(bucket_of(a.min(b))) <= value_of(bucket_of(a.max(b))));
        }
    }
}
