//! What a checkpoint becomes, written: elsewhere, or in its own place.

use std::path::Path;

use statedict_core::{Fault, Headroom, Layout, Part, PendingFiles, Plan, Renamed};

use super::Checkpoint;
use crate::disk::Existing;
use crate::elements;
use crate::elements::overflow::{self, Overflow};
use crate::elements::returning;
use crate::error::{Action, Error};
use crate::in_place::{Replaced, WriteMethod};
use crate::model_folder::SideFiles;
use crate::write::stage::{Staged, Stager};
use crate::write::target::{Protected, protection, protection_of_shard};

/// Two tensors, or parts of some, that were to be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unequal {
    /// The path to their state dict.
    pub path: String,
    /// The one that would be taken along.
    pub one: String,
    /// The other.
    pub other: String,
}

impl Checkpoint {
    /// Writes what this checkpoint becomes beside `out`, complete and synced, with this file's mode.
    ///
    /// `out` may be this checkpoint itself. For files in a folder, `out` is that folder (made if it
    /// is not there) or, to replace a sharded checkpoint, its index.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then nothing is left of it.
    pub fn stage(
        &self,
        rewritten: &PendingFiles,
        out: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        if let Some(fault) = self.obstacle(rewritten) {
            return Err(Error::new(Action::Write, out, fault));
        }
        let folder = self.folder.as_deref();
        self.with_stager(out, existing, None, |stager| stager.stage(rewritten, out, folder))
    }

    /// Why files cannot be written, if they cannot.
    pub(super) fn obstacle(&self, rewritten: &PendingFiles) -> Option<Fault> {
        let mut parts = rewritten.layouts().flat_map(Layout::parts);
        let obstacle = parts.find_map(|part| match part {
            Part::Elements(elements) => elements::obstacle(elements),
            _ => None,
        });
        obstacle.or_else(|| elements::repetition(self.len(), rewritten))
    }

    /// Stages files for the folder `out`, with those that belong to the model: they take their
    /// places before an index does.
    ///
    /// # Errors
    /// As [`Checkpoint::stage`].
    pub fn stage_model(
        &self,
        rewritten: &PendingFiles,
        sides: &SideFiles,
        out: &Path,
        existing: Existing,
    ) -> Result<Staged, Error> {
        let mut staged = self.stage(rewritten, out, existing)?;
        let (source, observer) = (&self.source, self.observer.as_ref());
        let (disk, revised) = (&self.disk, &|_: &Renamed| Vec::new());
        let stager = Stager { source, like: None, existing, disk, observer, revised, beside: None };
        stager.carry(sides, out, &mut staged)?;
        Ok(staged)
    }

    /// The files that an edit in place would change although their mode, or a link, speaks against
    /// it; whoever edits nonetheless should have been asked to.
    pub fn protected(&self) -> Vec<Protected> {
        let Some(folder) = &self.folder else {
            return protection(&self.path).into_iter().collect();
        };
        let files = self.files.files().into_iter().map(|name| folder.join(name));
        files.filter_map(|file| protection_of_shard(&file)).collect()
    }

    /// Gives this checkpoint, which was opened to be replaced, other keys by the cheapest way there
    /// is: its tensors are not written where the format and the file system allow that.
    ///
    /// A symbolic link stays and leads to the new file. What is edited in place stays the
    /// same file, under all its names; otherwise a new file takes its place, with room for longer
    /// keys.
    ///
    /// # Errors
    /// Whatever keeps it from being done; then the file is as it was.
    pub fn rename(&self, plan: &Plan, reserve: Headroom) -> Result<Replaced, Error> {
        if let Some(locked) = &self.locked
            && !self.is_sharded()
            && !plan.casts()
            && let Some(container) = self.files.container_at(0)
            && let Some(replaced) = self.edit(container, plan, locked)?
        {
            return Ok(replaced);
        }
        let rewritten = self.rewrite(plan, reserve)?;
        if let Some(locked) = &self.locked
            && !plan.casts()
            && let Some(replaced) = self.edit_together(&rewritten, locked)?
        {
            return Ok(replaced);
        }
        self.replace(&rewritten)
    }

    /// Puts what this checkpoint, which was opened to be replaced, becomes in its place.
    ///
    /// A symbolic link stays and leads to the new file.
    ///
    /// # Errors
    /// Whatever keeps it from being done; then the file is as it was.
    pub fn replace(&self, rewritten: &PendingFiles) -> Result<Replaced, Error> {
        self.stage_in_place(rewritten)?.commit()?;
        Ok(Replaced {
            way: WriteMethod::Replaced,
            written: rewritten.len(),
            files: rewritten.files(),
        })
    }

    /// Writes what this checkpoint, which was opened to be replaced, becomes beside it.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then the file is as it was.
    pub fn stage_in_place(&self, rewritten: &PendingFiles) -> Result<Staged, Error> {
        if let Some(locked) = &self.locked {
            let shared = locked.share();
            shared.map_err(|cause| Error::new(Action::Write, &self.path, cause))?;
        }
        let out = match &self.locked {
            Some(locked) if !self.is_sharded() => &locked.path,
            _ => &self.path,
        };
        self.stage(rewritten, out, Existing::Replace)
    }

    /// The tensors of a plan that has been staged of which a cast made finite numbers infinite.
    ///
    /// # Errors
    /// What keeps elements from being read.
    pub fn overflows(&self, staged: &Staged, plan: &Plan) -> Result<Vec<Overflow>, Error> {
        let found = overflow::overflows(&self.source, self.catalog(), staged.lossy(), plan);
        let mut found = found.map_err(|fault| Error::new(Action::Read, &self.path, fault))?;
        found.extend(returning::overflows(self.catalog(), staged.lossy(), plan));
        Ok(found)
    }

    /// The plan that has been staged, with what that has shown: whether the constants that tensors
    /// are combined with lead back to every bit.
    pub fn returning(&self, staged: &Staged, plan: Plan) -> Plan {
        returning::returning(self.catalog(), staged.lossy(), plan)
    }

    /// The pairs of a plan's [checks](statedict_core::Section::checks) that are not the same, each
    /// with the path of its state dict.
    ///
    /// # Errors
    /// What keeps elements from being read, or from being found.
    pub fn unequal(&self, plan: &Plan) -> Result<Vec<Unequal>, Error> {
        let failed = |fault: Fault| Error::new(Action::Read, &self.path, fault);
        let mut unequal = Vec::new();
        for section in plan.sections() {
            let Some(state_dict) = self.catalog().state_dict_at(section.path()) else { continue };
            let of_file = returning::of_file(self.catalog(), state_dict);
            for (one, other) in section.checks() {
                let [a, b] = [one, other].map(|it| it.evaluate(&of_file).map_err(Fault::broken));
                let (a, b) = (a.map_err(failed)?, b.map_err(failed)?);
                let is_alike = a.dtype() == b.dtype() && a.shape() == b.shape();
                let hash = |elements| elements::sha256(&self.source, elements).map_err(failed);
                if !is_alike || hash(&a)? != hash(&b)? {
                    let (path, one, other) =
                        (section.path().to_string(), one.to_string(), other.to_string());
                    unequal.push(Unequal { path, one, other });
                }
            }
        }
        Ok(unequal)
    }
}
