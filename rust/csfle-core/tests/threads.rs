//! How many threads a pool keeps. A test binary of its own: it counts the threads of its process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)] // as in the other tests

use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use csfle_core::parallel::{Pool, chunks};

/// Threads of this process that a pool started, by the name that it gives them.
fn pool_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    // A thread may end between the two reads.
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("csfle-")).count()
}

/// Waits for threads that were told to end; gives up on whoever keeps more than `most`.
fn until_at_most(most: usize) {
    for _ in 0..1_000 {
        if pool_threads() <= most {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} threads are kept where {most} are enough", pool_threads());
}

/// Runs so many jobs, all at once.
fn together(pool: &Pool, jobs: usize) {
    let barrier = Barrier::new(jobs);
    pool.run((0..jobs).collect(), |_: usize| barrier.wait());
}

#[test]
fn batches_of_many_sizes_leave_no_more_threads_than_the_largest_needs() {
    assert_eq!(pool_threads(), 0);
    let pool = Pool::default();
    for jobs in [2, 3, 4, 2, 1] {
        together(&pool, jobs);
    }
    until_at_most(3);
    for rows in (0..20_000).step_by(97).chain((0..20_000).rev().step_by(1_013)) {
        let jobs = chunks(rows, usize::MAX, 64);
        let seen = pool.run(jobs, |range| range.len());
        assert_eq!(seen.iter().sum::<usize>(), rows);
    }
    together(&pool, 64);
    until_at_most(64);
    pool.run((0..1_000).collect(), |job: usize| job);
    until_at_most(64);
    together(&pool, 65);
    until_at_most(64);
    drop(pool);
    until_at_most(0);
}
