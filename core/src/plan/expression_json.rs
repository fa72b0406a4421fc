//! Expressions as JSON: `{"cat": {"dim": 0, "of": [{"key": {"name": "a", "shape": [2, 3]}}, …]}}`.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::error::BadPlan;
use super::{Expression, Origination};
use crate::DType;
use crate::catalog::tensor::count_of;
use crate::init::{Fans, RandomInit, Stream};

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
    Init(InitJson),
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
            ExpressionJson::Init(init) => Expression::Init(init.drawing()?),
        })
    }
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
