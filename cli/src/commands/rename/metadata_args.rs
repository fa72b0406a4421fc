//! Options that change the text beside the tensors, and what they stand for.

use statedict::core::{Glob, MetadataEdits};

use crate::failure::Failure;

/// What every command that writes takes.
#[derive(Debug, clap::Args)]
pub(crate) struct MetadataArgs {
    /// Set a metadata entry: `author=me`; can be repeated
    ///
    /// Metadata are strings under names of their own: `__metadata__` of safetensors, where LoRA
    /// trainers keep their settings, and in a .pth the record `__metadata__.json` of the archive,
    /// which `torch.load` passes over and a conversion to safetensors brings back. npz has no place
    /// for them. `ls --payload` shows them.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Remove the metadata entries whose name matches: `ss_*`; can be repeated
    ///
    /// `*` matches any characters, `?` one. An entry that --metadata sets stays.
    #[arg(long, value_name = "PATTERN")]
    drop_metadata: Vec<Glob>,
}

impl MetadataArgs {
    pub(crate) fn edits(self) -> Result<MetadataEdits, Failure> {
        let pairs = self.metadata.iter().map(String::as_str);
        let edits = MetadataEdits::parse(pairs, self.drop_metadata);
        edits.map_err(|bad| Failure::could_not(format_args!("--metadata: {bad}")))
    }
}
