//! The catalog of a distributed checkpoint: what `.metadata` says there is, and where.
//!
//! Source: `torch/distributed/checkpoint/metadata.py` and `filesystem.py`, torch 2.0 to 2.15.

mod admitted;
mod extract;
mod names;
mod places;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use statedict_core::{DType, Fault, IndexMap, IndexSet, Rectangle, Source, Step, Tensor};

pub use admitted::is_admitted;
pub(crate) use names::{Meaning, meanings};

use crate::pickle::{Detail, Place, SizesId, follow};

/// What one metadata file says, or all of them together.
///
/// There may be millions of chunks: each takes the numbers of its offsets, its sizes and its item in
/// tables of the different ones.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Everything that was saved, under its name, in the order of the saved plan.
    pub(crate) entries: IndexMap<Arc<str>, Entry>,
    /// The path of each name in the nested state dict; none where names are keys at the root.
    pub(crate) paths: IndexMap<Arc<str>, Vec<Step>>,
    /// The data files, by the numbers that items have for them.
    pub(crate) files: IndexSet<Arc<str>>,
    sizes: IndexSet<Box<[u64]>>,
    items: Vec<Place>,
    /// The items, those of one name together.
    order: Vec<ItemId>,
    /// Files with how items in them were transformed, by the numbers that items have for both.
    kinds: IndexSet<(u32, u32)>,
    transforms: Transforms,
}

/// How items were transformed when they were saved; the first of these is not at all.
type Transforms = IndexSet<Arc<[Arc<str>]>>;

/// Something that was saved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Tensor(Chunked),
    /// Anything else, pickled by itself.
    Object(ItemId),
}

/// A tensor in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    /// The numbers of their offsets and sizes.
    chunks: Vec<(SizesId, SizesId)>,
    items: Items,
}

/// The number of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemId(u32);

/// The items of chunks.
#[derive(Debug, PartialEq, Eq)]
enum Items {
    /// Those that are in the table of all from here on.
    InOrder(u32),
    /// [`NOWHERE`] for a chunk that no file is said to have.
    Each(Vec<ItemId>),
}

const NOWHERE: ItemId = ItemId(u32::MAX);

/// A rectangle of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'m> {
    pub(crate) at: &'m [u64],
    pub(crate) size: &'m [u64],
    /// Where it is; none if no file is said to have it.
    pub(crate) item: Option<Item>,
}

/// A range of a data file that holds one chunk or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The number of the file.
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    transforms: Option<Arc<[Arc<str>]>>,
}

impl Item {
    /// How it was transformed when it was saved, in the order in which to undo that.
    pub(crate) fn transforms(&self) -> &[Arc<str>] {
        self.transforms.as_deref().unwrap_or_default()
    }
}

impl Metadata {
    /// Reads one metadata file.
    ///
    /// # Errors
    /// What is wrong with it, and what it names that no checkpoint needs.
    pub(crate) fn read(source: &dyn Source) -> Result<Metadata, Fault> {
        let built = follow(source, is_admitted, Detail::Contents)?;
        extract::metadata(built)
    }

    /// An item by its number.
    pub(crate) fn item(&self, id: ItemId) -> Item {
        let item = &self.items[id.0 as usize];
        let (file, transforms) = self.kinds[item.kind as usize];
        let (offset, length) = item.range();
        // Most items were not, of which no list is shared.
        let transforms = (transforms > 0).then(|| self.transforms[transforms as usize].clone());
        Item { file: file as usize, offset, length, transforms }
    }

    /// The chunks of a tensor that have elements.
    pub(crate) fn chunks<'m>(&'m self, tensor: &'m Chunked) -> impl Iterator<Item = Chunk<'m>> {
        let rectangles = tensor.chunks.iter().map(|chunk| self.rectangle(chunk));
        let chunks =
            rectangles.zip(tensor.items_in(&self.order)).filter(|(it, _)| !it.size.contains(&0));
        chunks.map(|(Rectangle { at, size }, item)| Chunk {
            at,
            size,
            item: (*item != NOWHERE).then(|| self.item(*item)),
        })
    }

    /// The number of the file with the first chunk of what is a tensor.
    pub(crate) fn first_file(&self, entry: &Entry) -> Option<usize> {
        let Entry::Tensor(tensor) = entry else { return None };
        let item = tensor.items_in(&self.order).iter().find(|item| **item != NOWHERE)?;
        Some(self.item(*item).file)
    }

    /// What the chunks of a tensor cover, those without elements included.
    pub(crate) fn rectangles<'m>(&'m self, tensor: &'m Chunked) -> Vec<Rectangle<'m>> {
        tensor.chunks.iter().map(|chunk| self.rectangle(chunk)).collect()
    }

    fn rectangle(&self, (at, size): &(SizesId, SizesId)) -> Rectangle<'_> {
        let sizes = |id: &SizesId| &*self.sizes[id.number() as usize];
        Rectangle { at: sizes(at), size: sizes(size) }
    }

    /// The path of a name, which is a key at the root if nothing else is known.
    pub(crate) fn path(&self, name: &str) -> Cow<'_, [Step]> {
        match self.paths.get(name) {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(vec![Step::key(name)]),
        }
    }

    /// Adds what the metadata of another rank says, which was saved without collectives: each
    /// describes its own chunks alone, and those that are the same are replicas.
    ///
    /// # Errors
    /// Ranks that do not agree on what a name is.
    pub(crate) fn merge(&mut self, other: Metadata) -> Result<(), Fault> {
        if self.entries.is_empty() && self.files.is_empty() {
            *self = other;
            return Ok(());
        }
        let moved = Moved::into(self, &other);
        for (name, mut entry) in other.entries {
            moved.entry(&mut entry);
            match (self.entries.get_mut(&name), entry) {
                (None, entry) => drop(self.entries.insert(name, entry)),
                (Some(Entry::Object(_)), Entry::Object(_)) => {}
                (Some(Entry::Tensor(own)), Entry::Tensor(other)) if own.is_like(&other) => {
                    own.add(&other, &self.order);
                }
                _ => {
                    let what = format!("the metadata files do not agree on what '{name}' is");
                    return Err(Fault::broken(what));
                }
            }
        }
        for (name, path) in other.paths {
            self.paths.entry(name).or_insert(path);
        }
        Ok(())
    }
}

/// What the numbers of one metadata become in another.
struct Moved {
    sizes: Vec<SizesId>,
    /// How many items there were before.
    items: u32,
}

impl Moved {
    /// Adds all tables of `other`.
    fn into(all: &mut Metadata, other: &Metadata) -> Moved {
        let files: Vec<u32> =
            other.files.iter().map(|it| number(all.files.insert_full(it.clone()).0)).collect();
        let sizes = other.sizes.iter();
        let sizes = sizes.map(|it| SizesId::at(all.sizes.insert_full(it.clone()).0)).collect();
        let transforms = other.transforms.iter();
        let transforms: Vec<u32> =
            transforms.map(|it| number(all.transforms.insert_full(it.clone()).0)).collect();
        let moved = Moved { sizes, items: number(all.items.len()) };
        let kinds = other.kinds.iter().map(|(file, transforms_of)| {
            let kind = (files[*file as usize], transforms[*transforms_of as usize]);
            number(all.kinds.insert_full(kind).0)
        });
        let kinds: Vec<u32> = kinds.collect();
        let items = other.items.iter();
        all.items.extend(items.map(|item| item.of_kind(kinds[item.kind as usize])));
        all.order.extend(other.order.iter().map(|item| moved.item(*item)));
        moved
    }

    fn entry(&self, entry: &mut Entry) {
        match entry {
            Entry::Object(item) => *item = self.item(*item),
            Entry::Tensor(tensor) => {
                for (at, size) in &mut tensor.chunks {
                    *at = self.sizes[at.number() as usize];
                    *size = self.sizes[size.number() as usize];
                }
                match &mut tensor.items {
                    // There are as many in the order as there are items.
                    Items::InOrder(start) => *start += self.items,
                    Items::Each(items) => {
                        items.iter_mut().for_each(|item| *item = self.item(*item));
                    }
                }
            }
        }
    }

    fn item(&self, item: ItemId) -> ItemId {
        if item == NOWHERE { item } else { ItemId(item.0 + self.items) }
    }
}

/// A number of a table, of which each entry takes some bytes of the metadata.
fn number(place: usize) -> u32 {
    u32::try_from(place).expect("a pickle's memo has 32-bit places, and its reader a limit")
}

impl Chunked {
    fn is_like(&self, other: &Chunked) -> bool {
        self.dtype == other.dtype && self.shape == other.shape
    }

    /// Adds the chunks of another rank that are not there yet.
    fn add(&mut self, other: &Chunked, order: &[ItemId]) {
        let own: IndexSet<(SizesId, SizesId)> = self.chunks.iter().copied().collect();
        let mut items = self.items_in(order).to_vec();
        for (chunk, item) in other.chunks.iter().zip(other.items_in(order)) {
            if !own.contains(chunk) {
                self.chunks.push(*chunk);
                items.push(*item);
            }
        }
        self.items = Items::Each(items);
    }

    fn items_in<'m>(&'m self, order: &'m [ItemId]) -> &'m [ItemId] {
        match &self.items {
            Items::InOrder(start) => &order[*start as usize..][..self.chunks.len()],
            Items::Each(items) => items,
        }
    }

    /// How many elements it has.
    pub(crate) fn count(&self) -> u64 {
        Tensor::unlocated(self.dtype.clone(), self.shape.clone()).count()
    }
}
