//! What becomes of every key, and why that may be refused.

use statedict_checkpoint::Checkpoint;
use statedict_core::{
    Catalog, Issue, MetadataChange, NotSelected, Plan, PlanError, Planned, Policy, Rule, StateDict,
    Template, Unmatched,
    casting::{Uncast, UncastReason, UncastTensor},
    plan_inverse, plan_stages, plan_stages_after,
    sizes::SizeTable,
};

use crate::jobs::error::{Advice, Error};
use crate::jobs::recipe::Recipe;
use crate::jobs::rename::adapter::OpenAdapter;
use crate::jobs::rename::{MergeSummary, Rename, Strictness};
use crate::jobs::rules::Rules;
use crate::jobs::selection::Role;
use crate::jobs::suggestions;

impl Rename {
    /// What becomes of every key, and of the adapter, if one is merged.
    pub(super) fn plan(
        &self,
        checkpoint: &Checkpoint,
        adapter: Option<&OpenAdapter>,
    ) -> Result<(Planned, Option<MergeSummary>), Error> {
        let (planned, merged) = self.plan_keys(checkpoint, adapter)?;
        Ok((self.with_metadata(checkpoint, planned), merged))
    }

    /// The plan with what is to change of the text beside the tensors.
    fn with_metadata(&self, checkpoint: &Checkpoint, mut planned: Planned) -> Planned {
        let plan = std::mem::take(&mut planned.plan);
        let there = checkpoint.metadata();
        let saved = MetadataChange::apply(plan.metadata(), there.clone());
        let unused = self.metadata.unused(&saved);
        planned
            .unused_rules
            .extend(unused.iter().map(|pattern| format!("--drop-metadata {pattern}")));
        let wanted = MetadataChange::apply(&self.metadata.resolve(&saved), saved);
        planned.plan = plan.with_metadata(MetadataChange::between(&there, &wanted));
        planned
    }

    fn plan_keys(
        &self,
        checkpoint: &Checkpoint,
        adapter: Option<&OpenAdapter>,
    ) -> Result<(Planned, Option<MergeSummary>), Error> {
        let catalog = checkpoint.catalog();
        let planned = match &self.rules {
            Rules::Merge(rules) => {
                let (planned, merged) = self.merge(rules, checkpoint, adapter)?;
                return Ok((planned, Some(merged)));
            }
            Rules::Stages(stages) => {
                let (stages, selected) =
                    self.bound(checkpoint, stages.iter(), &SizeTable::default())?;
                self.plan_stages(&stages, catalog, &selected)
            }
            Rules::Recipe(recipe) => {
                let (stages, selected) = self.bound(checkpoint, recipe.rules(), &recipe.sizes)?;
                self.refuse_applied(recipe, &stages, catalog, &selected)?;
                if let Some(rules) = &recipe.merge {
                    let merged = self.merge(rules, checkpoint, adapter);
                    let (before, merged) = match (merged, adapter) {
                        (Err(error), None) => {
                            let how = "the recipe merges an adapter; --adapter ADAPTER names it";
                            return Err(Error::refused(
                                [how.to_string(), error.to_string()].into(),
                            ));
                        }
                        (merged, _) => merged?,
                    };
                    let planned = plan_stages_after(before, &stages, catalog, self.policy)
                        .map_err(|refused| self.refused(refused, &stages, &selected))?;
                    return Ok((planned, Some(merged)));
                }
                if adapter.is_some() {
                    return Err(Error::failed(
                        "no stage of the recipe merges an adapter (--adapter)",
                    ));
                }
                self.plan_stages(&stages, catalog, &selected)
            }
            Rules::Undone(recipe) => {
                let (stages, selected) = self.bound(checkpoint, recipe.rules(), &recipe.sizes)?;
                plan_inverse(&stages, catalog, &selected, self.policy).map_err(|refused| {
                    self.refused(refused, &stages, &selected).advise(Advice::SavePlan)
                })
            }
            Rules::Saved(_) if self.at.is_some() => {
                Err(Error::failed("a saved plan names its state dicts; leave --at out"))
            }
            Rules::Saved(saved) => saved
                .resolve(catalog, self.policy)
                .map_err(|refused| self.refused(refused, &[], &all(catalog))),
        };
        Ok((planned?, None))
    }

    /// The rules with their sizes put in, and the state dicts that they are for.
    fn bound<'a, 'r>(
        &self,
        checkpoint: &'a Checkpoint,
        stages: impl Iterator<Item = &'r Rule>,
        sizes: &SizeTable,
    ) -> Result<(Vec<Rule>, Vec<&'a StateDict>), Error> {
        let stages = self.sizes.bind(sizes, &stages.collect::<Vec<_>>(), &self.file)?;
        let selected = self.selected(checkpoint, &stages)?;
        Ok((stages, selected))
    }

    fn plan_stages(
        &self,
        stages: &[Rule],
        catalog: &Catalog,
        selected: &[&StateDict],
    ) -> Result<Planned, Error> {
        plan_stages(stages, catalog, selected, self.policy)
            .map_err(|refused| self.refused(refused, stages, selected))
    }

    /// Refuses a recipe of which a key says that it has been applied already.
    fn refuse_applied(
        &self,
        recipe: &Recipe,
        stages: &[Rule],
        catalog: &Catalog,
        selected: &[&StateDict],
    ) -> Result<(), Error> {
        let mut problems = Vec::new();
        let keys = || selected.iter().flat_map(|state_dict| state_dict.keys());
        problems.extend(recipe.expect.iter().filter_map(|template| is_there(template, keys())));
        for (i, stage) in recipe.stages.iter().enumerate().filter(|(_, it)| !it.expect.is_empty()) {
            // What a stage sees are the keys that those before it gave.
            let policy = Policy { unmatched: Unmatched::Allow, ..self.policy };
            let before = plan_stages(&stages[..i], catalog, selected, policy)
                .map_err(|refused| self.refused(refused, &stages[..i], selected))?;
            let names = new_names(&before.plan);
            let names = || names.iter().map(String::as_str);
            problems.extend(stage.expect.iter().filter_map(|template| is_there(template, names())));
        }
        if problems.is_empty() {
            return Ok(());
        }
        let lines = problems.iter().map(|problem| format!("{}: {problem}", self.file.display()));
        Err(Error::refused(lines.collect()))
    }

    /// The state dicts that the rules are for.
    fn selected<'a>(
        &self,
        checkpoint: &'a Checkpoint,
        stages: &[Rule],
    ) -> Result<Vec<&'a StateDict>, Error> {
        let catalog = checkpoint.catalog();
        match catalog.select(self.at.as_deref()) {
            // Metadata are the file's, whichever state dict may be meant.
            Err(NotSelected::Several(_)) if stages.is_empty() && !self.metadata.is_empty() => {
                Ok(all(catalog))
            }
            selected => selected.map_err(|error| self.not_selected(checkpoint, &error)),
        }
    }

    /// Writes into the plan what is to be cast; gives what is not.
    pub(super) fn cast(&self, checkpoint: &Checkpoint, plan: &mut Plan) -> Result<Uncast, Error> {
        let uncast =
            self.encoding.casting.apply(plan, checkpoint.catalog(), &checkpoint.metadata());
        if self.strictness == Strictness::Refuse && !uncast.tensors.is_empty() {
            let tensors = uncast.tensors.iter();
            let lines = tensors.map(|it| format!("{}: {}", self.file.display(), not_cast(it)));
            return Err(Error::refused(lines.collect()));
        }
        Ok(uncast)
    }

    /// Refuses a plan that leaves tensors out as the same as others, which they are not.
    pub(crate) fn refuse_unequal(&self, checkpoint: &Checkpoint, plan: &Plan) -> Result<(), Error> {
        let unequal = checkpoint.unequal(plan)?;
        if unequal.is_empty() {
            return Ok(());
        }
        let file = self.file.display();
        let lines = unequal.iter().map(|it| {
            format!(
                "{file}: {} and {} are not the same, and one of them would be lost",
                it.one, it.other
            )
        });
        Err(Error::refused(lines.collect()))
    }

    fn not_selected(&self, checkpoint: &Checkpoint, error: &NotSelected) -> Error {
        let failure = Error::in_file(&self.file, error);
        match error {
            NotSelected::Several(known) if !known.is_empty() => {
                let path = known[0].0.clone();
                let joint = checkpoint.catalog().joint(known).map(Advice::SelectJoined);
                failure.advise(joint).advise(if self.keeps_form(checkpoint) {
                    Advice::SelectOrAll(path)
                } else {
                    Advice::Select { of: Role::First, path }
                })
            }
            other => failure.advise(
                suggestions::near_path(other)
                    .map(|path| Advice::MeantPath { of: Role::First, path }),
            ),
        }
    }

    fn refused(&self, refused: PlanError, stages: &[Rule], selected: &[&StateDict]) -> Error {
        let is_fixed = refused.issues.iter().any(|issue| matches!(issue, Issue::Fixed { .. }));
        let extract =
            is_fixed.then(|| Advice::Extract { file: self.file.clone(), at: self.at.clone() });
        let meant = suggestions::for_refusal(&refused, stages, selected);
        Error::impossible(&self.file, refused).advise(meant).advise(extract)
    }
}

/// That a key is there which a recipe expects not to be.
fn is_there<'a>(template: &Template, mut keys: impl Iterator<Item = &'a str>) -> Option<String> {
    let key = keys.find(|key| template.matches(key))?;
    Some(format!("'{key}' is there already: the recipe seems to have been applied (expect)"))
}

/// The keys that a plan leaves.
fn new_names(plan: &Plan) -> Vec<String> {
    let names = plan.sections().iter().flat_map(|section| match section.tensors() {
        Some(tensors) => tensors.keys().cloned().collect::<Vec<_>>(),
        None => section.kept().map(|(_, new)| new.to_string()).collect(),
    });
    names.collect()
}

fn all(catalog: &Catalog) -> Vec<&StateDict> {
    catalog.state_dicts.iter().collect()
}

/// That a tensor keeps its type, and why.
pub fn not_cast(tensor: &UncastTensor) -> String {
    match &tensor.reason {
        UncastReason::Scaled => {
            format!("'{}' is not cast: it belongs to a quantized layer", tensor.key)
        }
        UncastReason::Layout(layout) => {
            format!("'{}' is not cast: its layout is {layout}", tensor.key)
        }
        UncastReason::Unnamed => format!("'{}' is not cast: its key is not a string", tensor.key),
    }
}
