//! Several checkpoints, or several state dicts of one, in one new file.

mod prefixes;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Existing;
use statedict_core::{MetadataEdits, Opening, Policy, Unmatched};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::rename::{Destination, Encoding, Extent, Outcome, Rename, Strictness};
use crate::jobs::target::sharded_formats;

pub use prefixes::GivenPrefix;
pub use sources::{JoinedSource, Sources};

/// The path of the state dict that is made of all the others.
const JOINED: &str = "/";

/// Joins checkpoints, or state dicts of one, in one new file.
///
/// Tensors are copied as they are; a key that two of them would have is refused, and what is no
/// tensor is listed.
///
/// # Example
/// ```no_run
/// use statedict::jobs::join::{GivenPrefix, Sources};
/// use statedict::{Join, silent};
///
/// let join = Join {
///     sources: Sources {
///         files: vec!["a.safetensors".into(), "b.pth".into()],
///         prefixes: vec![GivenPrefix::parse("text=")?, GivenPrefix::parse("vision=")?],
///         ..Sources::default()
///     },
///     output: Some("all.safetensors".into()),
///     ..Join::default()
/// };
/// for source in &join.run(&silent())?.joined {
///     println!("{} keys of {}", source.keys, source.file.display());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Join {
    /// What is joined.
    pub sources: Sources,
    /// How checkpoints of many files are opened.
    pub opening: Opening,
    /// The file to write, whose extension chooses the format; none to see what would be done.
    pub output: Option<PathBuf>,
    /// How tensors are encoded.
    pub encoding: Encoding,
    /// What is to change of the text beside the tensors.
    pub metadata: MetadataEdits,
    /// Whether what cannot be done wholly is refused.
    pub strictness: Strictness,
    /// What to do if the file to be written exists.
    pub existing: Existing,
}

impl Join {
    /// Does it, or all but the writing where no output is named.
    ///
    /// # Errors
    /// Every key that several tensors would have, and whatever else keeps it from being done; nothing
    /// has been changed then.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        Rename::from(self.clone()).run(observer)
    }
}

/// A file of joined tensors is one whose keys keep the names that joining gives them.
impl From<Join> for Rename {
    fn from(join: Join) -> Rename {
        let Join { sources, opening, output, mut encoding, metadata, strictness, existing } = join;
        encoding.extent = Extent::Tensors;
        if output.is_none() && encoding.sharding.is_none() && encoding.format.is_none() {
            encoding.format = sharded_formats().next_back();
        }
        Rename {
            file: sources.files.first().cloned().unwrap_or_default(),
            at: Some(JOINED.into()),
            sources: Some(sources),
            opening,
            policy: Policy { unmatched: Unmatched::Allow, ..Policy::default() },
            destination: output.map_or(Destination::Nowhere, Destination::File),
            encoding,
            metadata,
            strictness,
            existing,
            ..Rename::default()
        }
    }
}
