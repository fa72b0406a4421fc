//! One item of a data file: a chunk of a tensor, or an object.
//!
//! | begins with | is |
//! |---|---|
//! | `PK\x03\x04` | an archive of `torch.save` |
//! | a length and `{` | safetensors with all tensors of its file |
//! | anything else | what a planner of its own wrote |

mod safetensors;
mod zstandard;

use std::sync::Arc;

use statedict_core::{
    DType, Data, Fault, Format, Location, Source, Storage, Stretch, Tensor, Value,
};
use statedict_pth::PTH;

use crate::metadata::{Chunk, Item};
pub(crate) use safetensors::{Merged, places};
use zstandard::Unpacked;

/// How archives begin.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// What an archive of one chunk takes beside its elements at most, in bytes; 1,600 are usual.
const FRAME: u64 = 64 << 10;

/// How an item is packed.
pub(crate) enum Packing {
    Plain,
    Zstandard,
}

/// How an item is packed, which its transforms say.
///
/// # Errors
/// A transform that is not known: it might be encryption.
pub(crate) fn packing(item: &Item) -> Result<Packing, Fault> {
    match item.transforms() {
        [] => Ok(Packing::Plain),
        [only] if is_zstandard(only) => Ok(Packing::Zstandard),
        several => {
            let unknown = several.iter().find(|name| !is_zstandard(name)).unwrap_or(&several[0]);
            let what = format!("it was transformed by '{unknown}', which is not known");
            Err(Fault::Unsupported(what))
        }
    }
}

/// How many bytes an item may unpack to that holds a tensor, or an object.
pub(crate) fn unpacked_limit(tensor: Option<&Tensor>) -> u64 {
    tensor.map_or(zstandard::MAX_OBJECT, |tensor| tensor.byte_len().saturating_add(FRAME))
}

/// True for `stream.zstd` of any version 1.
fn is_zstandard(transform: &str) -> bool {
    let (name, version) = transform.split_once('/').unwrap_or((transform, "1"));
    name == "stream.zstd" && version.split('.').next() == Some("1")
}

/// Why an item cannot hold a chunk, which is known before it is read.
pub(crate) fn refusal(item: &Item, file_len: u64) -> Option<String> {
    match item.offset.checked_add(item.length) {
        Some(end) if end <= file_len => packing(item).err().map(|fault| fault.to_string()),
        _ => Some(format!("it is cut off after {file_len} bytes, and more are needed")),
    }
}

/// Why an item cannot have this many bytes of elements, if it cannot.
pub(crate) fn too_small(item: &Item, elements: u64) -> Option<String> {
    let is_plain = item.transforms().is_empty();
    (is_plain && elements > item.length)
        .then(|| format!("{elements} bytes of elements cannot be in {} bytes", item.length))
}

/// A data file with its items.
pub(crate) struct DataFile {
    /// Where it starts in the checkpoint's address space.
    pub(crate) start: u64,
    pub(crate) source: Box<dyn Source>,
    /// The safetensors in it, by where they begin; why they cannot be read, if they cannot.
    pub(crate) merged: Vec<(u64, Result<Merged, String>)>,
    /// True once something was found in it that the metadata does not say: it may be of another save,
    /// in which what seems right is right by chance.
    pub(crate) is_other: bool,
}

impl DataFile {
    pub(crate) fn new(start: u64, source: Box<dyn Source>) -> DataFile {
        DataFile { start, source, merged: Vec::new(), is_other: false }
    }

    /// The chunk of a tensor that an item holds, its places those of the checkpoint.
    ///
    /// # Errors
    /// What is wrong with the item, and what it holds instead.
    pub(crate) fn chunk(
        &mut self,
        item: &Item,
        name: &str,
        dtype: &DType,
        chunk: &Chunk,
    ) -> Result<Tensor, Fault> {
        let tensor = match packing(item)? {
            Packing::Zstandard => self.unpacked_chunk(item, dtype, chunk)?,
            Packing::Plain if self.is_merged(item)? => self.merged_chunk(item, name, chunk)?,
            Packing::Plain => {
                let range = item.offset..item.offset.saturating_add(item.length);
                let part = Stretch::new(self.source.as_ref(), range);
                let front = part.bytes(0..part.len().min(ARCHIVE.len() as u64))?;
                self.is_other |= front != ARCHIVE;
                archived(&part)?.moved(item.offset)
            }
        };
        self.is_other |= tensor.dtype != *dtype || tensor.shape != *chunk.size;
        if tensor.dtype != *dtype {
            let what = format!("{} in the file, {dtype} in the metadata", tensor.dtype);
            return Err(Fault::broken(what));
        }
        if tensor.shape != *chunk.size {
            let what = format!("{:?} in the file, {:?} in the metadata", tensor.shape, chunk.size);
            return Err(Fault::broken(what));
        }
        Ok(tensor.moved(self.start))
    }

    /// What an object is, as far as that can be shown.
    ///
    /// # Errors
    /// What is wrong with the item.
    pub(crate) fn object(&self, item: &Item) -> Result<Value, Fault> {
        let opaque = || Value::Object("bytes".to_string());
        let range = item.offset..item.offset.saturating_add(item.length);
        let part = Stretch::new(self.source.as_ref(), range);
        let opened = match packing(item)? {
            Packing::Plain => PTH.open(&part)?,
            Packing::Zstandard => PTH.open(&Unpacked::whole(&part)?)?,
        };
        match opened {
            Some(container) => Ok(container.payload()?.unwrap_or_else(opaque)),
            None => Ok(opaque()),
        }
    }

    fn is_merged(&self, item: &Item) -> Result<bool, Fault> {
        if self.merged.iter().any(|(at, _)| *at == item.offset) {
            return Ok(true);
        }
        let end = item.offset.saturating_add(9).min(self.source.len());
        let front = self.source.bytes(item.offset.min(end)..end)?;
        Ok(front.len() == 9 && front[8] == b'{' && !front.starts_with(ARCHIVE))
    }

    fn merged_chunk(&mut self, item: &Item, name: &str, chunk: &Chunk) -> Result<Tensor, Fault> {
        let at = item.offset;
        if !self.merged.iter().any(|(known, _)| *known == at) {
            let part = Stretch::new(self.source.as_ref(), at..self.source.len());
            // All tensors of the file are in it, and none of them has to open it again.
            let merged = match Merged::open(&part) {
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                opened => opened.map_err(|fault| fault.to_string()),
            };
            self.merged.push((at, merged));
        }
        let (_, merged) = self.merged.iter().find(|(known, _)| *known == at).expect("it was added");
        match merged {
            Ok(merged) => Ok(merged.tensor(name, chunk.at)?.moved(at)),
            Err(why) => Err(Fault::broken(format!("the safetensors at byte {at}: {why}"))),
        }
    }

    fn unpacked_chunk(&self, item: &Item, dtype: &DType, chunk: &Chunk) -> Result<Tensor, Fault> {
        let packed = item.offset..item.offset.saturating_add(item.length);
        let part = Stretch::new(self.source.as_ref(), packed.clone());
        let expected = Tensor::unlocated(dtype.clone(), chunk.size.to_vec());
        let unpacked = Unpacked::ends(&part, unpacked_limit(Some(&expected)))?;
        let mut tensor = archived(&unpacked)?;
        let Data::View(view) = &mut tensor.data else { return Ok(tensor) };
        let Location::Stored(range) = &view.storage().location else {
            return Err(Fault::Unsupported("its elements are compressed twice".into()));
        };
        let (skip, len) = (range.start, range.end - range.start);
        let location = Location::Zstandard { compressed: packed, skip, len };
        let byte_order = view.storage().byte_order;
        view.move_to(Arc::new(Storage { location, byte_order }));
        Ok(tensor)
    }
}

/// The tensor that an archive is.
fn archived(source: &dyn Source) -> Result<Tensor, Fault> {
    let Some(container) = PTH.open(source)? else {
        return Err(Fault::broken("it is not an archive of torch.save"));
    };
    match container.catalog().rows.as_slice() {
        [only] if only.path.is_empty() && only.key.as_str().is_empty() => Ok(only.tensor.clone()),
        _ => Err(Fault::broken("it holds something other than one tensor")),
    }
}
