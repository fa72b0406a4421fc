//! One `[[stage]]` of a recipe: the name of a kind of rule, and its words.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use statedict_core::{RuleKind, Words};

/// A kind of rule with its words.
pub(super) struct Stage {
    pub(super) kind: RuleKind,
    pub(super) words: Vec<String>,
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
        let Some(Kind(kind)) = map.next_key()? else {
            return Err(A::Error::custom(format!("a stage needs one of {}", NAMES.join(", "))));
        };
        let words = match kind.words() {
            Words::Prefix => vec![map.next_value::<String>()?],
            Words::Segments => map.next_value::<Segments>()?.list(),
            Words::Renames | Words::Patterns => map.next_value::<Texts>()?.list(),
            Words::Pairs => {
                let pairs = map.next_value::<BTreeMap<String, String>>()?;
                pairs.into_iter().flat_map(|(old, new)| [old, new]).collect()
            }
        };
        if let Some(Kind(other)) = map.next_key()? {
            let (first, second) = (kind.name(), other.name());
            let problem = format!("a stage has one rule, and this has {first} and {second}");
            return Err(A::Error::custom(problem));
        }
        Ok(Stage { kind, words })
    }
}

/// A kind by its name.
struct Kind(RuleKind);

const NAMES: [&str; RuleKind::ALL.len()] = {
    let mut names = [""; RuleKind::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = RuleKind::ALL[i].name();
        i += 1;
    }
    names
};

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
        let name = String::deserialize(deserializer)?;
        RuleKind::named(&name).map(Kind).ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
enum Texts {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true or a list of segments")]
enum Segments {
    Usual(True),
    These(Texts),
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

impl Texts {
    fn list(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
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
