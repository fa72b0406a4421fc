//! The files of a checkpoint, and what is in each.

use statedict_core::{Data, Tensor};

use super::Checkpoint;

/// One of several files of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its name, from the folder on.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// How many tensors begin in it.
    pub tensors: usize,
}

impl Checkpoint {
    /// Its files that have elements in them, if they are several; none for a single file.
    pub fn shards(&self) -> Vec<Shard> {
        if !self.is_sharded() {
            return Vec::new();
        }
        let names = self.files.files().into_iter().map(String::from);
        let lengths = self.source.lengths();
        let shards = names.zip(lengths).map(|(name, bytes)| Shard { name, bytes, tensors: 0 });
        let mut shards: Vec<Shard> = shards.collect();
        for row in &self.catalog().rows {
            let place = start(&row.tensor).and_then(|start| self.source.number_at(start));
            if let Some(shard) = place.and_then(|place| shards.get_mut(place)) {
                shard.tensors += 1;
            }
        }
        shards
    }
}

/// Where its first element is, or the first of its blocks.
fn start(tensor: &Tensor) -> Option<u64> {
    match &tensor.data {
        Data::View(view) => Some(view.storage().location.range().start),
        Data::Blocks(blocks) => start(&blocks.parts().first()?.tensor),
        Data::Unlocated | Data::Opaque { .. } => None,
    }
}
