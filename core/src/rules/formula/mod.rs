//! Rules of formulas: tensors that are calculated from several, and tensors that no file has.
//!
//! They say what is to be calculated and for which keys; what a formula is made of is found by the
//! names that it has in checkpoints.

mod dequantise;
mod fill;
mod weight_norm;

pub use dequantise::Dequantise;
pub use fill::{BadFill, Fill, FillProblem};
pub use weight_norm::FoldWeightNorm;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::rules::kind::RuleKind;
use crate::rules::separators::Separators;
use crate::rules::sizes::{BadSizes, Sizes};
use crate::rules::template::Name;
use crate::{IndexSet, Rule, Template};

impl From<FormulaRule> for Rule {
    fn from(rule: FormulaRule) -> Rule {
        Rule::Formula(Box::new(rule))
    }
}

/// What is calculated, or added.
#[derive(Clone, Debug, PartialEq)]
pub enum FormulaRule {
    /// Quantized weights become numbers, by the scales beside them.
    Dequantise(Dequantise),
    /// Weights that are kept as a magnitude and a direction become one tensor.
    FoldWeightNorm(FoldWeightNorm),
    /// Tensors are added, made of constants.
    Fill(Vec<Fill>),
    /// Tensors that are what fills would add are taken out.
    Unfill(Vec<Fill>),
}

impl FormulaRule {
    /// The kind and the words that ask for it; none for one that only an inverse has.
    pub(crate) fn words(&self) -> Option<(RuleKind, Vec<String>)> {
        Some(match self {
            FormulaRule::Dequantise(rule) => (RuleKind::Dequantise, rule.words()),
            FormulaRule::FoldWeightNorm(rule) => (RuleKind::FoldWeightNorm, rule.words()),
            FormulaRule::Fill(fills) => {
                (RuleKind::Fill, fills.iter().map(ToString::to_string).collect())
            }
            FormulaRule::Unfill(_) => return None,
        })
    }

    /// What keys are split into segments at.
    pub(crate) fn separators(&self) -> Separators {
        match self {
            FormulaRule::Dequantise(rule) => rule.separator().into(),
            FormulaRule::FoldWeightNorm(rule) => rule.separator().into(),
            FormulaRule::Fill(fills) | FormulaRule::Unfill(fills) => {
                fills.first().map(Fill::separators).unwrap_or_default()
            }
        }
    }

    /// The templates of keys in it.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            FormulaRule::Dequantise(rule) => rule.patterns().collect(),
            FormulaRule::FoldWeightNorm(rule) => rule.patterns().iter().collect(),
            FormulaRule::Fill(fills) | FormulaRule::Unfill(fills) => {
                fills.iter().flat_map(Fill::templates).collect()
            }
        }
    }

    /// The entries of a configuration that say sizes where nobody else does.
    pub(crate) fn usual_sizes(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            FormulaRule::Dequantise(_) => &dequantise::USUAL,
            _ => &[],
        }
    }

    /// The names that are sizes in it, or may be.
    pub(crate) fn size_names(&self) -> IndexSet<Name> {
        match self {
            FormulaRule::Dequantise(_) => Dequantise::size_names(),
            FormulaRule::FoldWeightNorm(_) => IndexSet::default(),
            FormulaRule::Fill(fills) | FormulaRule::Unfill(fills) => {
                fills.iter().flat_map(Fill::size_names).collect()
            }
        }
    }

    /// The sizes of places that no tensor says.
    pub(crate) fn wanted_sizes(&self) -> IndexSet<Name> {
        match self {
            FormulaRule::Fill(fills) | FormulaRule::Unfill(fills) => {
                fills.iter().flat_map(Fill::wanted_sizes).collect()
            }
            FormulaRule::Dequantise(_) | FormulaRule::FoldWeightNorm(_) => IndexSet::default(),
        }
    }

    /// The same with sizes put in.
    pub(crate) fn with_sizes(&self, sizes: &Sizes) -> Result<FormulaRule, BadSizes> {
        let all = |fills: &[Fill]| {
            fills.iter().map(|fill| fill.with_sizes(sizes)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            FormulaRule::Dequantise(rule) => FormulaRule::Dequantise(rule.with_sizes(sizes)),
            FormulaRule::FoldWeightNorm(rule) => FormulaRule::FoldWeightNorm(rule.clone()),
            FormulaRule::Fill(fills) => FormulaRule::Fill(all(fills)?),
            FormulaRule::Unfill(fills) => FormulaRule::Unfill(all(fills)?),
        })
    }

    /// What leads back; why nothing does.
    pub(crate) fn exchanged(&self) -> Result<FormulaRule, &'static str> {
        match self {
            FormulaRule::Dequantise(_) => Err("what was quantised is rounded another way"),
            FormulaRule::FoldWeightNorm(_) => {
                Err("a magnitude and a direction are not told from their product")
            }
            FormulaRule::Fill(fills) => Ok(FormulaRule::Unfill(fills.clone())),
            FormulaRule::Unfill(fills) => Ok(FormulaRule::Fill(fills.clone())),
        }
    }

    /// Why nothing leads back, whatever the keys.
    pub fn one_way(&self) -> Option<&'static str> {
        self.exchanged().err()
    }

    /// What it does, in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            FormulaRule::Dequantise(rule) => rule.in_words(),
            FormulaRule::FoldWeightNorm(rule) => rule.in_words(),
            FormulaRule::Fill(fills) => {
                fills.iter().map(Fill::in_words).collect::<Vec<_>>().join("; ")
            }
            FormulaRule::Unfill(_) => "takes out what is filled with constants".into(),
        }
    }
}
