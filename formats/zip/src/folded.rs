//! Entries by their names without regard to the case of ASCII letters, as PyTorch compares them.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;

use crate::Entry;

/// How much of a name is folded at once, in bytes; most names are shorter.
const PIECE: usize = 64;

/// The places of entries, found by their names, which the entries alone hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldedNames {
    places: HashTable<u32>,
    state: RandomState,
    /// The first entries that have one name.
    pub(crate) alike: Option<(usize, usize)>,
}

impl FoldedNames {
    pub(crate) fn of(entries: &[Entry]) -> FoldedNames {
        let mut names = FoldedNames {
            places: HashTable::with_capacity(entries.len()),
            ..FoldedNames::default()
        };
        for (i, entry) in entries.iter().enumerate() {
            if let Some(first) = names.find(entries, entry.raw_name()) {
                names.alike.get_or_insert((first, i));
            } else if let Ok(place) = u32::try_from(i) {
                let FoldedNames { places, state, .. } = &mut names;
                let name_of = |place: &u32| entries[*place as usize].raw_name();
                let hash = folded_hash(state, entry.raw_name());
                places.insert_unique(hash, place, |place| folded_hash(state, name_of(place)));
            }
        }
        names
    }

    /// The first entry of this name.
    pub(crate) fn find(&self, entries: &[Entry], name: &[u8]) -> Option<usize> {
        let is_it = |place: &u32| {
            let entry = entries.get(*place as usize);
            entry.is_some_and(|entry| entry.raw_name().eq_ignore_ascii_case(name))
        };
        let place = self.places.find(folded_hash(&self.state, name), is_it)?;
        usize::try_from(*place).ok()
    }
}

/// The hash of a name, which those that differ in case share.
fn folded_hash(state: &RandomState, name: &[u8]) -> u64 {
    let mut hasher = state.build_hasher();
    for piece in name.chunks(PIECE) {
        let mut folded = [0; PIECE];
        let folded = &mut folded[..piece.len()];
        folded.copy_from_slice(piece);
        folded.make_ascii_lowercase();
        hasher.write(folded);
    }
    hasher.finish()
}
