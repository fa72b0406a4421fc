//! The places of items, found by the names of what they hold.

use statedict_core::IndexMap;

use super::{ItemId, Items, NOWHERE, number};
use crate::pickle::{Names, SizesId, TextId};

/// The items, those of one name together.
pub(super) struct Places {
    /// What each is of.
    of: Vec<(TextId, Option<SizesId>)>,
    /// The items in the order of the numbers of their names.
    pub(super) order: Vec<ItemId>,
    /// Where each name begins in that order, and where the last one ends.
    starts: Vec<u32>,
}

impl Places {
    pub(super) fn new(of: Vec<(TextId, Option<SizesId>)>, names: &Names) -> Places {
        let mut starts = vec![0u32; names.texts() + 1];
        for (name, _) in &of {
            starts[name.number() + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let (mut order, mut next) = (vec![NOWHERE; of.len()], starts.clone());
        for (i, (name, _)) in of.iter().enumerate() {
            let place = &mut next[name.number()];
            order[*place as usize] = ItemId(number(i));
            *place += 1;
        }
        Places { of, order, starts }
    }

    /// The item of a name that holds no chunk.
    pub(super) fn object(&self, name: TextId) -> Option<ItemId> {
        self.of_name(name).iter().rfind(|item| self.at(**item).is_none()).copied()
    }

    /// The items of the chunks of a name, which mostly are in the same order.
    pub(super) fn items(&self, name: TextId, chunks: &[(SizesId, SizesId)]) -> Items {
        let items = self.of_name(name);
        let is_same = |(item, (first, _)): (&ItemId, &(SizesId, _))| self.at(*item) == Some(*first);
        if items.len() == chunks.len() && items.iter().zip(chunks).all(is_same) {
            return Items::InOrder(self.starts[name.number()]);
        }
        let known: IndexMap<Option<SizesId>, ItemId> =
            items.iter().map(|item| (self.at(*item), *item)).collect();
        let find = |(first, _): &(SizesId, SizesId)| known.get(&Some(*first)).copied();
        Items::Each(chunks.iter().map(|chunk| find(chunk).unwrap_or(NOWHERE)).collect())
    }

    /// Where the chunk of an item begins.
    fn at(&self, item: ItemId) -> Option<SizesId> {
        self.of[item.0 as usize].1
    }

    fn of_name(&self, name: TextId) -> &[ItemId] {
        let at = |number: usize| self.starts[number] as usize;
        &self.order[at(name.number())..at(name.number() + 1)]
    }
}
