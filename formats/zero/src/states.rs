//! Names with their shapes, as the files of a save have them.

use statedict_core::{Fault, Key, Node};
use statedict_pth::SavedFile;

/// Names with their shapes, in order: `OrderedDict` of `torch.Size`.
///
/// # Errors
/// Anything else.
pub(crate) fn shapes(states: &SavedFile, node: Node<'_>) -> Result<Vec<(String, Vec<u64>)>, Fault> {
    let shape = |(key, shape): (&Key, Node<'_>)| {
        let name = key.to_string();
        match shape.sizes() {
            Some(sizes) => Ok((name, sizes)),
            None => Err(states.broken(format!("'{name}' has a shape that is not made of numbers"))),
        }
    };
    node.entries().map(shape).collect()
}
