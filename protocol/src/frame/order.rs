//! No call of a connection is taken twice: their ids grow, so one number remembers all that came before.

use super::BadFrame;
use crate::ids::CallId;

/// The calls that a connection has taken.
#[derive(Clone, Copy, Default, Debug)]
pub struct Order {
    last: Option<CallId>,
}

impl Order {
    /// Whether a call with this id is a new one.
    ///
    /// # Errors
    /// [`BadFrame::Order`] when it is not greater than all that were taken. It is not answered: its reply could be
    /// taken for that of the call which had the id first.
    #[inline]
    pub fn check(&self, CallId(id): CallId) -> Result<(), BadFrame> {
        match self.last {
            Some(CallId(last)) if id <= last => Err(BadFrame::Order { id, last }),
            _ => Ok(()),
        }
    }

    /// The call was taken: it runs, or is refused.
    #[inline]
    pub fn took(&mut self, id: CallId) {
        self.last = Some(id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = u64> {
        prop_oneof![0..12_u64, u64::MAX - 3..=u64::MAX, any::<u64>()]
    }

    proptest! {
        #[test]
        fn what_is_taken_is_greater_than_all_before_it(ids in prop::collection::vec(ids(), 0..60)) {
            let (mut order, mut taken) = (Order::default(), Vec::new());
            for id in ids {
                let is_new = taken.iter().all(|before| *before < id);
                prop_assert_eq!(order.check(CallId(id)).is_ok(), is_new, "{} after {:?}", id, taken);
                if is_new {
                    order.took(CallId(id));
                    taken.push(id);
                }
            }
        }
    }
}
