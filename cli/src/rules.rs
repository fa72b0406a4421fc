//! Where new names come from, and the rules that words on a command line or in a recipe stand for.

use statedict_core::{
    BadRemap, BadTemplate, Plan, Prefix, Remap, Rule, Template, WRAPPERS, Wrappers,
};

/// Where new names come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rules {
    /// Rules, one stage after another; to be planned against the file.
    Stages(Vec<Rule>),
    /// A plan made earlier; to be held against the file.
    Saved(Plan),
}

/// Takes a leading prefix off.
pub(crate) fn strip(prefix: &str, separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Strip(Prefix::new(prefix, separator)?).into())
}

/// Puts a prefix in front.
pub(crate) fn add(prefix: &str, separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Add(Prefix::new(prefix, separator)?).into())
}

/// Takes wrapper segments out: these, or the usual ones if none is named.
pub(crate) fn unwrap(names: &[String], separator: char) -> Result<Rule, BadRemap> {
    let names = match names {
        [] => WRAPPERS.map(String::from).into(),
        named => named.to_vec(),
    };
    Ok(Rule::Unwrap(Wrappers::new(names, separator)?))
}

/// Renames by these rules at once; the first that matches wins.
pub(crate) fn rename(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    let rules = texts.iter().map(|text| Rule::rename(text, separator));
    let mut rules = rules.collect::<Result<Vec<_>, _>>()?;
    Ok(match rules.len() {
        1 => rules.remove(0),
        _ => Rule::FirstOf(rules),
    })
}

/// Keeps what matches one of the templates.
pub(crate) fn keep(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Keep(templates(texts, separator)?).into())
}

/// Takes out what matches one of the templates.
pub(crate) fn drop(texts: &[String], separator: char) -> Result<Rule, BadRemap> {
    Ok(Remap::Drop(templates(texts, separator)?).into())
}

fn templates(texts: &[String], separator: char) -> Result<Vec<Template>, BadTemplate> {
    texts.iter().map(|text| Template::parse(text, separator)).collect()
}
