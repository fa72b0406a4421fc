//! Where new names come from: rules, alone or in stages, or a plan.

use statedict_core::{
    BadRemap, BadTemplate, Plan, Prefix, Remap, Rule, Template, WRAPPERS, Wrappers,
};

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

    /// The same of rules as text: `strip:module`, `a.{r..} -> b.{r..}`.
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

/// Takes a leading prefix off.
///
/// # Errors
/// Words that are no such rule.
pub fn strip(prefix: &str, separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Strip(Prefix::new(prefix, separator)?).into())
}

/// Puts a prefix in front.
///
/// # Errors
/// Words that are no such rule.
pub fn add(prefix: &str, separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Add(Prefix::new(prefix, separator)?).into())
}

/// Takes wrapper segments out: these, or the usual ones if none is named.
///
/// # Errors
/// Words that are no such rule.
pub fn unwrap(names: &[String], separator: char) -> Result<Rule, BadRemap> {
    let names = match names {
        [] => WRAPPERS.map(String::from).into(),
        named => named.to_vec(),
    };
    Ok(Rule::Unwrap(Wrappers::new(names, separator)?))
}

/// Renames by these rules at once; the first that matches wins.
///
/// # Errors
/// Words that are no such rule.
pub fn rename(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    let rules = texts.iter().map(|text| Rule::rename(text, separator));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    Ok(one_stage(rules).unwrap_or(Rule::FirstOf(Vec::new())))
}

/// Keeps what matches one of the templates.
///
/// # Errors
/// Words that are no such rule.
pub fn keep(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Keep(templates(texts, separator)?).into())
}

/// Takes out what matches one of the templates.
///
/// # Errors
/// Words that are no such rule.
pub fn drop(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Drop(templates(texts, separator)?).into())
}

fn templates(texts: &[String], separator: char) -> Result<Vec<Template>, BadTemplate> {
    texts.iter().map(|text| Template::parse(text, separator)).collect()
}
