//! Checkpoints that are joined into one.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_core::{Collision, Section, Source};

use super::{Checkpoint, Found};
use crate::disk::System;
use crate::several::{Part, SeveralFolders};
use crate::source::FileSource;

/// One of the checkpoints that are joined.
#[derive(Debug)]
pub struct JoinedPart {
    /// What it is called among the others: the path below which it is in their catalog.
    pub title: String,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The state dicts that are taken of it, and the keys that they get.
    pub sections: Vec<Section>,
}

impl Checkpoint {
    /// Several checkpoints as one, which has at its root a state dict of all tensors that the
    /// sections take; their bytes lie one after another in one address space.
    ///
    /// It is there to be written to a new file.
    ///
    /// # Errors
    /// Every key that several tensors would have.
    pub fn joined(parts: Vec<JoinedPart>) -> Result<Checkpoint, Vec<Collision>> {
        let path = parts.first().map_or(PathBuf::new(), |part| part.checkpoint.path.clone());
        let (mut source, mut folders) = (FileSource::joined(Vec::new()), Vec::new());
        let (mut sections, mut metadata) = (Vec::new(), Vec::new());
        let mut manifests = Vec::new();
        for JoinedPart { title, checkpoint, sections: own } in parts {
            for section in own {
                metadata.push((title.clone(), checkpoint.metadata_after(&section)));
                sections.push(section.below(&title));
            }
            manifests.extend(checkpoint.manifests);
            let (start, folder) = (source.len(), checkpoint.files);
            folders.push(Part { prefix: title, start, folder, catalog: checkpoint.joined });
            source.append(checkpoint.source);
        }
        let mut files = SeveralFolders::new(folders);
        files.put_together(&sections)?;
        for (title, metadata) in metadata {
            files.add_metadata(&title, metadata);
        }
        let files = Box::new(files);
        let found = Found { path, folder: None, manifests, source, files };
        Ok(Checkpoint::new(&PathBuf::new(), found, Arc::new(System), None))
    }
}
