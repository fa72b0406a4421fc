//! Planning: rules resolved against the keys of a file.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::plan::draft::Draft;
use crate::plan::policy::{Policy, Undefined, Unmatched};
use crate::plan::regroup::Regrouping;
use crate::{
    Catalog, Expression, IndexMap, IndexSet, Issue, Origination, Plan, PlanError, Rule, Section,
    StateDict,
};

/// A plan and what is worth telling about how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// Keys that some stage said nothing about and that kept the name they had.
    pub unmatched_keys: usize,
    /// Rules that recognised no key, as text.
    pub unused_rules: Vec<String>,
    /// What rules of tensors make of the tensors that they recognised, stage by stage.
    pub regroupings: Vec<Regrouping>,
}

/// Resolves rules that are given together against state dicts of a catalog.
///
/// Every key sees its original name, and the first rule that recognises it decides; rules one after
/// another are for [`plan_stages`]. Two keys on one name are always refused.
///
/// # Errors
/// Every issue there is.
pub fn plan(
    rules: &[Rule],
    catalog: &Catalog,
    state_dicts: &[&StateDict],
    policy: Policy,
) -> Result<Planned, PlanError> {
    match rules {
        [] | [_] => plan_stages(rules, catalog, state_dicts, policy),
        several => {
            let stages = [Rule::FirstOf(several.to_vec())];
            plan_stages(&stages, catalog, state_dicts, policy)
        }
    }
}

/// Resolves stages of rules against state dicts of a catalog.
///
/// Within a stage every key sees the name the stage before gave it, and the first rule that
/// recognises it decides. Two keys on one name are always refused.
///
/// # Errors
/// Every offence of the first stage that has one.
pub fn plan_stages(
    stages: &[Rule],
    catalog: &Catalog,
    state_dicts: &[&StateDict],
    policy: Policy,
) -> Result<Planned, PlanError> {
    if !stages.is_empty() {
        refuse_if_any(state_dicts.iter().filter_map(|state_dict| fixed(state_dict)).collect())?;
    }
    refuse_if_any(stages.iter().flat_map(Rule::alternatives).filter_map(unplannable).collect())?;
    let drafts = state_dicts.iter().map(|s| Draft::new(catalog, s)).collect();
    advance_all(drafts, stages, policy)
}

/// Resolves stages of rules that come after what a plan does, for the state dicts that it names.
///
/// # Errors
/// As [`plan_stages`].
pub fn plan_stages_after(
    before: Planned,
    stages: &[Rule],
    catalog: &Catalog,
    policy: Policy,
) -> Result<Planned, PlanError> {
    refuse_if_any(stages.iter().flat_map(Rule::alternatives).filter_map(unplannable).collect())?;
    let Planned { plan, mut unused_rules, mut regroupings, unmatched_keys } = before;
    let drafts = plan.sections.iter().filter_map(|section| {
        Some(Draft::after(section, catalog, catalog.state_dict_at(&section.path)?))
    });
    let planned = advance_all(drafts.collect(), stages, policy)?;
    unused_rules.extend(planned.unused_rules);
    regroupings.extend(planned.regroupings);
    Ok(Planned {
        plan: Plan { sections: planned.plan.sections, ..plan },
        unmatched_keys: unmatched_keys + planned.unmatched_keys,
        unused_rules,
        regroupings,
    })
}

/// Takes drafts through all stages.
fn advance_all<'a>(
    mut drafts: Vec<Draft<'a>>,
    stages: &'a [Rule],
    policy: Policy,
) -> Result<Planned, PlanError> {
    let mut log = Log::default();
    for stage in stages {
        let mut issues = Vec::new();
        let mut hits = alloc::vec![0usize; stage.alternatives().len()];
        for draft in &mut drafts {
            draft.advance(stage, policy.undefined, &mut hits, &mut issues);
        }
        refuse_if_any(issues)?;
        log.note(stage, &hits);
    }
    if log.hits == 0 && !stages.is_empty() && policy.unmatched == Unmatched::Refuse {
        return Err(PlanError {
            issues: [Issue::NothingMatched { rules: log.unused_rules }].into(),
        });
    }
    let unmatched_keys = drafts.iter().map(|draft| draft.unmatched_keys()).sum();
    let regroupings = drafts.iter_mut().flat_map(Draft::take_regroupings).collect();
    let sections: Vec<Section> = drafts.into_iter().map(Draft::finish).collect();
    Ok(Planned {
        plan: Plan { sections, ..Plan::default() },
        unmatched_keys,
        unused_rules: log.unused_rules,
        regroupings,
    })
}

/// Why a rule cannot be planned, whatever the keys.
fn unplannable(rule: &Rule) -> Option<Issue> {
    let name = rule.unbound_sizes().into_iter().next()?;
    Some(Issue::UnknownSize { rule: rule.to_string(), name })
}

/// Why the keys of a state dict cannot be renamed, if they cannot.
fn fixed(state_dict: &StateDict) -> Option<Issue> {
    let (path, reason) = (state_dict.path.clone(), state_dict.fixed.clone()?);
    Some(Issue::Fixed { path, reason })
}

pub(super) fn refuse_if_any(issues: Vec<Issue>) -> Result<(), PlanError> {
    if issues.is_empty() { Ok(()) } else { Err(PlanError { issues }) }
}

/// Which rules did something.
#[derive(Default)]
struct Log {
    hits: usize,
    unused_rules: Vec<String>,
}

impl Log {
    fn note(&mut self, stage: &Rule, hits: &[usize]) {
        self.hits += hits.iter().sum::<usize>();
        let idle = stage.alternatives().iter().zip(hits).filter(|(_, hits)| **hits == 0);
        self.unused_rules.extend(idle.map(|(rule, _)| rule.to_string()));
    }
}

impl Plan {
    /// Holds a saved plan against a catalog: every key it names must be there.
    ///
    /// Keys that the plan does not name are treated as `policy` says.
    ///
    /// # Errors
    /// Every state dict and key that is absent, and whatever [`plan`] refuses.
    pub fn resolve(&self, catalog: &Catalog, policy: Policy) -> Result<Planned, PlanError> {
        let mut issues = Vec::new();
        let plan_of_none = Plan { sections: Vec::new(), ..self.clone() };
        let mut all = Planned {
            plan: plan_of_none,
            unmatched_keys: 0,
            unused_rules: Vec::new(),
            regroupings: Vec::new(),
        };
        // Keys that match nothing are absent, and a section without keys is not a mistake.
        let policy = Policy { unmatched: Unmatched::Allow, ..policy };
        for section in &self.sections {
            let path = &section.path;
            let Some(state_dict) = catalog.state_dict_at(&section.path) else {
                issues.push(Issue::Absent { path: path.clone(), key: None });
                continue;
            };
            let absent = section.fates.keys().filter(|key| !state_dict.contains(key));
            issues.extend(
                absent.map(|key| Issue::Absent { path: path.clone(), key: Some(key.to_string()) }),
            );
            if section.tensors.is_some() {
                issues.extend(section.unlike(catalog, state_dict));
                let (section, unmatched) =
                    section.completed(catalog, state_dict, policy.undefined, &mut issues);
                all.plan.sections.push(section);
                all.unmatched_keys += unmatched;
                continue;
            }
            let rule = Rule::Fates(section.fates.as_ref().clone());
            match plan(&[rule], catalog, &[state_dict], policy) {
                Ok(mut planned) => {
                    for planned in &mut planned.plan.sections {
                        planned.casts.clone_from(&section.casts);
                    }
                    all.plan.sections.extend(planned.plan.sections);
                    all.unmatched_keys += planned.unmatched_keys;
                }
                Err(refused) => issues.extend(refused.issues),
            }
        }
        refuse_if_any(issues)?;
        Ok(all)
    }
}

impl Section {
    /// The tensors of a file that computed ones are made of and that are not there as expected.
    fn unlike(&self, catalog: &Catalog, state_dict: &StateDict) -> Vec<Issue> {
        let mut issues = Vec::new();
        let mut known = IndexSet::<&str>::default();
        for leaf in self.expressions().flat_map(Expression::leaves) {
            let Expression::Key { of: Origination::Source, key, shape } = leaf else { continue };
            let found = catalog.tensor(state_dict, key);
            if !known.insert(key) || found.is_some_and(|tensor| tensor.shape == *shape) {
                continue;
            }
            let (path, key) = (self.path.clone(), key.clone());
            issues.push(match found {
                Some(tensor) => {
                    let (found, expected) = (tensor.shape.clone(), shape.clone());
                    Issue::Shape { path, key, found, expected }
                }
                None => Issue::Absent { path, key: Some(key) },
            });
        }
        issues
    }

    /// Every expression: of new tensors, and of those that are only compared.
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let checked = self.checks.iter().flat_map(|(a, b)| [a, b]);
        self.tensors.iter().flat_map(IndexMap::values).chain(checked)
    }

    /// A section of computed tensors with what becomes of the keys that it does not name, and how
    /// many those are.
    fn completed(
        &self,
        catalog: &Catalog,
        state_dict: &StateDict,
        undefined: Undefined,
        issues: &mut Vec<Issue>,
    ) -> (Section, usize) {
        let path = state_dict.path.clone();
        issues.extend(fixed(state_dict));
        let used: IndexSet<&str> = self.expressions().flat_map(Expression::source_keys).collect();
        let mut fates = self.fates.as_ref().clone();
        let mut tensors = self.tensors.clone().unwrap_or_default();
        let mut unmatched = 0;
        for key in state_dict.shared_keys() {
            if self.fates.contains_key(key) || used.contains(&**key) {
                continue;
            }
            unmatched += 1;
            let (path, name) = (path.clone(), key.to_string());
            match undefined {
                Undefined::Refuse => issues.push(Issue::Undefined { path, key: name }),
                Undefined::Drop => drop(fates.insert(key.clone(), None)),
                Undefined::Keep => {
                    if let Some(made) = tensors.get(key.as_ref()) {
                        let first = made.first_source().unwrap_or_default();
                        let by = Some("the plan".to_string());
                        let from = [(first.to_string(), by), (name.clone(), None)].into();
                        issues.push(Issue::Collision { path, to: name, from, same_place: false });
                        continue;
                    }
                    fates.insert(key.clone(), Some(key.clone()));
                    if let Some(tensor) = catalog.tensor(state_dict, key) {
                        tensors.insert(name, Expression::key(key, tensor));
                    }
                }
            }
        }
        let (fates, tensors) = (fates.into(), Some(tensors));
        (Section { path, fates, tensors, ..self.clone() }, unmatched)
    }
}
