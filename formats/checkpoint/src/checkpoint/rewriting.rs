//! What a checkpoint becomes, laid out: renamed, or its tensors encoded again.

use statedict_core::{
    Fault, Format, Growth, Headroom, Layout, Manner, PendingFiles, Plan, Renamed, Section,
    TensorSet, UnsupportedTensors,
};

use super::Checkpoint;
use crate::elements;
use crate::error::{Action, Error};
use crate::shards::split;
use crate::write::BLOCK;

impl Checkpoint {
    /// The same checkpoint with other keys, and room for longer ones.
    ///
    /// Where the file system can clone files, a new one shares the tensors with this one, and may
    /// differ from what is written elsewhere in padding and in bytes that nothing refers to.
    ///
    /// # Errors
    /// What prevents it.
    pub fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<PendingFiles, Error> {
        self.rewritten(plan, Manner::Kept(reserve))
    }

    /// Layouts of one of the files with other keys that leave its tensors where they are.
    pub(super) fn revised(&self, renamed: &Renamed) -> Vec<Layout> {
        let container = self.files.container_at(renamed.start);
        let growths = [Growth::Within, Growth::Insert { block: BLOCK }];
        // What prevents these prevents nothing else.
        let rewrite_in_place = |growth| container?.rewrite_in_place(&renamed.plan, growth).ok()?;
        let mut layouts: Vec<Layout> = growths.into_iter().filter_map(rewrite_in_place).collect();
        layouts.iter_mut().for_each(|layout| layout.shift(renamed.start));
        layouts
    }

    /// The same, spelled so that loaders read it by default: pickles in protocol 2.
    ///
    /// # Errors
    /// What prevents it.
    pub fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<PendingFiles, Error> {
        self.rewritten(plan, Manner::Plain(reserve))
    }

    fn rewritten(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Error> {
        if plan.computes() {
            let what = "the plan computes tensors, which have to be re-encoded".to_string();
            return Err(Error::new(Action::Rewrite, &self.path, Fault::Unsupported(what)));
        }
        if plan.casts() && !self.format().facts().casts_in_files {
            let name = self.format().name();
            let what = format!("casting tensors of a {name} file means re-encoding them");
            return Err(Error::new(Action::Rewrite, &self.path, Fault::Unsupported(what)));
        }
        self.files
            .rewrite(plan, manner)
            .map_err(|fault| Error::new(Action::Rewrite, &self.path, fault))
    }

    /// A new checkpoint of a format, from tensors of this one.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode(
        &self,
        format: &dyn Format,
        contents: &TensorSet,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(contents)?;
        format.encode(contents)
    }

    /// New files of at most `limit` bytes of elements, with an index, from tensors of this one.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode_shards(
        &self,
        format: &dyn Format,
        contents: TensorSet,
        limit: u64,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(&contents)?;
        let stem = self.stem_in(format).unwrap_or_default();
        let mut pending = split(format, contents, limit, &stem)?;
        if let PendingFiles::Folder { files, manifest: Some(manifest), gone } = &mut pending
            && self.is_part(manifest.name())
        {
            let old = self.files.files().into_iter().filter(|name| {
                *name != manifest.name() && files.iter().all(|file| file.name != *name)
            });
            gone.extend(old.map(String::from));
        }
        Ok(pending)
    }

    /// The same checkpoint with its tensors rewritten, in as many files as it has.
    ///
    /// `section` says which key each tensor has now.
    ///
    /// # Errors
    /// Every tensor that cannot be written, or that the format cannot hold.
    pub fn encode_alike(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        refuse_obstacles(&contents)?;
        self.files.encode(contents, section)
    }
}

/// Refuses tensors whose elements cannot be written, all of them.
fn refuse_obstacles(contents: &TensorSet) -> Result<(), UnsupportedTensors> {
    let obstacles = contents.tensors.iter().filter_map(|(key, elements)| {
        Some((key.clone(), elements::obstacle(elements)?.to_string()))
    });
    match obstacles.collect::<Vec<_>>() {
        none if none.is_empty() => Ok(()),
        entries => Err(UnsupportedTensors { entries }),
    }
}
