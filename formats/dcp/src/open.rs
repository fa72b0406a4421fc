//! A folder with a distributed checkpoint, opened.

use std::borrow::Cow;
use std::sync::Arc;

use statedict_core::{
    self as core, Catalog, Depth, Fault, Folder, Format, Incomplete, LeftOut, Manner, Opening,
    PendingFiles, Plan, Section, Store, Tensor, TensorBlock, TensorSet, UnsupportedTensors, Value,
};

use crate::DCP;
use crate::item::DataFile;
use crate::metadata::{Chunked, Entry, Item, Metadata, Step};
use crate::names::{manifest, metadata_files, missing_metadata};
use crate::tree::{Nested, Tree, joined};
use crate::whole::{Lengths, Problems};

/// Why nothing is written as such a checkpoint.
const UNWRITABLE: &str = "distributed checkpoints are read and not written";

/// An opened folder.
pub(crate) struct Opened {
    /// The files of metadata, then those of elements.
    files: Vec<String>,
    catalog: Catalog,
    left_out: Vec<LeftOut>,
    objects: Vec<Object>,
    data: Vec<Option<DataFile>>,
}

/// Something beside the tensors, and where it is.
struct Object {
    path: Vec<Step>,
    item: Item,
}

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

/// That nothing is written as such a checkpoint.
pub(crate) fn unwritable(contents: &TensorSet) -> UnsupportedTensors {
    let entries = contents.tensors.iter().map(|(key, _)| (key.clone(), UNWRITABLE.to_string()));
    UnsupportedTensors { entries: entries.collect() }
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

impl Opened {
    /// Opens a folder; elements are never read.
    pub(crate) fn open(
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Opened, Fault> {
        let names = store.list()?;
        let mut files = metadata_files(manifest, &names)?;
        let metadata = read(store, &files)?;
        files.extend(metadata.files.iter().map(|file| file.to_string()));
        let lengths = Lengths::of(&metadata, store, manifest)?;
        let problems = Problems::of(&metadata, &lengths);
        let data = metadata.files.iter().map(|_| None).collect();
        let (catalog, left_out) = (Catalog::default(), Vec::new());
        let mut opened = Opened { files, catalog, left_out, objects: Vec::new(), data };
        let hint = || {
            let name = missing_metadata(manifest, &names)?;
            Some(format!("'{name}' is missing, and says which chunks its rank saved"))
        };
        if opening.incomplete == Incomplete::Refused {
            problems.refuse(&metadata, hint())?;
        }
        opened.fill(store, &metadata, problems, opening)?;
        Ok(opened)
    }

    /// Lists what the metadata says, with the places of elements if they are asked for.
    fn fill(
        &mut self,
        store: &dyn Store,
        metadata: &Metadata,
        mut problems: Problems,
        opening: &Opening,
    ) -> Result<(), Fault> {
        let mut tree = Tree::default();
        for (name, path) in in_order(metadata) {
            if problems.has(name) {
                continue;
            }
            let twice = match &metadata.entries[name] {
                Entry::Object(item) => {
                    let object = Object { path: path.to_vec(), item: item.clone() };
                    self.objects.push(object);
                    self.data(store, metadata, item.file)?;
                    tree.add_object(&path)
                }
                Entry::Tensor(tensor) if opening.depth == Depth::Listing => {
                    let Chunked { dtype, shape, .. } = tensor;
                    tree.add_tensor(&path, Tensor::unlocated(dtype.clone(), shape.clone()))
                }
                Entry::Tensor(tensor) => match self.located(store, metadata, name, tensor)? {
                    Ok(tensor) => tree.add_tensor(&path, tensor),
                    Err(cause) => {
                        let all = Tensor::unlocated(tensor.dtype.clone(), tensor.shape.clone());
                        problems.add(name, cause, all.count());
                        Ok(())
                    }
                },
            };
            twice.map_err(|twice| Fault::broken(twice.to_string()))?;
        }
        if opening.incomplete == Incomplete::Refused {
            problems.refuse(metadata, None)?;
        }
        self.left_out = problems.left_out(|name| joined(&path_of(metadata, name)));
        self.catalog = tree.into_catalog();
        Ok(())
    }

    /// A tensor with the places of its elements, or what is wrong with one of its items.
    fn located(
        &mut self,
        store: &dyn Store,
        metadata: &Metadata,
        name: &str,
        tensor: &Chunked,
    ) -> Result<Result<Tensor, String>, Fault> {
        let Chunked { dtype, shape, chunks } = tensor;
        let mut parts = Vec::new();
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            let item = chunk.item.as_ref().expect("chunks without an item are problems");
            let file = self.data(store, metadata, item.file)?;
            match file.chunk(item, name, dtype, chunk) {
                Ok(tensor) => parts.push(TensorBlock { at: chunk.at.to_vec(), tensor }),
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                Err(fault) => {
                    let file = &metadata.files[item.file];
                    return Ok(Err(format!("'{name}' in '{file}': {fault}")));
                }
            }
        }
        if let [only] = parts.as_slice()
            && only.tensor.shape == *shape
        {
            return Ok(Ok(only.tensor.clone()));
        }
        let made = Tensor::of_blocks(dtype.clone(), shape.clone(), shape.clone(), parts);
        Ok(made.map_err(|why| format!("'{name}': {why}")))
    }

    /// A data file, opened when it is first asked for.
    fn data(
        &mut self,
        store: &dyn Store,
        metadata: &Metadata,
        number: usize,
    ) -> Result<&mut DataFile, Fault> {
        let file = &mut self.data[number];
        if file.is_none() {
            let opened = store.open(&metadata.files[number])?;
            let (start, source) = (opened.start, opened.source);
            *file = Some(DataFile { start, source, merged: Vec::new() });
        }
        Ok(file.as_mut().expect("it was opened"))
    }
}

/// Names with their paths: as they are in the state dict where that is known, then the others as
/// they were saved.
fn in_order(metadata: &Metadata) -> impl Iterator<Item = (&str, Cow<'_, [Step]>)> {
    let known = metadata.paths.keys().filter(|name| metadata.entries.contains_key(*name));
    let others = metadata.entries.keys().filter(|name| !metadata.paths.contains_key(*name));
    known.chain(others).map(|name| (&**name, path_of(metadata, name)))
}

/// The path of a name, which is a key at the root if nothing else is known.
fn path_of<'m>(metadata: &'m Metadata, name: &str) -> Cow<'m, [Step]> {
    match metadata.paths.get(name) {
        Some(path) => Cow::Borrowed(path),
        None => Cow::Owned(vec![Step::Key(Arc::from(name))]),
    }
}

impl core::Opened for Opened {
    fn kind(&self) -> &'static str {
        DCP.name()
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Value>, Fault> {
        let mut root = Nested::default();
        for Object { path, item } in &self.objects {
            let Some(file) = self.data.get(item.file).and_then(Option::as_ref) else { continue };
            root.place(path, file.object(item)?);
        }
        Ok(Some(root.into_value()))
    }
}

impl Folder for Opened {
    fn opened(&self) -> &dyn core::Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        &DCP
    }

    fn files(&self) -> Vec<&str> {
        self.files.iter().map(String::as_str).collect()
    }

    fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    fn rewrite(&self, _plan: &Plan, _manner: Manner) -> Result<PendingFiles, Fault> {
        Err(Fault::Unsupported(UNWRITABLE.into()))
    }

    fn encode(
        &self,
        contents: TensorSet,
        _section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        Err(unwritable(&contents))
    }
}
