//! The new file of a fit.

use statedict_checkpoint::{PendingFiles, SideFiles};
use statedict_core::{
    Format, Headroom, MetadataChange, Plan, Section,
    fit::{Assembled, Fit},
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::fit::{OutputSummary, Work};
use crate::jobs::rename::broken_ties;
use crate::jobs::target::{self, is_same_file};

/// The new file, before it is written.
pub(super) struct NewFile {
    pub(super) summary: OutputSummary,
    pub(super) pending: PendingFiles,
    /// What makes it of the source.
    pub(super) plan: Plan,
}

impl Work<'_> {
    /// The new file: the old one with other keys where that is all, or the tensors encoded again.
    ///
    /// `computed` says what becomes of the keys where tensors are taken apart, joined or turned.
    pub(super) fn lay_out(
        &self,
        fit: &Fit,
        computed: Option<Section>,
        assembled: Assembled,
    ) -> Result<NewFile, Error> {
        let (sharding, output) = (self.request.sharding, self.request.output.as_deref());
        let asked = self.request.format;
        let folder =
            output.filter(|it| target::is_folder(it, self.source, asked, sharding.as_ref()));
        let side_files = match folder {
            Some(folder) => target::side_files(folder, self.source, self.request.companions)?,
            None => SideFiles::default(),
        };
        let to = self.format_wanted(folder.is_some())?;
        let metadata = self.request.metadata.resolve(&self.source.metadata());
        target::refuse_metadata(&metadata, to)?;
        let Assembled { mut contents, expressions, left: mut omitted, made } = assembled;
        let is_computed = computed.is_some();
        let section = computed.unwrap_or_else(|| fit.section(self.side()));
        let is_renamed_only = !is_computed
            && made.is_empty()
            && to.name() == self.source.format().name()
            && sharding.is_none();
        let (pending, tied, plan) = if is_renamed_only && self.keeps_its_form(fit) {
            let plan = Plan::from(section).with_metadata(metadata.clone());
            (self.source.rewrite_plainly(&plan, Headroom::Usual)?, Vec::new(), plan)
        } else {
            let followed = self.source.metadata_after(&section);
            contents.metadata = MetadataChange::apply(&metadata, followed);
            let recorded = contents.recorded_ties();
            contents.fit_into(to, &mut omitted);
            let tied = broken_ties(&contents, to, &recorded);
            let pending = match sharding {
                Some(sharding) => self.source.encode_shards(to, contents, sharding.limit),
                None => self.source.encode(to, &contents),
            };
            let path = self.source.path();
            let pending = pending.map_err(|error| Error::unsupported(path, &error))?;
            if !omitted.is_empty() && output.is_some_and(|it| is_same_file(it, path)) {
                let error = format!("{}: it holds more than the new file would", path.display());
                return Err(Error::refused(vec![error]).advise(Advice::WriteElsewhere));
            }
            let plan = Plan::from(section.with_tensors(expressions));
            (pending, tied, plan.with_metadata(metadata.clone()))
        };
        let (bytes, files) = (pending.len(), pending.files());
        // One file of a model folder keeps its name in another, or gets the usual one.
        let pending = match folder {
            Some(_) => pending.in_folder(target::model_name(self.source, to)),
            None => pending,
        };
        let summary = OutputSummary { made, omitted, metadata, to, tied, bytes, files, side_files };
        Ok(NewFile { summary, pending, plan })
    }

    fn format_wanted(&self, is_folder: bool) -> Result<&'static dyn Format, Error> {
        let (format, sharding) = (self.request.format, self.request.sharding);
        let wanted = match &self.request.output {
            Some(path) if is_folder => target::format_of_folder(path, format, sharding.as_ref())?,
            Some(path) => Some(target::format_of(path, format)?),
            None => sharding.map(|sharding| sharding.format).or(format),
        };
        Ok(wanted.unwrap_or_else(|| self.source.format()))
    }

    /// True if the source is a state dict as it is, whose tensors are wanted in their order.
    fn keeps_its_form(&self, fit: &Fit) -> bool {
        let section = fit.section(self.side());
        let wanted = fit.pairs.iter().map(|pair| pair.to.as_str());
        self.ours.path.is_empty()
            && self.ours.fixed.is_none()
            && !self.source.is_sharded()
            && !self.target.is_appended()
            && fit.pairs.iter().all(|pair| pair.cast.is_none())
            && section.kept().map(|(_, new)| new).eq(wanted)
    }
}
