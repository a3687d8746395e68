//! Chunks over threads: a private pool, one for each number of threads asked for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// More threads than this are never started for one call.
const MOST_THREADS: usize = 64;

/// Work that one thread should have, in nanoseconds: handing work to a pool costs some microseconds,
/// and with less than this a second thread makes a batch slower.
const THREAD_WORTH: usize = 100_000;

/// Rows that one thread should have, for the same reason.
const ROWS_WORTH: usize = 125;

/// Threads that are started on first use and kept.
///
/// A forked child must not use its parent's pool, whose threads it does not have: it makes a new
/// one and leaves the old alone.
#[derive(Default)]
pub struct Pool {
    pools: Mutex<HashMap<usize, Arc<ThreadPool>>>,
}

impl Pool {
    /// Runs `work` on every job, on `threads` threads; gives the results in the order of the jobs.
    /// Where no thread can be started, the caller's does it all.
    pub fn run<J: Send, T: Send>(
        &self,
        threads: usize,
        jobs: Vec<J>,
        work: impl Fn(J) -> T + Sync,
    ) -> Vec<T> {
        let pool = if threads > 1 && jobs.len() > 1 { self.get(threads) } else { None };
        let Some(pool) = pool else {
            return jobs.into_iter().map(work).collect();
        };
        let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
        let work = &work;
        pool.in_place_scope(|scope| {
            for (job, result) in jobs.into_iter().zip(&mut results) {
                scope.spawn(move |_| *result = Some(work(job)));
            }
        });
        results.into_iter().flatten().collect()
    }

    fn get(&self, threads: usize) -> Option<Arc<ThreadPool>> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&threads) {
            return Some(pool.clone());
        }
        let name = |index| format!("csfle-{index}");
        let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build().ok()?);
        pools.insert(threads, pool.clone());
        Some(pool)
    }
}

/// Splits `rows` rows with `work` nanoseconds of estimated work into one chunk for each thread
/// that is worth its while, of at most `asked` threads.
pub fn chunks(rows: usize, work: usize, asked: usize) -> Vec<Range<usize>> {
    let worth = (work / THREAD_WORTH).min(rows / ROWS_WORTH);
    let threads = asked.min(MOST_THREADS).min(worth).max(1);
    (0..threads).map(|chunk| rows * chunk / threads..rows * (chunk + 1) / threads).collect()
}
