//! A format that only the tests know: a folder of raw arrays, with an index in JSON.
//!
//! ```json
//! {"fc.weight": {"file": "0.raw", "dtype": "F32", "shape": [2, 3]}}
//! ```
//! It shows what a format of folders takes: this folder, and one line in the registry.

mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use statedict_core::{
    Catalog, DType, Facts, Fault, Folder, FolderFormat, Format, IndexMap, Key, Layout, Manifest,
    Manner, NewFile, Opened, Opening, PendingFiles, Plan, Section, StateDict, Storage, Store,
    Tensor, TensorEntry, TensorSet, UnsupportedTensors,
};

/// The name of the index.
const INDEX: &str = "arrays.json";

/// The longest index that is read, in bytes.
const MAX_INDEX: u64 = 1 << 20;

static FACTS: Facts = Facts::of_tensors("raw", &["raw"]);

/// The one value of [`RawArrays`], for the registry.
pub(crate) static RAW_ARRAYS: RawArrays = RawArrays;

pub(crate) struct RawArrays;

/// Where each tensor is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
struct Index(IndexMap<String, Entry>);

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Entry {
    file: String,
    dtype: String,
    shape: Vec<u64>,
}

/// An opened folder.
struct Arrays {
    index: Index,
    /// The range of each file in the address space, in the order of the index.
    ranges: Vec<std::ops::Range<u64>>,
    catalog: Catalog,
}

impl Format for RawArrays {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn folders(&self) -> Option<&dyn FolderFormat> {
        Some(self)
    }

    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        let mut index = Index::default();
        let mut files = Vec::new();
        for (number, (key, elements)) in contents.tensors.iter().enumerate() {
            let name = format!("{number}.raw");
            let mut layout = Layout::new();
            layout.elements(elements.clone());
            let (dtype, shape) = (elements.dtype().name().to_string(), elements.shape().to_vec());
            index.0.insert(key.clone(), Entry { file: name.clone(), dtype, shape });
            files.push(NewFile { name, layout, renamed: None, changed: true });
        }
        Ok(PendingFiles::Folder { files, manifest: Some(index.boxed()), gone: Vec::new() })
    }
}

impl FolderFormat for RawArrays {
    fn kind(&self) -> &'static str {
        "raw arrays"
    }

    fn manifest(&self) -> &'static str {
        "index"
    }

    fn is_manifest(&self, name: &str) -> bool {
        name == INDEX
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        Ok(read(store, manifest)?.0.into_values().map(|entry| entry.file).collect())
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        _opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        let index = read(store, manifest)?;
        let (mut ranges, mut catalog) = (Vec::new(), Catalog::default());
        let mut state_dict = StateDict::default();
        for (key, Entry { file, dtype, shape }) in &index.0 {
            let opened = store.open(file)?;
            let range = opened.start..opened.start + opened.source.len();
            let broken = |what: String| Fault::broken(what).in_file(file);
            let dtype =
                DType::named(dtype).ok_or_else(|| broken(format!("unknown dtype '{dtype}'")))?;
            let storage = Arc::new(Storage::stored(range.clone()));
            let tensor = Tensor::dense(dtype, shape.clone(), 0, storage)
                .map_err(|why| broken(why.to_string()))?;
            if tensor.byte_len() != opened.source.len() {
                let expected = tensor.byte_len();
                let found = opened.source.len();
                return Err(broken(format!("expected {expected} bytes, found {found}")));
            }
            let (path, key) = (Arc::default(), Arc::<str>::from(key.as_str()));
            state_dict
                .insert(key.clone(), Some(catalog.rows.len()))
                .map_err(|twice| Fault::broken(twice.to_string()))?;
            let key = Key::Text(key);
            catalog.rows.push(TensorEntry { path, key, tensor });
            ranges.push(range);
        }
        catalog.state_dicts.push(state_dict);
        Ok(Box::new(Arrays { index, ranges, catalog }))
    }
}

fn read(store: &dyn Store, manifest: &str) -> Result<Index, Fault> {
    let text = store.read(manifest, MAX_INDEX)?;
    serde_json::from_slice(&text).map_err(|error| Fault::broken(format!("no index: {error}")))
}

impl Opened for Arrays {
    fn kind(&self) -> &'static str {
        "raw"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

impl Folder for Arrays {
    fn opened(&self) -> &dyn Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        &RAW_ARRAYS
    }

    fn files(&self) -> Vec<&str> {
        self.index.0.values().map(|entry| entry.file.as_str()).chain([INDEX]).collect()
    }

    /// The files as they are, and an index with other keys.
    fn rewrite(&self, plan: &Plan, _manner: Manner) -> Result<PendingFiles, Fault> {
        let Some(section) = plan.sections().first() else {
            return Err(Fault::Unsupported("the plan says nothing of the state dict".into()));
        };
        let (mut index, mut files, mut gone) = (Index::default(), Vec::new(), Vec::new());
        for ((key, entry), range) in self.index.0.iter().zip(&self.ranges) {
            let Some(new) = section.fate(key).unwrap_or(Some(key)) else {
                gone.push(entry.file.clone());
                continue;
            };
            index.0.insert(new.to_string(), entry.clone());
            let mut layout = Layout::new();
            layout.copy(range.clone());
            let name = entry.file.clone();
            files.push(NewFile { name, layout, renamed: None, changed: false });
        }
        Ok(PendingFiles::Folder { files, manifest: Some(index.boxed()), gone })
    }

    fn encode(
        &self,
        contents: TensorSet,
        _section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        RAW_ARRAYS.encode(&contents)
    }
}

impl Manifest for Index {
    fn name(&self) -> &str {
        INDEX
    }

    fn rename_file(&mut self, from: &str, to: &str) {
        let entries = self.0.values_mut().filter(|entry| entry.file == from);
        entries.for_each(|entry| entry.file = to.to_string());
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers serialise")
    }

    fn boxed(&self) -> Box<dyn Manifest> {
        Box::new(self.clone())
    }
}
