//! What a group becomes, found out once for all groups that are alike.
//!
//! A model has as many groups of a rule as it has layers, which differ in nothing but their names. So
//! the tensors that one becomes are kept, and those of the others are the same with other names.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::groups::{Group, Member, spread};
use super::{Example, Known, New, Regrouped};
use crate::rules::tensor::TensorRule;
use crate::{DType, Expression, IndexMap};

/// What decides which tensors a group becomes, but for their names.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Likeness {
    /// For each term how many tensors it has, then for each the values of its gathered names, its rank
    /// and its shape.
    numbers: Vec<u64>,
    types: Vec<DType>,
}

/// What a group becomes.
pub(super) struct Pattern {
    /// The number of each of its tensors.
    numbers: IndexMap<Arc<str>, usize>,
    /// What is made for each term on the right.
    pub(super) terms: Vec<Vec<Made>>,
    /// Expressions that must have the same elements.
    pub(super) checks: Vec<(Expression, Expression)>,
    /// How many elements are cut off and lost.
    pub(super) cut: u64,
    /// Every reason why it cannot be.
    pub(super) problems: Vec<String>,
}

/// A tensor that a term on the right stands for.
pub(super) struct Made {
    /// The values of the names that tell it from others of the term.
    pub(super) values: Vec<u64>,
    /// Over the names of the group that the pattern was found with.
    pub(super) expression: Expression,
    /// The numbers of the tensors that it is made of.
    pub(super) members: Vec<usize>,
    /// That these have one type; the several types with a key of each.
    pub(super) one_type: Result<(), String>,
}

impl Likeness {
    pub(super) fn of(group: &Group) -> Likeness {
        let mut likeness = Likeness { numbers: Vec::new(), types: Vec::new() };
        for members in &group.members {
            likeness.numbers.push(members.len() as u64);
            for (values, member) in members {
                let shape = member.source.shape();
                likeness.numbers.extend(values);
                likeness.numbers.push(shape.len() as u64);
                likeness.numbers.extend(shape);
                let tensor = member.source.tensor.as_ref();
                likeness.types.extend(tensor.ok().map(|(_, dtype)| dtype.clone()));
            }
        }
        likeness
    }
}

impl Pattern {
    pub(super) fn of(group: &Group) -> Pattern {
        let names = group.all().map(|member| member.source.name.clone());
        Pattern {
            numbers: names.zip(0..).collect(),
            terms: Vec::new(),
            checks: Vec::new(),
            cut: 0,
            problems: Vec::new(),
        }
    }

    /// True if it has nothing to say of the group that it was found with alone.
    pub(super) fn is_for_others(&self) -> bool {
        let mut made = self.terms.iter().flatten();
        self.problems.is_empty() && made.all(|made| made.one_type.is_ok())
    }

    /// Adds what a group becomes that is like the one it was found with.
    pub(super) fn add(
        &self,
        rule: &TensorRule,
        group: &Group,
        known: &Known,
        regrouped: &mut Regrouped,
    ) {
        regrouped.problems.extend(self.problems.iter().cloned());
        regrouped.cut = regrouped.cut.saturating_add(self.cut);
        let members: Vec<&Member> = group.all().collect();
        let of = |name: &str| known.get(&*members[*self.numbers.get(name)?].source.name);
        let checks = self.checks.iter().map(|(a, b)| (a.over(&of), b.over(&of)));
        regrouped.checks.extend(checks);
        let first = regrouped.made.len();
        for (term, made) in rule.right().iter().zip(&self.terms) {
            let own = spread(rule, term);
            for made in made {
                let position = made.members.iter().map(|number| members[*number].position).min();
                let position = position.unwrap_or(usize::MAX);
                let expression = made.expression.over(&of);
                let held = group.held(&own, &made.values);
                for template in term.templates() {
                    match template.fill(&held) {
                        Ok(name) => {
                            regrouped.problems.extend(made.several_types(&name));
                            regrouped.made.push(New { position, name, made: expression.clone() });
                        }
                        Err(why) => regrouped.problems.push(format!("'{template}': {why}")),
                    }
                }
            }
        }
        if regrouped.example.is_none() && self.problems.is_empty() {
            let from = members.iter().map(|member| &member.source);
            let from = from.map(|it| (it.name.to_string(), it.shape().to_vec()));
            let to = regrouped.made[first..].iter();
            let to = to.map(|new| (new.name.clone(), new.made.shape()));
            regrouped.example = Some(Example { from: from.collect(), to: to.collect() });
        }
    }
}

impl Made {
    /// That a tensor of this name would have several types, if it would.
    fn several_types(&self, name: &str) -> Option<String> {
        let types = self.one_type.as_ref().err()?;
        Some(format!("'{name}' would hold elements of several types: {types}"))
    }
}
