//! What a pickle puts into its memo, so far as it is kept.
//!
//! Python's pickler puts nearly everything there; of a checkpoint's metadata a hundredth is fetched.

use statedict_core::IndexMap;

use super::fetched::Places;
use super::value::Value;

/// So many of the first values are kept, whatever they are: what is fetched everywhere, such as the
/// layout of tensors, comes with the first of them.
const FIRST: u32 = 1 << 12;

/// The most values that are kept without a look at which are fetched.
const MOST_KEPT: usize = 1 << 21;

/// The memo of a machine.
pub(super) struct Memo {
    kept: Kept,
    values: IndexMap<u32, Value>,
    /// The place of what is put there next without one being said.
    next: u32,
    /// The places that were written, where some may be written twice.
    put: Places,
    is_in_order: bool,
}

/// Which values are kept.
pub(super) enum Kept {
    /// The first ones, texts and classes. It is known to be enough when the end is reached, and takes
    /// no pass over the pickle before.
    Usual,
    /// Those that are fetched.
    Fetched(Places),
}

/// That something is not done which [`Kept::Usual`] cannot.
pub(super) struct NotKept;

impl Memo {
    pub(super) fn new(kept: Kept) -> Memo {
        let (values, put) = (IndexMap::default(), Places::default());
        Memo { kept, values, next: 0, put, is_in_order: true }
    }

    /// The place of what is put there next without one being said.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    pub(super) fn get(&self, place: u32) -> Option<&Value> {
        self.values.get(&place)
    }

    /// Puts a value at a place.
    pub(super) fn put(&mut self, place: u32, value: Value) -> Result<(), NotKept> {
        self.is_in_order &= place == self.next;
        match &self.kept {
            Kept::Usual if !self.is_in_order || self.values.len() >= MOST_KEPT => {
                return Err(NotKept);
            }
            Kept::Usual => {
                self.next = self.next.saturating_add(1);
                if place >= FIRST && !matches!(value, Value::Text(_) | Value::Global(_)) {
                    return Ok(());
                }
            }
            Kept::Fetched(places) if !places.has(place) => {
                // Nobody writes a place twice that nobody reads.
                self.next = self.next.saturating_add(1);
                return Ok(());
            }
            Kept::Fetched(_) => {
                if self.put.add(place) {
                    self.next = self.next.saturating_add(1);
                }
            }
        }
        self.values.insert(place, value);
        Ok(())
    }

    /// True if every value was put where Python's pickler puts it, one after the other.
    pub(super) fn is_in_order(&self) -> bool {
        self.is_in_order
    }

    /// True if the value at a place is fetched; none if that is not known.
    pub(super) fn is_fetched(&self, place: u32) -> Option<bool> {
        match &self.kept {
            Kept::Usual => None,
            Kept::Fetched(places) => Some(places.has(place)),
        }
    }

    /// True if the next values, so many, need not be kept.
    #[inline]
    pub(super) fn is_free(&self, count: u32) -> bool {
        match &self.kept {
            Kept::Usual => true,
            Kept::Fetched(places) => (0..count).all(|i| !places.has(self.next.saturating_add(i))),
        }
    }

    /// Keeps a value whose place is passed over.
    pub(super) fn keep(&mut self, place: u32, value: Value) {
        self.put.add(place);
        self.values.insert(place, value);
    }

    /// Passes over the places of the next values.
    #[inline]
    pub(super) fn pass(&mut self, count: u32) {
        self.next = self.next.saturating_add(count);
    }
}
