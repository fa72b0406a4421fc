//! Plans as JSON, to be kept, looked at and applied elsewhere.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{IndexMap, Plan, Section};

/// The version of the JSON document that [`Plan::to_json`] writes.
const PLAN_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanJson {
    statedict_plan: u32,
    state_dicts: Vec<SectionJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionJson {
    at: String,
    keys: Vec<(String, Option<String>)>,
}

/// Why a text is no plan.
#[derive(Debug, Error)]
pub enum BadPlan {
    /// It is no JSON document of this form.
    #[error("not a plan: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later version of this library.
    #[error("plan version {0} is not known; expected {PLAN_VERSION}")]
    Version(u32),
    /// A name stands twice.
    #[error("the plan names '{0}' twice")]
    Repeated(String),
}

impl Plan {
    /// The plan as JSON.
    pub fn to_json(&self) -> String {
        let state_dicts = self.sections.iter().map(|section| SectionJson {
            at: section.at.clone(),
            keys: section.fates.iter().map(|(old, new)| (old.clone(), new.clone())).collect(),
        });
        let json = PlanJson { statedict_plan: PLAN_VERSION, state_dicts: state_dicts.collect() };
        let mut text = serde_json::to_string_pretty(&json).expect("strings and arrays serialise");
        text.push('\n');
        text
    }

    /// Reads what [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// What is not such a document, and names that stand twice.
    pub fn from_json(text: &str) -> Result<Plan, BadPlan> {
        let json: PlanJson = serde_json::from_str(text)?;
        if json.statedict_plan != PLAN_VERSION {
            return Err(BadPlan::Version(json.statedict_plan));
        }
        let mut sections = Vec::<Section>::new();
        let mut known = IndexMap::<String, ()>::default();
        for section in json.state_dicts {
            if known.insert(section.at.clone(), ()).is_some() {
                return Err(BadPlan::Repeated(section.at));
            }
            sections.push(Section::from_json(section)?);
        }
        Ok(Plan { sections })
    }
}

impl Section {
    fn from_json(json: SectionJson) -> Result<Section, BadPlan> {
        let mut fates = IndexMap::default();
        let mut taken = IndexMap::<String, ()>::default();
        for (old, new) in json.keys {
            if let Some(new) = new.clone()
                && let Some(()) = taken.insert(new.clone(), ())
            {
                return Err(BadPlan::Repeated(new));
            }
            if fates.insert(old.clone(), new).is_some() {
                return Err(BadPlan::Repeated(old));
            }
        }
        Ok(Section { at: json.at, fates })
    }
}
