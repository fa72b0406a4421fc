//! Tensors on their way into another file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use core::iter;

use thiserror::Error;

use super::computed::cannot_be;
use super::{Block, Computed};
use crate::catalog::selection::{ancestors, is_within};
use crate::catalog::tensor::{bytes_of, count_of};
use crate::{
    Arithmetic, ByteOrder, Catalog, DType, Format, Headroom, IndexMap, IndexSet, Key, Location,
    Origination, SEPARATOR, Section, StateDict, Tensor,
    init::{RandomInit, Stream},
};

/// The elements of one tensor of a new file, to be written row-major and little-endian.
#[derive(Clone, Debug, PartialEq)]
pub struct Elements {
    pub(super) origin: Origin,
    pub(super) dtype: DType,
    pub(super) shape: Vec<u64>,
}

/// Where the elements of a new tensor come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A tensor of the source, cast where its type is another one.
    Tensor(Tensor),
    /// No file: they are made as they are written.
    Drawn(RandomInit),
    /// Several tensors: they are calculated as they are written.
    Computed(Computed),
    /// Parts of tensors, each at its place.
    Blocks(Vec<Block>),
}

/// What a new file is to hold.
#[derive(Clone, Debug, Default)]
pub struct TensorSet {
    /// The tensors in order, each under its new key.
    pub tensors: Vec<(String, Elements)>,
    /// Text to keep beside the tensors, where the format has a place for it.
    pub metadata: Vec<(String, String)>,
    /// Modules that own tensors, with their versions, where the format has a place for them.
    pub modules: Vec<(String, u64)>,
    /// Keys that share another key's elements and are not written again: (key, the key that is).
    pub ties: Vec<(String, String)>,
    /// Room for longer keys.
    pub reserve: Headroom,
}

/// How to write tensors that share their elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ties {
    /// Write them out for each key.
    #[default]
    Each,
    /// Write them once and record the other keys.
    One,
}

/// What a new file has no place for, or cannot hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    /// Keys of the state dict whose values are not tensors, with what they are.
    pub keys: Vec<(String, String)>,
    /// Keys of the file's metadata.
    pub metadata: Vec<String>,
    /// Paths of other things in the file, with what they are.
    pub payload: Vec<(String, String)>,
}

/// Tensors that a format cannot hold, with the reason for each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", lines(.entries))]
pub struct UnsupportedTensors {
    /// At least one: the key, and the reason.
    pub entries: Vec<(String, String)>,
}

impl UnsupportedTensors {
    /// The refusal of a format that writes no tensor at all; the first stands for them.
    pub fn none_written(contents: &TensorSet, why: impl Into<String>) -> UnsupportedTensors {
        let first = contents.tensors.first().map(|(key, _)| key.clone()).unwrap_or_default();
        UnsupportedTensors { entries: [(first, why.into())].into() }
    }
}

impl Omitted {
    /// True if everything came along.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.metadata.is_empty() && self.payload.is_empty()
    }
}

/// What the metadata of a file of PyTorch's tensors says of itself, as old loaders want to see it.
///
/// A file of another format says so by being one, and one of safetensors is written with it.
const OF_PYTORCH: (&str, &str) = ("format", "pt");

/// True for metadata that says nothing which a conversion would not say again.
pub fn is_implied(key: &str, value: &str) -> bool {
    (key, value) == OF_PYTORCH
}

impl TensorSet {
    /// Leaves out what a format has no place for, and turns recorded ties into what it has.
    pub fn fit_into(&mut self, format: &dyn Format, left: &mut Omitted) {
        self.settle_ties(format);
        if !format.facts().records_ties {
            self.metadata.retain(|(key, value)| !is_implied(key, value));
        }
        if !format.facts().holds_metadata {
            let metadata = core::mem::take(&mut self.metadata);
            left.metadata.extend(metadata.into_iter().map(|(key, _)| key));
        }
        if !format.facts().versions_modules && !self.modules.is_empty() {
            self.modules.clear();
            left.payload.push(("_metadata".to_string(), "versions of modules".to_string()));
        }
    }
}

fn lines(entries: &[(String, String)]) -> String {
    entries.iter().map(|(key, why)| alloc::format!("'{key}': {why}")).collect::<Vec<_>>().join("\n")
}

/// The layout of classes around other tensors.
const WRAPPER: &str = "subclass";

const ONE_RANKS_PART: &str = "it is around other tensors, as one rank's part of a tensor is (DTensor, \
    ShardedTensor); a folder with the files of all ranks is opened as a whole";

impl Elements {
    /// The elements of a tensor, cast to `cast` if it is a real floating-point tensor.
    ///
    /// Gives the reason if the tensor has no plain elements.
    pub fn new(tensor: Tensor, cast: Option<&DType>) -> Result<Elements, String> {
        match &tensor.data {
            // A class goes by its module and name.
            crate::Data::Opaque { layout, .. } if layout.contains('.') => Err(alloc::format!(
                "it is an object of {layout}, which holds tensors in a way that is not known"
            )),
            crate::Data::Opaque { layout, .. } if layout == WRAPPER => {
                Err(ONE_RANKS_PART.to_string())
            }
            crate::Data::Opaque { layout, .. } => {
                Err(alloc::format!("a tensor of layout {layout} has no plain elements"))
            }
            crate::Data::Unlocated => {
                Err("the checkpoint was opened to be listed, not to be read".to_string())
            }
            crate::Data::View(_) => {
                let cast = cast.filter(|_| tensor.dtype.is_float());
                let dtype = cast.unwrap_or(&tensor.dtype).clone();
                let shape = tensor.shape.clone();
                Ok(Elements { origin: Origin::Tensor(tensor), dtype, shape })
            }
            crate::Data::Blocks(blocks) => {
                let whole =
                    Elements::assembled(tensor.dtype.clone(), tensor.shape.clone(), blocks)?;
                Ok(match cast {
                    Some(to) => whole.cast(to),
                    None => whole,
                })
            }
        }
    }

    /// Elements that no file has.
    pub fn drawn(drawing: RandomInit) -> Elements {
        let (dtype, shape) = (drawing.dtype().clone(), drawing.shape().to_vec());
        Elements { origin: Origin::Drawn(drawing), dtype, shape }
    }

    /// The elements in another type, if they are real floating-point numbers.
    #[must_use]
    pub fn cast(mut self, to: &DType) -> Elements {
        if !self.dtype.is_float() {
            return self;
        }
        self.dtype = to.clone();
        match &mut self.origin {
            Origin::Tensor(_) | Origin::Computed(_) => {}
            Origin::Drawn(drawing) => *drawing = drawing.clone().with_dtype(to.clone()),
            Origin::Blocks(blocks) => blocks.iter_mut().for_each(|block| block.cast(to)),
        }
        self
    }

    /// The elements, each combined with a constant.
    ///
    /// # Errors
    /// Elements that are cast or made already, what a formula gives, and types that are not
    /// calculated with.
    pub fn combined(mut self, step: Arithmetic) -> Result<Elements, String> {
        match &mut self.origin {
            Origin::Tensor(tensor) if tensor.dtype != self.dtype => {
                return Err(alloc::format!(
                    "{} was cast to {} before{step}; cast the result instead",
                    tensor.dtype,
                    self.dtype
                ));
            }
            Origin::Tensor(tensor) => *tensor = tensor.combined(step)?,
            Origin::Drawn(_) => {
                return Err(alloc::format!("no{step} for elements that no file has"));
            }
            Origin::Computed(_) => return Err(cannot_be("combined with a constant")),
            Origin::Blocks(blocks) => blocks.iter_mut().try_for_each(|it| it.combine(step))?,
        }
        Ok(self)
    }

    /// Reads them further on, where the source is part of a longer one.
    pub(crate) fn shift(&mut self, by: u64) {
        match &mut self.origin {
            Origin::Tensor(tensor) => *tensor = tensor.moved(by),
            Origin::Drawn(_) => {}
            Origin::Computed(computed) => computed.shift(by),
            Origin::Blocks(blocks) => blocks.iter_mut().for_each(|block| block.shift(by)),
        }
    }

    /// Where they come from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The tensor whose elements they are, if they are those of one.
    pub fn tensor(&self) -> Option<&Tensor> {
        match &self.origin {
            Origin::Tensor(tensor) => Some(tensor),
            Origin::Drawn(_) | Origin::Computed(_) | Origin::Blocks(_) => None,
        }
    }

    /// The element type in the new file.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The size in each dimension.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// How many they are; saturates where a file's shape is beyond counting.
    pub fn count(&self) -> u64 {
        count_of(&self.shape).unwrap_or(u64::MAX)
    }

    /// Bytes in the new file.
    pub fn byte_len(&self) -> u64 {
        bytes_of(&self.shape, &self.dtype)
    }

    /// The range of the source file that holds these very bytes, if there is one.
    pub fn verbatim(&self) -> Option<core::ops::Range<u64>> {
        let tensor = self.tensor()?;
        let view = tensor.as_view()?;
        let storage = view.storage();
        let one_byte = self.dtype.swap_width() <= 1;
        let as_stored = !view.conjugate && !view.negate && view.arithmetic().is_empty();
        let plain = view.is_contiguous() && as_stored;
        let ordered = storage.byte_order == ByteOrder::Little || one_byte;
        let Location::Stored(range) = &storage.location else { return None };
        if !plain || !ordered || tensor.dtype != self.dtype {
            return None;
        }
        if self.byte_len() == 0 {
            return Some(range.start..range.start);
        }
        let start = range.start + view.offset() * self.dtype.bits() / 8;
        Some(start..start + self.byte_len())
    }
}

impl TensorSet {
    /// The tensors of a state dict under the names and in the types that a plan gives them, and what
    /// stays behind.
    ///
    /// # Errors
    /// Every tensor that has no plain elements.
    pub fn gather(
        catalog: &Catalog,
        state_dict: &StateDict,
        section: &Section,
        ties: Ties,
    ) -> Result<(TensorSet, Omitted), UnsupportedTensors> {
        TensorSet::gather_with(catalog, state_dict, section, ties, &|_| None)
    }

    /// The same where a plan speaks of the tensors of an adapter, too, whose places are in the same
    /// file; `adapter` finds them by their keys.
    ///
    /// # Errors
    /// As [`TensorSet::gather`].
    pub fn gather_with<'a>(
        catalog: &'a Catalog,
        state_dict: &StateDict,
        section: &Section,
        ties: Ties,
        adapter: &dyn Fn(&str) -> Option<&'a Tensor>,
    ) -> Result<(TensorSet, Omitted), UnsupportedTensors> {
        let mut contents = TensorSet::default();
        let mut left = Omitted { payload: catalog.beside(state_dict), ..Default::default() };
        let (modules, unknown) = section.versions(&state_dict.modules);
        contents.modules = modules;
        let strange = unknown.into_iter().map(|path| (path, "a module's version".to_string()));
        left.payload.extend(strange);
        let mut unholdable = catalog.unnamed(state_dict);
        let mut no_tensors = Vec::new();
        for (old, new) in section.kept() {
            let Some(tensor) = catalog.tensor(state_dict, old) else {
                no_tensors.push(old.to_string());
                continue;
            };
            if section.tensors().is_some() {
                continue;
            }
            match Elements::new(tensor.clone(), section.cast(old)) {
                Ok(elements) => contents.tensors.push((new.to_string(), elements)),
                Err(why) => unholdable.push((old.to_string(), why)),
            }
        }
        for (new, made) in section.tensors().into_iter().flatten() {
            match made.evaluate(&|of, key: &str| match of {
                Origination::Source => catalog.tensor(state_dict, key),
                Origination::Adapter => adapter(key),
                Origination::Target => None,
            }) {
                Ok(elements) => contents.tensors.push((new.clone(), elements)),
                Err(why) => unholdable.push((new.clone(), why)),
            }
        }
        if !unholdable.is_empty() {
            return Err(UnsupportedTensors { entries: unholdable });
        }
        left.keys = catalog.described(state_dict, no_tensors);
        if ties == Ties::One {
            contents.write_ties_once();
        }
        Ok((contents, left))
    }

    /// The bytes of all elements in the new file; saturates where they are beyond counting.
    pub fn byte_len(&self) -> u64 {
        let lens = self.tensors.iter().map(|(_, elements)| elements.byte_len());
        lens.fold(0, u64::saturating_add)
    }

    /// Groups of keys whose tensors are the same elements at the same place, two or more in each.
    pub fn tied(&self) -> Vec<Vec<&str>> {
        let mut groups = IndexMap::<_, Vec<&str>>::default();
        for (key, elements) in &self.tensors {
            if let Some(place) = elements.place() {
                groups.entry(place).or_default().push(key);
            }
        }
        groups.into_values().filter(|keys| keys.len() > 1).collect()
    }

    /// Keys that the metadata says share another key's elements, each with that key.
    ///
    /// That is how safetensors' `save_model` records what it leaves out: `alias: kept`.
    pub fn recorded_ties(&self) -> Vec<(String, String)> {
        let keys: IndexSet<&str> = self.tensors.iter().map(|(key, _)| key.as_str()).collect();
        let is_tie =
            |alias: &str, kept: &str| is_recorded_tie(alias, kept, |key| keys.contains(key));
        let pairs = self.metadata.iter().filter(|(alias, kept)| is_tie(alias, kept));
        pairs.cloned().collect()
    }

    /// Makes ties that the metadata records into keys, where the format does not record them so.
    fn settle_ties(&mut self, format: &dyn Format) {
        let recorded: IndexMap<String, String> = self.recorded_ties().into_iter().collect();
        if recorded.is_empty() {
            return;
        }
        self.metadata.retain(|(key, _)| !recorded.contains_key(key));
        if format.facts().records_ties {
            self.ties.extend(recorded);
            return;
        }
        let mut aliases = IndexMap::<String, Vec<String>>::default();
        for (alias, kept) in recorded {
            aliases.entry(kept).or_default().push(alias);
        }
        let tensors = core::mem::take(&mut self.tensors);
        for (key, elements) in tensors {
            let own = aliases.swap_remove(&key).unwrap_or_default();
            let twins = own.into_iter().map(|alias| (alias, elements.clone()));
            let twins: Vec<_> = twins.collect();
            self.tensors.push((key, elements));
            self.tensors.extend(twins);
        }
    }

    fn write_ties_once(&mut self) {
        let groups = self.tied();
        let pairs = groups.iter().flat_map(|keys| keys[1..].iter().map(|key| (*key, keys[0])));
        let ties: Vec<_> = pairs.map(|(key, kept)| (key.to_string(), kept.to_string())).collect();
        let aliases: IndexSet<&str> = ties.iter().map(|(key, _)| key.as_str()).collect();
        self.tensors.retain(|(key, _)| !aliases.contains(key.as_str()));
        drop(aliases);
        self.ties = ties;
    }
}

/// Bytes that are passed over in what a storage is unpacked from.
fn skipped(location: &Location) -> u64 {
    match location {
        Location::Deflated { skip, .. } | Location::Zstandard { skip, .. } => *skip,
        Location::Latin1 { text, .. } => match text.as_ref() {
            Location::Deflated { skip, .. } | Location::Zstandard { skip, .. } => *skip,
            _ => 0,
        },
        Location::Stored(_) => 0,
    }
}

/// What makes two tensors of a new file one: where their elements come from, and how they look at
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    shape: &'a [u64],
    spots: Vec<Spot<'a>>,
}

/// Where some of the elements of a tensor come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Spot<'a> {
    Stored {
        storage: (u64, u64),
        /// What is packed together starts at the same byte of the file.
        skip: u64,
        offset: u64,
        shape: &'a [u64],
        strides: &'a [u64],
        dtype: &'a DType,
        lazy: [bool; 2],
        arithmetic: &'a [Arithmetic],
    },
    Drawn {
        key: &'a str,
        seed: u64,
        shape: &'a [u64],
    },
    /// Where what follows is in the tensor.
    Block {
        offset: u64,
        strides: &'a [u64],
    },
}

/// True if a pair of metadata says that `alias` is a key which shares the elements of `kept`.
///
/// The one is not a tensor of the file and the other is; and both are paths of modules, or neither.
pub fn is_recorded_tie(alias: &str, kept: &str, is_tensor: impl Fn(&str) -> bool) -> bool {
    alias != OF_PYTORCH.0
        && alias.contains(SEPARATOR) == kept.contains(SEPARATOR)
        && is_tensor(kept)
        && !is_tensor(alias)
}

impl Elements {
    /// The place of the elements; none for those that have none, or no byte, and share nothing.
    ///
    /// Elements that were resized alike from one place, with the same others beside them, are at one
    /// place too.
    pub fn place(&self) -> Option<Place<'_>> {
        let mut spots = Vec::new();
        if self.byte_len() == 0 || !self.add_spots(&mut spots) {
            return None;
        }
        let is_of_a_file = spots.iter().any(|spot| matches!(spot, Spot::Stored { .. }));
        is_of_a_file.then_some(Place { shape: self.shape(), spots })
    }

    /// Adds where they come from; false if that is not known.
    fn add_spots<'a>(&'a self, spots: &mut Vec<Spot<'a>>) -> bool {
        match &self.origin {
            Origin::Tensor(tensor) => {
                let Some(view) = tensor.as_view() else { return false };
                let location = &view.storage().location;
                spots.push(Spot::Stored {
                    storage: (location.range().start, location.range().end),
                    skip: skipped(location),
                    offset: view.offset(),
                    shape: self.shape(),
                    strides: view.strides(),
                    dtype: self.dtype(),
                    lazy: [view.conjugate, view.negate],
                    arithmetic: view.arithmetic(),
                });
                true
            }
            Origin::Drawn(drawing) => {
                let Stream { key, seed } = drawing.stream();
                spots.push(Spot::Drawn { key, seed: *seed, shape: drawing.shape() });
                true
            }
            // What is calculated for two keys is calculated twice.
            Origin::Computed(_) => false,
            Origin::Blocks(blocks) => blocks.iter().all(|block| {
                spots.push(Spot::Block { offset: block.offset(), strides: block.strides() });
                block.elements().add_spots(spots)
            }),
        }
    }
}

impl Catalog {
    /// The tensors of a state dict whose keys are not strings, which only a pickle can hold.
    pub(crate) fn unnamed(&self, state_dict: &StateDict) -> Vec<(String, String)> {
        let rows = self.rows.iter().filter(|row| *row.path == *state_dict.path);
        let unnamed = rows.filter_map(|row| match &row.key {
            Key::Other(key) => Some((key.to_string(), "the key is not a string".to_string())),
            Key::Text(_) => None,
        });
        unnamed.collect()
    }

    /// What lies beside a state dict and has no place in a file of tensors alone.
    ///
    /// Everything outside of it, and what it has under keys that are not strings; each with its path and
    /// what it is. A listed entry covers all that is nested in it.
    pub fn beside(&self, state_dict: &StateDict) -> Vec<(String, String)> {
        let own = state_dict.path.as_str();
        let is_own = |path: &str| {
            let key = if own.is_empty() { Some(path) } else { path.strip_prefix(own) };
            let key =
                key.map(|key| key.strip_prefix('/').filter(|_| !own.is_empty()).unwrap_or(key));
            key.is_some_and(|key| state_dict.contains(key))
        };
        let is_around = |path: &str| path == own || is_within(own, path);
        let things = self.payload.iter().map(|payload| payload.path.as_str());
        let own_rows: IndexSet<usize> = state_dict.rows().collect();
        // A state dict that is joined from mappings has these within it.
        let parts = self.rows.iter().enumerate().filter(|(row, _)| own_rows.contains(row));
        let parts: IndexSet<&str> =
            parts.flat_map(|(_, row)| iter::once(&*row.path).chain(ancestors(&row.path))).collect();
        let is_part = |path: &str| is_within(path, own) && parts.contains(path);
        let things = things.filter(|path| !is_around(path) && !is_part(path));
        let things: IndexSet<&str> = things.collect();
        let is_nested =
            |path: &str| ancestors(path).any(|at| things.contains(at) || at != own && is_own(at));
        let listed = things.iter().filter(|path| !is_own(path) && !is_nested(path));
        let mut beside = self.with_kinds(listed.map(|path| (*path).to_string()).collect());
        let rows = self.rows.iter().enumerate().filter(|(row, _)| !own_rows.contains(row));
        let rows = rows.map(|(_, row)| row).filter(|row| *row.path != *own);
        let loose = rows.filter(|row| {
            !things.contains(&*row.path) && !is_own(&row.path) && !is_nested(&row.path)
        });
        beside.extend(loose.map(|row| (row.full_path(), "tensor".to_string())));
        beside
    }

    /// Keys of a state dict with what their values are.
    pub(crate) fn described(
        &self,
        state_dict: &StateDict,
        keys: Vec<String>,
    ) -> Vec<(String, String)> {
        let paths = keys.iter().map(|key| match state_dict.path.as_str() {
            "" => key.clone(),
            at => alloc::format!("{at}/{key}"),
        });
        let kinds = self.with_kinds(paths.collect());
        keys.into_iter().zip(kinds).map(|(key, (_, kind))| (key, kind)).collect()
    }

    /// Paths with what they lead to, and how many tensors are nested in it.
    fn with_kinds(&self, paths: Vec<String>) -> Vec<(String, String)> {
        let mut counts: IndexMap<&str, usize> =
            paths.iter().map(|path| (path.as_str(), 0)).collect();
        if !counts.is_empty() {
            for row in &self.rows {
                for at in iter::once(&*row.path).chain(ancestors(&row.path)) {
                    if let Some(count) = counts.get_mut(at) {
                        *count += 1;
                    }
                }
            }
        }
        let kinds: IndexMap<&str, &str> = self
            .payload
            .iter()
            .filter(|payload| counts.contains_key(payload.path.as_str()))
            .map(|payload| (payload.path.as_str(), payload.kind.as_str()))
            .collect();
        let descriptions = paths.iter().map(|path| {
            let kind = kinds.get(path.as_str()).copied().unwrap_or("no tensor");
            match counts.get(path.as_str()).copied().unwrap_or_default() {
                0 => kind.to_string(),
                1 => alloc::format!("{kind}, 1 tensor"),
                tensors => alloc::format!("{kind}, {tensors} tensors"),
            }
        });
        let descriptions: Vec<String> = descriptions.collect();
        paths.into_iter().zip(descriptions).collect()
    }
}
