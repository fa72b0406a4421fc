//! The command that would rename the keys of one file as they are in another.

use statedict_core::{IndexMap, Key, Policy, Rule, SEPARATOR, plan};

use crate::commands::diff::Difference;
use crate::terminal::text::{shell_option, shell_path, shell_word};
use statedict::jobs::rules;

/// The command, if all renames are those of one; no key that stays may be renamed by it.
pub(crate) fn command(difference: &Difference) -> Option<String> {
    let (from, to) = difference.diff.renamed.first()?;
    let found = candidates(from.as_str(), to.as_str());
    let (words, _) = found.into_iter().find(|(_, rule)| renames_so(rule, difference))?;
    let (checkpoint, state_dict) = (difference.a.checkpoint, difference.a.state_dict);
    let several = checkpoint.catalog().state_dicts.len() > 1;
    let at = several.then(|| format!(" {}", shell_option("--at", &state_dict.at)));
    let (name, operands) = words.split_first()?;
    let mark = if operands.iter().any(|word| word.starts_with('-')) { " --" } else { "" };
    let operands: Vec<_> = operands.iter().map(|word| shell_word(word)).collect();
    let file = shell_path(checkpoint.path());
    let words = [operands, vec![file.into()]].concat().join(" ");
    Some(format!("statedict {name}{}{mark} {words}", at.unwrap_or_default()))
}

/// Commands, with their rules, that lead from one key to the other.
fn candidates(from: &str, to: &str) -> Vec<(Vec<String>, Rule)> {
    let prefix = |long: &str, short: &str| -> Option<String> {
        long.strip_suffix(short)?.strip_suffix(SEPARATOR).map(String::from)
    };
    let named = |name: &str, prefix: &str| vec![name.to_string(), prefix.to_string()];
    let strip = prefix(from, to)
        .and_then(|prefix| Some((named("strip", &prefix), rules::strip(&prefix, SEPARATOR).ok()?)));
    let unwrap = rules::unwrap(&[], SEPARATOR).ok().map(|rule| (vec!["unwrap".to_string()], rule));
    let add = prefix(to, from)
        .and_then(|prefix| Some((named("add", &prefix), rules::add(&prefix, SEPARATOR).ok()?)));
    let rename = other_prefix(from, to)
        .and_then(|text| Some((named("rename", &text), rules::rename(&[text], SEPARATOR).ok()?)));
    [strip, unwrap, add, rename].into_iter().flatten().collect()
}

/// A rule that puts another prefix in front of the segments that both keys end with.
fn other_prefix(from: &str, to: &str) -> Option<String> {
    let (olds, news) = (from.split(SEPARATOR), to.split(SEPARATOR));
    let shared = olds.rev().zip(news.rev()).take_while(|(old, new)| old == new).count();
    let prefix = |key: &str| {
        let segments: Vec<_> = key.split(SEPARATOR).collect();
        let own = &segments[..segments.len().saturating_sub(shared)];
        (!own.is_empty() && shared > 0).then(|| own.join("."))
    };
    Some(format!("{}.{{rest..}} -> {}.{{rest..}}", prefix(from)?, prefix(to)?))
}

/// True if a rule renames as was found, and leaves the keys that both files have.
fn renames_so(rule: &Rule, difference: &Difference) -> bool {
    let (a, diff) = (difference.a, &difference.diff);
    let rules = [rule.clone()];
    let planned = plan(&rules, a.checkpoint.catalog(), &[a.state_dict], Policy::default());
    let Ok(planned) = planned else { return false };
    let removed: IndexMap<&str, ()> = diff.removed.iter().map(|key| (key.as_str(), ())).collect();
    let renamed: IndexMap<&str, &str> =
        diff.renamed.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let mut fates = planned.plan.sections().iter().flat_map(|section| section.fates());
    diff.renamed.iter().all(|(from, _)| matches!(from, Key::Text(_)))
        && fates.all(|(old, new)| {
            removed.contains_key(old) || new == Some(renamed.get(old).copied().unwrap_or(old))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, expected: &[&str]) {
        let found = candidates(from, to);
        let found: Vec<_> = found.iter().map(|(words, _)| words.join(" ")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn commands_lead_from_one_key_to_the_other() {
        check("module.fc.w", "fc.w", &["strip module", "unwrap"]);
        check("fc.w", "a.b.fc.w", &["unwrap", "add a.b"]);
        check("a.0.w", "b.c.0.w", &["unwrap", "rename a.{rest..} -> b.c.{rest..}"]);
        check("xfc.w", "fc.w", &["unwrap", "rename xfc.{rest..} -> fc.{rest..}"]);
        check("a", "b", &["unwrap"]);
    }
}
