//! Where new names come from: rules, alone or in stages, or a plan.

use statedict_core::{BadRemap, Cut, Plan, Rule};

use crate::jobs::merge::MergeRules;
use crate::jobs::recipe::Recipe;

/// Where new names come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    /// Stages, one after another: each sees the keys as the one before named them.
    Stages(Vec<Rule>),
    /// The same of a recipe that says more: sizes, what it expects, what it is for.
    Recipe(Box<Recipe>),
    /// A recipe to be undone, on what it makes: planned backwards and held against what it does.
    Undone(Box<Recipe>),
    /// A plan that was made earlier, to be applied to a file of the same keys.
    Saved(Plan),
    /// An adapter that is merged; every key keeps its name.
    Merge(MergeRules),
}

impl Default for Rules {
    /// No rule: every key keeps its name.
    fn default() -> Rules {
        Rules::Stages(Vec::new())
    }
}

impl Rules {
    /// Rules that are given together: each key sees its original name, and the first rule that
    /// recognises it decides.
    pub fn together(rules: impl IntoIterator<Item = Rule>) -> Rules {
        Rules::Stages(one_stage(rules.into_iter().collect()).into_iter().collect())
    }

    /// True for a recipe that says which families of models it is for.
    pub fn are_for_families(&self) -> bool {
        match self {
            Rules::Recipe(recipe) | Rules::Undone(recipe) => !recipe.families.is_empty(),
            Rules::Stages(_) | Rules::Saved(_) | Rules::Merge(_) => false,
        }
    }

    /// Along which dimensions a recipe says that ranks cut tensors.
    pub(crate) fn cuts(&self) -> &[Cut] {
        match self {
            Rules::Recipe(recipe) | Rules::Undone(recipe) => &recipe.cuts,
            Rules::Stages(_) | Rules::Saved(_) | Rules::Merge(_) => &[],
        }
    }

    /// What each rule does, in words, stage by stage.
    pub fn in_words(&self) -> Vec<String> {
        let stages: Vec<&Rule> = match self {
            Rules::Stages(stages) => stages.iter().collect(),
            Rules::Recipe(recipe) | Rules::Undone(recipe) => recipe.rules().collect(),
            Rules::Saved(_) => {
                return vec!["a saved plan: says of each key what becomes of it".into()];
            }
            Rules::Merge(_) => return vec!["an adapter: is merged into its weights".into()],
        };
        let mut lines = Vec::new();
        if let Rules::Recipe(recipe) = self
            && recipe.merge.is_some()
        {
            lines.push("merge-lora".into());
            lines.push(
                "  merges an adapter of low rank (--adapter) into its weights; one way".into(),
            );
        }
        for (i, stage) in stages.iter().enumerate() {
            if stages.len() > 1 {
                lines.push(format!("stage {}", i + 1));
            }
            let indent = if stages.len() > 1 { "  " } else { "" };
            for rule in stage.alternatives() {
                lines.push(format!("{indent}{rule}"));
                lines.push(format!("{indent}  {}", rule.in_words()));
            }
        }
        lines
    }

    /// The same of rules as text: `strip:module`, `rename:a.{r..} -> b.{r..}`.
    ///
    /// # Errors
    /// The first text that is not a rule.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Rules, BadRemap> {
        let rules = texts.into_iter().map(str::parse);
        Ok(Rules::together(rules.collect::<Result<Vec<Rule>, BadRemap>>()?))
    }
}

/// The one stage of rules that apply at once; `None` of none.
fn one_stage(mut rules: Vec<Rule>) -> Option<Rule> {
    match rules.len() {
        0 | 1 => rules.pop(),
        _ => Some(Rule::FirstOf(rules)),
    }
}
