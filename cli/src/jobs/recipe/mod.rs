//! Recipes: rules kept as TOML, in stages; a plan that was saved as JSON is read as well.
//!
//! ```toml
//! [[stage]]
//! strip = "module"
//! [[stage]]
//! rename = ["fc.{rest..} -> head.{rest..}", "re:\\.gamma$ -> .weight"]
//! ```
//!
//! | field | what it says |
//! |---|---|
//! | `separator` | what segments are joined by: one character, or `["/", "."]` for the two sides |
//! | `[size]` | sizes by name: a number, an expression over `config.json`, or a list of them |
//! | `[cut]` | along which dimension ranks cut tensors, by pattern, where no file says so |
//! | `expect` | templates that no key may match before, at the top or in a stage |
//! | `title`, `families`, `from`, `to` | what the recipe is for, and what its keys are before and after |
//!
//! A first stage `merge-lora = true` merges an adapter, which is named beside the recipe.

use std::path::Path;

use serde::Deserialize;
use statedict_core::sizes::SizeTable;
use statedict_core::{Cut, Plan, Rule, Separators, Template};

use crate::jobs::error::{Advice, Error};
use crate::jobs::merge::MergeRules;
use crate::jobs::rules::Rules;
use crate::jobs::text_file::{self, RECIPE};

mod document;
mod stage;
mod text;

pub use document::parse_cut;
pub use text::{Beside, to_text, to_text_beside};

/// Which way to apply what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// As it says.
    #[default]
    Forward,
    /// Backwards: what undoes it.
    Inverse,
}

/// Whether a recipe leads back.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// It has an inverse.
    #[default]
    Both,
    /// It loses something that its inverse would need.
    Forward,
}

/// A recipe: stages of rules, with what they need to be known and what they are for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// What it does, in one line.
    pub title: Option<String>,
    /// The families of models that it is for.
    pub families: Vec<String>,
    /// What names the keys follow before.
    pub from: Option<String>,
    /// What names they follow afterwards.
    pub to: Option<String>,
    /// Whether it leads back.
    pub way: Way,
    /// The sizes that its rules speak of.
    pub sizes: SizeTable,
    /// Along which dimensions tensors were cut whose parts are in the files of ranks.
    pub cuts: Vec<Cut>,
    /// What no key may match before; one that does has been through the recipe already.
    pub expect: Vec<Template>,
    /// How an adapter is merged before the first stage; none where none is.
    pub merge: Option<MergeRules>,
    /// The stages, one after another.
    pub stages: Vec<RecipeStage>,
    /// The text that it was read from; empty where it was made of rules.
    pub text: String,
}

/// One stage of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipeStage {
    /// What it does.
    pub rule: Rule,
    /// What no key may match before it.
    pub expect: Vec<Template>,
}

impl Recipe {
    /// Reads a recipe; its own separators go before the ones given.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn parse(text: &str, separators: Option<Separators>) -> Result<Recipe, String> {
        document::parse(text, separators)
    }

    /// What each stage does.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.stages.iter().map(|stage| &stage.rule)
    }

    /// A text that [`parse`](Recipe::parse) makes this recipe of; `None` where there is none for its
    /// rules.
    pub fn to_text(&self) -> Option<String> {
        if !self.text.is_empty() {
            return Some(self.text.clone());
        }
        to_text(&self.rules().cloned().collect::<Vec<_>>())
    }

    /// True if it has nothing but stages of rules.
    fn is_plain(&self) -> bool {
        let has_expectations = self.stages.iter().any(|stage| !stage.expect.is_empty());
        let Recipe {
            title,
            families,
            from,
            to,
            way,
            sizes,
            cuts,
            expect,
            merge,
            stages: _,
            text: _,
        } = self;
        let has_names = from.is_some() || to.is_some() || *way != Way::default();
        let has_head = title.is_some() || !families.is_empty() || has_names;
        let has_facts = !sizes.is_empty() || !cuts.is_empty() || !expect.is_empty();
        merge.is_none() && !has_head && !has_expectations && !has_facts
    }
}

/// Reads a recipe or a plan, whichever the file holds.
///
/// The separator is that between the segments of keys, where a recipe does not name its own.
///
/// # Errors
/// A file that is neither, or has no inverse if that is wanted.
pub fn read(
    path: &Path,
    direction: Direction,
    separators: Option<Separators>,
) -> Result<Rules, Error> {
    from_text(&text_file::text(path, &RECIPE)?, path, direction, separators)
}

/// The same of a text; the path is what its errors name.
pub(crate) fn from_text(
    text: &str,
    path: &Path,
    direction: Direction,
    separators: Option<Separators>,
) -> Result<Rules, Error> {
    let rules = parse(text, separators).map_err(|error| Error::in_file(path, error))?;
    let advice = (!matches!(rules, Rules::Saved(_))).then_some(Advice::SavePlan);
    match direction {
        Direction::Forward => Ok(rules),
        Direction::Inverse => inverse(rules).map_err(|reason| {
            let problem = format!("{}: {reason}", path.display());
            Error::refused(vec![problem]).advise(advice)
        }),
    }
}

/// The rules of a recipe (TOML) or of a plan (JSON).
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse(text: &str, separators: Option<Separators>) -> Result<Rules, String> {
    if text.trim_start().starts_with('{') {
        let plan = Plan::from_json(text).map_err(|error| error.to_string())?;
        return Ok(Rules::Saved(plan));
    }
    let recipe = Recipe::parse(text, separators)?;
    if recipe.is_plain() {
        return Ok(Rules::Stages(recipe.stages.into_iter().map(|stage| stage.rule).collect()));
    }
    Ok(Rules::Recipe(Box::new(recipe)))
}

/// What undoes rules: stages of which each has an inverse, or else a recipe that is planned backwards.
fn inverse(rules: Rules) -> Result<Rules, String> {
    let recipe = match rules {
        Rules::Saved(plan) => {
            return Ok(Rules::Saved(plan.invert().map_err(|error| error.to_string())?));
        }
        Rules::Merge(_) => return Err("what is merged does not lead back".into()),
        Rules::Recipe(recipe) | Rules::Undone(recipe) => recipe,
        Rules::Stages(stages) => {
            let remaps = stages.iter().rev().map(|stage| match stage {
                Rule::Remap(remap) => Some(remap.invert().into()),
                _ => None,
            });
            if let Some(remaps) = remaps.collect::<Option<Vec<Rule>>>() {
                return Ok(Rules::Stages(remaps));
            }
            let stages = stages.into_iter().map(|rule| RecipeStage { rule, expect: Vec::new() });
            Box::new(Recipe { stages: stages.collect(), ..Recipe::default() })
        }
    };
    if recipe.merge.is_some() {
        return Err("what is merged does not lead back".into());
    }
    if recipe.way == Way::Forward {
        return Err("it loses something that an inverse would need".into());
    }
    let problem = recipe.rules().flat_map(Rule::alternatives).find_map(forgets);
    problem.map_or(Ok(Rules::Undone(recipe)), Err)
}

/// Why a rule cannot be undone, whatever the keys.
fn forgets(stage: &Rule) -> Option<String> {
    let reason = match stage {
        Rule::Unwrap(_) => "what it takes out is not remembered",
        Rule::Replace(_) => "a regular expression cannot be run backwards",
        Rule::Rewrite(_) => "it forgets a part of the key",
        Rule::Formula(rule) => return rule.one_way().map(|why| no_inverse(stage, why)),
        Rule::Remap(_) | Rule::Fates(_) | Rule::Tensor(_) | Rule::FirstOf(_) => return None,
    };
    Some(no_inverse(stage, reason))
}

fn no_inverse(stage: &Rule, reason: &str) -> String {
    format!("stage '{stage}' has no inverse: {reason}")
}

/// The rules of a recipe; the recipe's own separators go before the ones given.
#[cfg(test)]
pub(crate) fn stages(text: &str, separators: Option<Separators>) -> Result<Vec<Rule>, String> {
    Ok(Recipe::parse(text, separators)?.stages.into_iter().map(|stage| stage.rule).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "separator = '.'\n[[stage]]\nunwrap = [\"module\"]\n[[stage]]\n\
        rename = ['a.{n} -> b.{n+1}', 're:x$ -> y']\n[[stage]]\ntable = { k = \"l\" }\n";

    #[test]
    fn every_prefix_and_changed_byte_of_a_recipe_is_rules_or_an_error() {
        assert_eq!(stages(RECIPE, None).expect("a recipe").len(), 3);
        let mut read = 0;
        for end in 0..RECIPE.len() {
            read += usize::from(stages(&RECIPE[..end], None).is_ok());
        }
        let mut damaged = RECIPE.as_bytes().to_vec();
        for at in 0..damaged.len() {
            let byte = damaged[at];
            for value in 0..=u8::MAX {
                damaged[at] = value;
                let text = String::from_utf8_lossy(&damaged);
                read += usize::from(stages(&text, None).is_ok());
            }
            damaged[at] = byte;
        }
        assert!(read > RECIPE.len(), "each byte is itself once: {read}");
    }

    #[test]
    fn a_recipe_names_keys_and_nothing_else() {
        for field in ["output", "file", "include", "run", "at", "in-place"] {
            let error = stages(&format!("{field} = 'x'\n{RECIPE}"), None).expect_err(field);
            assert!(error.contains("unknown field"), "{error}");
            let stage = format!("[[stage]]\n{field} = 'x'\n");
            let error = stages(&stage, None).expect_err(field);
            assert!(error.contains("unknown variant"), "{error}");
        }
    }

    #[test]
    fn deep_recipes_are_refused() {
        for deep in ["[", "{a=", "a."] {
            let text = format!("[[stage]]\nstrip = {}", deep.repeat(100_000));
            assert!(stages(&text, None).is_err(), "{deep}");
        }
    }
}
