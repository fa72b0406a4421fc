//! One `[[stage]]` of a recipe: the name of a kind of rule and its words.
//!
//! `drop` and `rename` may be in one stage: what is dropped is dropped first, and of the renames
//! the first that recognises a key decides.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use statedict_core::{BadRemap, Rule, RuleKind, Separators, Words, sorting};

/// A kind of rule with its words, and templates that are to match nothing before.
pub(super) struct Stage {
    rules: Vec<(RuleKind, Vec<String>)>,
    pub(super) expect: Option<Texts>,
    pub(super) merge: Option<MergeLora>,
}

/// How an adapter is merged: `merge-lora = true`, or `merge-lora = { weight = 0.5 }`.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected true, or a table with weight, alpha and drop")]
pub(super) enum MergeLora {
    Usual(True),
    So(MergeHow),
}

/// What is said of the merging.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeHow {
    pub(super) weight: Option<f64>,
    pub(super) alpha: Option<f64>,
    pub(super) drop: Option<Texts>,
}

impl MergeLora {
    pub(super) fn how(self) -> MergeHow {
        match self {
            MergeLora::Usual(True) => MergeHow::default(),
            MergeLora::So(how) => how,
        }
    }
}

impl Stage {
    /// What the stage does.
    pub(super) fn rule(&self, separators: Separators) -> Result<Rule, BadRemap> {
        let rules = self.rules.iter().map(|(kind, words)| kind.rule(words, separators));
        Ok(Rule::at_once(rules.collect::<Result<_, _>>()?))
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stage, D::Error> {
        deserializer.deserialize_map(StageVisitor)
    }
}

struct StageVisitor;

impl<'de> Visitor<'de> for StageVisitor {
    type Value = Stage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stage with one rule")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stage, A::Error> {
        let mut stage = Stage { rules: Vec::new(), expect: None, merge: None };
        while let Some(field) = map.next_key()? {
            match field {
                Field::Expect => stage.expect = Some(map.next_value()?),
                Field::MergeLora => stage.merge = Some(map.next_value()?),
                Field::Rule(kind) => {
                    let words = words(kind, &mut map)?;
                    stage.rules.push((kind, words));
                }
            }
        }
        let is_first = |(kind, _): &(RuleKind, _)| *kind != RuleKind::Drop;
        sorting::sort_by_key(&mut stage.rules, is_first);
        match stage.rules.as_slice() {
            [] if stage.merge.is_some() => Ok(stage),
            [(kind, _), ..] if stage.merge.is_some() => {
                let kind = kind.name();
                let problem =
                    format!("{MERGE} has a stage of its own, and this has {kind} as well");
                Err(A::Error::custom(problem))
            }
            [] => Err(A::Error::custom(format!("a stage needs one of {}", NAMES.join(", ")))),
            [_] | [(RuleKind::Drop, _), (RuleKind::Rename, _)] => Ok(stage),
            [(first, _), (second, _), ..] => {
                let (first, second) = (first.name(), second.name());
                let problem = format!(
                    "a stage has one rule, or drop with rename, and this has {first} and {second}"
                );
                Err(A::Error::custom(problem))
            }
        }
    }
}

/// The words of a kind of rule.
fn words<'de, A: MapAccess<'de>>(kind: RuleKind, map: &mut A) -> Result<Vec<String>, A::Error> {
    Ok(match kind.words() {
        Words::Prefix => vec![map.next_value::<String>()?],
        Words::Segments => map.next_value::<Segments>()?.list(),
        Words::AnyPatterns => map.next_value::<Patterns>()?.list(),
        Words::Renames | Words::Patterns | Words::Types | Words::Fillings => {
            map.next_value::<Texts>()?.list()
        }
        Words::Pairs => {
            let pairs = map.next_value::<BTreeMap<String, String>>()?;
            pairs.into_iter().flat_map(|(old, new)| [old, new]).collect()
        }
    })
}

/// A kind by its name, or what is expected.
enum Field {
    Rule(RuleKind),
    Expect,
    MergeLora,
}

/// The stage that merges an adapter, which is not a rule: its tensors are in another file.
pub(super) const MERGE: &str = "merge-lora";

const NAMES: [&str; RuleKind::ALL.len() + 1] = {
    let mut names = [MERGE; RuleKind::ALL.len() + 1];
    let mut i = 0;
    while i < RuleKind::ALL.len() {
        names[i] = RuleKind::ALL[i].name();
        i += 1;
    }
    names
};

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name.as_str() {
            "expect" => return Ok(Field::Expect),
            MERGE => return Ok(Field::MergeLora),
            _ => {}
        }
        RuleKind::named(&name)
            .map(Field::Rule)
            .ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}

#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(super) enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true or a list of segments")]
enum Segments {
    Usual(True),
    These(Texts),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true or a list of patterns")]
enum Patterns {
    All(True),
    These(Texts),
}

/// `true`; to leave wrappers alone, the stage is left out.
#[derive(Clone, Deserialize)]
#[serde(try_from = "bool")]
pub(super) struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<True, &'static str> {
        if value { Ok(True) } else { Err("expected true") }
    }
}

impl Texts {
    pub(super) fn list(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        }
    }
}

impl Patterns {
    fn list(self) -> Vec<String> {
        match self {
            Patterns::All(True) => Vec::new(),
            Patterns::These(patterns) => patterns.list(),
        }
    }
}

impl Segments {
    fn list(self) -> Vec<String> {
        match self {
            Segments::Usual(True) => Vec::new(),
            Segments::These(names) => names.list(),
        }
    }
}
