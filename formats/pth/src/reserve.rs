//! Room for lists that grow as long as a pickle has it.
//!
//! A list that outgrows its room is copied, and for a moment takes three times as much memory; room
//! that nothing is put into takes none.

/// Lists get no more room beforehand than this, in bytes.
const MOST: usize = 32 << 20;

/// Shorter pickles' lists grow as they do, in bytes.
const SHORT: u64 = 64 << 10;

/// A list with room for as many items as a pickle of this length can have.
pub(crate) fn reserved<T>(pickle_len: u64) -> Vec<T> {
    if pickle_len < SHORT {
        return Vec::new();
    }
    reserved_for(usize::try_from(pickle_len).unwrap_or(usize::MAX))
}

/// A list with room for so many items, or for as many as lists get beforehand.
pub(crate) fn reserved_for<T>(items: usize) -> Vec<T> {
    Vec::with_capacity(items.min(MOST / size_of::<T>().max(1)))
}
