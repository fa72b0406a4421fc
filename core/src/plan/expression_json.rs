//! Expressions as JSON: `{"cat": {"dim": 0, "of": [{"key": {"name": "a", "shape": [2, 3]}}, …]}}`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::error::BadPlan;
use super::{Expression, Formula, Origination, Returns};
use crate::catalog::tensor::count_of;
use crate::init::{Fans, RandomInit, Stream};
use crate::{Arithmetic, DType, Operation};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ExpressionJson {
    /// A tensor of the file.
    Key {
        name: String,
        shape: Vec<u64>,
    },
    /// A tensor of the model that the file is made to fit.
    Target {
        name: String,
        shape: Vec<u64>,
    },
    /// A tensor of the adapter that is merged into the file.
    Adapter {
        name: String,
        shape: Vec<u64>,
    },
    Slice {
        of: Box<ExpressionJson>,
        dim: usize,
        start: u64,
        end: u64,
    },
    Permute {
        of: Box<ExpressionJson>,
        dims: Vec<usize>,
    },
    Reshape {
        of: Box<ExpressionJson>,
        shape: Vec<u64>,
    },
    Cat {
        of: Vec<ExpressionJson>,
        dim: usize,
    },
    Stack {
        of: Vec<ExpressionJson>,
        dim: usize,
    },
    Cast {
        of: Box<ExpressionJson>,
        dtype: String,
    },
    Add(ConstantJson),
    Mul(ConstantJson),
    Div(ConstantJson),
    LowRank {
        base: Box<ExpressionJson>,
        up: Box<ExpressionJson>,
        down: Box<ExpressionJson>,
        scale: f64,
    },
    WeightNorm {
        direction: Box<ExpressionJson>,
        magnitude: Box<ExpressionJson>,
    },
    Dequantise {
        quantised: Box<ExpressionJson>,
        scales: Box<ExpressionJson>,
        blocks: Vec<u64>,
        dtype: String,
    },
    Sum {
        of: Vec<ExpressionJson>,
    },
    Init(InitJson),
}

/// Every element combined with a constant.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConstantJson {
    of: Box<ExpressionJson>,
    number: f64,
    /// Whether the opposite gives every bit back, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact: Option<bool>,
}

/// Elements that no file has.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InitJson {
    init: String,
    dtype: String,
    shape: Vec<u64>,
    seed: u64,
    /// The name that gives the tensor numbers of its own.
    stream: String,
    /// Fan in and fan out of the whole tensor, which this may be a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fans: Option<(u64, u64)>,
}

impl From<&Expression> for ExpressionJson {
    fn from(expression: &Expression) -> ExpressionJson {
        let boxed = |of: &Expression| Box::new(ExpressionJson::from(of));
        match expression {
            Expression::Key { of, key, shape } => {
                let (name, shape) = (key.clone(), shape.clone());
                match of {
                    Origination::Source => ExpressionJson::Key { name, shape },
                    Origination::Target => ExpressionJson::Target { name, shape },
                    Origination::Adapter => ExpressionJson::Adapter { name, shape },
                }
            }
            Expression::Slice { of, axis, range } => ExpressionJson::Slice {
                of: boxed(of),
                dim: *axis,
                start: range.start,
                end: range.end,
            },
            Expression::Permute { of, axes } => {
                ExpressionJson::Permute { of: boxed(of), dims: axes.clone() }
            }
            Expression::Reshape { of, shape } => {
                ExpressionJson::Reshape { of: boxed(of), shape: shape.clone() }
            }
            Expression::Concat { axis, parts } => {
                ExpressionJson::Cat { of: parts.iter().map(Into::into).collect(), dim: *axis }
            }
            Expression::Stack { axis, parts } => {
                ExpressionJson::Stack { of: parts.iter().map(Into::into).collect(), dim: *axis }
            }
            Expression::Cast { of, dtype } => {
                ExpressionJson::Cast { of: boxed(of), dtype: dtype.name().to_string() }
            }
            Expression::Arithmetic { of, step, returns } => {
                let exact = match returns {
                    Returns::Unknown => None,
                    Returns::Exactly => Some(true),
                    Returns::Inexactly => Some(false),
                };
                let constant = ConstantJson { of: boxed(of), number: step.constant(), exact };
                match step.operation() {
                    Operation::Add => ExpressionJson::Add(constant),
                    Operation::Multiply => ExpressionJson::Mul(constant),
                    Operation::Divide => ExpressionJson::Div(constant),
                }
            }
            Expression::Formula(formula) => formula_json(formula),
            Expression::Init(drawing) => ExpressionJson::Init(InitJson {
                init: drawing.init().to_string(),
                dtype: drawing.dtype().name().to_string(),
                shape: drawing.shape().to_vec(),
                seed: drawing.stream().seed,
                stream: drawing.stream().key.clone(),
                fans: drawing.fans().map(|fans| (fans.incoming, fans.outgoing)),
            }),
        }
    }
}

impl TryFrom<ExpressionJson> for Expression {
    type Error = BadPlan;

    fn try_from(json: ExpressionJson) -> Result<Expression, BadPlan> {
        let boxed = |of: Box<ExpressionJson>| Expression::try_from(*of).map(Box::new);
        Ok(match json {
            ExpressionJson::Key { name: key, shape } => {
                Expression::Key { of: Origination::Source, key, shape }
            }
            ExpressionJson::Target { name: key, shape } => {
                Expression::Key { of: Origination::Target, key, shape }
            }
            ExpressionJson::Slice { of, dim, start, end } => {
                Expression::Slice { of: boxed(of)?, axis: dim, range: start..end }
            }
            ExpressionJson::Permute { of, dims } => {
                Expression::Permute { of: boxed(of)?, axes: dims }
            }
            ExpressionJson::Reshape { of, shape } => Expression::Reshape { of: boxed(of)?, shape },
            ExpressionJson::Cat { of, dim } => Expression::Concat { axis: dim, parts: all(of)? },
            ExpressionJson::Stack { of, dim } => Expression::Stack { axis: dim, parts: all(of)? },
            ExpressionJson::Cast { of, dtype } => {
                Expression::Cast { of: boxed(of)?, dtype: named(&dtype)? }
            }
            ExpressionJson::Adapter { name: key, shape } => {
                Expression::Key { of: Origination::Adapter, key, shape }
            }
            ExpressionJson::Add(constant) => combined(constant, Arithmetic::add)?,
            ExpressionJson::Mul(constant) => combined(constant, Arithmetic::multiply)?,
            ExpressionJson::Div(constant) => combined(constant, Arithmetic::divide)?,
            ExpressionJson::LowRank { base, up, down, scale } => {
                let (base, up, down) =
                    ((*base).try_into()?, (*up).try_into()?, (*down).try_into()?);
                calculated(Formula::LowRank { base, up, down, scale })
            }
            ExpressionJson::WeightNorm { direction, magnitude } => {
                let (direction, magnitude) = ((*direction).try_into()?, (*magnitude).try_into()?);
                calculated(Formula::WeightNorm { direction, magnitude })
            }
            ExpressionJson::Dequantise { quantised, scales, blocks, dtype } => {
                let (quantised, scales) = ((*quantised).try_into()?, (*scales).try_into()?);
                let dtype = named(&dtype)?;
                calculated(Formula::Dequantise { quantised, scales, blocks, dtype })
            }
            ExpressionJson::Sum { of } => calculated(Formula::Sum { terms: all(of)? }),
            ExpressionJson::Init(init) => Expression::Init(init.drawing()?),
        })
    }
}

fn formula_json(formula: &Formula<Expression>) -> ExpressionJson {
    let boxed = |of: &Expression| Box::new(ExpressionJson::from(of));
    match formula {
        Formula::LowRank { base, up, down, scale } => ExpressionJson::LowRank {
            base: boxed(base),
            up: boxed(up),
            down: boxed(down),
            scale: *scale,
        },
        Formula::WeightNorm { direction, magnitude } => {
            ExpressionJson::WeightNorm { direction: boxed(direction), magnitude: boxed(magnitude) }
        }
        Formula::Dequantise { quantised, scales, blocks, dtype } => ExpressionJson::Dequantise {
            quantised: boxed(quantised),
            scales: boxed(scales),
            blocks: blocks.clone(),
            dtype: dtype.name().to_string(),
        },
        Formula::Sum { terms } => {
            ExpressionJson::Sum { of: terms.iter().map(Into::into).collect() }
        }
    }
}

fn calculated(formula: Formula<Expression>) -> Expression {
    Expression::Formula(Box::new(formula))
}

fn combined(
    ConstantJson { of, number, exact }: ConstantJson,
    step: fn(f64) -> Option<Arithmetic>,
) -> Result<Expression, BadPlan> {
    let step = step(number).ok_or_else(|| {
        BadPlan::Tensor(alloc::format!("a tensor cannot be combined with {number}"))
    })?;
    let returns = match exact {
        None => Returns::Unknown,
        Some(true) => Returns::Exactly,
        Some(false) => Returns::Inexactly,
    };
    let of = Box::new((*of).try_into()?);
    Ok(Expression::Arithmetic { of, step, returns })
}

impl InitJson {
    fn drawing(self) -> Result<RandomInit, BadPlan> {
        let init = self.init.parse().map_err(|why| BadPlan::Tensor(alloc::format!("{why}")))?;
        let dtype = named(&self.dtype)?;
        if count_of(&self.shape).is_none() {
            let why = alloc::format!("{:?} has more elements than can be counted", self.shape);
            return Err(BadPlan::Tensor(why));
        }
        let stream = Stream { seed: self.seed, key: self.stream };
        let fans = self.fans.map(|(incoming, outgoing)| Fans { incoming, outgoing });
        RandomInit::of_whole(init, dtype, self.shape, fans, stream).map_err(BadPlan::Tensor)
    }
}

fn named(dtype: &str) -> Result<DType, BadPlan> {
    DType::named(dtype)
        .ok_or_else(|| BadPlan::Tensor(alloc::format!("'{dtype}' is not an element type")))
}

fn all(parts: Vec<ExpressionJson>) -> Result<Vec<Expression>, BadPlan> {
    parts.into_iter().map(Expression::try_from).collect()
}
