//! Writing the output and the plan, each wholly or not at all.

use statedict_checkpoint::{Checkpoint, Overflow, Replaced, Staged, WriteMethod};
use statedict_core::{Plan, Section};

use crate::jobs::error::{Advice, Error};
use crate::jobs::observer::Observer;
use crate::jobs::rename::files::Work;
use crate::jobs::rename::{Destination, Prepared, Rename, Strictness};
use crate::jobs::rules::Rules;
use crate::jobs::target;
use crate::jobs::words;

/// What has been written and is not yet in its place.
pub(crate) struct Ready {
    /// A file that has a name of its own.
    pub(crate) output: Option<Staged>,
    /// The plan as a file.
    saved: Option<Staged>,
    /// What takes the place of the file itself.
    replacement: Option<Staged>,
    plan: Plan,
    overflows: Vec<Overflow>,
}

/// What came of writing.
#[derive(Default)]
pub(crate) struct Written {
    /// How the file itself was replaced, if that was asked for.
    pub(super) replaced: Option<Replaced>,
    pub(super) overflows: Vec<Overflow>,
    /// The plan with what writing has shown of it.
    pub(super) plan: Option<Plan>,
}

impl Rename {
    /// Writes the output and the plan beside their places, so far as they are wanted.
    pub(crate) fn stage(
        &self,
        checkpoint: &Checkpoint,
        Prepared { planned, work, side_files, .. }: &Prepared,
        observer: &dyn Observer,
    ) -> Result<Ready, Error> {
        let output = match self.new_file().zip(work.pending()) {
            Some((path, new)) => {
                Some(checkpoint.stage_model(new, side_files, path, self.existing)?)
            }
            None => None,
        };
        let plan = match &output {
            Some(staged) => self.exact(checkpoint, staged, &planned.plan)?,
            None => self.refuse_inexact(&planned.plan).map(|()| planned.plan.clone())?,
        };
        let saved = match &self.save_plan {
            Some(path) => {
                // What another checkpoint is made of the same way.
                let plan = plan.clone().with_ties(self.ties(&plan));
                Some(target::stage_text(plan.to_json(), path, self.existing)?)
            }
            None => None,
        };
        let in_place = self.destination == Destination::InPlace;
        let replacement = match work.pending() {
            Some(new) if in_place => Some(checkpoint.stage_in_place(new)?),
            _ => None,
        };
        let overflows = match output.as_ref().or(replacement.as_ref()) {
            Some(staged) => self.overflows(checkpoint, staged, &plan)?,
            None => Vec::new(),
        };
        // An edit in place is small and goes through once it has begun.
        if observer.advance(0).is_break() {
            return Err(Error::stopped());
        }
        Ok(Ready { output, saved, replacement, plan, overflows })
    }

    /// Puts everything in its place, each wholly or not at all.
    pub(crate) fn commit(
        &self,
        checkpoint: &Checkpoint,
        ready: Ready,
        work: &Work,
    ) -> Result<Written, Error> {
        let Ready { output, saved, replacement, plan, overflows } = ready;
        let in_place = self.destination == Destination::InPlace;
        let replaced = match (replacement, work) {
            (Some(staged), Work::Write(new, _)) => {
                staged.commit()?;
                let (written, files) = (new.len(), new.files());
                Some(Replaced { way: WriteMethod::Replaced, written, files })
            }
            (None, Work::Rename) if in_place => {
                Some(checkpoint.rename(&plan, self.encoding.headroom)?)
            }
            _ => None,
        };
        for staged in output.into_iter().chain(saved) {
            staged.commit()?;
        }
        Ok(Written { replaced, overflows, plan: Some(plan) })
    }

    /// The plan with what staging has shown of it, if that leads back where it has to.
    pub(crate) fn exact(
        &self,
        checkpoint: &Checkpoint,
        staged: &Staged,
        plan: &Plan,
    ) -> Result<Plan, Error> {
        let plan = checkpoint.returning(staged, plan.clone());
        self.refuse_inexact(&plan)?;
        Ok(plan)
    }

    /// The tensors of which a cast made finite numbers infinite, if that is not refused.
    pub(crate) fn overflows(
        &self,
        checkpoint: &Checkpoint,
        staged: &Staged,
        plan: &Plan,
    ) -> Result<Vec<Overflow>, Error> {
        let overflows = checkpoint.overflows(staged, plan)?;
        self.refuse_to_overflow(&overflows)?;
        Ok(overflows)
    }

    /// Refuses to undo a recipe of which a constant would not give every bit back.
    fn refuse_inexact(&self, plan: &Plan) -> Result<(), Error> {
        if !matches!(self.rules, Rules::Undone(_)) {
            return Ok(());
        }
        let lost = plan.sections().iter().flat_map(Section::one_way);
        let lost: Vec<String> =
            lost.map(|(key, why)| format!("{}: '{key}' {why}", self.file.display())).collect();
        if lost.is_empty() || self.output().is_none() { Ok(()) } else { Err(Error::refused(lost)) }
    }

    /// Refuses casts that make finite numbers infinite, where that was asked for.
    fn refuse_to_overflow(&self, overflows: &[Overflow]) -> Result<(), Error> {
        if self.strictness == Strictness::Note || overflows.is_empty() {
            return Ok(());
        }
        let lines = overflows.iter().map(|Overflow { key, to, values, .. }| {
            let values = words::overflowed_values(to, *values);
            let result = words::overflow_result(to);
            format!("{}: {values} of '{key}' would become {result}", self.file.display())
        });
        Err(Error::refused(lines.collect()).advise(Advice::CastWithinRange))
    }
}
