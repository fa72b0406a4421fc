//! Files of a folder that `torch.save` wrote, with all that they build: never executed.

use statedict_core::{
    Fault, Format, NamedCopy, Node, Source, Store, StoreFile, Tensor, WholeTensor,
    objects::{Object, Objects},
};

use crate::PTH;

/// An opened file of a checkpoint that is several files.
pub struct SavedFile {
    /// Its name in the folder.
    pub name: String,
    source: Box<dyn Source>,
    /// Where it starts in the checkpoint's address space.
    start: u64,
    /// What it builds; tensors have places in the checkpoint's address space.
    objects: Objects,
}

impl SavedFile {
    /// Opens a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(store: &dyn Store, name: &str) -> Result<SavedFile, Fault> {
        let StoreFile { start, source } = store.open(name)?;
        let mut objects = objects(source.as_ref()).map_err(|fault| fault.in_file(name))?;
        for object in &mut objects.all {
            if let Object::Tensor(tensor) = object {
                *tensor = tensor.moved(start);
            }
        }
        Ok(SavedFile { name: name.to_string(), source, start, objects })
    }

    /// What the file as a whole is.
    pub fn root(&self) -> Node<'_> {
        Node::root(&self.objects)
    }

    /// A tensor of it, to be compared with others.
    pub fn whole<'a>(&'a self, tensor: &'a Tensor) -> WholeTensor<'a> {
        WholeTensor { source: self.source.as_ref(), start: self.start, tensor }
    }

    /// The same, by the name of the file.
    pub fn copy<'a>(&'a self, tensor: &'a Tensor) -> NamedCopy<'a> {
        NamedCopy { file: &self.name, whole: self.whole(tensor) }
    }

    /// Where it starts in the checkpoint's address space, and its bytes.
    pub fn place(&self) -> (u64, &dyn Source) {
        (self.start, self.source.as_ref())
    }

    /// Something that a file of this kind has.
    ///
    /// # Errors
    /// That it has no such thing.
    pub fn need<'a>(&self, node: Node<'a>, key: &str) -> Result<Node<'a>, Fault> {
        node.get(key).ok_or_else(|| self.broken(format!("it has no '{key}'")))
    }

    /// A fault of this file.
    pub fn broken(&self, what: impl Into<String>) -> Fault {
        Fault::broken(what).in_file(self.name.as_str())
    }

    /// Something of this file that is not read.
    pub fn unsupported(&self, what: impl Into<String>) -> Fault {
        Fault::Unsupported(what.into()).in_file(self.name.as_str())
    }
}

/// What a file builds.
fn objects(source: &dyn Source) -> Result<Objects, Fault> {
    let container = PTH.open(source)?;
    let objects = container.map(|container| container.objects()).transpose()?.flatten();
    objects.ok_or_else(|| Fault::broken("it is not a file that torch.save wrote"))
}
