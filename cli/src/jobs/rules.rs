//! Where new names come from: rules, alone or in stages, or a plan.

use statedict_core::{BadRemap, Plan, Rule};

/// Where new names come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Rules {
    /// Stages, one after another: each sees the keys as the one before named them.
    Stages(Vec<Rule>),
    /// A plan that was made earlier, to be applied to a file of the same keys.
    Saved(Plan),
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
