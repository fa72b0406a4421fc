//! Ways out: what to type instead of what was refused.

use std::path::Path;

use statedict_core::{
    IndexMap, Issue, NotSelected, PlanError, Remap, Rule, SEPARATOR, StateDict, Template,
    TemplatePair,
};

use crate::nearest::{nearest, nearest_pattern};
use crate::output::stem;
use crate::text::{first_few, quoted, shell_option, shell_path};

/// How to cast what cannot be cast inside its file.
pub(crate) const CAST_ELSEWHERE: &str =
    "--alone writes the state dict by itself, and --cast 'PATTERN=DTYPE' leaves some tensors out";

/// How to name one state dict.
pub(crate) fn at(option: &str, path: &str) -> String {
    format!("add {}", shell_option(option, if path.is_empty() { "/" } else { path }))
}

/// How to name one state dict, or all.
pub(crate) fn at_or_all(path: &str) -> String {
    format!("{} (or --at '*' for all)", at("--at", path))
}

/// The command that takes a state dict out of an object whose keys are fixed.
pub(crate) fn extraction(file: &Path, at: Option<&str>) -> String {
    let output = file.with_file_name(format!("{}-state-dict.pth", stem(file)));
    let at = at.map(|at| format!(" {}", shell_option("--at", at))).unwrap_or_default();
    format!("statedict convert{at} {} {}", shell_path(file), shell_path(&output))
}

/// What would help against a refusal; often nothing beyond what the offences say.
pub(crate) fn for_refusal(
    refused: &PlanError,
    stages: &[Rule],
    state_dicts: &[&StateDict],
) -> Vec<String> {
    let absent = refused.issues.iter().filter_map(|issue| absent(issue, state_dicts));
    if let Some(hint) = absent.take(1).next() {
        return vec![hint];
    }
    let nothing_matched = |issue| matches!(issue, &Issue::NothingMatched { .. });
    if !refused.issues.iter().any(nothing_matched) {
        return Vec::new();
    }
    let rules = stages.iter().flat_map(Rule::alternatives);
    let mut hints: Vec<String> = rules
        .filter_map(|rule| instead_of(rule, state_dicts).or_else(|| respelled(rule, state_dicts)))
        .collect();
    hints.push(first_segments(separator_of(stages), state_dicts));
    hints.push("add --allow-unchanged if that is fine".into());
    hints
}

/// The path that was probably meant by one that leads nowhere.
pub(crate) fn near_path(error: &NotSelected, option: &str) -> Option<String> {
    let NotSelected::Nowhere { at, known } = error else { return None };
    let paths = || known.iter().map(|(path, _)| path.as_str());
    let meant = match nearest(at, paths()) {
        Some(meant) => meant,
        // A path may be cut down to its last part, which may be misspelt.
        None => {
            let name = nearest(at, paths().filter_map(|path| path.rsplit('/').next()))?;
            paths().find(|path| path.rsplit('/').next() == Some(name))?
        }
    };
    Some(format!("did you mean {}?", shell_option(option, meant)))
}

/// The key that was probably meant by one that a plan names and the file does not have.
fn absent(issue: &Issue, state_dicts: &[&StateDict]) -> Option<String> {
    let Issue::Absent { at, key: Some(key) } = issue else { return None };
    let there = state_dicts.iter().filter(|state_dict| state_dict.is_at(at));
    let meant = nearest(key, there.flat_map(|state_dict| state_dict.keys()))?;
    Some(format!("did you mean {}?", quoted(meant)))
}

/// What was probably meant by a rule whose words are not those of the keys.
fn respelled(rule: &Rule, state_dicts: &[&StateDict]) -> Option<String> {
    let keys = || state_dicts.iter().flat_map(|state_dict| state_dict.keys());
    let near = |typed: &str, separator| nearest_pattern(typed, separator, keys());
    let meant = match rule {
        Rule::Remap(Remap::Strip(prefix)) => near(prefix.text(), prefix.separator())?,
        Rule::Remap(Remap::Keep(templates) | Remap::Drop(templates)) => {
            let mut all = templates.iter();
            all.find_map(|template| near(&template.to_string(), template.separator()))?
        }
        Rule::Remap(Remap::Rename(rename)) => renamed(rename.pair(), &near)?,
        Rule::Rewrite(pair) => renamed(pair, &near)?,
        Rule::Remap(Remap::Table(table)) => {
            nearest(table.pairs().next()?.0, keys()).map(String::from)?
        }
        _ => return None,
    };
    Some(format!("did you mean {}?", quoted(&meant)))
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
            Some(format!("did you mean {}?", quoted(&format!("{meant}{}**", meant.separator()))))
        }
        _ => None,
    }
}

fn below_both(pair: &TemplatePair, state_dicts: &[&StateDict]) -> Option<String> {
    let (from, to, dot) = (pair.from(), pair.to(), pair.from().separator());
    let meant = quoted(&format!("{from}{dot}{{rest..}} -> {to}{dot}{{rest..}}"));
    let meant = format!("did you mean {meant}?");
    is_module(from, state_dicts).then_some(meant)
}

/// True if keys lie below what the template matches.
fn is_module(template: &Template, state_dicts: &[&StateDict]) -> bool {
    let below = format!("{template}{}**", template.separator());
    let Ok(below) = Template::parse(&below, template.separator()) else { return false };
    state_dicts.iter().flat_map(|state_dict| state_dict.keys()).any(|key| below.matches(key))
}

fn first_segments(separator: char, state_dicts: &[&StateDict]) -> String {
    let mut counts = IndexMap::<&str, usize>::default();
    for key in state_dicts.iter().flat_map(|state_dict| state_dict.keys()) {
        *counts.entry(key.split(separator).next().unwrap_or(key)).or_default() += 1;
    }
    let segments: Vec<_> = counts.iter().map(|(name, n)| format!("'{name}' ({n})")).collect();
    match segments.is_empty() {
        true => "the state dict has no keys".into(),
        false => format!("keys start with {}", first_few(&segments, 8)),
    }
}

/// What segments are joined by in these rules.
pub(crate) fn separator_of(stages: &[Rule]) -> char {
    stages.iter().flat_map(Rule::alternatives).find_map(separator).unwrap_or(SEPARATOR)
}

fn separator(rule: &Rule) -> Option<char> {
    match rule {
        Rule::Remap(Remap::Strip(prefix) | Remap::Add(prefix)) => Some(prefix.separator()),
        Rule::Remap(Remap::Rename(rename)) => Some(rename.pair().from().separator()),
        Rule::Remap(Remap::Keep(all) | Remap::Drop(all)) => all.first().map(Template::separator),
        Rule::Rewrite(pair) => Some(pair.from().separator()),
        Rule::Unwrap(wrappers) => Some(wrappers.separator()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::{Catalog, Policy, plan};

    fn check(rule: &str, expected: &str) {
        let catalog = Catalog::of_keys(["fc.0.weight", "fc.0.bias", "bn.weight"]).expect("unique");
        let stages = [rule.parse::<Rule>().expect("a rule")];
        let selected = catalog.select(None).expect("one state dict");
        let refused = plan(&stages, &catalog, &selected, Policy::default()).expect_err("refused");
        assert_eq!(for_refusal(&refused, &stages, &selected)[0], expected);
    }

    #[test]
    fn a_module_is_taken_for_the_keys_below_it() {
        check("rename:fc -> head", "did you mean 'fc.{rest..} -> head.{rest..}'?");
        check("rename:fc.{n} -> head.{n}", "did you mean 'fc.{n}.{rest..} -> head.{n}.{rest..}'?");
        check("drop:fc", "did you mean 'fc.**'?");
    }

    #[test]
    fn words_much_like_those_of_the_keys_are_taken_for_them() {
        check("strip:fv", "keys start with 'fc' (2), 'bn' (1)");
        check("keep:fc.0.wieght", "did you mean 'fc.0.weight'?");
        check("rename:fc.0.wieght -> a", "did you mean 'fc.0.weight -> a'?");
        check("table:bn.wight -> a", "did you mean 'bn.weight'?");
    }

    #[test]
    fn otherwise_the_first_segments_are_named() {
        check("strip:module", "keys start with 'fc' (2), 'bn' (1)");
        check("rename:f -> head", "keys start with 'fc' (2), 'bn' (1)");
    }
}
