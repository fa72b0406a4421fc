//! The files of a save, loaded as far as what they build: never executed.

use std::sync::Arc;

use statedict_core::{
    Fault, Format, Key, Node, Store,
    objects::{Object, Objects},
};
use statedict_pth::PTH;

/// What one file builds; its tensors have places in the checkpoint's address space.
pub(crate) struct States {
    pub(crate) file: String,
    objects: Arc<Objects>,
}

impl States {
    /// Opens a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn open(store: &dyn Store, file: &str) -> Result<States, Fault> {
        let opened = store.open(file)?;
        let in_file = |fault: Fault| fault.in_file(file);
        let container = PTH.open(opened.source.as_ref()).map_err(in_file)?;
        let unknown = || Fault::broken("it is not a file that torch.save wrote").in_file(file);
        let mut objects = container.ok_or_else(unknown)?.objects().map_err(in_file)?;
        let objects = objects.as_mut().ok_or_else(unknown)?;
        for object in &mut objects.all {
            if let Object::Tensor(tensor) = object {
                *tensor = tensor.moved(opened.start);
            }
        }
        let objects = Arc::new(std::mem::take(objects));
        Ok(States { file: file.to_string(), objects })
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node::root(&self.objects)
    }

    /// Something that a file of this kind has.
    ///
    /// # Errors
    /// That it has no such thing.
    pub(crate) fn need<'a>(&self, node: Node<'a>, key: &str) -> Result<Node<'a>, Fault> {
        node.get(key).ok_or_else(|| self.broken(format!("it has no '{key}'")))
    }

    /// A fault of this file.
    pub(crate) fn broken(&self, what: impl Into<String>) -> Fault {
        Fault::broken(what).in_file(&self.file)
    }
}

/// Names with their shapes, in order: `OrderedDict` of `torch.Size`.
///
/// # Errors
/// Anything else.
pub(crate) fn shapes(states: &States, node: Node<'_>) -> Result<Vec<(String, Vec<u64>)>, Fault> {
    let shape = |(key, shape): (&Key, Node<'_>)| {
        let name = key.to_string();
        match shape.sizes() {
            Some(sizes) => Ok((name, sizes)),
            None => Err(states.broken(format!("'{name}' has a shape that is not made of numbers"))),
        }
    };
    node.entries().map(shape).collect()
}
