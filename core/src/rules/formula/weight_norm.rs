//! Which weight norms are folded.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{BadTemplate, Template};

/// Which weights that are kept as a magnitude and a direction become one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct FoldWeightNorm {
    patterns: Vec<Template>,
    separator: char,
}

impl FoldWeightNorm {
    /// The weights whose folded key a pattern matches; without a pattern, all that have the names
    /// that PyTorch gives them.
    ///
    /// # Errors
    /// A pattern that cannot be read.
    pub fn new(patterns: &[String], separator: char) -> Result<FoldWeightNorm, BadTemplate> {
        let patterns = patterns.iter().map(|text| Template::parse(text, separator));
        Ok(FoldWeightNorm { patterns: patterns.collect::<Result<_, _>>()?, separator })
    }

    /// The patterns; none for all weights.
    pub fn patterns(&self) -> &[Template] {
        &self.patterns
    }

    /// What keys are split into segments at.
    pub fn separator(&self) -> char {
        self.separator
    }

    pub(super) fn words(&self) -> Vec<String> {
        self.patterns.iter().map(ToString::to_string).collect()
    }

    pub(super) fn in_words(&self) -> String {
        "folds weight norms: a direction times its magnitude over its own norm; one way".into()
    }
}
