//! The metadata of a new checkpoint, as PyTorch 2.2 and later write and read it.
//!
//! What later versions added, such as the path of the folder, is left out, as they read it without.
//! Source: `torch/distributed/checkpoint/metadata.py` and `filesystem.py`.

use statedict_core::Manifest;

use super::pickler::Pickler;
use crate::names::METADATA;
use statedict_pth::opcode;

const CLASSES: &str = "torch.distributed.checkpoint.metadata";
const FILE_CLASSES: &str = "torch.distributed.checkpoint.filesystem";

/// The metadata, to be written.
#[derive(Clone, Debug)]
pub(super) struct NewMetadata {
    /// The names of the data files.
    files: Vec<String>,
    tensors: Vec<NewTensor>,
}

/// A tensor in a data file.
#[derive(Clone, Debug)]
pub(super) struct NewTensor {
    pub(super) name: String,
    /// What PyTorch calls the element type.
    pub(super) dtype: &'static str,
    pub(super) shape: Vec<u64>,
    /// The number of its file, and where it is in that.
    pub(super) file: usize,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl NewMetadata {
    /// What leads to these tensors in these files.
    pub(super) fn boxed(files: Vec<String>, tensors: Vec<NewTensor>) -> Box<dyn Manifest> {
        Box::new(NewMetadata { files, tensors })
    }
}

impl Manifest for NewMetadata {
    fn name(&self) -> &str {
        METADATA
    }

    fn rename_file(&mut self, from: &str, to: &str) {
        for name in self.files.iter_mut().filter(|name| *name == from) {
            to.clone_into(name);
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut pickler = Pickler::default();
        pickler.object(CLASSES, "Metadata", |pickler| {
            pickler.text("state_dict_metadata");
            pickler.dict(|pickler| self.tensors.iter().for_each(|it| it.metadata(pickler)));
            pickler.text("planner_data");
            pickler.dict(|pickler| self.tensors.iter().for_each(|it| it.path(pickler)));
            pickler.text("storage_data");
            pickler.dict(|pickler| {
                self.tensors.iter().for_each(|it| it.place(&self.files[it.file], pickler));
            });
        });
        pickler.finish()
    }

    fn boxed(&self) -> Box<dyn Manifest> {
        Box::new(self.clone())
    }
}

impl NewTensor {
    /// Its name and what it is: one chunk as large as the whole.
    fn metadata(&self, pickler: &mut Pickler) {
        pickler.text(&self.name);
        pickler.object(CLASSES, "TensorStorageMetadata", |pickler| {
            pickler.text("properties");
            self.properties(pickler);
            pickler.text("size");
            pickler.size(&self.shape);
            pickler.text("chunks");
            pickler.push(&[opcode::EMPTY_LIST]);
            pickler.object(CLASSES, "ChunkStorageMetadata", |pickler| {
                pickler.text("offsets");
                pickler.size(&self.origin());
                pickler.text("sizes");
                pickler.size(&self.shape);
            });
            pickler.push(&[opcode::APPEND]);
        });
    }

    /// Type, layout, no gradient, memory format, not pinned: the tuple that every version reads.
    fn properties(&self, pickler: &mut Pickler) {
        pickler.global(CLASSES, "TensorProperties");
        pickler.push(&[opcode::EMPTY_TUPLE, opcode::NEWOBJ, opcode::MARK]);
        pickler.global("torch", self.dtype);
        pickler.once(b"l".to_vec(), |pickler| {
            pickler.global("torch.serialization", "_get_layout");
            pickler.text("torch.strided");
            pickler.push(&[opcode::TUPLE1, opcode::REDUCE]);
        });
        pickler.push(&[opcode::NEWFALSE]);
        pickler.once(b"m".to_vec(), |pickler| {
            pickler.global(CLASSES, "_MEM_FORMAT_ENCODING");
            pickler.number(0);
            pickler.push(&[opcode::TUPLE1, opcode::REDUCE]);
        });
        pickler.push(&[opcode::NEWFALSE, opcode::TUPLE, opcode::BUILD]);
    }

    /// Its name and its path in the state dict, which is flat.
    fn path(&self, pickler: &mut Pickler) {
        pickler.text(&self.name);
        pickler.text(&self.name);
        pickler.push(&[opcode::TUPLE1]);
    }

    /// Which chunk it is, and where that is.
    fn place(&self, file: &str, pickler: &mut Pickler) {
        pickler.object(CLASSES, "MetadataIndex", |pickler| {
            pickler.text("fqn");
            pickler.text(&self.name);
            pickler.text("index");
            pickler.number(0);
            pickler.text("offset");
            pickler.size(&self.origin());
        });
        pickler.object(FILE_CLASSES, "_StorageInfo", |pickler| {
            pickler.text("relative_path");
            pickler.text(file);
            pickler.text("offset");
            pickler.number(self.offset);
            pickler.text("length");
            pickler.number(self.length);
        });
    }

    /// Where its chunk begins.
    fn origin(&self) -> Vec<u64> {
        vec![0; self.shape.len()]
    }
}
