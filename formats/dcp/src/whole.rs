//! Which tensors have all their elements, and what is missing of the others.

use statedict_core::{Fault, Shortfall, Store, Total, Unassembled, check_coverage};

use crate::item::{refusal, too_small};
use crate::metadata::{Chunked, Entry, Item, Metadata};

/// How long each data file is; none if it is not there.
pub(crate) struct Lengths(Vec<Option<u64>>);

impl Lengths {
    /// Looks at all files that items are in.
    ///
    /// # Errors
    /// A path that leads out of the folder, and a file that cannot be looked at.
    pub(crate) fn of(
        metadata: &Metadata,
        store: &dyn Store,
        manifest: &str,
    ) -> Result<Lengths, Fault> {
        let mut lengths = Vec::new();
        for file in &metadata.files {
            if store.leads_out(file, manifest) {
                return Err(Fault::broken(format!("'{file}' leads out of the folder")));
            }
            lengths.push(store.has(file).then(|| store.length(file)).transpose()?);
        }
        Ok(Lengths(lengths))
    }

    /// Why an item is not there, if it is not.
    fn refusal(&self, item: &Item, metadata: &Metadata) -> Option<String> {
        let file = || metadata.files.get_index(item.file).map_or("", |file| file);
        match self.0.get(item.file).copied().flatten() {
            None => Some(format!("'{}' is missing", file())),
            Some(len) => refusal(item, len).map(|why| format!("'{}': {why}", file())),
        }
    }
}

/// How much there should be.
pub(crate) fn total(metadata: &Metadata) -> Total {
    let mut total = Total::default();
    for entry in metadata.entries.values() {
        if let Entry::Tensor(tensor) = entry {
            total.add(tensor.count());
        }
    }
    total
}

/// Looks for everything that can be known before a data file is opened; `unlisted` is why chunks may
/// be in no metadata, if that is known.
pub(crate) fn shortfall(
    metadata: &Metadata,
    lengths: &Lengths,
    unlisted: Option<&str>,
) -> Shortfall {
    let mut shortfall = Shortfall::default();
    for (name, entry) in &metadata.entries {
        match entry {
            Entry::Object(item) => {
                if let Some(cause) = lengths.refusal(&metadata.item(*item), metadata) {
                    shortfall.object(name, cause);
                }
            }
            Entry::Tensor(tensor) => {
                if let Some((cause, lost)) = lack(name, tensor, (metadata, lengths), unlisted) {
                    shortfall.tensor(name, cause, lost);
                }
            }
        }
    }
    shortfall
}

/// What a tensor lacks, and how many elements that are.
fn lack(
    name: &str,
    tensor: &Chunked,
    (metadata, lengths): (&Metadata, &Lengths),
    unlisted: Option<&str>,
) -> Option<(String, u64)> {
    let (mut lost, mut cause) = (0u64, None);
    // Most chunks are of one size.
    let mut last: (&[u64], u64, u64) = (&[], 1, tensor.dtype.bits().div_ceil(8));
    for chunk in metadata.chunks(tensor) {
        if !std::ptr::eq(last.0, chunk.size) {
            let count = chunk.size.iter().copied().fold(1, u64::saturating_mul);
            let bits = u128::from(count) * u128::from(tensor.dtype.bits());
            let bytes = u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX);
            last = (chunk.size, count, bytes);
        }
        let (_, count, bytes) = last;
        let refused = match &chunk.item {
            None => Some(format!("'{name}': no file is said to have the chunk at {:?}", chunk.at)),
            Some(item) => lengths
                .refusal(item, metadata)
                .or_else(|| Some(format!("'{name}': {}", too_small(item, bytes)?))),
        };
        if let Some(refused) = refused {
            lost = lost.saturating_add(count);
            cause.get_or_insert(refused);
        }
    }
    match check_coverage(&tensor.shape, &metadata.rectangles(tensor)) {
        Ok(()) => {}
        Err(Unassembled::Incomplete { found, count }) => {
            let missing = count.saturating_sub(found);
            lost = lost.saturating_add(missing);
            let gap = || format!("'{name}': {missing} of {count} elements are in no chunk");
            cause.get_or_insert_with(|| unlisted.map_or_else(gap, String::from));
        }
        Err(why) => {
            lost = tensor.count();
            cause = Some(format!("'{name}': {why}"));
        }
    }
    cause.map(|cause| (cause, lost))
}
