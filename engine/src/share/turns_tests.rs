use super::*;

const MS: u64 = 1_000_000;

fn waiting(seq: u64) -> Waiting<u64> {
    Waiting { slot: 0, seq, since_ns: 0 }
}

/// Takes the next, which takes so long; its link.
fn serve(turns: &mut Turns<u64>, takes_ns: u64) -> usize {
    let (turn, link) = turns.next(0, |link, _| Some(link)).expect("something waits");
    turns.charge(turn, takes_ns, 0);
    link
}

#[test]
fn calls_of_different_links_go_in_the_order_of_coming() {
    let mut turns = Turns::new();
    for link in [7, 3, 9, 1] {
        turns.wait(link, 5, waiting(0), 0);
    }
    let order: Vec<usize> = (0..4).map(|number| serve(&mut turns, number * 100 * MS)).collect();
    assert_eq!(order, [7, 3, 9, 1]);
    assert!(turns.is_empty() && turns.next(0, |link, _| Some(link)).is_none());
}

#[test]
fn a_link_with_many_calls_takes_turns_with_others() {
    let mut turns = Turns::new();
    (0..4).for_each(|slot| turns.wait(1, 5, Waiting { slot, ..waiting(0) }, 0));
    turns.wait(2, 5, waiting(0), 0);
    turns.wait(3, 5, waiting(0), 0);
    let order: Vec<usize> = (0..6).map(|_| serve(&mut turns, MS)).collect();
    assert_eq!(order, [1, 2, 3, 1, 1, 1]);
}

#[test]
fn what_others_have_taken_is_passed_over_and_costs_nobody_its_turn() {
    let mut turns = Turns::new();
    (0..3).for_each(|slot| turns.wait(1, 5, Waiting { slot, ..waiting(0) }, 0));
    turns.wait(2, 5, waiting(0), 0);
    let found = turns.next(0, |link, waiting| (waiting.slot == 2).then_some((link, waiting.slot)));
    assert_eq!(found.map(|(_, taken)| taken), Some((1, 2)));
    assert_eq!(serve(&mut turns, MS), 2);
    assert!(turns.is_empty());
}

#[test]
fn a_new_request_does_not_stand_where_the_one_before_it_stood() {
    let mut turns = Turns::new();
    turns.wait(1, 5, waiting(0), 0);
    turns.wait(2, 5, waiting(0), 0);
    // Another loop has answered the first, and its client asks again.
    turns.wait(1, 5, waiting(1), 0);
    assert_eq!([0; 2].map(|_| serve(&mut turns, MS)), [2, 1]);
    assert!(turns.is_empty());
}

/// One user with 64 links of one call each against one with a single link, of one or many calls; all always busy.
/// Returns the second one's share of the time, and the longest time in which it got nothing.
fn contest(hog_ns: u64, victim_ns: u64, victim_calls: usize) -> (f64, u64) {
    let mut turns = Turns::new();
    let (mut used, mut without, mut longest) = ([0_u64; 2], 0, 0);
    (0..64).for_each(|link| turns.wait(link, 0, waiting(0), 0));
    (0..victim_calls).for_each(|slot| turns.wait(64, 1, Waiting { slot, ..waiting(0) }, 0));
    for _ in 0..20_000 {
        let found = turns.next(0, |link, waiting| Some((link, waiting)));
        let (turn, (link, again)) = found.expect("all are busy");
        let user = usize::from(link == 64);
        let takes_ns = [hog_ns, victim_ns][user];
        turns.charge(turn, takes_ns, 0);
        turns.wait(link, [0, 1][user], again, 0);
        used[user] += takes_ns;
        without = if user == 1 { 0 } else { without + takes_ns };
        longest = longest.max(without);
    }
    (used[1] as f64 / (used[0] + used[1]) as f64, longest)
}

#[test]
fn queues_are_used_again_and_few_are_kept() {
    let mut turns = Turns::new();
    (0..2 * SPARE_MAX).for_each(|link| turns.wait(link, 5, waiting(0), 0));
    for _ in 0..2 * SPARE_MAX {
        serve(&mut turns, 1);
    }
    assert_eq!(turns.spare.len(), SPARE_MAX);
    assert!(turns.spare.iter().all(|requests| requests.is_empty() && requests.capacity() > 0));
    turns.wait(1, 5, waiting(0), 0);
    assert_eq!(turns.spare.len(), SPARE_MAX - 1);
    // A queue that was long is given back.
    (0..=SPARE_LEN).for_each(|slot| turns.wait(1, 5, Waiting { slot, ..waiting(0) }, 0));
    for _ in 0..=SPARE_LEN {
        serve(&mut turns, 1);
    }
    assert!(turns.is_empty() && turns.spare.len() == SPARE_MAX - 1);
}

#[test]
fn users_share_time_however_many_links_they_have() {
    for (hog_ns, victim_ns) in [(MS, MS), (5 * MS, MS), (MS, 5 * MS), (50_000, 20_000)] {
        let (share, _) = contest(hog_ns, victim_ns, 8);
        assert!((0.45..0.55).contains(&share), "the victim got {share} at {hog_ns}:{victim_ns}");
    }
}

#[test]
fn a_single_call_waits_for_a_quantum_and_a_call_of_a_hostile_user() {
    for (hog_ns, victim_ns) in [(MS, MS), (5 * MS, MS), (50_000, 20_000), (20_000, 20_000)] {
        let (_, longest) = contest(hog_ns, victim_ns, 1);
        let debt = victim_ns.saturating_sub(QUANTUM.unsigned_abs());
        let bound = QUANTUM.unsigned_abs() + hog_ns + debt;
        assert!(longest <= bound, "it waited for {longest} ns at {hog_ns}:{victim_ns}");
    }
}

#[test]
fn a_debt_is_paid_off_by_time() {
    let mut turns = Turns::new();
    turns.wait(1, 0, waiting(0), 0);
    assert_eq!(serve(&mut turns, 1_000 * MS), 1);
    for (now_ms, first) in [(10, 2), (2_000, 1)] {
        turns.wait(1, 0, waiting(0), now_ms * MS);
        turns.wait(2, 1, waiting(0), now_ms * MS);
        let mut order = [0; 2].map(|_| turns.next(now_ms * MS, |link, _| Some(link)).expect("two wait").1);
        assert_eq!(order[0], first, "after {now_ms} ms");
        order.sort_unstable();
        assert_eq!(order, [1, 2]);
    }
}

#[test]
fn who_leaves_is_forgotten() {
    let mut turns = Turns::new();
    turns.wait(1, 0, waiting(0), 0);
    turns.wait(2, 1, waiting(0), 0);
    turns.forget(1);
    turns.forget_user(0);
    turns.forget_user(1);
    assert_eq!((serve(&mut turns, MS), turns.is_empty()), (2, true));
    turns.wait(3, 1, waiting(7), 0);
    assert_eq!(turns.clear(), [(3, waiting(7))]);
    assert!(turns.is_empty());
    turns.wait(3, 1, waiting(8), 0);
    assert_eq!(serve(&mut turns, MS), 3);
}

/// The same, without any cleverness: requests in one list.
struct Stupid {
    requests: Vec<(usize, u64)>,
}

impl Stupid {
    /// Whatever is offered must be the oldest of its link.
    fn take(&mut self, link: usize, seq: u64) {
        let place = self.requests.iter().position(|request| request.0 == link).expect("it waits");
        assert_eq!(self.requests.remove(place).1, seq, "not the oldest of link {link}");
    }
}

/// Below a small number; the same at every run.
fn random(state: &mut u64, below: u8) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state).to_be_bytes()[0] % below
}

#[test]
fn nothing_is_lost_doubled_or_overtaken_within_a_link() {
    let mut state = 9;
    for _ in 0..200 {
        let (mut turns, mut stupid) = (Turns::new(), Stupid { requests: Vec::new() });
        for step in 0..400_u32 {
            step_of_both(&mut turns, &mut stupid, step, &mut state);
            assert_eq!(turns.is_empty(), stupid.requests.is_empty());
        }
    }
}

fn step_of_both(turns: &mut Turns<u64>, stupid: &mut Stupid, step: u32, state: &mut u64) {
    let (seq, link) = (u64::from(step), random(state, 6));
    match random(state, 10) {
        0..6 => {
            // Each in a slot of its own.
            turns.wait(link.into(), u32::from(link % 3), Waiting { slot: step as usize, ..waiting(seq) }, seq);
            stupid.requests.push((link.into(), seq));
        }
        6..9 => {
            // Others have taken some.
            let (mut left, mut offered) = (random(state, 3), Vec::new());
            let found = turns.next(seq, |link, waiting| {
                offered.push((link, waiting.seq));
                left = left.wrapping_sub(1);
                (left == u8::MAX).then_some(())
            });
            offered.into_iter().for_each(|(link, seq)| stupid.take(link, seq));
            if let Some((turn, ())) = found {
                turns.charge(turn, u64::from(random(state, 255)) * 10_000, seq);
            }
        }
        _ => {
            turns.forget(link.into());
            stupid.requests.retain(|request| request.0 != usize::from(link));
        }
    }
}
