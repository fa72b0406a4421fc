//! The recipe that was found, held against both files before it is given away.

use std::path::Path;

use statedict_checkpoint::{Checkpoint, are_made};
use statedict_core::{Expression, IndexMap, Policy, Rule, StateDict, plan_stages};

use crate::jobs::derive::Outcome;
use crate::jobs::error::Error;
use crate::jobs::recipe;
use crate::jobs::rules::Rules;
use crate::jobs::sizes::SizeSources;

/// What a recipe makes, by the new keys.
type Made = IndexMap<String, Expression>;

impl Outcome {
    /// Takes back rules that do not give the tensors of the second file, element by element.
    pub(super) fn keep_proven(
        &mut self,
        (file, a, ours): (&Path, &Checkpoint, &StateDict),
        (b, theirs): (&Checkpoint, &StateDict),
    ) -> Result<(), Error> {
        if self.derivation.tensor_rules.is_empty() {
            return Ok(());
        }
        let Some(made) = self.made(file, a, ours) else {
            let all: Vec<usize> = (0..self.derivation.tensor_rules.len()).collect();
            self.derivation.retract(&all);
            return Ok(());
        };
        let tensor = |key: &str| a.catalog().tensor(ours, key);
        let (mut pairs, mut rules, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for (at, rule) in self.derivation.tensor_rules.iter().enumerate() {
            for key in &rule.targets {
                let target = b.catalog().tensor(theirs, key);
                let elements = made.get(key).and_then(|it| it.evaluate(&|_, key| tensor(key)).ok());
                match elements.zip(target) {
                    Some((elements, target)) => {
                        pairs.push((elements.cast(&target.dtype), target));
                        rules.push(at);
                    }
                    None => failed.push(at),
                }
            }
        }
        let is_made = are_made(a, b, &pairs)?;
        failed.extend(rules.into_iter().zip(is_made).filter(|(_, is)| !is).map(|(at, _)| at));
        self.derivation.retract(&failed);
        Ok(())
    }

    /// What the recipe makes of the first file; none if it cannot be planned.
    fn made(&self, file: &Path, a: &Checkpoint, ours: &StateDict) -> Option<Made> {
        let (rules, sizes) = match recipe::parse(&self.recipe(), None).ok()? {
            Rules::Stages(stages) => (stages, Default::default()),
            Rules::Recipe(recipe) => (recipe.rules().cloned().collect(), recipe.sizes),
            // Nothing else is what `recipe` writes.
            Rules::Saved(_) | Rules::Undone(_) | Rules::Merge(_) => return None,
        };
        let rules: Vec<&Rule> = rules.iter().collect();
        let stages = SizeSources::default().bind(&sizes, &rules, file).ok()?;
        let planned = plan_stages(&stages, a.catalog(), &[ours], Policy::default()).ok()?;
        let [section] = planned.plan.sections() else { return None };
        let renamed = || {
            let keys = section.kept().filter_map(|(old, new)| {
                let tensor = a.catalog().tensor(ours, old)?;
                Some((new.to_string(), Expression::key(old, tensor)))
            });
            keys.collect()
        };
        Some(section.tensors().cloned().unwrap_or_else(renamed))
    }
}
