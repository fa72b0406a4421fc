//! The rule that would rename the keys of one file as they are in another.

use statedict_core::{
    Catalog, IndexMap, IndexSet, Key, Policy, Remap, Rule, SEPARATOR, StateDict, diff::Diff,
    explain::prefix_replacement, plan,
};

/// The rule that makes all renames that were found; no key that stays may be renamed by it.
pub(super) fn find(catalog: &Catalog, state_dict: &StateDict, diff: &Diff) -> Option<Rule> {
    let (from, to) = diff.renamed.first()?;
    let found = candidates(from.as_str(), to.as_str());
    found.into_iter().find(|rule| renames_so(rule, catalog, state_dict, diff))
}

/// Rules that lead from one key to the other.
fn candidates(from: &str, to: &str) -> Vec<Rule> {
    let strip = prefix(from, to).and_then(|prefix| Some(Remap::strip(prefix).ok()?.into()));
    let unwrap = Some(Rule::unwrap_all());
    let add = prefix(to, from).and_then(|prefix| Some(Remap::add(prefix).ok()?.into()));
    let rename = prefix_replacement(from, to);
    [strip, unwrap, add, rename].into_iter().flatten().collect()
}

/// What is in front of the shorter key in the longer.
fn prefix<'a>(long: &'a str, short: &str) -> Option<&'a str> {
    long.strip_suffix(short)?.strip_suffix(SEPARATOR)
}

/// True if a rule renames as was found, and leaves the keys that both files have.
fn renames_so(rule: &Rule, catalog: &Catalog, state_dict: &StateDict, diff: &Diff) -> bool {
    let rules = [rule.clone()];
    let planned = plan(&rules, catalog, &[state_dict], Policy::default());
    let Ok(planned) = planned else { return false };
    let removed: IndexSet<&str> = diff.removed.iter().map(|key| key.as_str()).collect();
    let renamed: IndexMap<&str, &str> =
        diff.renamed.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let mut fates = planned.plan.sections().iter().flat_map(|section| section.fates());
    diff.renamed.iter().all(|(from, _)| matches!(from, Key::Text(_)))
        && fates.all(|(old, new)| {
            removed.contains(old) || new == Some(renamed.get(old).copied().unwrap_or(old))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, to: &str, expected: &[&str]) {
        let found: Vec<_> = candidates(from, to).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rules_lead_from_one_key_to_the_other() {
        let unwrap = &*Rule::unwrap_all().to_string();
        check("module.fc.w", "fc.w", &["strip:module.", unwrap]);
        check("fc.w", "a.b.fc.w", &[unwrap, "add:a.b."]);
        check("a.0.w", "b.c.0.w", &[unwrap, "rename:a.{rest..} -> b.c.{rest..}"]);
        check("xfc.w", "fc.w", &[unwrap, "rename:xfc.{rest..} -> fc.{rest..}"]);
        check("a", "b", &[unwrap]);
    }

    #[test]
    fn what_is_special_in_templates_is_escaped() {
        let rule = &candidates("a*.w", "b{.w")[1];
        assert_eq!(rule.apply("a*.w"), statedict_core::Fate::Becomes("b{.w".into()));
    }
}
