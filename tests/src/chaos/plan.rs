//! What each call sends and what must come back: a pure function of seed and number, known to both sides.

/// The largest payload of an ordinary call.
const ORDINARY_MAX: u64 = 64 * 1024;
/// What the archive of a call's arguments has beside the payload, at most.
const OVERHEAD: u64 = 64;
/// One in so many large calls is as large as the limit allows.
const AT_THE_LIMIT: u64 = 10;

/// Which calls a run makes.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides all sizes and kinds.
    pub seed: u64,
    /// How many calls there are at least; calls beyond are ordinary.
    pub calls: u64,
    /// How many of them are larger than the ordinary ones, evenly spread.
    pub big: u64,
    /// The service's message limit.
    pub message_max: u64,
}

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A reply of so many bytes.
    Run {
        /// Bytes.
        reply_len: u32,
    },
    /// The same from a method that is known to take long.
    Dwell {
        /// Bytes.
        reply_len: u32,
        /// How long.
        micros: u32,
        /// Without sleeping.
        busy: bool,
    },
    /// The method's own error.
    Refuse,
    /// A reply over the limit: the call runs, and its caller is told so.
    TooLarge {
        /// Bytes.
        reply_len: u32,
    },
}

/// One call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number.
    pub id: u64,
    /// Bytes that it sends.
    pub payload_len: usize,
    /// What it asks for.
    pub kind: Kind,
}

impl Plan {
    /// The call of a number.
    #[must_use]
    pub fn call(&self, id: u64) -> Call {
        let mut dice = Dice(mix(self.seed, id));
        if self.is_big(id) {
            let largest = self.message_max.saturating_sub(OVERHEAD);
            let len = if dice.one_in(AT_THE_LIMIT) { largest } else { dice.log_uniform(ORDINARY_MAX, largest) };
            return Call {
                id,
                payload_len: usize::try_from(len).expect("64 bits"),
                kind: Kind::Run { reply_len: narrow(len) },
            };
        }
        let payload = dice.log_uniform(0, ORDINARY_MAX);
        let reply_len = narrow(if dice.one_in(4) { dice.log_uniform(0, ORDINARY_MAX) } else { payload });
        let kind = match dice.below(1 << 14) {
            0 => Kind::TooLarge { reply_len: narrow(self.message_max + 1) },
            1..64 => Kind::Refuse,
            64..320 => Kind::Dwell { reply_len, micros: narrow(500 + dice.below(3_500)), busy: false },
            320..576 => Kind::Dwell { reply_len, micros: narrow(50 + dice.below(450)), busy: true },
            _ => Kind::Run { reply_len },
        };
        Call { id, payload_len: usize::try_from(payload).expect("64 bits"), kind }
    }

    fn is_big(&self, id: u64) -> bool {
        // From the middle of the first stride on, so that a run begins with ordinary calls.
        self.calls.checked_div(self.big).is_some_and(|stride| {
            let stride = stride.max(1);
            id % stride == stride / 2 && id / stride < self.big
        })
    }

    /// What the call sends.
    pub fn fill_payload(&self, call: &Call, payload: &mut Vec<u8>) {
        stream(mix(self.seed ^ 0x7061_796C, call.id), call.payload_len, payload);
    }
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).expect("message limits are below 4 GiB")
}

/// Where the reply's stream begins: another call's reply, or one to other bytes, shares nothing with it.
#[must_use]
pub fn reply_key(id: u64, checksum: u64) -> u64 {
    mix(checksum ^ 0x7265_706C, id)
}

/// Puts `len` bytes of a stream in place of what `bytes` held.
pub fn stream(key: u64, len: usize, bytes: &mut Vec<u8>) {
    let mut dice = Dice(key);
    bytes.clear();
    bytes.reserve(len + 8);
    for _ in 0..len.div_ceil(8) {
        bytes.extend_from_slice(&dice.next().to_le_bytes());
    }
    bytes.truncate(len);
}

/// A number that any change of the bytes changes.
#[must_use]
pub fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(bytes.len() as u64, |sum, word| (sum ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
}

/// Two numbers into one.
#[must_use]
pub fn mix(key: u64, value: u64) -> u64 {
    Dice(key ^ Dice(value).next()).next()
}

/// Random numbers: splitmix64.
#[derive(Clone, Copy, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// A number below `end`, nearly evenly.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// From `low` to `high`, each doubling as likely as the next.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "sizes are far below 2^52, and clamped"
    )]
    fn log_uniform(&mut self, low: u64, high: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let (from, to) = ((low + 1) as f64, (high + 2) as f64);
        let value = from * (to / from).powf(unit);
        (value as u64).saturating_sub(1).clamp(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan { seed: 7, calls: 100_000, big: 200, message_max: 1 << 20 };

    #[test]
    fn sizes_are_log_uniform_and_the_large_ones_are_as_many_as_asked() {
        let calls: Vec<Call> = (0..PLAN.calls).map(|id| PLAN.call(id)).collect();
        let big = calls.iter().filter(|call| call.payload_len > 65_536).count();
        assert!((195..=200).contains(&big), "{big}");
        assert!(calls.iter().any(|call| call.payload_len as u64 == PLAN.message_max - OVERHEAD));
        let share = |low: usize, high: usize| {
            let count = calls.iter().filter(|call| (low..high).contains(&call.payload_len)).count();
            count * 1000 / calls.len()
        };
        // ln 2 of ln 65538, and half of all below the root.
        assert!((58..67).contains(&share(0, 1)), "{}", share(0, 1));
        assert!((490..510).contains(&share(0, 255)), "{}", share(0, 255));
        assert!((58..67).contains(&share(32_767, 65_536)), "{}", share(32_767, 65_536));
        assert!(calls.iter().any(|call| matches!(call.kind, Kind::Refuse)));
        assert!(calls.iter().any(|call| matches!(call.kind, Kind::TooLarge { .. })));
    }

    #[test]
    fn a_plan_is_the_same_each_time_and_another_for_another_seed() {
        let other = Plan { seed: 8, ..PLAN };
        assert!((0..100).all(|id| PLAN.call(id) == PLAN.call(id)));
        assert!((0..100).any(|id| PLAN.call(id) != other.call(id)));
    }

    #[test]
    fn any_other_byte_any_other_call_and_any_other_length_is_noticed() {
        let mut bytes = Vec::new();
        stream(1, 1000, &mut bytes);
        assert_eq!(bytes.len(), 1000);
        let sum = checksum(&bytes);
        for place in [0, 7, 8, 500, 999] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_ne!(checksum(&changed), sum);
        }
        assert_ne!(checksum(&bytes[..999]), sum);
        assert_ne!(checksum(&[0]), checksum(&[]));
        assert_ne!(reply_key(1, sum), reply_key(2, sum));
    }
}
