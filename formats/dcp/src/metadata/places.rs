//! The places of items, found by the names of what they hold.

use statedict_core::IndexMap;

use super::{ItemId, Items, NOWHERE, number};
use crate::pickle::{Names, Placed, SizesId, TextId};

/// The places of all items, those of one name together.
pub(super) struct Places {
    pub(super) placed: Vec<Placed>,
    /// The items in the order of the numbers of their names.
    pub(super) order: Vec<ItemId>,
    /// Where each name begins in that order, and where the last one ends.
    starts: Vec<u32>,
}

impl Places {
    pub(super) fn new(placed: Vec<Placed>, names: &Names) -> Places {
        let mut starts = vec![0u32; names.texts() + 1];
        for item in &placed {
            starts[item.name.number() + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let (mut order, mut next) = (vec![NOWHERE; placed.len()], starts.clone());
        for (i, item) in placed.iter().enumerate() {
            let place = &mut next[item.name.number()];
            order[*place as usize] = ItemId(number(i));
            *place += 1;
        }
        Places { placed, order, starts }
    }

    /// The item of a name that holds no chunk.
    pub(super) fn object(&self, name: TextId) -> Option<ItemId> {
        let is_it = |item: &&ItemId| self.placed[item.0 as usize].at.is_none();
        self.of_name(name).iter().rfind(is_it).copied()
    }

    /// The items of the chunks of a name, which mostly are in the same order.
    pub(super) fn items(&self, name: TextId, chunks: &[(SizesId, SizesId)]) -> Items {
        let items = self.of_name(name);
        let at = |item: &ItemId| self.placed[item.0 as usize].at;
        let is_same = |(item, (first, _)): (&ItemId, &(SizesId, _))| at(item) == Some(*first);
        if items.len() == chunks.len() && items.iter().zip(chunks).all(is_same) {
            return Items::InOrder(self.starts[name.number()]);
        }
        let known: IndexMap<Option<SizesId>, ItemId> =
            items.iter().map(|item| (at(item), *item)).collect();
        let find = |(first, _): &(SizesId, SizesId)| known.get(&Some(*first)).copied();
        Items::Each(chunks.iter().map(|chunk| find(chunk).unwrap_or(NOWHERE)).collect())
    }

    fn of_name(&self, name: TextId) -> &[ItemId] {
        let [start, end] = [0, 1].map(|i| self.starts[name.number() + i] as usize);
        &self.order[start..end]
    }
}
