//! Chunks over threads: a private pool.

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

/// Threads that are started on first use and kept: as many as any call has asked for.
///
/// A forked child must not use its parent's pool, whose threads it does not have: it makes a new
/// one and leaves the old alone.
#[derive(Default)]
pub struct Pool(Mutex<Option<Arc<ThreadPool>>>);

impl Pool {
    /// Runs `work` on every job; gives the results in the order of the jobs. The last job is the
    /// caller's own, and all are where no thread can be started.
    pub fn run<J: Send, T: Send>(&self, mut jobs: Vec<J>, work: impl Fn(J) -> T + Sync) -> Vec<T> {
        let others = jobs.len().saturating_sub(1);
        let pool = if others > 0 { self.get(others.min(MOST_THREADS)) } else { None };
        let Some(pool) = pool else {
            return jobs.into_iter().map(work).collect();
        };
        let own = jobs.split_off(others);
        let mut results: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
        let work = &work;
        let last = pool.in_place_scope(|scope| {
            for (job, result) in jobs.into_iter().zip(&mut results) {
                scope.spawn(move |_| *result = Some(work(job)));
            }
            own.into_iter().map(work).collect::<Vec<_>>()
        });
        results.into_iter().flatten().chain(last).collect()
    }

    fn get(&self, threads: usize) -> Option<Arc<ThreadPool>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = kept.as_ref().filter(|pool| pool.current_num_threads() >= threads) {
            return Some(pool.clone());
        }
        let name = |index| format!("csfle-{index}");
        let pool = Arc::new(ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build().ok()?);
        *kept = Some(pool.clone()); // the old one ends when the last call that uses it has
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
