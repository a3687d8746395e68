//! Packed results: one buffer and offsets, each chunk written at its final place.

use std::ops::Range;

use super::Outcome;
use crate::avro::Fixed;
use crate::parallel::Pool;

/// A packed result. Its buffer may be larger than its rows.
#[derive(Debug)]
pub struct Packed {
    /// Where each row starts, and where the last ends: one more than there are rows.
    pub offsets: Vec<i64>,
    /// The outcome of each chunk, in order.
    pub outcomes: Vec<Outcome>,
}

/// Runs `work` for each chunk on its own part of `buffer`, then closes the gaps that failed rows
/// (and rows measured at most) leave. `sizes[i]` is at most how many bytes row `i` takes.
pub(super) fn pack(
    pool: &Pool,
    buffer: &mut [u8],
    sizes: &[usize],
    chunks: &[Range<usize>],
    work: impl Fn(Range<usize>, &mut Fixed<'_>) -> Outcome + Sync,
) -> Packed {
    let mut jobs = Vec::with_capacity(chunks.len());
    let mut starts = Vec::with_capacity(chunks.len());
    let (mut rest, mut start) = (&mut *buffer, 0);
    for chunk in chunks {
        let size: usize = sizes[chunk.clone()].iter().sum();
        let (place, behind) = rest.split_at_mut(size);
        jobs.push((chunk.clone(), place));
        starts.push(start);
        (rest, start) = (behind, start + size);
    }
    let outcomes = pool.run(jobs, |(chunk, place)| work(chunk, &mut Fixed::new(place)));
    let mut offsets = Vec::with_capacity(sizes.len() + 1);
    offsets.push(0);
    let mut end = 0;
    for (outcome, start) in outcomes.iter().zip(starts) {
        let len = outcome.ends.last().copied().unwrap_or(0);
        if start != end {
            buffer.copy_within(start..start + len, end);
        }
        offsets.extend(outcome.ends.iter().map(|row_end| i64::try_from(end + row_end).unwrap_or(i64::MAX)));
        end += len;
    }
    buffer[end..].fill(0); // what moved up must not stay behind it
    Packed { offsets, outcomes }
}
