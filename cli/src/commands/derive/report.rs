//! What `derive` found, as text.

use statedict::core::derive::DerivedRule;
use statedict::core::{DType, IndexSet};
use statedict::jobs::derive::Outcome;
use statedict::jobs::grouping::{Line, grouped};

use crate::terminal::text::{count, printable};

/// A line that counts, the renames, and what a recipe cannot say.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let renamed = outcome.derivation.pairs.iter().filter(|(old, new)| old != new);
    let renamed = grouped(renamed.map(|(old, new)| (old.as_str(), Some(new.as_str()))));
    let mut lines = vec![outcome.headline()];
    lines.extend(renamed.iter().map(rename));
    let rules = outcome.derivation.tensor_rules.iter();
    let renamed: IndexSet<&String> = outcome.derivation.pairs.iter().map(|(_, new)| new).collect();
    let moving = rules.filter(|rule| !rule.targets.iter().all(|key| renamed.contains(key)));
    lines.extend(moving.map(tensor_rule));
    lines.extend(outcome.beyond());
    lines.extend(outcome.casts.iter().map(cast));
    lines
}

fn tensor_rule(rule: &DerivedRule) -> String {
    let keys = count(rule.targets.len(), "key");
    format!("  {}  ({keys})", printable(&rule.text))
}

fn rename(line: &Line) -> String {
    let keys = line.number_of_keys();
    format!("  {} -> {}{keys}", line.old, line.new.as_deref().unwrap_or_default())
}

/// A note on casts, which a recipe does not make.
fn cast((from, to, keys): &(DType, DType, usize)) -> String {
    let option = to.to_string().to_lowercase();
    format!("note: {} cast from {from} to {to} (apply --cast {option})", count(*keys, "key"))
}
