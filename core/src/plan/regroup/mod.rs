//! Rules of tensors resolved: keys that belong together, and what is made of them.
//!
//! The keys that a rule recognised are put into groups by what both sides have in common
//! (`groups`), the sizes of each group's places are found out (`solving`), and then every tensor on
//! the right is an expression over those on the left (`making`).

mod groups;
mod layout;
mod making;
mod pattern;
mod solving;

pub(super) use solving::sizes_of;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::plan::Expression;
use crate::rules::template::Held;
use crate::rules::tensor::TensorRule;
use crate::sorting;
use crate::{DType, IndexMap};
use pattern::{Likeness, Pattern};

/// The most tensors that one rule makes of one group, and the most that are listed as missing.
pub(super) const MAX_MADE: u64 = 1 << 20;

/// How often a rule repeats what there is once: each copy is a part of the plan.
pub(super) const MAX_COPIES: u64 = 4096;

/// What one rule of tensors makes of the tensors that it recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regrouping {
    /// The state dict.
    pub path: String,
    /// The rule, as text.
    pub rule: String,
    /// How many groups of tensors belong together.
    pub groups: usize,
    /// How many tensors it recognised.
    pub from: usize,
    /// How many it makes of them.
    pub to: usize,
    /// How many elements it cuts off and loses.
    pub cut: u64,
    /// The first group.
    pub example: Example,
}

/// A key that a rule recognised.
pub(super) struct Claim {
    /// Its place among all keys.
    pub(super) position: usize,
    /// Which of the rule's terms it belongs to.
    pub(super) term: usize,
    pub(super) form: Form,
    /// What the captures hold.
    pub(super) held: Held,
    pub(super) source: Source,
}

/// By which key of a term a tensor was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Its own.
    Own,
    /// Another one that the same tensor has.
    Tie,
}

/// A tensor as a stage finds it.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: Arc<str>,
    /// What is known of it; why nothing is, where it has no elements to speak of.
    pub(super) tensor: Result<(Vec<u64>, DType), String>,
}

/// A tensor that a rule makes.
pub(super) struct New {
    /// The place of the first key that it is made of.
    pub(super) position: usize,
    pub(super) name: String,
    pub(super) made: Expression,
}

/// What each tensor that a rule recognised is made of, by the name that the stage found.
pub(super) type Known = IndexMap<Arc<str>, Expression>;

/// What a rule makes of the keys that it recognised.
#[derive(Default)]
pub(super) struct Regrouped {
    pub(super) made: Vec<New>,
    pub(super) groups: usize,
    /// The first group, to be shown: its tensors, and those that are made of them.
    pub(super) example: Option<Example>,
    /// Names under which the same elements must be, the first of which is taken.
    pub(super) same: Vec<(Arc<str>, Arc<str>)>,
    /// Expressions that must have the same elements.
    pub(super) checks: Vec<(Expression, Expression)>,
    /// How many elements are cut off and lost.
    pub(super) cut: u64,
    /// Every reason why it cannot be.
    pub(super) problems: Vec<String>,
}

/// Keys with their shapes.
pub(super) type Shapes = Vec<(String, Vec<u64>)>;

/// A group of tensors and those that are made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Keys on the left with their shapes.
    pub from: Shapes,
    /// Keys on the right with their shapes.
    pub to: Shapes,
}

/// What a rule makes of the keys that it recognised, over what these are made of.
pub(super) fn regroup(rule: &TensorRule, claims: Vec<Claim>, known: &Known) -> Regrouped {
    let mut regrouped = Regrouped::default();
    let claims = apart_from_ties(claims, &mut regrouped);
    if is_rename(rule) {
        for claim in claims {
            renamed(rule, claim, known, &mut regrouped);
        }
        return regrouped;
    }
    let counts = match groups::counts(rule, &claims) {
        Ok(counts) => counts,
        Err(problem) => {
            regrouped.problems.push(problem);
            return regrouped;
        }
    };
    let mut patterns = IndexMap::<Likeness, Pattern>::default();
    for group in groups::groups(rule, claims) {
        let before = regrouped.problems.len();
        group.check_members(rule, &counts, &mut regrouped.problems);
        if regrouped.problems.len() > before {
            continue;
        }
        regrouped.groups += 1;
        let likeness = Likeness::of(&group);
        if let Some(pattern) = patterns.get(&likeness) {
            pattern.add(rule, &group, known, &mut regrouped);
            continue;
        }
        let Some(sizes) = solving::solve(rule, &group, &counts, &mut regrouped.problems) else {
            continue;
        };
        let pattern = making::make(rule, &group, &sizes);
        pattern.add(rule, &group, known, &mut regrouped);
        if pattern.is_for_others() {
            patterns.insert(likeness, pattern);
        }
    }
    regrouped
}

/// The keys that are a term's own; what a tensor has besides must be the same and is not taken.
fn apart_from_ties(claims: Vec<Claim>, regrouped: &mut Regrouped) -> Vec<Claim> {
    let (own, ties): (Vec<Claim>, Vec<Claim>) =
        claims.into_iter().partition(|claim| claim.form == Form::Own);
    if ties.is_empty() {
        return own;
    }
    let names: IndexMap<(usize, Held), Arc<str>> =
        own.iter().map(|claim| ((claim.term, claim.sorted()), claim.source.name.clone())).collect();
    for tie in ties {
        match names.get(&(tie.term, tie.sorted())) {
            Some(name) => regrouped.same.push((name.clone(), tie.source.name)),
            None => {
                let problem = "is the same tensor as another, which is missing";
                regrouped.problems.push(alloc::format!("'{}' {problem}", tie.source.name));
            }
        }
    }
    own
}

impl Claim {
    /// The captures in an order that does not depend on the key's form.
    fn sorted(&self) -> Held {
        let mut held: Vec<_> =
            self.held.iter().map(|(name, it)| (name.clone(), it.clone())).collect();
        sorting::sort_by(&mut held, |a, b| a.0.cmp(&b.0));
        held.into_iter().collect()
    }
}

/// True if tensors get other names and nothing else.
pub(super) fn is_rename(rule: &TensorRule) -> bool {
    let roles = rule.roles();
    matches!((rule.left(), rule.right()), ([left], [right])
        if left.places() == right.places()
            && left.places().is_none_or(layout::is_rest)
            && left.steps().is_empty()
            && right.steps().is_empty())
        && roles.gathered.is_empty()
        && roles.spread.is_empty()
}

/// The names that a tensor gets from a rule that makes none.
fn renamed(rule: &TensorRule, claim: Claim, known: &Known, regrouped: &mut Regrouped) {
    let Claim { position, held, source, .. } = claim;
    let made = known.get(&source.name).cloned().unwrap_or_else(|| source.expression());
    regrouped.groups += 1;
    for term in rule.right() {
        for template in term.templates() {
            match template.fill(&held) {
                Ok(name) => {
                    regrouped.made.push(New { position, name, made: made.clone() });
                }
                Err(why) => regrouped.problems.push(alloc::format!("'{}': {why}", source.name)),
            }
        }
    }
}

impl Source {
    fn shape(&self) -> &[u64] {
        self.tensor.as_ref().map_or(&[], |(shape, _)| shape)
    }

    pub(super) fn expression(&self) -> Expression {
        self.under(&self.name)
    }

    /// The same tensor by another key.
    pub(super) fn under(&self, key: &str) -> Expression {
        let (of, key) = (crate::Origination::Source, String::from(key));
        Expression::Key { of, key, shape: self.shape().to_vec() }
    }
}
