//! Formulas planned: which tensors are calculated from which, as the rules of a stage ask.

mod dequantise;
mod fill;
mod weight_norm;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::plan::regroup::{Example, New};
use crate::rules::formula::FormulaRule;
use crate::{DType, Expression, IndexMap, IndexSet};

/// What is under a name where a stage begins.
pub(super) struct Found {
    pub(super) position: usize,
    /// What it is made of; none for what is not a tensor with plain elements.
    pub(super) tensor: Option<FoundTensor>,
}

/// A tensor where a stage begins.
#[derive(Clone)]
pub(super) struct FoundTensor {
    pub(super) made: Expression,
    pub(super) dtype: DType,
}

/// Everything that a stage begins with.
pub(super) type AllFound = IndexMap<Arc<str>, Found>;

/// What a stage makes.
#[derive(Default)]
pub(super) struct Calculated {
    pub(super) made: Vec<New>,
    /// Names that are no longer there, unless something new has them.
    pub(super) taken: IndexSet<String>,
    /// Expressions that must have the same elements, or something would be lost.
    pub(super) checks: Vec<(Expression, Expression)>,
    /// How many tensors are calculated or added.
    pub(super) groups: usize,
    /// The first of them with what it is made of.
    pub(super) example: Option<Example>,
    /// Every reason why it cannot be.
    pub(super) problems: Vec<String>,
}

impl Calculated {
    /// Adds a tensor that is calculated from these, which are no longer there.
    fn add(&mut self, position: usize, name: String, made: Expression, from: &[(&str, Vec<u64>)]) {
        self.groups += 1;
        self.example.get_or_insert_with(|| Example {
            from: from.iter().map(|(name, shape)| ((*name).into(), shape.clone())).collect(),
            to: [(name.clone(), made.shape())].into(),
        });
        self.made.push(New { position, name, made });
    }
}

/// What a rule makes of what it finds.
pub(super) fn calculate(rule: &FormulaRule, all: &AllFound) -> Calculated {
    match rule {
        FormulaRule::Dequantise(rule) => dequantise::calculate(rule, all),
        FormulaRule::FoldWeightNorm(rule) => weight_norm::calculate(rule, all),
        FormulaRule::Fill(fills) => fill::calculate(fills, all),
        FormulaRule::Unfill(fills) => fill::undo(fills, all),
    }
}

/// The tensor of a name.
fn tensor<'a>(all: &'a AllFound, name: &str) -> Option<&'a FoundTensor> {
    all.get(name)?.tensor.as_ref()
}
