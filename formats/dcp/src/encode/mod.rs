//! New checkpoints: data files of whole tensors, and the metadata that leads to them.

mod metadata;
mod pickler;

use statedict_core::{Elements, Layout, NewFile, PendingFiles, TensorSet, UnsupportedTensors};
use statedict_pth::SavedTensor;

use metadata::{NewMetadata, NewTensor};

/// Where archives begin: their elements are then as aligned in the file as they are in them.
const ALIGNMENT: u64 = 64;

/// Lays out one data file for each set of tensors.
///
/// Every tensor is one chunk, an archive of `torch.save`, of which a loader reads what it needs,
/// whatever the number of its ranks.
///
/// # Errors
/// Every tensor of a type that PyTorch does not have, and ties, which have no place there.
pub(crate) fn encode(sets: &[TensorSet]) -> Result<PendingFiles, UnsupportedTensors> {
    let (mut files, mut names, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
    let mut entries = Vec::new();
    for (number, contents) in sets.iter().enumerate() {
        let mut layout = Layout::new();
        for (key, elements) in &contents.tensors {
            match append(&mut layout, key, elements, number) {
                Ok(tensor) => tensors.push(tensor),
                Err(why) => entries.push((key.clone(), why)),
            }
        }
        let why = "a distributed checkpoint has no place to record ties; write them out with \
                   --ties each";
        entries.extend(contents.ties.iter().map(|(key, _)| (key.clone(), why.to_string())));
        let name = format!("__0_{number}.distcp");
        names.push(name.clone());
        files.push(NewFile { name, layout, renamed: None, changed: true });
    }
    if !entries.is_empty() {
        return Err(UnsupportedTensors { entries });
    }
    let manifest = Some(NewMetadata::boxed(names, tensors));
    Ok(PendingFiles::Folder { files, manifest, gone: Vec::new() })
}

/// Appends a tensor to a data file.
fn append(
    layout: &mut Layout,
    key: &str,
    elements: &Elements,
    file: usize,
) -> Result<NewTensor, String> {
    let SavedTensor { archive, dtype, shape } = SavedTensor::new(elements)?;
    let padding = layout.len().next_multiple_of(ALIGNMENT) - layout.len();
    if padding > 0 {
        layout.bytes(vec![0; padding as usize]);
    }
    let (offset, length) = (layout.len(), archive.len());
    layout.append(archive);
    Ok(NewTensor { name: key.to_string(), dtype, shape, file, offset, length })
}
