//! What was probably meant by words that match nothing.

use statedict_core::{
    Fill, FormulaRule, IndexMap, Issue, NotSelected, PlanError, Remap, Rule, SEPARATOR, StateDict,
    Template, TemplatePair, tensor::Term,
};

use crate::jobs::error::Advice;
use crate::jobs::nearest::{nearest, nearest_pattern};

/// What would help against a refusal; often nothing beyond what its issues say.
pub fn for_refusal(
    refused: &PlanError,
    stages: &[Rule],
    state_dicts: &[&StateDict],
) -> Vec<Advice> {
    let absent = refused.issues.iter().find_map(|issue| absent(issue, state_dicts));
    if let Some(key) = absent {
        return vec![Advice::Meant(key)];
    }
    if !refused.issues.iter().any(|issue| matches!(issue, Issue::NothingMatched { .. })) {
        return Vec::new();
    }
    let rules = stages.iter().flat_map(Rule::alternatives);
    let meant = rules
        .filter_map(|rule| instead_of(rule, state_dicts).or_else(|| respelled(rule, state_dicts)));
    let mut advice: Vec<Advice> = meant.map(Advice::Meant).collect();
    advice.push(first_segments(separator_of(stages), state_dicts));
    advice.push(Advice::AllowUnchanged);
    advice
}

/// The path that was probably meant by one that leads nowhere.
pub fn near_path(error: &NotSelected) -> Option<String> {
    let NotSelected::Nowhere { path, known } = error else { return None };
    let mut paths = known.iter().map(|(path, _)| path.as_str());
    if let Some(meant) = nearest(path, paths.clone()) {
        return Some(meant.to_string());
    }
    // A path may be cut down to its last part, which may be misspelt.
    let name = nearest(path, paths.clone().filter_map(|path| path.rsplit('/').next()))?;
    paths.find(|path| path.rsplit('/').next() == Some(name)).map(String::from)
}

/// The pattern that was probably meant by one that matches no key.
pub fn near_pattern<'a>(
    pattern: &Template,
    keys: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest_pattern(&pattern.to_string(), pattern.separator(), keys)
}

/// The key that was probably meant by one that a plan names and the file does not have.
fn absent(issue: &Issue, state_dicts: &[&StateDict]) -> Option<String> {
    let Issue::Absent { path, key: Some(key) } = issue else { return None };
    let there = state_dicts.iter().filter(|state_dict| state_dict.is_at(path));
    nearest(key, there.flat_map(|state_dict| state_dict.keys())).map(String::from)
}

/// What was probably meant by a rule whose words are not those of the keys.
fn respelled(rule: &Rule, state_dicts: &[&StateDict]) -> Option<String> {
    let keys = || state_dicts.iter().flat_map(|state_dict| state_dict.keys());
    let near = |typed: &str, separator| nearest_pattern(typed, separator, keys());
    match rule {
        Rule::Remap(Remap::Strip(prefix)) => near(prefix.text(), prefix.separator()),
        Rule::Remap(Remap::Keep(templates) | Remap::Drop(templates)) => {
            let mut all = templates.iter();
            all.find_map(|template| near(&template.to_string(), template.separator()))
        }
        Rule::Remap(Remap::Rename(rename)) => renamed(rename.pair(), &near),
        Rule::Rewrite(pair) => renamed(pair, &near),
        Rule::Remap(Remap::Table(table)) => {
            nearest(table.pairs().next()?.0, keys()).map(String::from)
        }
        Rule::Remap(Remap::Identity | Remap::Add(_) | Remap::Then(..)) => None,
        Rule::Formula(rule) => match &**rule {
            FormulaRule::Fill(fills) => {
                let mut all = fills.iter().filter_map(Fill::from).map(Term::template);
                all.find_map(|template| near(&template.to_string(), template.separator()))
            }
            _ => None,
        },
        Rule::Tensor(rule) => {
            let mut all = rule.left().iter().map(Term::template);
            all.find_map(|template| near(&template.to_string(), template.separator()))
        }
        Rule::Unwrap(_) | Rule::Replace(_) | Rule::Fates(_) | Rule::FirstOf(_) => None,
    }
}

fn renamed(pair: &TemplatePair, near: &dyn Fn(&str, char) -> Option<String>) -> Option<String> {
    let from = near(&pair.from().to_string(), pair.from().separator())?;
    Some(format!("{from} -> {}", pair.to()))
}

/// What was probably meant by a rule that names a module where it should name the keys below it.
fn instead_of(rule: &Rule, state_dicts: &[&StateDict]) -> Option<String> {
    match rule {
        Rule::Rewrite(pair) => below_both(pair, state_dicts),
        Rule::Remap(Remap::Rename(rename)) => below_both(rename.pair(), state_dicts),
        Rule::Remap(Remap::Keep(templates) | Remap::Drop(templates)) => {
            let meant = templates.iter().find(|template| is_module(template, state_dicts))?;
            Some(format!("{meant}{}**", meant.separator()))
        }
        _ => None,
    }
}

fn below_both(pair: &TemplatePair, state_dicts: &[&StateDict]) -> Option<String> {
    let (from, to, dot) = (pair.from(), pair.to(), pair.from().separator());
    let meant = format!("{from}{dot}{{rest..}} -> {to}{dot}{{rest..}}");
    is_module(from, state_dicts).then_some(meant)
}

/// True if keys lie below what the template matches.
fn is_module(template: &Template, state_dicts: &[&StateDict]) -> bool {
    let below = format!("{template}{}**", template.separator());
    let Ok(below) = Template::parse(&below, template.separator()) else { return false };
    state_dicts.iter().flat_map(|state_dict| state_dict.keys()).any(|key| below.matches(key))
}

fn first_segments(separator: char, state_dicts: &[&StateDict]) -> Advice {
    let mut counts = IndexMap::<&str, usize>::default();
    for key in state_dicts.iter().flat_map(|state_dict| state_dict.keys()) {
        *counts.entry(key.split(separator).next().unwrap_or(key)).or_default() += 1;
    }
    Advice::FirstSegments(counts.into_iter().map(|(name, n)| (name.to_string(), n)).collect())
}

/// What segments are joined by in these rules.
pub(crate) fn separator_of(stages: &[Rule]) -> char {
    stages.iter().find_map(Rule::separator).unwrap_or(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::{Catalog, Policy, plan};

    fn advice(rule: &str) -> Advice {
        let catalog = Catalog::of_keys(["fc.0.weight", "fc.0.bias", "bn.weight"]).expect("unique");
        let stages = [rule.parse::<Rule>().expect("a rule")];
        let selected = catalog.select(None).expect("one state dict");
        let refused = plan(&stages, &catalog, &selected, Policy::default()).expect_err("refused");
        for_refusal(&refused, &stages, &selected).remove(0)
    }

    fn check(rule: &str, expected: &str) {
        assert_eq!(advice(rule), Advice::Meant(expected.into()), "{rule}");
    }

    #[test]
    fn a_module_is_taken_for_the_keys_below_it() {
        check("rename:fc -> head", "fc.{rest..} -> head.{rest..}");
        check("rename:fc.{n} -> head.{n}", "fc.{n}.{rest..} -> head.{n}.{rest..}");
        check("drop:fc", "fc.**");
    }

    #[test]
    fn words_much_like_those_of_the_keys_are_taken_for_them() {
        check("keep:fc.0.wieght", "fc.0.weight");
        check("rename:fc.0.wieght -> a", "fc.0.weight -> a");
        check("table:bn.wight -> a", "bn.weight");
    }

    #[test]
    fn otherwise_the_first_segments_are_named() {
        let expected = Advice::FirstSegments(vec![("fc".into(), 2), ("bn".into(), 1)]);
        assert_eq!(advice("strip:fv"), expected);
        assert_eq!(advice("strip:module"), expected);
        assert_eq!(advice("rename:f -> head"), expected);
    }
}
