//! Chunks and the pool.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread::{self, ThreadId};

use csfle_core::parallel::{Pool, chunks};
use proptest::prelude::*;

use crate::kit::random::cases;

const PLENTY: usize = 1 << 40;

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn chunks_cover_all_rows_in_order_and_evenly(
        rows in 0..100_000usize,
        work in any::<usize>(),
        asked in any::<usize>(),
    ) {
        let chunks = chunks(rows, work, asked);
        prop_assert!(!chunks.is_empty());
        prop_assert!(chunks.len() <= asked.clamp(1, 64));
        prop_assert_eq!(chunks[0].start, 0);
        prop_assert_eq!(chunks[chunks.len() - 1].end, rows);
        prop_assert!(chunks.windows(2).all(|pair| pair[0].end == pair[1].start));
        let sizes: Vec<usize> = chunks.iter().map(ExactSizeIterator::len).collect();
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
    }
}

#[test]
fn small_batches_stay_on_one_thread_whatever_was_asked() {
    assert_eq!(chunks(249, PLENTY, 4).len(), 1, "too few rows");
    assert_eq!(chunks(10_000, 199_999, 4).len(), 1, "too little work");
    assert_eq!(chunks(0, PLENTY, 4), vec![0..0; 1]);
    assert_eq!(chunks(10_000, PLENTY, 0), vec![0..10_000; 1], "no thread is the caller's own");
}

#[test]
fn large_batches_get_the_threads_that_were_asked_for_up_to_a_limit() {
    assert_eq!(chunks(1_000, PLENTY, 2), [0..500, 500..1_000]);
    assert_eq!(chunks(1_000_000, PLENTY, 1_000).len(), 64);
}

#[test]
fn results_come_in_the_order_of_the_jobs() {
    let pool = Pool::default();
    for threads in [1, 2, 4] {
        let doubled = pool.run(threads, (0..100).collect(), |job: usize| job * 2);
        assert_eq!(doubled, (0..100).map(|job| job * 2).collect::<Vec<_>>());
    }
    assert_eq!(pool.run(4, Vec::new(), |job: usize| job), Vec::<usize>::new());
}

fn workers(pool: &Pool, threads: usize, jobs: usize) -> HashSet<ThreadId> {
    let seen = Mutex::new(HashSet::new());
    let barrier = std::sync::Barrier::new(jobs);
    pool.run(threads, (0..jobs).collect(), |_| {
        barrier.wait(); // each job holds its thread until all run
        seen.lock().unwrap().insert(thread::current().id());
    });
    seen.into_inner().unwrap()
}

#[test]
fn jobs_run_on_threads_of_the_pool_that_are_kept() {
    let pool = Pool::default();
    let first = workers(&pool, 3, 3);
    assert_eq!(first.len(), 3, "three at once");
    assert!(!first.contains(&thread::current().id()));
    assert_eq!(workers(&pool, 3, 3), first, "and the same three again");
    assert!(workers(&pool, 2, 2).is_disjoint(&first), "another number has its own");
}

#[test]
fn one_thread_or_one_job_stays_on_the_callers_own() {
    let pool = Pool::default();
    let here = HashSet::from([thread::current().id()]);
    assert_eq!(workers(&pool, 1, 1), here);
    assert_eq!(workers(&pool, 4, 1), here);
}

#[test]
fn many_callers_share_one_pool() {
    let pool = Pool::default();
    thread::scope(|scope| {
        for caller in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                let sums = pool.run(2, vec![0..100u64, 100..200], |range| range.sum::<u64>() + caller);
                assert_eq!(sums, [4_950 + caller, 14_950 + caller]);
            });
        }
    });
}
