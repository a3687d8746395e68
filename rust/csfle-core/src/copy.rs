//! Copying of short runs.

/// Copies a slice of equal length. Field values are mostly shorter than 32 bytes, where a call of
/// `memcpy` costs more than the copy; two copies of a set size that overlap need no call.
#[inline]
pub(crate) fn copy(into: &mut [u8], from: &[u8]) {
    debug_assert_eq!(into.len(), from.len());
    match from.len() {
        16..=32 => overlapping::<16>(into, from),
        8..16 => overlapping::<8>(into, from),
        4..8 => overlapping::<4>(into, from),
        2..4 => overlapping::<2>(into, from),
        1 => into[0] = from[0],
        0 => {}
        _ => into.copy_from_slice(from),
    }
}

#[inline]
fn overlapping<const N: usize>(into: &mut [u8], from: &[u8]) {
    if let (Some((to, _)), Some((bytes, _))) =
        (into.split_first_chunk_mut::<N>(), from.split_first_chunk::<N>())
    {
        *to = *bytes;
    }
    if let (Some((_, to)), Some((_, bytes))) =
        (into.split_last_chunk_mut::<N>(), from.split_last_chunk::<N>())
    {
        *to = *bytes;
    }
}
