//! What a distributed checkpoint would run where it is loaded.

use statedict_core::{Fault, FilePart, Finding, Location, Store, Tensor, Verdict};
use statedict_pth::{Loader, Trust, scan};

use crate::item::{Packing, packing, unpacked_limit};
use crate::metadata::{Entry, Item, Metadata, is_admitted};
use crate::names::metadata_files;
use crate::open::{first_manifest, read};

/// Why nothing but the classes of such metadata is safe in it.
const UNGUARDED: &str = "no metadata of a checkpoint needs it, and torch.distributed.checkpoint \
    loads metadata without any guard";

/// What is wrong with the metadata, and what loading it would run.
///
/// # Errors
/// Only what keeps it from being read.
pub(crate) fn examine(store: &dyn Store, manifest: &str) -> Result<Vec<Finding>, Fault> {
    let mut findings = Vec::new();
    // What is wrong with the names of the files is found where they are opened.
    let files = metadata_files(manifest, &store.list()?).unwrap_or(vec![manifest.into()]);
    for name in files {
        let source = store.open(&name)?.source;
        let scanned =
            scan(source.as_ref(), 0..source.len(), Trust::Pickle, Loader::Python)?.findings;
        let judged = scanned.into_iter().filter_map(judged);
        findings.extend(judged.map(|finding| finding.within(&name)));
    }
    Ok(findings)
}

/// What a finding means in metadata, for which only known classes are admitted.
fn judged(finding: Finding) -> Option<Finding> {
    let is_known = finding.name.as_deref().is_some_and(is_admitted);
    match finding.verdict {
        Verdict::Safe | Verdict::Unknown if is_known => None,
        Verdict::Safe | Verdict::Unknown if finding.name.is_some() => {
            let Finding { place, what, name, .. } = finding;
            Some(Finding { name, ..Finding::dangerous(place, what, UNGUARDED) })
        }
        _ => Some(finding),
    }
}

/// The items of all data files, each of which is loaded by itself.
///
/// # Errors
/// Metadata that cannot be read.
pub(crate) fn parts(store: &dyn Store, manifest: &str) -> Result<Vec<FilePart>, Fault> {
    let names = store.list()?;
    if !first_manifest(manifest, &names) {
        return Ok(Vec::new());
    }
    let metadata = read(store, &metadata_files(manifest, &names)?)?;
    let mut parts = Vec::new();
    for (name, entry) in &metadata.entries {
        match entry {
            Entry::Object(item) => {
                parts.extend(part(&metadata, name, &metadata.item(*item), None));
            }
            Entry::Tensor(tensor) => {
                for chunk in metadata.chunks(tensor) {
                    let of = Tensor::unlocated(tensor.dtype.clone(), chunk.size.to_vec());
                    let item = chunk.item.as_ref();
                    parts.extend(item.and_then(|item| part(&metadata, name, item, Some(&of))));
                }
            }
        }
    }
    Ok(parts)
}

/// An item as a part of its file; none if nobody knows how it is packed.
fn part(metadata: &Metadata, name: &str, item: &Item, of: Option<&Tensor>) -> Option<FilePart> {
    let range = item.offset..item.offset.checked_add(item.length)?;
    let location = match packing(item).ok()? {
        Packing::Plain => Location::Stored(range),
        Packing::Zstandard => {
            Location::Zstandard { compressed: range, skip: 0, len: unpacked_limit(of) }
        }
    };
    let file = metadata.files.get_index(item.file)?.to_string();
    Some(FilePart { file, location, name: format!("'{name}'") })
}
