//! The files that a checkpoint is read from, and what tells that one of them has changed.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use statedict_core::{Data, Elements, Fault, Layout, Origin, Part, Source, Tensor};

use super::Checkpoint;
use crate::disk::plain_file::regular;
use crate::error::{Action, Cause, Error};
use crate::source::FileSource;

/// Elements at each end that count as header, so that other weights of the same form are mostly
/// noticed.
const MARGIN: u64 = 64 << 10;

/// The most that is read at each end of a file; no header of a known format may be longer.
const MOST: u64 = 128 << 20;

/// How much is read at once.
const WINDOW: u64 = 1 << 20;

/// A file that a checkpoint is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of its header: what lies before the first and after the last element, and 64 KiB
    /// at each end; all of what has no elements, such as an index.
    pub header: [u8; 32],
}

impl InputFile {
    /// A file without elements, all of which counts.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub fn whole(path: &Path) -> Result<InputFile, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let source = FileSource::whole(path).map_err(failed)?;
        let (path, bytes) = (path.to_path_buf(), source.len());
        let header = digest(&source, [0..bytes, bytes..bytes]);
        let header = header.map_err(|fault| Error::new(Action::Read, &path, fault))?;
        Ok(InputFile { path, bytes, header })
    }
}

impl Checkpoint {
    /// The files that this checkpoint is read from: those with tensors in the order in which they
    /// lie in the address space, and what led to them.
    ///
    /// # Errors
    /// What keeps a header from being read.
    pub fn inputs(&self) -> Result<Vec<InputFile>, Error> {
        let places: Vec<_> = self.source.places().collect();
        let mut within = places.iter().map(|(place, _)| place.end..place.start).collect::<Vec<_>>();
        for row in &self.catalog().rows {
            each_range(&row.tensor, &mut |range| {
                let place = self.source.number_at(range.start);
                if let Some(known) = place.and_then(|place| within.get_mut(place)) {
                    *known = known.start.min(range.start)..known.end.max(range.end);
                }
            });
        }
        let mut inputs = Vec::new();
        for ((place, path), elements) in places.into_iter().zip(within) {
            let path = path.unwrap_or(&self.path).to_path_buf();
            let header = digest(&self.source, header(&place, &elements));
            let header = header.map_err(|fault| Error::new(Action::Read, &path, fault))?;
            inputs.push(InputFile { path, bytes: place.end - place.start, header });
        }
        for manifest in &self.manifests {
            if inputs.iter().all(|input| input.path != *manifest) {
                inputs.push(InputFile::whole(manifest)?);
            }
        }
        Ok(inputs)
    }

    /// The paths of the files with tensors, which are the first of the [inputs](Checkpoint::inputs).
    pub fn input_paths(&self) -> Vec<PathBuf> {
        let paths = self.source.places().map(|(_, path)| path.unwrap_or(&self.path));
        paths.map(Path::to_path_buf).collect()
    }

    /// How many bytes of elements a layout takes from each of the [inputs](Checkpoint::inputs) that
    /// it reads, by the position of that input.
    pub fn reads(&self, layout: &Layout) -> Vec<(usize, u64)> {
        let mut bytes = vec![0u64; self.source.lengths().count()];
        let mut count = |range: Range<u64>| {
            let place = self.source.number_at(range.start);
            if let Some(read) = place.and_then(|place| bytes.get_mut(place)) {
                *read = read.saturating_add(range.end.saturating_sub(range.start));
            }
        };
        for part in layout.parts() {
            match part {
                Part::Copy(range) => count(range.clone()),
                Part::Elements(elements) => each_read(elements, &mut count),
                Part::New(_) | Part::Crc32(_) => {}
            }
        }
        bytes.into_iter().enumerate().filter(|(_, read)| *read > 0).collect()
    }

    /// True if there is a file of a layout's length whose bytes are the layout's own wherever those
    /// are known before anything is read: its header.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn is_written(layout: &Layout, path: &Path) -> Result<bool, Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        if fs::symlink_metadata(path).is_err() {
            return Ok(false);
        }
        let file = FileSource::from_file(regular(path).map_err(failed)?);
        let file = file.map_err(|error| failed(error.into()))?;
        if file.len() != layout.len() {
            return Ok(false);
        }
        let mut at = 0;
        for part in layout.parts() {
            if let Part::New(own) = part {
                let there = file.bytes(at..at + part.len());
                if *there.map_err(|fault| failed(fault.into()))? != **own {
                    return Ok(false);
                }
            }
            at += part.len();
        }
        Ok(true)
    }
}

/// The SHA-256 of the bytes that a layout has of its own, which are known before anything is read:
/// the header of a file.
pub(super) fn own_bytes(layout: &Layout) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in layout.parts() {
        if let Part::New(bytes) = part {
            hash.update(bytes);
        }
    }
    hash.finalize().into()
}

/// What counts as header of a file with elements in this range; all of it if there are none.
fn header(file: &Range<u64>, elements: &Range<u64>) -> [Range<u64>; 2] {
    let first = elements.start.saturating_add(MARGIN).min(file.start.saturating_add(MOST));
    let head = file.start..first.min(file.end);
    let last = elements.end.min(file.end.saturating_sub(MARGIN));
    let last = last.max(file.end.saturating_sub(MOST)).max(head.end);
    [head, last..file.end]
}

fn digest(source: &FileSource, ranges: [Range<u64>; 2]) -> Result<[u8; 32], Fault> {
    let mut hash = Sha256::new();
    for range in ranges {
        hash.update((range.end - range.start).to_le_bytes());
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + WINDOW);
            hash.update(source.bytes(at..end)?);
            at = end;
        }
    }
    Ok(hash.finalize().into())
}

/// Where the storages of a tensor are.
fn each_range(tensor: &Tensor, found: &mut dyn FnMut(&Range<u64>)) {
    match &tensor.data {
        Data::View(view) => found(view.storage().location.range()),
        Data::Blocks(blocks) => {
            blocks.parts().iter().for_each(|part| each_range(&part.tensor, found));
        }
        Data::Unlocated | Data::Opaque { .. } => {}
    }
}

/// The ranges that are read for elements, as long as what is used of them.
fn each_read(elements: &Elements, found: &mut dyn FnMut(Range<u64>)) {
    match elements.origin() {
        Origin::Tensor(tensor) => each_used(tensor, found),
        Origin::Drawn(_) => {}
        Origin::Computed(computed) => {
            computed.formula().operands().into_iter().for_each(|of| each_read(of, found));
        }
        Origin::Blocks(blocks) => blocks.iter().for_each(|it| each_read(it.elements(), found)),
    }
}

fn each_used(tensor: &Tensor, found: &mut dyn FnMut(Range<u64>)) {
    match &tensor.data {
        Data::View(view) => {
            let storage = view.storage().location.range();
            let used = tensor.byte_len().min(storage.end - storage.start);
            found(storage.start..storage.start + used);
        }
        Data::Blocks(blocks) => {
            blocks.parts().iter().for_each(|part| each_used(&part.tensor, found));
        }
        Data::Unlocated | Data::Opaque { .. } => {}
    }
}
