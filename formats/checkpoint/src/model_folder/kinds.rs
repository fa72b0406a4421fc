//! Which kinds of checkpoints are several files, and which names say so.

use statedict_core::FolderFormat;

use crate::registry::{FOLDER_FORMATS, FORMATS};
use crate::shards::SHARDS;

/// Every kind of checkpoint that is several files in a folder.
pub(crate) fn folder_formats() -> impl Iterator<Item = &'static dyn FolderFormat> {
    let shards: &dyn FolderFormat = &SHARDS;
    let formats = FOLDER_FORMATS.iter().chain(FORMATS);
    formats.filter_map(|format| format.folders()).chain([shards])
}

/// The kind of checkpoint of which a file of this name is the manifest, if it is one.
pub(crate) fn led_by(name: &str) -> Option<&'static dyn FolderFormat> {
    folder_formats().find(|format| format.is_manifest(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_leads_to_other_files() {
        for name in ["model.safetensors.index.json", "model.safetensors.index.fp16.json"] {
            assert!(led_by(name).is_some_and(|format| format.manifest() == "index"), "{name}");
        }
        assert!(led_by("config.json").is_none() && led_by("model.safetensors").is_none());
    }
}
