//! Which tensors have all their elements, and what is missing of the others.

use std::fmt::Write;

use statedict_core::{
    Fault, IndexMap, LeftOut, Rectangle, Store, Tensor, Unassembled, check_coverage,
};

use crate::item::{refusal, too_small};
use crate::metadata::{Chunk, Chunked, Entry, Item, Metadata};

/// The most causes that a message names.
const NAMED: usize = 6;

/// How long each data file is; none if it is not there.
pub(crate) struct Lengths(Vec<Option<u64>>);

/// What is wrong with a tensor or object.
#[derive(Debug)]
pub(crate) struct Problem {
    /// What it is called.
    pub(crate) name: String,
    /// The reason, alike for all that have the same: a file that is missing.
    pub(crate) cause: String,
    /// Elements that are not there.
    lost: u64,
}

/// Everything that is wrong with a checkpoint.
#[derive(Debug, Default)]
pub(crate) struct Problems(IndexMap<String, Problem>);

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
        let length = |file: &std::sync::Arc<str>| {
            if store.leads_out(file, manifest) {
                return Err(Fault::broken(format!("'{file}' leads out of the folder")));
            }
            store.has(file).then(|| store.length(file)).transpose()
        };
        metadata.files.iter().map(length).collect::<Result<_, _>>().map(Lengths)
    }

    /// Why an item is not there, if it is not.
    fn refusal(&self, item: &Item, metadata: &Metadata) -> Option<String> {
        let file = metadata.files.get_index(item.file).map_or("", |file| file);
        match self.0.get(item.file).copied().flatten() {
            None => Some(format!("'{file}' is missing")),
            Some(len) => refusal(item, len).map(|why| format!("'{file}': {why}")),
        }
    }
}

impl Problems {
    /// Looks for everything that can be known before a data file is opened.
    pub(crate) fn of(metadata: &Metadata, lengths: &Lengths) -> Problems {
        let mut problems = Problems::default();
        for (name, entry) in &metadata.entries {
            match entry {
                Entry::Object(item) => {
                    if let Some(cause) = lengths.refusal(item, metadata) {
                        problems.add(name, cause, 0);
                    }
                }
                Entry::Tensor(tensor) => problems.look_at(name, tensor, metadata, lengths),
            }
        }
        problems
    }

    fn look_at(&mut self, name: &str, tensor: &Chunked, metadata: &Metadata, lengths: &Lengths) {
        let (mut lost, mut cause) = (0u64, None);
        for chunk in tensor.chunks.iter().filter(|chunk| !chunk.is_empty()) {
            let bytes = Tensor::unlocated(tensor.dtype.clone(), chunk.size.to_vec());
            let refused = match &chunk.item {
                None => {
                    Some(format!("'{name}': no file is said to have the chunk at {:?}", chunk.at))
                }
                Some(item) => lengths
                    .refusal(item, metadata)
                    .or_else(|| Some(format!("'{name}': {}", too_small(item, bytes.byte_len())?))),
            };
            if let Some(refused) = refused {
                lost = lost.saturating_add(bytes.count());
                cause.get_or_insert(refused);
            }
        }
        let rectangles: Vec<Rectangle<'_>> = tensor.chunks.iter().map(Chunk::rectangle).collect();
        match check_coverage(&tensor.shape, &rectangles) {
            Ok(()) => {}
            Err(Unassembled::Incomplete { found, count }) => {
                lost = lost.saturating_add(count.saturating_sub(found));
                let missing = count.saturating_sub(found);
                let gap = format!("'{name}': {missing} of {count} elements are in no chunk");
                cause.get_or_insert(gap);
            }
            Err(why) => {
                lost = tensor.count();
                cause = Some(format!("'{name}': {why}"));
            }
        }
        if let Some(cause) = cause {
            self.add(name, cause, lost);
        }
    }

    /// Notes what is wrong with something, if nothing is known yet.
    pub(crate) fn add(&mut self, name: &str, cause: String, lost: u64) {
        let problem = || Problem { name: name.to_string(), cause, lost };
        self.0.entry(name.to_string()).or_insert_with(problem);
    }

    /// True if something is wrong with this.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What is left out where the rest is opened.
    pub(crate) fn left_out(&self, path: impl Fn(&str) -> String) -> Vec<LeftOut> {
        let left_out =
            |problem: &Problem| LeftOut { path: path(&problem.name), why: problem.cause.clone() };
        self.0.values().map(left_out).collect()
    }

    /// Refuses a checkpoint with which something is wrong.
    ///
    /// `hint` is what is known of why it may be.
    ///
    /// # Errors
    /// Every cause, and how much it takes with it.
    pub(crate) fn refuse(&self, metadata: &Metadata, hint: Option<String>) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut causes = IndexMap::<&str, usize>::default();
        for problem in self.0.values() {
            *causes.entry(&problem.cause).or_default() += 1;
        }
        let mut what = hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
        let named: Vec<String> = causes.keys().take(NAMED).map(|cause| (*cause).into()).collect();
        what.push_str(&named.join("; "));
        if let Some(more) = causes.len().checked_sub(NAMED).filter(|more| *more > 0) {
            let _ = write!(what, "; and {more} more");
        }
        let tensors = metadata.tensors().count();
        let broken = metadata.tensors().filter(|(name, _)| self.has(name)).count();
        let _ = match tensors {
            0 => write!(what, ": {} of {} objects", self.0.len(), metadata.entries.len()),
            _ => write!(
                what,
                ": {broken} of {tensors} tensors incomplete, {} of the elements lost",
                self.share(metadata)
            ),
        };
        Err(Fault::Incomplete { what, whole: tensors - broken })
    }

    /// The share of all elements that are not there, in percent.
    fn share(&self, metadata: &Metadata) -> String {
        let all: u128 = metadata.tensors().map(|(_, tensor)| u128::from(tensor.count())).sum();
        let lost: u128 = self.0.values().map(|problem| u128::from(problem.lost)).sum();
        let permille = lost.saturating_mul(1000).checked_div(all).unwrap_or(0).min(1000);
        // What is lost is never shown as nothing.
        match permille {
            0 if lost > 0 => "under 0.1 %".to_string(),
            _ => format!("{}.{} %", permille / 10, permille % 10),
        }
    }
}

impl Metadata {
    fn tensors(&self) -> impl Iterator<Item = (&str, &Chunked)> {
        self.entries.iter().filter_map(|(name, entry)| match entry {
            Entry::Tensor(tensor) => Some((&**name, tensor)),
            Entry::Object(_) => None,
        })
    }
}

impl Chunked {
    fn count(&self) -> u64 {
        Tensor::unlocated(self.dtype.clone(), self.shape.clone()).count()
    }
}

impl Chunk {
    /// What it covers.
    fn rectangle(&self) -> Rectangle<'_> {
        Rectangle { at: &self.at, size: &self.size }
    }

    /// True if it has no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.size.contains(&0)
    }
}
