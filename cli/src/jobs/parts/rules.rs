//! Where new names come from, as JSON.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use statedict_core::{Plan, Rule};

use crate::jobs::error::Error;
use crate::jobs::merge::MergeRules;
use crate::jobs::parts::texts::{Pattern, absolute, number, said};
use crate::jobs::recipe::{self, Direction};
use crate::jobs::rules::Rules;

/// Where new names come from.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RulesText {
    /// A recipe as TOML.
    Recipe(String),
    /// Stages of rules of which the first that recognises a key decides, where no recipe says them.
    Stages(Vec<Vec<String>>),
    /// A recipe that is undone.
    InverseOf(String),
    /// A saved plan.
    Plan(serde_json::Value),
    Merge(MergeText),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeText {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    // Texts, for which every reader of JSON gives the same number.
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<String>,
    weight: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    drop: Vec<Pattern>,
}

impl RulesText {
    pub(super) fn of(rules: &Rules) -> Result<Option<RulesText>, Error> {
        let unsaid = || Error::failed("these rules cannot be written down; save their plan first");
        Ok(Some(match rules {
            Rules::Stages(stages) if stages.is_empty() => return Ok(None),
            Rules::Stages(stages) => {
                let recipe = recipe::to_text(stages).map(RulesText::Recipe);
                let alternatives = |stage: &Rule| {
                    stage.alternatives().iter().map(Rule::to_string).collect::<Vec<_>>()
                };
                let texts = RulesText::Stages(stages.iter().map(alternatives).collect());
                let mut ways = recipe.into_iter().chain([texts]);
                ways.find(|way| way.rules().is_ok_and(|read| read == *rules)).ok_or_else(unsaid)?
            }
            Rules::Recipe(recipe) => RulesText::Recipe(recipe.to_text().ok_or_else(unsaid)?),
            Rules::Undone(recipe) => RulesText::InverseOf(recipe.to_text().ok_or_else(unsaid)?),
            Rules::Saved(plan) => {
                let plan = serde_json::from_str(&plan.to_json());
                RulesText::Plan(plan.expect("a plan is written as JSON"))
            }
            Rules::Merge(MergeRules { config, alpha, weight, drop }) => {
                RulesText::Merge(MergeText {
                    config: config.as_deref().map(absolute).transpose()?,
                    alpha: alpha.map(|number| format!("{number:?}")),
                    weight: format!("{weight:?}"),
                    drop: drop.iter().map(Pattern::of).collect(),
                })
            }
        }))
    }

    pub(super) fn rules(&self) -> Result<Rules, String> {
        Ok(match self {
            RulesText::Recipe(text) => recipe::parse(text, None)?,
            RulesText::Stages(stages) => {
                let stage = |texts: &Vec<String>| {
                    let rules = texts.iter().map(|text| text.parse().map_err(said));
                    Ok(Rule::at_once(rules.collect::<Result<_, String>>()?))
                };
                Rules::Stages(stages.iter().map(stage).collect::<Result<_, String>>()?)
            }
            RulesText::InverseOf(text) => {
                recipe::from_text(text, Path::new("rules"), Direction::Inverse, None)
                    .map_err(said)?
            }
            RulesText::Plan(plan) => {
                Rules::Saved(Plan::from_json(&plan.to_string()).map_err(said)?)
            }
            RulesText::Merge(MergeText { config, alpha, weight, drop }) => {
                Rules::Merge(MergeRules {
                    config: config.as_ref().map(PathBuf::from),
                    alpha: alpha.as_deref().map(number).transpose()?,
                    weight: number(weight)?,
                    drop: drop.iter().map(Pattern::template).collect::<Result<_, _>>()?,
                })
            }
        })
    }
}
