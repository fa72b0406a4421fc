//! Which quantized weights become numbers, and of which type.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::casting::CastRule;
use crate::rules::kind::RuleKind;
use crate::rules::sizes::Sizes;
use crate::rules::template::Name;
use crate::{BadRemap, DType, IndexSet, Template};

/// The sizes that say how large a block of scales is, in each dimension.
const BLOCK: [&str; 2] = ["block_rows", "block_columns"];

/// Where configurations of transformers say them.
pub(super) const USUAL: [(&str, &str); 2] = [
    (BLOCK[0], "quantization_config.weight_block_size.0"),
    (BLOCK[1], "quantization_config.weight_block_size.1"),
];

/// Which quantized weights become numbers, and of which type: each element times the scale of its
/// block.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantise {
    rules: Vec<CastRule>,
    separator: char,
    block: Option<[u64; 2]>,
}

impl Dequantise {
    /// The rule of some words, `bf16` and `PATTERN=bf16`, the first that matches a key deciding.
    ///
    /// # Errors
    /// A word that is neither, and a type that no result can have.
    pub fn new(words: &[String], separator: char) -> Result<Dequantise, BadRemap> {
        let kind = RuleKind::Dequantise;
        if words.is_empty() {
            let expected = "the type of the result, such as bf16, or PATTERN=bf16";
            return Err(BadRemap::Words { kind, expected });
        }
        let rules = words.iter().map(|word| {
            let rule = CastRule::parse(word, separator).map_err(|bad| BadRemap::Spelling {
                text: word.clone(),
                expected: bad.to_string(),
            })?;
            match rule.to {
                DType::F16 | DType::Bf16 | DType::F32 | DType::F64 => Ok(rule),
                _ => {
                    let expected = "f16, bf16, f32 or f64 as the type of the result";
                    Err(BadRemap::Words { kind, expected })
                }
            }
        });
        Ok(Dequantise { rules: rules.collect::<Result<_, _>>()?, separator, block: None })
    }

    /// The type that the weight under a key gets; none if no rule is for it.
    pub fn dtype(&self, key: &str) -> Option<&DType> {
        let is_for = |rule: &&CastRule| rule.pattern.as_ref().is_some_and(|it| it.matches(key));
        let named = self.rules.iter().find(is_for);
        let rule = named.or_else(|| self.rules.iter().rfind(|rule| rule.pattern.is_none()))?;
        Some(&rule.to)
    }

    /// How large a block of scales is in the last two dimensions, where that is said.
    pub fn block(&self) -> Option<[u64; 2]> {
        self.block
    }

    pub(super) fn words(&self) -> Vec<String> {
        let words = self.rules.iter().map(|CastRule { pattern, to }| {
            let to = to.name().to_ascii_lowercase();
            match pattern {
                Some(pattern) => format!("{pattern}={to}"),
                None => to,
            }
        });
        words.collect()
    }

    /// What keys are split into segments at.
    pub fn separator(&self) -> char {
        self.separator
    }

    pub(super) fn patterns(&self) -> impl Iterator<Item = &Template> {
        self.rules.iter().filter_map(|rule| rule.pattern.as_ref())
    }

    pub(super) fn size_names() -> IndexSet<Name> {
        BLOCK.into_iter().map(Name::from).collect()
    }

    pub(super) fn with_sizes(&self, sizes: &Sizes) -> Dequantise {
        let [rows, columns] = BLOCK.map(|name| sizes.get(name).filter(|size| *size > 0));
        Dequantise { block: rows.zip(columns).map(<[u64; 2]>::from), ..self.clone() }
    }

    pub(super) fn in_words(&self) -> String {
        let types: IndexSet<&str> = self.rules.iter().map(|rule| rule.to.name()).collect();
        let types: Vec<&str> = types.into_iter().collect();
        format!(
            "multiplies quantized weights by the scales of their blocks, as {}; one way",
            types.join(" and ")
        )
    }
}
