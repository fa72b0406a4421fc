//! Rules as Python gives them.

use std::path::Path;

use statedict::Rules;
use statedict::core::sizes::Sizes;
use statedict::core::{BadRemap, Policy, Rule, RuleKind, SEPARATOR, Undefined, Unmatched};
use statedict::jobs::library;
use statedict::jobs::recipe::{self, Direction};

use crate::error::Raised;

/// Rules that are given together; one that begins with no kind is a renaming.
pub(crate) fn parsed(texts: &[String]) -> Result<Vec<Rule>, BadRemap> {
    texts.iter().map(|text| rule(text)).collect()
}

fn rule(text: &str) -> Result<Rule, BadRemap> {
    let kind = text.split([':', '[']).next().unwrap_or_default();
    let has_kind = ["identity", "re"].contains(&kind) || RuleKind::named(kind).is_some();
    if !has_kind && text.contains("->") { Rule::rename(text, SEPARATOR) } else { text.parse() }
}

/// A recipe or plan in a file, or a recipe of the library by its name.
pub(crate) fn recipe(recipe: &Path, direction: Direction) -> Result<Rules, Raised> {
    let is_name = recipe.components().count() == 1 && recipe.extension().is_none();
    match recipe.to_str() {
        Some(name) if is_name && !recipe.exists() => {
            let found = library::find(name).map_err(|unknown| {
                let error = format!("'{name}' is neither a file nor a recipe of the library");
                let meant = unknown.meant.map(|meant| format!("did you mean '{meant}'?"));
                Raised::new("failed", error).hint(meant)
            })?;
            found.rules(direction).map_err(Raised::from)
        }
        _ => recipe::read(recipe, direction, None).map_err(Raised::from),
    }
}

/// What becomes of keys that no rule recognises, and of rules that recognise no key.
#[derive(Clone, Copy, Debug, pyo3::FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Choices {
    pub(crate) strict: bool,
    only: bool,
    allow_unchanged: bool,
}

impl Choices {
    pub(crate) fn policy(self) -> Policy {
        let undefined = match self {
            Choices { strict: true, .. } => Undefined::Refuse,
            Choices { only: true, .. } => Undefined::Drop,
            _ => Undefined::Keep,
        };
        let unmatched = if self.allow_unchanged { Unmatched::Allow } else { Unmatched::Refuse };
        Policy { undefined, unmatched }
    }
}

/// Sizes by name.
pub(crate) fn sizes(given: Vec<(String, u64)>) -> Sizes {
    given.into_iter().map(|(name, number)| (name.into(), number)).collect()
}

/// A rule as a text that [`parsed`] reads.
pub(crate) fn text(rule: &Rule) -> String {
    let text = rule.to_string();
    let bare = text.strip_prefix("rename:").filter(|bare| rule_is(bare, rule));
    bare.map(str::to_string).unwrap_or(text)
}

fn rule_is(text: &str, expected: &Rule) -> bool {
    rule(text).is_ok_and(|rule| rule == *expected)
}
