//! Chunks and the pool. How many threads there are in all is told in a test binary of its own.

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
    for jobs in [0, 1, 2, 3, 64, 65, 66, 100, 2, 1, 0] {
        let doubled = pool.run((0..jobs).collect(), |job: usize| job * 2);
        assert_eq!(doubled, (0..jobs).map(|job| job * 2).collect::<Vec<_>>());
    }
}

fn workers(pool: &Pool, jobs: usize) -> HashSet<ThreadId> {
    let seen = Mutex::new(HashSet::new());
    let barrier = std::sync::Barrier::new(jobs);
    pool.run((0..jobs).collect(), |_| {
        barrier.wait(); // each job holds its thread until all run
        seen.lock().unwrap().insert(thread::current().id());
    });
    seen.into_inner().unwrap()
}

#[test]
fn jobs_run_on_the_callers_thread_and_on_threads_of_the_pool_that_are_kept() {
    let pool = Pool::default();
    let first = workers(&pool, 3);
    assert_eq!(first.len(), 3, "three at once");
    assert!(first.contains(&thread::current().id()), "one of them the caller's");
    assert_eq!(workers(&pool, 3), first, "and the same three again");
    assert!(workers(&pool, 2).is_subset(&first), "fewer jobs are among them");
}

#[test]
fn more_jobs_than_ever_before_get_as_many_threads_which_are_kept_from_then_on() {
    let pool = Pool::default();
    workers(&pool, 2);
    let most = workers(&pool, 5);
    assert_eq!(most.len(), 5);
    for jobs in [5, 2, 4, 5] {
        assert!(workers(&pool, jobs).is_subset(&most), "{jobs} jobs need no new thread");
    }
}

#[test]
fn one_job_stays_on_the_callers_own() {
    let pool = Pool::default();
    assert_eq!(workers(&pool, 1), HashSet::from([thread::current().id()]));
    workers(&pool, 3);
    assert_eq!(workers(&pool, 1), HashSet::from([thread::current().id()]), "even where there is a pool");
}

#[test]
fn a_pool_grows_while_others_still_work_on_the_smaller_one() {
    let pool = Pool::default();
    let (running, grown) = (std::sync::Barrier::new(3), std::sync::Barrier::new(3));
    thread::scope(|scope| {
        let small = scope.spawn(|| {
            pool.run(vec![1, 2], |job: usize| {
                running.wait();
                grown.wait();
                job * 10
            })
        });
        running.wait();
        assert_eq!(workers(&pool, 6).len(), 6);
        grown.wait();
        assert_eq!(small.join().unwrap(), [10, 20]);
    });
}

#[test]
fn many_callers_share_one_pool() {
    let pool = Pool::default();
    thread::scope(|scope| {
        for caller in 0..8 {
            let pool = &pool;
            scope.spawn(move || {
                let sums = pool.run(vec![0..100u64, 100..200], |range| range.sum::<u64>() + caller);
                assert_eq!(sums, [4_950 + caller, 14_950 + caller]);
            });
        }
    });
}
