//! Other keys for a checkpoint whose tensors stay where they are.

use std::path::Path;

use sha2::{Digest, Sha256};
use statedict_core::{Container, Growth, Layout, Manifest, NewFile, PendingFiles, Plan, Renamed};

use super::Checkpoint;
use crate::disk::{Existing, PrependSupport};
use crate::error::{Action, Cause, Error};
use crate::in_place::{Decision, Editor, Locked, Member, Replaced, Together, digest};
use crate::write::stage::stage_bytes;

impl Checkpoint {
    /// Edits the one file in place, if that can be.
    pub(super) fn edit(
        &self,
        container: &dyn Container,
        plan: &Plan,
        locked: &Locked,
    ) -> Result<Option<Replaced>, Error> {
        let editor = Editor { locked, source: &self.source, disk: &self.disk };
        for growth in growths(self.disk.front(&locked.file)) {
            let layout = container.rewrite_in_place(plan, growth);
            let layout = layout.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))?;
            let Some(layout) = layout else { continue };
            if let Some(replaced) = editor
                .edit(&layout)
                .map_err(|cause| Error::new(Action::Write, &self.path, cause))?
            {
                return Ok(Some(replaced));
            }
        }
        Ok(None)
    }

    /// Edits several files in place, if that can be: those that change, and their manifest.
    pub(super) fn edit_together(
        &self,
        rewritten: &PendingFiles,
        locked: &Locked,
    ) -> Result<Option<Replaced>, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, &self.path, cause);
        let PendingFiles::Folder { files, manifest: Some(manifest), gone } = rewritten else {
            return Ok(None);
        };
        // Where blocks can be shared, new files cost as little, and the old ones can be read on.
        let can_share = matches!(self.disk.front(&locked.file), PrependSupport::Share { .. });
        if can_share || !gone.is_empty() || !is_at(manifest.as_ref(), &locked.path) {
            return Ok(None);
        }
        let mut members = Vec::new();
        for file in files.iter().filter(|file| file.changed) {
            let Some(member) = self.member(file, locked)? else { return Ok(None) };
            members.push(member);
        }
        if members.is_empty() {
            // One file is replaced in one step as it is.
            return Ok(None);
        }
        let bytes = manifest.to_bytes();
        let decision = Decision {
            manifest: manifest.name().to_string(),
            before: digest(&locked.path).map_err(failed)?,
            after: Sha256::digest(&bytes).into(),
        };
        if decision.before == decision.after {
            // Nothing would say which of the files are read.
            return Ok(None);
        }
        // Who edits a file must be the only one that has it open.
        self.source.let_go();
        let decide = || {
            let like = locked.file.metadata().map_err(|error| failed(error.into()))?;
            let (out, existing) = (&locked.path, Existing::Replace);
            stage_bytes(bytes, Some(&like), out, existing, &self.disk)?.commit()
        };
        Together { members, decision, disk: &self.disk }.edit(&self.path, decide)
    }

    /// A file with other keys around its tensors; `None` where that cannot be.
    fn member(&self, file: &NewFile, locked: &Locked) -> Result<Option<Member>, Error> {
        let failed = |cause: Cause| Error::new(Action::Write, &self.path, cause);
        let Some(Renamed { start, plan }) = &file.renamed else { return Ok(None) };
        let Some(container) = self.files.container_at(*start) else { return Ok(None) };
        let Some((path, first)) = self.source.reopened_at(*start) else { return Ok(None) };
        for growth in growths(self.disk.front(&locked.file)) {
            let layout = container.rewrite_in_place(plan, growth);
            let layout = layout.map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))?;
            if let Some(layout) = layout.filter(|layout: &Layout| layout.edits().is_some()) {
                return Member::new(path, first, &locked.path, layout).map_err(failed);
            }
        }
        Ok(None)
    }
}

/// True if a manifest is to be where the file is that is locked.
fn is_at(manifest: &dyn Manifest, locked: &Path) -> bool {
    locked.file_name().is_some_and(|name| name == manifest.name())
}

/// How a file may grow on a file system, the cheaper way first.
fn growths(front: PrependSupport) -> impl Iterator<Item = Growth> {
    let block = match front {
        PrependSupport::Insert { block } | PrependSupport::Share { block } => {
            Some(Growth::Insert { block })
        }
        PrependSupport::Copy => None,
    };
    [Some(Growth::Within), block].into_iter().flatten()
}
