//! A folder with a distributed checkpoint, opened.

use std::borrow::Cow;
use std::ops::Range;

use statedict_core::{
    Assembled, Depth, Fault, Incomplete, IndexSet, Nested, Opening, Shortfall, Step, Store, Tensor,
    TensorBlock, Tree,
};

use crate::DCP;
use crate::item::DataFile;
use crate::metadata::{Chunked, Entry, Item, Metadata};
use crate::names::{manifest, metadata_files, missing_metadata};
use crate::whole::{Lengths, shortfall, total};

/// What objects are, as long as nobody looks into them.
const OBJECT: &str = "object";

/// The files that a folder's metadata leads to.
pub(crate) fn files(store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
    let names = store.list()?;
    if !first_manifest(manifest, &names) {
        return Ok(Vec::new());
    }
    let names = metadata_files(manifest, &names)?;
    let metadata = read(store, &names)?;
    let data = metadata.files.iter().map(|file| file.to_string());
    let others = names.into_iter().filter(|name| name != manifest);
    Ok(others.chain(data).collect())
}

/// True for the metadata that leads to everything: that of the first rank, where each has its own.
pub(crate) fn first_manifest(name: &str, names: &[String]) -> bool {
    manifest(names).is_ok_and(|first| first.as_deref() == Some(name))
}

/// What all metadata files say together.
pub(crate) fn read(store: &dyn Store, names: &[String]) -> Result<Metadata, Fault> {
    let mut all = Metadata::default();
    for name in names {
        let opened = store.open(name)?;
        let metadata = Metadata::read(opened.source.as_ref());
        let merged = metadata.and_then(|metadata| all.merge(metadata));
        merged.map_err(|fault| fault.in_file(name))?;
    }
    Ok(all)
}

/// An opened folder, with what else is known of its files.
pub(crate) struct Opened {
    pub(crate) assembled: Assembled,
    pub(crate) metadata: Metadata,
    /// The data files: their names, and where they are in the address space.
    pub(crate) data: Vec<(String, Range<u64>)>,
    /// True if data files have names of tensors, too.
    pub(crate) has_names_in_data: bool,
}

/// Opens a folder; elements are never read.
pub(crate) fn open(store: &dyn Store, manifest: &str, opening: &Opening) -> Result<Opened, Fault> {
    let names = store.list()?;
    let mut files = metadata_files(manifest, &names)?;
    let metadata = read(store, &files)?;
    files.extend(metadata.files.iter().map(|file| file.to_string()));
    let lengths = Lengths::of(&metadata, store, manifest)?;
    let unlisted = missing_metadata(manifest, &names)
        .map(|name| format!("'{name}' is missing, and says which chunks its rank saved"));
    let mut shortfall = shortfall(&metadata, &lengths, unlisted.as_deref());
    let (total, is_strict) = (total(&metadata), opening.incomplete == Incomplete::Refused);
    if is_strict {
        shortfall.refuse(total, unlisted)?;
    }
    let data = metadata.files.iter().map(|_| None).collect();
    let (depth, others) = (opening.depth, IndexSet::default());
    let mut places = Places { store, metadata: &metadata, data, depth, others };
    let (mut tree, mut objects) = places.list(&mut shortfall)?;
    places.others = places.of_other_saves();
    if !places.others.is_empty() {
        (tree, objects) = places.list(&mut shortfall)?;
    }
    if is_strict {
        shortfall.refuse(total, None)?;
    }
    let left_out = shortfall.left_out(|name| Step::joined(&metadata.path(name)));
    let (data, ranges) = (places.data, &mut Vec::new());
    for (name, file) in metadata.files.iter().zip(&data) {
        let range = file.as_ref().map(|it| it.start..it.start + it.source.len());
        ranges.extend(range.map(|range| (name.to_string(), range)));
    }
    let (has_names_in_data, ranges) =
        (data.iter().flatten().any(|file| !file.merged.is_empty()), std::mem::take(ranges));
    let assembled = Assembled {
        format: &DCP,
        files,
        catalog: tree.into_catalog(),
        left_out,
        inferred: None,
        payload: Some(Box::new(move || {
            let mut root = Nested::default();
            for Object { path, item } in &objects {
                if let Some(Some(file)) = data.get(item.file) {
                    root.place(path, file.object(item)?);
                }
            }
            Ok(root.into_value())
        })),
    };
    Ok(Opened { assembled, metadata, data: ranges, has_names_in_data })
}

/// Something beside the tensors, and where it is.
struct Object {
    path: Vec<Step>,
    item: Item,
}

/// Why a tensor cannot be put together.
enum Lack {
    /// An item of a file is not what the metadata says; others may have the same.
    Part(String),
    /// Its chunks do not go together.
    Whole(String),
}

/// Where everything is.
struct Places<'a> {
    store: &'a dyn Store,
    metadata: &'a Metadata,
    /// The data files that were opened, by their numbers.
    data: Vec<Option<DataFile>>,
    depth: Depth,
    /// The numbers of files of which nothing is believed.
    others: IndexSet<usize>,
}

impl Places<'_> {
    /// The numbers of opened files in which something is not what the metadata says.
    fn of_other_saves(&self) -> IndexSet<usize> {
        let files = self.data.iter().enumerate();
        let others = files.filter(|(_, file)| file.as_ref().is_some_and(|file| file.is_other));
        others.map(|(number, _)| number).collect()
    }

    /// Why nothing in a file is believed, if it is not.
    fn disbelief(&self, number: usize) -> Option<String> {
        let file = &self.metadata.files[number];
        let what = "has something else than the metadata says, and may be of another save";
        self.others.contains(&number).then(|| format!("'{file}' {what}"))
    }

    /// Lists what the metadata says, with the places of elements if they are asked for.
    fn list(&mut self, shortfall: &mut Shortfall) -> Result<(Tree, Vec<Object>), Fault> {
        let (mut tree, mut objects) = (Tree::default(), Vec::new());
        for (name, path) in in_order(self.metadata) {
            if shortfall.has(name) {
                continue;
            }
            let twice = match &self.metadata.entries[name] {
                Entry::Object(item) => {
                    let item = self.metadata.item(*item);
                    if let Some(cause) = self.disbelief(item.file) {
                        shortfall.object(name, cause);
                        continue;
                    }
                    self.file(item.file)?;
                    objects.push(Object { path: path.to_vec(), item });
                    tree.add_object(&path, OBJECT)
                }
                Entry::Tensor(tensor) => match self.tensor(name, tensor)? {
                    Ok(tensor) => tree.add_tensor(&path, tensor),
                    Err(Lack::Part(cause)) => {
                        shortfall.part(name, cause, tensor.count());
                        Ok(())
                    }
                    Err(Lack::Whole(cause)) => {
                        shortfall.tensor(name, cause, tensor.count());
                        Ok(())
                    }
                },
            };
            twice.map_err(|twice| Fault::broken(twice.to_string()))?;
        }
        Ok((tree, objects))
    }

    /// A tensor, or what is wrong with one of its items.
    fn tensor(&mut self, name: &str, tensor: &Chunked) -> Result<Result<Tensor, Lack>, Fault> {
        let Chunked { dtype, shape, .. } = tensor;
        if self.depth == Depth::Listing {
            return Ok(Ok(Tensor::unlocated(dtype.clone(), shape.clone())));
        }
        let (metadata, mut parts) = (self.metadata, Vec::new());
        for chunk in metadata.chunks(tensor) {
            let item = chunk.item.as_ref().expect("a tensor without it is known to lack it");
            if let Some(cause) = self.disbelief(item.file) {
                return Ok(Err(Lack::Whole(cause)));
            }
            match self.file(item.file)?.chunk(item, name, dtype, &chunk) {
                Ok(tensor) => parts.push(TensorBlock { at: chunk.at.to_vec(), tensor }),
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                Err(fault) => {
                    let file = &self.metadata.files[item.file];
                    return Ok(Err(Lack::Part(format!("'{file}': {fault}"))));
                }
            }
        }
        if let [only] = parts.as_slice()
            && only.tensor.shape == *shape
        {
            return Ok(Ok(only.tensor.clone()));
        }
        let made = Tensor::of_blocks(dtype.clone(), shape.clone(), shape.clone(), parts);
        Ok(made.map_err(|why| Lack::Whole(format!("'{name}': {why}"))))
    }

    /// A data file, opened when it is first asked for.
    fn file(&mut self, number: usize) -> Result<&mut DataFile, Fault> {
        let file = &mut self.data[number];
        if file.is_none() {
            let opened = self.store.open(&self.metadata.files[number])?;
            *file = Some(DataFile::new(opened.start, opened.source));
        }
        Ok(file.as_mut().expect("it was opened"))
    }
}

/// Names with their paths: as they are in the state dict where that is known, then the others as
/// they were saved.
fn in_order(metadata: &Metadata) -> impl Iterator<Item = (&str, Cow<'_, [Step]>)> {
    let known = metadata.paths.keys().filter(|name| metadata.entries.contains_key(*name));
    let others = metadata.entries.keys().filter(|name| !metadata.paths.contains_key(*name));
    known.chain(others).map(|name| (&**name, metadata.path(name)))
}
