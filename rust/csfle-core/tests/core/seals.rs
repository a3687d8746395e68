//! Budgets of seals: reserved whole or not at all, never overrun, whoever reserves at the same time.

use std::sync::Arc;
use std::thread;

use csfle_core::crypto::{Budget, Need, Reserved, Seals};

fn need(values: u64) -> Need {
    Need { values, bytes: 10 * values }
}

#[test]
fn a_strict_budget_is_used_to_its_end_and_not_beyond() {
    let seals = Seals::default();
    let budget = Budget::Strict(10);
    assert_eq!(seals.reserve(need(7), budget), Reserved::Granted);
    assert_eq!(seals.reserve(need(4), budget), Reserved::Refused);
    assert_eq!((seals.values(), seals.bytes()), (7, 70), "a refusal reserves nothing");
    assert_eq!(seals.reserve(need(3), budget), Reserved::Granted);
    assert_eq!(seals.reserve(need(1), budget), Reserved::Refused);
    assert_eq!(seals.reserve(need(11), budget), Reserved::TooLarge);
    seals.release(need(3));
    assert_eq!((seals.values(), seals.bytes()), (7, 70));
    assert_eq!(seals.reserve(need(3), budget), Reserved::Granted);
}

#[test]
fn numbers_at_the_end_of_their_range_do_not_wrap() {
    let seals = Seals::default();
    assert_eq!(seals.reserve(Need { values: u64::MAX, bytes: 0 }, Budget::Unlimited), Reserved::Granted);
    assert_eq!(seals.reserve(need(1), Budget::Strict(u64::MAX)), Reserved::Refused);
}

#[test]
fn a_budget_that_is_told_of_seals_on_and_tells_once() {
    let seals = Seals::default();
    let budget = Budget::Told(10);
    let told: Vec<_> =
        [10, 1, 1, 100].into_iter().map(|values| seals.reserve(need(values), budget)).collect();
    assert_eq!(told, [Reserved::Granted, Reserved::Passed, Reserved::Granted, Reserved::Granted]);
    assert_eq!(seals.values(), 112);
}

#[test]
fn threads_together_never_pass_a_strict_budget() {
    let seals = Arc::new(Seals::default());
    let granted: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (1..=8)
            .map(|values| {
                let seals = &seals;
                scope.spawn(move || {
                    let tries = (0..2_000).map(|_| seals.reserve(need(values), Budget::Strict(20_001)));
                    values * tries.filter(|reserved| *reserved == Reserved::Granted).count() as u64
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(seals.values(), granted);
    assert!(
        (19_994..=20_001).contains(&granted),
        "{granted}: less is left than the largest that was refused"
    );
}
