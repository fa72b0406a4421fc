//! Plans: rules resolved against the keys of one file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::remap::Step;
use crate::{Catalog, IndexMap, Rule, StateDict};

/// What becomes of every key of one or more state dicts.
///
/// Within a section no two keys get one name, and order is the file's; the constructors see to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    sections: Vec<Section>,
}

/// What becomes of every key of one state dict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    at: String,
    fates: IndexMap<String, Option<String>>,
}

/// What to do with keys that the rules say nothing about, and with rules that do nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For keys that no rule recognises.
    pub undefined: Undefined,
    /// For rules that recognise no key at all.
    pub unmatched: Unmatched,
}

/// What to do with a key that no rule recognises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    /// Keep it under its own name, as PyTorch's prefix function does.
    #[default]
    Keep,
    /// Refuse the plan.
    Refuse,
    /// Take it out.
    Drop,
}

/// What to do when no rule recognises any key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// Refuse the plan.
    #[default]
    Refuse,
    /// Let everything stay as it is.
    Allow,
}

/// A plan and what is worth telling about how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Keys that some stage said nothing about and that kept the name they had.
    pub passed_over: usize,
    /// Rules that recognised no key, as text.
    pub idle: Vec<String>,
}

/// A plan that cannot be, with every reason.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Refused {
    /// At least one.
    pub offences: Vec<Offence>,
}

/// One reason why a plan cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Several keys would get one name.
    Collision {
        /// The state dict.
        at: String,
        /// The name.
        to: String,
        /// The keys, each with the rule behind it; none where it keeps its name.
        from: Vec<(String, Option<String>)>,
        /// True if the tensors are one and the same place in the file.
        same_place: bool,
    },
    /// Nothing would be left of a key.
    Emptied {
        /// The state dict.
        at: String,
        /// The key.
        key: String,
        /// The rule behind it.
        rule: String,
    },
    /// No rule recognises a key, and that was not to be.
    Undefined {
        /// The state dict.
        at: String,
        /// The key.
        key: String,
    },
    /// No rule recognises any key.
    NothingMatched {
        /// The rules, as text.
        rules: Vec<String>,
    },
    /// The keys of this state dict cannot be renamed.
    Fixed {
        /// The state dict.
        at: String,
        /// Why.
        reason: String,
    },
    /// The plan speaks of a state dict or key that the file does not have.
    Absent {
        /// The state dict.
        at: String,
        /// The key; none if the whole state dict is missing.
        key: Option<String>,
    },
}

/// Resolves stages of rules against state dicts of a catalog.
///
/// Within a stage every key sees the name the stage before gave it, and the first rule that
/// recognises it decides. Two keys on one name are always refused.
///
/// # Errors
/// Every offence of the first stage that has one.
pub fn plan(
    stages: &[Rule],
    catalog: &Catalog,
    state_dicts: &[&StateDict],
    policy: Policy,
) -> Result<Planned, Refused> {
    let mut drafts: Vec<Draft> = state_dicts.iter().map(|s| Draft::new(catalog, s)).collect();
    let mut log = Log::default();
    for stage in stages {
        let mut offences = Vec::new();
        let mut hits = alloc::vec![0usize; stage.alternatives().len()];
        for draft in &mut drafts {
            draft.advance(stage, policy.undefined, &mut hits, &mut offences);
        }
        refuse_if_any(offences)?;
        log.note(stage, &hits);
    }
    if log.hits == 0 && !stages.is_empty() && policy.unmatched == Unmatched::Refuse {
        return Err(Refused { offences: [Offence::NothingMatched { rules: log.idle }].into() });
    }
    let passed_over = drafts.iter().map(|draft| draft.passed_over.len()).sum();
    let sections: Vec<Section> = drafts.into_iter().map(Draft::finish).collect();
    let fixed = sections.iter().zip(state_dicts).filter(|(s, _)| !s.is_identity());
    let fixed = fixed.filter_map(|(section, state_dict)| {
        let (at, reason) = (section.at.clone(), state_dict.fixed.clone()?);
        Some(Offence::Fixed { at, reason })
    });
    refuse_if_any(fixed.collect())?;
    Ok(Planned { plan: Plan { sections }, passed_over, idle: log.idle })
}

fn refuse_if_any(offences: Vec<Offence>) -> Result<(), Refused> {
    if offences.is_empty() { Ok(()) } else { Err(Refused { offences }) }
}

/// Which rules did something.
#[derive(Default)]
struct Log {
    hits: usize,
    idle: Vec<String>,
}

impl Log {
    fn note(&mut self, stage: &Rule, hits: &[usize]) {
        self.hits += hits.iter().sum::<usize>();
        let idle = stage.alternatives().iter().zip(hits).filter(|(_, hits)| **hits == 0);
        self.idle.extend(idle.map(|(rule, _)| rule.to_string()));
    }
}

/// A section in the making: each key with the name it has so far.
struct Draft<'a> {
    catalog: &'a Catalog,
    state_dict: &'a StateDict,
    names: Vec<Option<String>>,
    passed_over: IndexMap<usize, ()>,
}

impl<'a> Draft<'a> {
    fn new(catalog: &'a Catalog, state_dict: &'a StateDict) -> Draft<'a> {
        let names = state_dict.keys().map(|key| Some(key.to_string())).collect();
        Draft { catalog, state_dict, names, passed_over: IndexMap::default() }
    }

    fn advance(
        &mut self,
        stage: &Rule,
        undefined: Undefined,
        hits: &mut [usize],
        offences: &mut Vec<Offence>,
    ) {
        let at = || self.state_dict.at.clone();
        let mut rules: Vec<Option<usize>> = alloc::vec![None; self.names.len()];
        for (i, name) in self.names.iter_mut().enumerate() {
            let Some(old) = name.as_deref() else { continue };
            let (step, by) = decide(stage, old);
            if let Some(by) = by {
                hits[by] += 1;
                rules[i] = Some(by);
            }
            match (step, undefined) {
                (Step::Becomes(new), _) => *name = Some(new),
                (Step::Dropped, _) | (Step::Undefined, Undefined::Drop) => *name = None,
                (Step::Undefined, Undefined::Keep) => {
                    self.passed_over.insert(i, ());
                }
                (Step::Undefined, Undefined::Refuse) => {
                    offences.push(Offence::Undefined { at: at(), key: old.to_string() });
                }
                (Step::Emptied, _) => {
                    let rule = by.map(|by| stage.alternatives()[by].to_string());
                    let rule = rule.unwrap_or_default();
                    offences.push(Offence::Emptied { at: at(), key: old.to_string(), rule });
                }
            }
        }
        offences.extend(self.collisions(stage, &rules));
    }

    fn collisions(&self, stage: &Rule, rules: &[Option<usize>]) -> Vec<Offence> {
        let mut takers = IndexMap::<&str, usize>::default();
        let mut shared = IndexMap::<&str, Vec<usize>>::default();
        for (i, name) in self.names.iter().enumerate() {
            let Some(name) = name.as_deref() else { continue };
            if let Some(first) = takers.get(name) {
                shared.entry(name).or_insert_with(|| [*first].into()).push(i);
            } else {
                takers.insert(name, i);
            }
        }
        let keys: Vec<&str> = self.state_dict.keys().collect();
        let collision = |(to, takers): (&str, Vec<usize>)| {
            let tensors = takers.iter().map(|i| self.catalog.tensor(self.state_dict, keys[*i]));
            let tensors: Option<Vec<_>> = tensors.collect();
            let same_place =
                tensors.is_some_and(|t| t.windows(2).all(|pair| pair[0].is_same_place(pair[1])));
            let rule = |i: usize| rules[i].map(|by| stage.alternatives()[by].to_string());
            let from = takers.iter().map(|i| (keys[*i].to_string(), rule(*i))).collect();
            Offence::Collision {
                at: self.state_dict.at.clone(),
                to: to.to_string(),
                from,
                same_place,
            }
        };
        shared.into_iter().map(collision).collect()
    }

    fn finish(self) -> Section {
        let keys = self.state_dict.keys().map(ToString::to_string);
        Section { at: self.state_dict.at.clone(), fates: keys.zip(self.names).collect() }
    }
}

/// What a stage makes of a name, and which of its rules recognised it.
fn decide(stage: &Rule, name: &str) -> (Step, Option<usize>) {
    let mut unrecognised = Step::Undefined;
    for (i, rule) in stage.alternatives().iter().enumerate() {
        let (step, recognised) = rule.step(name);
        if recognised {
            return (step, Some(i));
        }
        unrecognised = step;
    }
    // `keep` and `drop` alone in their stage have a say on the keys they do not recognise.
    match stage.alternatives() {
        [_] => (unrecognised, None),
        _ => (Step::Undefined, None),
    }
}

impl Plan {
    /// What becomes of each state dict's keys.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section for the state dict at `at`.
    pub fn section(&self, at: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.at == at)
    }

    /// True if every key keeps its name.
    pub fn is_identity(&self) -> bool {
        self.sections.iter().all(Section::is_identity)
    }

    /// The plan that leads back from the new names to the old; what was dropped stays dropped.
    pub fn invert(&self) -> Plan {
        let invert = |section: &Section| Section {
            at: section.at.clone(),
            fates: section.kept().map(|(old, new)| (new.into(), Some(old.into()))).collect(),
        };
        Plan { sections: self.sections.iter().map(invert).collect() }
    }

    /// Holds a saved plan against a catalog: every key it names must be there.
    ///
    /// Keys that the plan does not name are treated as `policy` says.
    ///
    /// # Errors
    /// Every state dict and key that is absent, and whatever [`plan`] refuses.
    pub fn resolve(&self, catalog: &Catalog, policy: Policy) -> Result<Planned, Refused> {
        let mut offences = Vec::new();
        let mut all = Planned { plan: Plan::default(), passed_over: 0, idle: Vec::new() };
        // Keys that match nothing are absent, and a section without keys is no mistake.
        let policy = Policy { unmatched: Unmatched::Allow, ..policy };
        for section in &self.sections {
            let at = || section.at.clone();
            let Some(state_dict) = catalog.state_dicts.iter().find(|s| s.is_at(&section.at)) else {
                offences.push(Offence::Absent { at: at(), key: None });
                continue;
            };
            let absent = section.fates.keys().filter(|key| !state_dict.contains(key));
            offences.extend(absent.map(|key| Offence::Absent { at: at(), key: Some(key.clone()) }));
            let rule = Rule::Fates(section.fates.clone());
            match plan(&[rule], catalog, &[state_dict], policy) {
                Ok(planned) => {
                    all.plan.sections.extend(planned.plan.sections);
                    all.passed_over += planned.passed_over;
                }
                Err(refused) => offences.extend(refused.offences),
            }
        }
        refuse_if_any(offences)?;
        Ok(all)
    }

    /// Renames the keys of a map, order kept; keys that the plan does not know keep their names.
    ///
    /// Of several sections the first is used, which is the only one for plain keys.
    pub fn rename<V, M: FromIterator<(String, V)>>(
        &self,
        map: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) -> M {
        let fates = self.sections.first().map(|section| &section.fates);
        map.into_iter()
            .filter_map(|(key, value)| match fates.and_then(|fates| fates.get(key.as_ref())) {
                Some(fate) => Some((fate.clone()?, value)),
                None => Some((key.as_ref().to_string(), value)),
            })
            .collect()
    }

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
        for section in json.state_dicts {
            if sections.iter().any(|known| known.at == section.at) {
                return Err(BadPlan::Repeated(section.at));
            }
            sections.push(Section::from_json(section)?);
        }
        Ok(Plan { sections })
    }
}

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

    /// The path to the state dict.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What becomes of a key: a new name, `Some(None)` if dropped, `None` if it is not in the plan.
    pub fn fate(&self, key: &str) -> Option<Option<&str>> {
        self.fates.get(key).map(|fate| fate.as_deref())
    }

    /// Every key with what becomes of it.
    pub fn fates(&self) -> impl ExactSizeIterator<Item = (&str, Option<&str>)> {
        self.fates.iter().map(|(old, new)| (old.as_str(), new.as_deref()))
    }

    /// The keys that stay, with their new names.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fates().filter_map(|(old, new)| Some((old, new?)))
    }

    /// The keys that get another name, with it.
    pub fn renamed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kept().filter(|(old, new)| old != new)
    }

    /// The keys that are taken out.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        self.fates().filter(|(_, new)| new.is_none()).map(|(old, _)| old)
    }

    /// True if every key keeps its name.
    pub fn is_identity(&self) -> bool {
        self.fates().all(|(old, new)| new == Some(old))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, offence) in self.offences.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{offence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offence::Collision { at, to, from, same_place } => {
                write!(f, "{} keys would become '{to}'{}:", from.len(), InStateDict(at))?;
                for (i, (key, rule)) in from.iter().enumerate() {
                    let comma = if i == 0 { " " } else { ", " };
                    match rule {
                        Some(rule) => write!(f, "{comma}'{key}' by {rule}")?,
                        None => write!(f, "{comma}'{key}', which keeps its name")?,
                    }
                }
                f.write_str(match same_place {
                    true => " (the same bytes of the file: a tie, so all but one can be dropped)",
                    false => " (different tensors)",
                })
            }
            Offence::Emptied { at, key, rule } => {
                write!(f, "nothing would be left of key '{key}'{} by {rule}", InStateDict(at))
            }
            Offence::Undefined { at, key } => {
                write!(f, "no rule recognises key '{key}'{}", InStateDict(at))
            }
            Offence::NothingMatched { rules } => {
                write!(f, "no key matches {}", rules.join(", "))
            }
            Offence::Fixed { at, reason } => {
                write!(f, "keys cannot be renamed{}: {reason}", InStateDict(at))
            }
            Offence::Absent { at, key: Some(key) } => {
                write!(
                    f,
                    "the plan names key '{key}'{}, which the file does not have",
                    InStateDict(at)
                )
            }
            Offence::Absent { at, key: None } => {
                write!(f, "the plan names a state dict at '{at}', which the file does not have")
            }
        }
    }
}

struct InStateDict<'a>(&'a str);

impl fmt::Display for InStateDict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " in '{}'", self.0) }
    }
}
