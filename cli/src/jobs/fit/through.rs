//! A recipe of the library between the two sides: what it makes of the checkpoint is fitted.

use statedict_core::diff::Side;
use statedict_core::fit::{Assembled, Fit as Found, FitPair, MatchBy, Reason};
use statedict_core::sizes::SizeTable;
use statedict_core::{
    Expression, Foreseen, IndexSet, Policy, Rule, Section, TensorSet, Ties, Unmatched,
    plan_inverse, plan_stages,
};

use crate::jobs::error::Error;
use crate::jobs::fit::Work;
use crate::jobs::library;
use crate::jobs::recipe::Direction;
use crate::jobs::rules::Rules;

/// What a recipe of the library makes of the checkpoint, and how that fits.
pub(super) struct Through {
    /// The name of the recipe.
    pub(super) recipe: String,
    pub(super) fit: Found,
    pub(super) assembled: Assembled,
    /// What makes the new file of the checkpoint.
    pub(super) section: Section,
    /// The tensors that the recipe takes apart, joins or turns.
    pub(super) computed: Vec<ComputedTensor>,
}

/// A tensor of the model that is made of others of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputedTensor {
    /// Its key.
    pub to: String,
    /// The keys of the checkpoint that it is made of.
    pub of: Vec<String>,
}

impl Work<'_> {
    /// The one recipe of the library that leads from the names of the checkpoint to those of the
    /// model and makes what the model wants; none where several give different tensors.
    pub(super) fn through(&self, recipes: &[String]) -> Result<Option<Through>, Error> {
        let is_asked_otherwise = self.request.by != MatchBy::Auto
            || self.request.drop_last > 0
            || !self.request.drop.is_empty()
            || self.target.is_appended();
        if is_asked_otherwise {
            return Ok(None);
        }
        let mut found: Option<Through> = None;
        for name in recipes {
            let Some(other) = self.by_recipe(name)? else { continue };
            match &found {
                None => found = Some(other),
                Some(first) if first.section == other.section => {}
                Some(_) => return Ok(None),
            }
        }
        Ok(found)
    }

    /// What a recipe makes of the checkpoint, if that is what the model wants.
    fn by_recipe(&self, name: &str) -> Result<Option<Through>, Error> {
        let Some(first) = self.planned(name) else { return Ok(None) };
        let foreseen = first.foreseen(self.source.catalog(), self.ours);
        let [state_dict] = foreseen.catalog.state_dicts.as_slice() else { return Ok(None) };
        let side = Side { catalog: &foreseen.catalog, state_dict };
        let fit = self.fit_side(side, MatchBy::Suffix)?;
        let Ok(mut assembled) = fit.assemble(side, None, &self.request.fill) else {
            return Ok(None);
        };
        if fit.pairs.is_empty() {
            return Ok(None);
        }
        let section = foreseen.composed(&first, self.ours, &assembled.expressions);
        let plan = section.clone().into();
        if !self.source.unequal(&plan)?.is_empty() {
            return Ok(None);
        }
        let gathered =
            TensorSet::gather(self.source.catalog(), self.ours, &section, Ties::default());
        let Ok((contents, left)) = gathered else { return Ok(None) };
        assembled.contents = contents;
        assembled.left = left;
        if let Some(tensors) = section.tensors() {
            assembled.expressions.clone_from(tensors);
        }
        let (fit, computed) = self.in_names_of_file(fit, &foreseen, &section);
        Ok(Some(Through { recipe: name.to_string(), fit, assembled, section, computed }))
    }

    /// What becomes of the checkpoint by a recipe; none where it cannot be planned.
    fn planned(&self, name: &str) -> Option<Section> {
        let rules = library::find(name).ok()?.rules(Direction::Forward).ok()?;
        let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
        let (catalog, ours) = (self.source.catalog(), [self.ours]);
        let planned = match &rules {
            Rules::Stages(stages) => {
                let stages = self.bound(&SizeTable::default(), stages.iter())?;
                plan_stages(&stages, catalog, &ours, policy)
            }
            Rules::Recipe(recipe) => {
                if recipe.expect.iter().any(|it| self.ours.keys().any(|key| it.matches(key))) {
                    return None;
                }
                let stages = self.bound(&recipe.sizes, recipe.rules())?;
                plan_stages(&stages, catalog, &ours, policy)
            }
            Rules::Undone(recipe) => {
                let stages = self.bound(&recipe.sizes, recipe.rules())?;
                plan_inverse(&stages, catalog, &ours, policy)
            }
            Rules::Saved(_) | Rules::Merge(_) => return None,
        };
        planned.ok()?.plan.sections().first().cloned()
    }

    /// The rules with their sizes, which the configuration beside either side says.
    fn bound<'r>(
        &self,
        sizes: &SizeTable,
        rules: impl Iterator<Item = &'r Rule>,
    ) -> Option<Vec<Rule>> {
        let (given, rules) = (&self.request.sizes, rules.collect::<Vec<_>>());
        let beside = [&self.request.source.file, &self.request.target.file];
        let mut bound = beside.into_iter().map(|file| given.bind(sizes, &rules, file));
        bound.find_map(Result::ok)
    }

    /// The fit with the keys that the checkpoint has, and what the others are made of.
    fn in_names_of_file(
        &self,
        mut fit: Found,
        foreseen: &Foreseen,
        section: &Section,
    ) -> (Found, Vec<ComputedTensor>) {
        let own = |key: &str| match foreseen.made.get(key) {
            Some(Expression::Key { key, .. }) => Some(key.clone()),
            _ => None,
        };
        let mut computed = Vec::new();
        let pairs = std::mem::take(&mut fit.pairs).into_iter();
        fit.pairs = pairs
            .filter_map(|pair: FitPair| match own(&pair.from) {
                Some(from) => Some(FitPair { from, reason: Reason::Recipe, ..pair }),
                None => {
                    let of = section.tensors().and_then(|tensors| tensors.get(&pair.to));
                    let of = of.map(Expression::source_keys).unwrap_or_default();
                    let of: IndexSet<&str> = of.into_iter().collect();
                    let of = of.into_iter().map(String::from).collect();
                    computed.push(ComputedTensor { to: pair.to, of });
                    None
                }
            })
            .collect();
        let used = section.tensors().into_iter().flatten().flat_map(|(_, of)| of.source_keys());
        let used: std::collections::HashSet<&str> = used.collect();
        let unused = self.ours.keys().filter(|key| !used.contains(key));
        fit.unused = unused.map(String::from).collect();
        (fit, computed)
    }
}
