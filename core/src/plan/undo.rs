//! Rules undone: planned with their sides exchanged, and held against what they do themselves.
//!
//! Rules at once need not have an inverse: one may take a key that another one makes. So what the
//! exchanged rules come to is checked by planning the rules themselves on the result, which must give
//! every key and element back.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::plan::resolve::refuse_if_any;
use crate::{
    Catalog, Elements, Expression, IndexMap, IndexSet, Issue, Origin, PlanError, Planned, Policy,
    Remap, Rule, Section, StateDict, Storage, Tensor, Unmatched, plan_stages,
};

/// Resolves the inverse of stages of rules against state dicts of a catalog: what leads from what the
/// stages make back to what they take.
///
/// What a stage drops stays dropped.
///
/// # Errors
/// A rule without an inverse, what [`plan_stages`] refuses, and every key that the stages themselves
/// would not make again.
pub fn plan_inverse(
    stages: &[Rule],
    catalog: &Catalog,
    state_dicts: &[&StateDict],
    policy: Policy,
) -> Result<Planned, PlanError> {
    let inverse: Vec<Result<Rule, Issue>> = stages.iter().rev().map(exchanged).collect();
    let problems = inverse.iter().filter_map(|rule| rule.as_ref().err().cloned()).collect();
    refuse_if_any(problems)?;
    let inverse: Vec<Rule> = inverse.into_iter().flatten().collect();
    let planned = plan_stages(&inverse, catalog, state_dicts, policy)?;
    let again = Policy { unmatched: Unmatched::Allow, ..policy };
    let mut issues = Vec::new();
    for section in planned.plan.sections() {
        let state_dict = state_dicts.iter().find(|it| it.path == section.path());
        if let Some(state_dict) = state_dict {
            let old = Old { catalog, state_dict };
            issues.extend(old.differences(stages, section, again)?);
        }
    }
    refuse_if_any(issues)?;
    Ok(planned)
}

/// A stage with the sides of its rules exchanged.
fn exchanged(stage: &Rule) -> Result<Rule, Issue> {
    match stage {
        Rule::FirstOf(rules) => {
            let rules = rules.iter().filter(|rule| !matches!(rule, Rule::Remap(Remap::Drop(_))));
            Ok(Rule::FirstOf(rules.map(exchanged).collect::<Result<_, _>>()?))
        }
        Rule::Tensor(rule) if rule.forgets() => Err(Issue::NoInverse {
            rule: stage.to_string(),
            reason: "what it cuts off is lost; _=0 says that it is zeros".to_string(),
        }),
        Rule::Tensor(rule) => Ok(Rule::Tensor(Box::new(rule.exchanged()))),
        Rule::Formula(rule) => match rule.exchanged() {
            Ok(rule) => Ok(rule.into()),
            Err(reason) => {
                Err(Issue::NoInverse { rule: stage.to_string(), reason: reason.to_string() })
            }
        },
        rule => rule.invert().ok_or_else(|| {
            let reason = match rule {
                Rule::Unwrap(_) => "what it takes out is not remembered",
                Rule::Replace(_) => "a regular expression cannot be run backwards",
                _ => "it forgets a part of the key",
            };
            Issue::NoInverse { rule: rule.to_string(), reason: reason.to_string() }
        }),
    }
}

/// What the exchanged rules are applied to.
struct Old<'a> {
    catalog: &'a Catalog,
    state_dict: &'a StateDict,
}

impl Old<'_> {
    /// The keys that the stages would not make again of what the section makes.
    fn differences(
        &self,
        stages: &[Rule],
        section: &Section,
        policy: Policy,
    ) -> Result<Vec<Issue>, PlanError> {
        let back = self.made(section);
        let catalog = catalog_of(&back);
        let all: Vec<&StateDict> = catalog.state_dicts.iter().collect();
        let again = plan_stages(stages, &catalog, &all, policy)?.plan;
        let Some(again) = again.sections().first() else { return Ok(Vec::new()) };
        let there = Old { catalog: &catalog, state_dict: all[0] }.made(again);
        let mut issues = Vec::new();
        let mut issue = |key: &str, reason: String| {
            let (path, key) = (self.state_dict.path.clone(), key.to_string());
            issues.push(Issue::NotUndone { path, key, reason });
        };
        let tied: IndexSet<&str> =
            section.checks.iter().flat_map(|(_, other)| other.source_keys()).collect();
        for key in self.state_dict.keys() {
            let Some(made) = there.get(key) else {
                issue(key, "would not be made again".into());
                continue;
            };
            let Some(made) = made else { continue };
            let known = |name: &str| back.get(name)?.as_ref().map(|(made, _)| made);
            let made = made.0.over(&known);
            if !tied.contains(key) && !self.is_own(key, &made) {
                issue(key, "would be made of other elements".into());
            }
        }
        for key in there.keys().filter(|key| !self.state_dict.contains(key)) {
            issue(key, "would be made, and is not there".into());
        }
        Ok(issues)
    }

    /// What a section makes, with the tensor that it would be; none for what is not a tensor.
    fn made(&self, section: &Section) -> IndexMap<String, Option<(Expression, Tensor)>> {
        let tensor = |key: &str| self.catalog.tensor(self.state_dict, key);
        let mut made = IndexMap::default();
        for (old, new) in section.kept() {
            let own = tensor(old).map(|tensor| (Expression::key(old, tensor), tensor.clone()));
            made.insert(new.to_string(), own);
        }
        for (new, expression) in section.tensors().into_iter().flatten() {
            let first = expression.first_source().and_then(tensor);
            let like = first.and_then(|first| stand_in(expression.shape(), first, OWN));
            made.insert(new.clone(), like.map(|like| (expression.clone(), like)));
        }
        made
    }

    /// True if an expression is the very tensor under this key.
    fn is_own(&self, key: &str, made: &Expression) -> bool {
        let Some(tensor) = self.catalog.tensor(self.state_dict, key) else { return false };
        let made = &made.without_undone_constants();
        if *made == Expression::key(key, tensor) {
            return true;
        }
        let mut tensors = IndexMap::<&str, Tensor>::default();
        for source in made.source_keys() {
            let Some(tensor) = self.catalog.tensor(self.state_dict, source) else { return false };
            let start = if source == key { OWN } else { OTHER };
            let Some(tensor) = stand_in(tensor.shape.clone(), tensor, start) else { return false };
            tensors.insert(source, tensor);
        }
        let elements = made.evaluate(&|_, source| tensors.get(source));
        elements.is_ok_and(|elements| elements.shape() == tensor.shape && is_in_order(&elements))
    }
}

impl Expression {
    /// The same without constants that are followed by their opposites: whether those give every bit
    /// back is seen when they are written.
    fn without_undone_constants(&self) -> Expression {
        match self {
            Expression::Arithmetic { of, step, returns } => match of.without_undone_constants() {
                Expression::Arithmetic { of, step: inner, .. } if inner.inverse() == *step => *of,
                of => {
                    let (of, step, returns) = (Box::new(of), *step, *returns);
                    Expression::Arithmetic { of, step, returns }
                }
            },
            made => made.clone(),
        }
    }
}

/// Where the storage of the tensor begins that an expression is to be.
const OWN: u64 = 0;
/// Where that of every other begins.
const OTHER: u64 = 1;

/// A tensor of this shape and another's type that is alone in its storage.
fn stand_in(shape: Vec<u64>, like: &Tensor, start: u64) -> Option<Tensor> {
    let storage = Arc::new(Storage::stored(start..u64::MAX));
    Tensor::dense(like.dtype.clone(), shape, 0, storage).ok()
}

/// True if each element is where it was in its own storage.
fn is_in_order(elements: &Elements) -> bool {
    elements.blocks().iter().all(|block| {
        let Origin::Tensor(tensor) = block.elements().origin() else { return false };
        tensor.as_view().is_some_and(|view| {
            let strides = view.strides().iter().zip(block.strides());
            let mut steps = tensor.shape.iter().zip(strides).filter(|(size, _)| **size > 1);
            view.storage().location.range().start == OWN
                && view.offset() == block.offset()
                && steps.all(|(_, (from, to))| from == to)
        })
    })
}

/// A catalog of one state dict with these tensors, and keys of other values.
fn catalog_of(made: &IndexMap<String, Option<(Expression, Tensor)>>) -> Catalog {
    let mut catalog = Catalog::default();
    let mut state_dict = StateDict::of_keys(made.keys().map(|key| Arc::from(key.as_str())));
    for (key, tensor) in made {
        let Some((_, tensor)) = tensor else { continue };
        state_dict.set_row(key, catalog.rows.len());
        let (path, text) = (Arc::default(), crate::Key::Text(key.as_str().into()));
        catalog.rows.push(crate::TensorEntry { path, key: text, tensor: tensor.clone() });
    }
    catalog.state_dicts.push(state_dict);
    catalog
}
