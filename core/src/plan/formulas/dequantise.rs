//! Quantized weights, each with the scales of its blocks.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{AllFound, Calculated, FoundTensor, tensor};
use crate::rules::formula::Dequantise;
use crate::{DType, Expression, Formula, block_sizes};

/// What is appended to a weight's name for the scales that it is multiplied by: DeepSeek's, and those
/// of compressed-tensors and ModelOpt.
const SUFFIXES: [&str; 2] = ["_scale_inv", "_scale"];

/// Names of a module's scales beside its `weight`: ComfyUI's, and DeepSeek's own.
const BESIDE_WEIGHT: [&str; 2] = ["scale_weight", "scale"];

/// Names beside a weight that say that more than a scale belongs to it.
const NOT_KNOWN: [&str; 4] = ["_scale_2", "_scale2", "_zero_point", "_global_scale"];

/// The same beside a module's `weight`: LLM.int8's rows, which are divided by 127 as well.
const NOT_KNOWN_BESIDE: [&str; 2] = ["SCB", "weight_format"];

pub(super) fn calculate(rule: &Dequantise, all: &AllFound) -> Calculated {
    let mut calculated = Calculated::default();
    for (name, found) in all {
        let Some(own) = found.tensor.as_ref().filter(|own| is_quantized(&own.dtype)) else {
            continue;
        };
        let Some(to) = rule.dtype(name) else { continue };
        let names = Names::new(name, rule.separator());
        if let Some(other) = names.not_known(all) {
            let problem = format!("'{name}' is quantized with '{other}', which is not known");
            calculated.problems.push(problem);
            continue;
        }
        match names.scale(all) {
            Some((scale, scales)) => match dequantised(rule, (name, own), (&scale, scales), to) {
                Ok(made) => {
                    let from = [(&**name, own.made.shape()), (scale.as_str(), scales.made.shape())];
                    calculated.add(found.position, String::from(&**name), made, &from);
                    calculated.taken.extend([String::from(&**name), scale]);
                }
                Err(why) => calculated.problems.push(why),
            },
            None if is_float(&own.dtype) => {
                let (dtype, suffixes) = (&own.dtype, SUFFIXES.join(", "));
                calculated.problems.push(format!(
                    "'{name}' is {dtype} and has no scales beside it ({suffixes}); say with \
                     PATTERN=DTYPE which weights are meant, and cast the others"
                ));
            }
            None => {}
        }
    }
    calculated
}

/// The tensor times its scales.
fn dequantised(
    rule: &Dequantise,
    (name, own): (&str, &FoundTensor),
    (scale, scales): (&str, &FoundTensor),
    to: &DType,
) -> Result<Expression, String> {
    let (shape, of_scales) = (own.made.shape(), scales.made.shape());
    let blocks = match said(rule, &shape, &of_scales) {
        Some(blocks) => blocks,
        None => block_sizes(&shape, &of_scales).map_err(|why| {
            format!("'{name}' with '{scale}': {why} (--set block_rows=N --set block_columns=N)")
        })?,
    };
    let formula = Formula::Dequantise {
        quantised: own.made.clone(),
        scales: scales.made.clone(),
        blocks,
        dtype: to.clone(),
    };
    Ok(Expression::Formula(Box::new(formula)))
}

/// The sizes of blocks that are said, if there is a scale for each block of that size.
fn said(rule: &Dequantise, shape: &[u64], scales: &[u64]) -> Option<Vec<u64>> {
    let block = rule.block()?;
    let (above, last) = shape.split_at_checked(shape.len().checked_sub(2)?)?;
    let counts = last.iter().zip(block).map(|(size, block)| size.div_ceil(block));
    let expected: Vec<u64> = above.iter().copied().chain(counts).collect();
    (expected == scales).then(|| above.iter().map(|_| 1).chain(block).collect())
}

/// True for types that weights are quantized to and that are numbers without a scale, too.
fn is_quantized(dtype: &DType) -> bool {
    is_float(dtype) || *dtype == DType::I8
}

fn is_float(dtype: &DType) -> bool {
    matches!(dtype, DType::F8E4M3 | DType::F8E5M2 | DType::F8E4M3Fnuz | DType::F8E5M2Fnuz)
}

/// The names that belong to a weight.
struct Names<'a> {
    weight: &'a str,
    /// The module's path with the separator behind it, if the weight is called so.
    module: Option<&'a str>,
}

impl<'a> Names<'a> {
    fn new(weight: &'a str, separator: char) -> Names<'a> {
        let module = weight.strip_suffix("weight");
        let module = module.filter(|path| path.is_empty() || path.ends_with(separator));
        Names { weight, module }
    }

    fn beside(&self, suffixes: &[&str], names: &[&str]) -> Vec<String> {
        let own = suffixes.iter().map(|suffix| format!("{}{suffix}", self.weight));
        let of_module = self.module.into_iter();
        own.chain(of_module.flat_map(|path| names.iter().map(move |name| format!("{path}{name}"))))
            .collect()
    }

    /// The scales that the weight is multiplied by.
    fn scale<'f>(&self, all: &'f AllFound) -> Option<(String, &'f FoundTensor)> {
        let names = self.beside(&SUFFIXES, &BESIDE_WEIGHT).into_iter();
        names.into_iter().find_map(|name| {
            let found = tensor(all, &name)?;
            Some((name, found))
        })
    }

    /// What says that a weight is quantized in a way that is not known.
    fn not_known(&self, all: &AllFound) -> Option<String> {
        let names = self.beside(&NOT_KNOWN, &NOT_KNOWN_BESIDE);
        names.into_iter().find(|name| all.contains_key(name.as_str()))
    }
}
