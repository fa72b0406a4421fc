//! Recipes: rules kept as TOML, in stages; a plan that was saved as JSON is read as well.
//!
//! ```toml
//! [[stage]]
//! strip = "module"
//! [[stage]]
//! rename = ["fc.{rest..} -> head.{rest..}", "re:\\.gamma$ -> .weight"]
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use statedict_core::{Plan, Rule, SEPARATOR};

use crate::jobs::error::{Advice, Error};
use crate::jobs::recipe::stage::Stage;
use crate::jobs::rules::Rules;

mod stage;
mod text;

pub use text::to_text;

/// The longest recipe or plan that is read, in bytes: room for a million keys.
const MAX_TEXT: u64 = 256 << 20;

/// Which way to apply what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// As it says.
    #[default]
    Forward,
    /// Backwards: what undoes it.
    Inverse,
}

/// Reads a recipe or a plan, whichever the file holds.
///
/// The separator is that between the segments of keys, where a recipe does not name its own.
///
/// # Errors
/// A file that is neither, or has no inverse if that is wanted.
pub fn read(path: &Path, direction: Direction, separator: Option<char>) -> Result<Rules, Error> {
    let text = text_of(path)?;
    let rules = parse(&text, separator).map_err(|error| Error::in_file(path, error))?;
    match direction {
        Direction::Forward => Ok(rules),
        Direction::Inverse => inverse(&rules).map_err(|reason| {
            let problem = format!("{}: {reason}", path.display());
            Error::refused(vec![problem]).advise(Advice::SavePlan)
        }),
    }
}

/// The rules of a recipe (TOML) or of a plan (JSON).
///
/// # Errors
/// What is wrong with the text, and where.
pub fn parse(text: &str, separator: Option<char>) -> Result<Rules, String> {
    if text.trim_start().starts_with('{') {
        let plan = Plan::from_json(text).map_err(|error| error.to_string())?;
        return Ok(Rules::Saved(plan));
    }
    Ok(Rules::Stages(stages(text, separator)?))
}

/// The text of a recipe or plan, which may come through a pipe.
fn text_of(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| Error::in_file(path, error))?;
    let read = file.take(MAX_TEXT + 1).read_to_string(&mut text);
    read.map_err(|error| Error::in_file(path, error))?;
    if text.len() as u64 > MAX_TEXT {
        let problem = format_args!("it has over {MAX_TEXT} bytes, the limit of recipes");
        return Err(Error::in_file(path, problem));
    }
    Ok(text)
}

fn inverse(rules: &Rules) -> Result<Rules, String> {
    Ok(match rules {
        Rules::Saved(plan) => Rules::Saved(plan.invert().map_err(|error| error.to_string())?),
        Rules::Stages(stages) => {
            Rules::Stages(stages.iter().rev().map(inverse_of).collect::<Result<_, _>>()?)
        }
    })
}

fn inverse_of(rule: &Rule) -> Result<Rule, String> {
    rule.invert().ok_or_else(|| {
        let reason = match rule {
            Rule::Unwrap(_) => "what it takes out is not remembered",
            Rule::Replace(_) => "a regular expression cannot be run backwards",
            Rule::FirstOf(_) => "several rules at once may send different keys to one name",
            Rule::Tensor(_) => "a tensor gets several keys",
            Rule::Rewrite(_) | Rule::Remap(_) | Rule::Fates(_) => "it forgets a part of the key",
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
    let mut rules = Vec::new();
    for (i, Stage { kind, words }) in document.stage.iter().enumerate() {
        let rule = kind.rule(words, separator);
        rules.push(rule.map_err(|error| format!("stage {}: {error}", i + 1))?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = "separator = '.'\n[[stage]]\nunwrap = [\"module\"]\n[[stage]]\n\
        rename = ['a.{n} -> b.{n+1}', 're:x$ -> y']\n[[stage]]\ntable = { k = \"l\" }\n";

    #[test]
    fn every_prefix_and_changed_byte_of_a_recipe_is_rules_or_an_error() {
        assert_eq!(stages(RECIPE, None).expect("a recipe").len(), 3);
        let mut read = 0;
        for end in 0..RECIPE.len() {
            read += usize::from(stages(&RECIPE[..end], None).is_ok());
        }
        let mut damaged = RECIPE.as_bytes().to_vec();
        for at in 0..damaged.len() {
            let byte = damaged[at];
            for value in 0..=u8::MAX {
                damaged[at] = value;
                let text = String::from_utf8_lossy(&damaged);
                read += usize::from(stages(&text, None).is_ok());
            }
            damaged[at] = byte;
        }
        assert!(read > RECIPE.len(), "each byte is itself once: {read}");
    }

    #[test]
    fn a_recipe_names_keys_and_nothing_else() {
        for field in ["output", "file", "include", "run", "at", "in-place"] {
            let error = stages(&format!("{field} = 'x'\n{RECIPE}"), None).expect_err(field);
            assert!(error.contains("unknown field"), "{error}");
            let stage = format!("[[stage]]\n{field} = 'x'\n");
            let error = stages(&stage, None).expect_err(field);
            assert!(error.contains("unknown variant"), "{error}");
        }
    }

    #[test]
    fn deep_recipes_are_refused() {
        for deep in ["[", "{a=", "a."] {
            let text = format!("[[stage]]\nstrip = {}", deep.repeat(100_000));
            assert!(stages(&text, None).is_err(), "{deep}");
        }
    }
}
