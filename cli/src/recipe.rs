//! What `apply` reads: a TOML recipe of stages, or a plan that was saved as JSON.
//!
//! ```toml
//! [[stage]]
//! strip = "module"
//! [[stage]]
//! rename = ["fc.{rest..} -> head.{rest..}", "re:\\.gamma$ -> .weight"]
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use statedict_core::{BadRemap, Plan, Remap, Rule, SEPARATOR, Table};

use crate::failure::Failure;
use crate::rules::{self, Rules};

/// Which way to apply what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Inverse,
}

/// Reads a recipe or a plan, whichever the file holds.
pub(crate) fn read(
    path: &Path,
    direction: Direction,
    separator: Option<char>,
) -> Result<Rules, Failure> {
    let text = fs::read_to_string(path).map_err(|error| in_file(path, error))?;
    let rules = match text.trim_start().starts_with('{') {
        true => Rules::Saved(Plan::from_json(&text).map_err(|error| in_file(path, error))?),
        false => Rules::Stages(stages(&text, separator).map_err(|error| in_file(path, error))?),
    };
    match direction {
        Direction::Forward => Ok(rules),
        Direction::Inverse => inverse(&rules).map_err(|reason| {
            Failure::no(vec![format!("{}: {reason}", path.display())]).hint(
                "save a plan when the recipe is applied (--save-plan plan.json); \
                 statedict apply plan.json --inverse leads back",
            )
        }),
    }
}

fn inverse(rules: &Rules) -> Result<Rules, String> {
    Ok(match rules {
        Rules::Saved(plan) => Rules::Saved(plan.invert()),
        Rules::Stages(stages) => {
            Rules::Stages(stages.iter().rev().map(inverse_of).collect::<Result<_, _>>()?)
        }
    })
}

fn in_file(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::could_not(format_args!("{}: {error}", path.display()))
}

fn inverse_of(rule: &Rule) -> Result<Rule, String> {
    rule.invert().ok_or_else(|| {
        let reason = match rule {
            Rule::Unwrap(_) => "what it takes out is not remembered",
            Rule::Replace(_) => "a regular expression cannot be run backwards",
            Rule::FirstOf(_) => "several rules at once may send different keys to one name",
            _ => "it forgets a part of the key",
        };
        format!("stage '{rule}' has no inverse: {reason}")
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    separator: Option<char>,
    #[serde(default)]
    stage: Vec<Stage>,
}

/// One `[[stage]]`, which is a table of exactly one of these.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Strip(String),
    Add(String),
    Unwrap(Wrapped),
    Rename(Texts),
    Keep(Texts),
    Drop(Texts),
    Table(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true or a list of segments")]
enum Wrapped {
    Usual(True),
    These(Vec<String>),
}

/// `true`; to leave wrappers alone, the stage is left out.
#[derive(Deserialize)]
#[serde(try_from = "bool")]
struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<True, &'static str> {
        if value { Ok(True) } else { Err("expected true") }
    }
}

/// The rules of a recipe; the recipe's own separator goes before the one given.
pub(crate) fn stages(text: &str, separator: Option<char>) -> Result<Vec<Rule>, String> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
        let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
        format!("{place}{}", error.message().replace('\n', "; "))
    })?;
    if document.stage.is_empty() {
        return Err("the recipe has no stage; expected at least one [[stage]]".into());
    }
    let separator = document.separator.or(separator).unwrap_or(SEPARATOR);
    let stage = |(i, stage): (usize, Stage)| {
        stage.rule(separator).map_err(|error| format!("stage {}: {error}", i + 1))
    };
    document.stage.into_iter().enumerate().map(stage).collect()
}

impl Stage {
    fn rule(self, separator: char) -> Result<Rule, BadRemap> {
        match self {
            Stage::Strip(prefix) => rules::strip(&prefix, separator),
            Stage::Add(prefix) => rules::add(&prefix, separator),
            Stage::Unwrap(Wrapped::Usual(True)) => rules::unwrap(&[], separator),
            Stage::Unwrap(Wrapped::These(names)) => rules::unwrap(&names, separator),
            Stage::Rename(texts) => rules::rename(&texts.list(), separator),
            Stage::Keep(texts) => rules::keep(&texts.list(), separator),
            Stage::Drop(texts) => rules::drop(&texts.list(), separator),
            Stage::Table(pairs) => Ok(Remap::Table(Table::new(pairs)?).into()),
        }
    }
}

impl Texts {
    fn list(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        }
    }
}
