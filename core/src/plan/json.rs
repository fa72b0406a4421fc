//! Plans as JSON, to be kept, looked at and applied elsewhere.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::error::{BadPlan, PLAN_VERSION};
use super::expression_json::ExpressionJson;
use crate::plan::Fates;
use crate::{DType, Expression, IndexMap, IndexSet, MetadataChange, Plan, Section, Ties};

/// The version of a document of names alone.
const NAMES_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanJson {
    statedict_plan: u32,
    state_dicts: Vec<SectionJson>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metadata: Vec<ChangeJson>,
    /// `each` or `one`; version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ties: Option<TiesJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TiesJson {
    Each,
    One,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeJson {
    key: String,
    old: Option<String>,
    new: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionJson {
    at: String,
    keys: Vec<(String, Option<String>)>,
    /// Element types by old key; version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    casts: Vec<(String, String)>,
    /// The new state dict, each tensor with what it is made of, if any is computed; version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<(String, ExpressionJson)>>,
    /// Pairs of expressions that must have the same elements; version 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checks: Vec<(ExpressionJson, ExpressionJson)>,
}

impl Plan {
    /// The plan as JSON.
    pub fn to_json(&self) -> String {
        let state_dicts = self.sections.iter().map(|section| SectionJson {
            at: section.path.clone(),
            keys: section.fates().map(|(old, new)| (old.into(), new.map(Into::into))).collect(),
            casts: section.casts().map(|(key, to)| (key.into(), to.name().into())).collect(),
            tensors: section.tensors().map(|tensors| {
                tensors.iter().map(|(key, made)| (key.clone(), made.into())).collect()
            }),
            checks: section.checks().iter().map(|(a, b)| (a.into(), b.into())).collect(),
        });
        let metadata: Vec<_> = self.metadata.iter().cloned().map(ChangeJson::from).collect();
        let ties = (self.ties == Ties::One).then_some(TiesJson::One);
        let names_alone = self.is_renaming() && metadata.is_empty() && ties.is_none();
        let version = if names_alone { NAMES_VERSION } else { PLAN_VERSION };
        let state_dicts = state_dicts.collect();
        let json = PlanJson { statedict_plan: version, state_dicts, metadata, ties };
        let mut text = serde_json::to_string_pretty(&json).expect("strings and arrays serialise");
        text.push('\n');
        text
    }

    /// Reads what [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// What is not such a document, and duplicate names.
    pub fn from_json(text: &str) -> Result<Plan, BadPlan> {
        let json: PlanJson = serde_json::from_str(text)?;
        if !(NAMES_VERSION..=PLAN_VERSION).contains(&json.statedict_plan) {
            return Err(BadPlan::Version(json.statedict_plan));
        }
        let mut sections = Vec::<Section>::new();
        let mut known = IndexSet::<String>::default();
        for section in json.state_dicts {
            if !known.insert(section.at.clone()) {
                return Err(BadPlan::Repeated(section.at));
            }
            sections.push(Section::from_json(section)?);
        }
        let mut metadata = IndexMap::<String, MetadataChange>::default();
        for change in json.metadata.into_iter().map(MetadataChange::from) {
            if let Some(twice) = metadata.insert(change.key.clone(), change) {
                return Err(BadPlan::Repeated(twice.key));
            }
        }
        let ties = match json.ties {
            Some(TiesJson::One) => Ties::One,
            Some(TiesJson::Each) | None => Ties::Each,
        };
        let metadata = metadata.into_values().collect();
        Ok(Plan { sections, metadata, ties, left_out: Vec::new() })
    }
}

impl From<MetadataChange> for ChangeJson {
    fn from(MetadataChange { key, old, new }: MetadataChange) -> ChangeJson {
        ChangeJson { key, old, new }
    }
}

impl From<ChangeJson> for MetadataChange {
    fn from(ChangeJson { key, old, new }: ChangeJson) -> MetadataChange {
        MetadataChange { key, old, new }
    }
}

impl Section {
    fn from_json(json: SectionJson) -> Result<Section, BadPlan> {
        let mut fates = Fates::default();
        let mut taken = IndexSet::<String>::default();
        for (old, new) in json.keys {
            if let Some(new) = new.clone()
                && !taken.insert(new.clone())
            {
                return Err(BadPlan::Repeated(new));
            }
            if fates.insert(old.as_str().into(), new.map(Into::into)).is_some() {
                return Err(BadPlan::Repeated(old));
            }
        }
        let mut casts = IndexMap::default();
        for (key, to) in json.casts {
            match DType::named(&to) {
                Some(dtype) => drop(casts.insert(key, dtype)),
                None => return Err(BadPlan::Cast(key, to)),
            }
        }
        let tensors = json.tensors.map(computed).transpose()?;
        let checks = json.checks.into_iter().map(|(a, b)| Ok((a.try_into()?, b.try_into()?)));
        let checks = checks.collect::<Result<_, BadPlan>>()?;
        Ok(Section { path: json.at, fates: fates.into(), casts, tensors, checks })
    }
}

fn computed(
    tensors: Vec<(String, ExpressionJson)>,
) -> Result<IndexMap<String, Expression>, BadPlan> {
    let mut computed = IndexMap::default();
    for (key, made) in tensors {
        if computed.insert(key.clone(), made.try_into()?).is_some() {
            return Err(BadPlan::Repeated(key));
        }
    }
    Ok(computed)
}
