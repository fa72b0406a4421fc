//! What a new tensor is made of: old tensors, cut, turned, joined, cast, and tensors that no file has.
//!
//! An expression says what a tensor is; [`Elements`] say where its elements are in one file, which is
//! what [`Expression::evaluate`] finds out. So an expression can be saved, shown, and applied to
//! another file whose tensors have the same names and shapes.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::Formula;
use crate::init::RandomInit;
use crate::{Arithmetic, DType, Elements, Tensor};

/// What a new tensor is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A tensor that there is already.
    Key {
        /// Which file has it.
        of: Origination,
        /// Its key there.
        key: String,
        /// The shape it is expected to have.
        shape: Vec<u64>,
    },
    /// What a range of one dimension counts.
    Slice {
        /// What it is cut from.
        of: Box<Expression>,
        /// The dimension.
        axis: usize,
        /// From where to where.
        range: Range<u64>,
    },
    /// The dimensions in another order.
    Permute {
        /// What is turned.
        of: Box<Expression>,
        /// For each new dimension, which one it was.
        axes: Vec<usize>,
    },
    /// The same elements in the same order under another shape.
    Reshape {
        /// What has another shape.
        of: Box<Expression>,
        /// The new shape.
        shape: Vec<u64>,
    },
    /// Tensors one after another along a dimension.
    Concat {
        /// The dimension.
        axis: usize,
        /// At least one.
        parts: Vec<Expression>,
    },
    /// Tensors of one shape as the entries of a new dimension.
    Stack {
        /// The new dimension.
        axis: usize,
        /// At least one.
        parts: Vec<Expression>,
    },
    /// The elements in another floating-point type.
    Cast {
        /// What is cast.
        of: Box<Expression>,
        /// The new type.
        dtype: DType,
    },
    /// Every element combined with a constant.
    Arithmetic {
        /// What is combined.
        of: Box<Expression>,
        /// With what, and how.
        step: Arithmetic,
        /// Whether the opposite gives every bit back.
        returns: Returns,
    },
    /// What is calculated from several tensors.
    Formula(Box<Formula<Expression>>),
    /// Elements that no file has.
    Init(RandomInit),
}

/// Which file has a tensor that a new one is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origination {
    /// The checkpoint that the plan is for.
    #[default]
    Source,
    /// The model that it is made to fit.
    Target,
    /// The adapter that is merged into it.
    Adapter,
}

/// Whether the opposite of a constant gives every bit of a tensor back: what was rounded may not come
/// back, and only the numbers themselves tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Returns {
    /// Nothing was written yet, so that no number was seen.
    #[default]
    Unknown,
    /// Every number that was written was led back, and was what it had been.
    Exactly,
    /// Some were not.
    Inexactly,
}

impl Returns {
    /// Why a constant is not taken back.
    pub(crate) fn obstacle(self, step: &Arithmetic) -> Option<String> {
        match self {
            Returns::Exactly => None,
            Returns::Inexactly => Some(format!(
                "has numbers that{step} rounded and{} does not give back",
                step.inverse()
            )),
            Returns::Unknown => Some(format!(
                "has{step}, and whether{} gives every bit back is known once it is written",
                step.inverse()
            )),
        }
    }
}

impl Expression {
    /// A tensor of the checkpoint, of the shape that it has there.
    pub fn key(key: &str, tensor: &Tensor) -> Expression {
        let (of, key) = (Origination::Source, key.to_string());
        Expression::Key { of, key, shape: tensor.shape.clone() }
    }

    /// The elements in another type.
    #[must_use]
    pub fn cast(self, dtype: DType) -> Expression {
        Expression::Cast { of: Box::new(self), dtype }
    }

    /// Every element combined with a constant.
    #[must_use]
    pub fn combined(self, step: Arithmetic) -> Expression {
        Expression::Arithmetic { of: Box::new(self), step, returns: Returns::Unknown }
    }

    /// The same, where it is known whether the opposites of constants give every bit back.
    #[must_use]
    pub fn returning(self, known: Returns) -> Expression {
        match self {
            Expression::Arithmetic { of, step, .. } => {
                let of = Box::new(of.returning(known));
                Expression::Arithmetic { of, step, returns: known }
            }
            Expression::Slice { of, axis, range } => {
                Expression::Slice { of: Box::new(of.returning(known)), axis, range }
            }
            Expression::Permute { of, axes } => {
                Expression::Permute { of: Box::new(of.returning(known)), axes }
            }
            Expression::Reshape { of, shape } => {
                Expression::Reshape { of: Box::new(of.returning(known)), shape }
            }
            Expression::Cast { of, dtype } => {
                Expression::Cast { of: Box::new(of.returning(known)), dtype }
            }
            Expression::Concat { axis, parts } => {
                Expression::Concat { axis, parts: all_returning(parts, known) }
            }
            Expression::Stack { axis, parts } => {
                Expression::Stack { axis, parts: all_returning(parts, known) }
            }
            other @ (Expression::Key { .. } | Expression::Formula(_) | Expression::Init(_)) => {
                other
            }
        }
    }

    /// True if elements of it are combined with constants, formulas excepted.
    pub fn is_combined(&self) -> bool {
        let is_own = matches!(self, Expression::Arithmetic { .. });
        is_own || self.inner().iter().any(Expression::is_combined)
    }

    /// What it cuts, turns, joins, casts or combines with constants; a formula's operands are not.
    pub(super) fn inner(&self) -> &[Expression] {
        match self {
            Expression::Key { .. } | Expression::Formula(_) | Expression::Init(_) => &[],
            Expression::Slice { of, .. }
            | Expression::Permute { of, .. }
            | Expression::Reshape { of, .. }
            | Expression::Cast { of, .. }
            | Expression::Arithmetic { of, .. } => core::slice::from_ref(of),
            Expression::Concat { parts, .. } | Expression::Stack { parts, .. } => parts,
        }
    }

    /// The shape, if what it is made of has the shapes that are expected; `[]` for one that cannot be.
    pub fn shape(&self) -> Vec<u64> {
        match self {
            Expression::Key { shape, .. } | Expression::Reshape { shape, .. } => shape.clone(),
            Expression::Cast { of, .. } | Expression::Arithmetic { of, .. } => of.shape(),
            Expression::Formula(formula) => {
                formula.operands().first().map(|first| first.shape()).unwrap_or_default()
            }
            Expression::Init(drawing) => drawing.shape().to_vec(),
            Expression::Slice { of, axis, range } => {
                let mut shape = of.shape();
                if let Some(size) = shape.get_mut(*axis) {
                    *size = range.end.saturating_sub(range.start);
                }
                shape
            }
            Expression::Permute { of, axes } => {
                let shape = of.shape();
                axes.iter().filter_map(|axis| shape.get(*axis).copied()).collect()
            }
            Expression::Concat { axis, parts } => {
                let shapes: Vec<Vec<u64>> = parts.iter().map(Expression::shape).collect();
                let mut shape = shapes.first().cloned().unwrap_or_default();
                if let Some(size) = shape.get_mut(*axis) {
                    let sizes = shapes.iter().filter_map(|shape| shape.get(*axis));
                    *size = sizes.fold(0, |all, size| all.saturating_add(*size));
                }
                shape
            }
            Expression::Stack { axis, parts } => {
                let mut shape = parts.first().map(Expression::shape).unwrap_or_default();
                shape.insert((*axis).min(shape.len()), parts.len() as u64);
                shape
            }
        }
    }

    /// The type of the elements, if that of the tensors is known by their keys.
    pub(crate) fn dtype(&self, of: &impl Fn(&str) -> Option<DType>) -> Option<DType> {
        match self {
            Expression::Key { of: Origination::Source, key, .. } => of(key),
            Expression::Key { .. } => None,
            Expression::Cast { dtype, .. } => Some(dtype.clone()),
            Expression::Init(drawing) => Some(drawing.dtype().clone()),
            Expression::Formula(formula) => match &**formula {
                Formula::Dequantise { dtype, .. } => Some(dtype.clone()),
                formula => formula.operands().first()?.dtype(of),
            },
            made => made.inner().first()?.dtype(of),
        }
    }

    /// The type that it is cast to once it is computed; none for a tensor that is cast as it is.
    pub fn cast_when_computed(&self) -> Option<&DType> {
        match self {
            Expression::Cast { of, dtype } if !matches!(**of, Expression::Key { .. }) => {
                Some(dtype)
            }
            _ => None,
        }
    }

    /// The tensors that it is made of, each as often as it is named.
    pub fn leaves(&self) -> Vec<&Expression> {
        let mut leaves = Vec::new();
        self.add_leaves(&mut leaves);
        leaves
    }

    fn add_leaves<'a>(&'a self, leaves: &mut Vec<&'a Expression>) {
        match self {
            Expression::Key { .. } | Expression::Init(_) => leaves.push(self),
            Expression::Formula(formula) => {
                formula.operands().into_iter().for_each(|operand| operand.add_leaves(leaves));
            }
            made => made.inner().iter().for_each(|inner| inner.add_leaves(leaves)),
        }
    }

    /// The keys of the checkpoint's tensors that it is made of, each as often as it is named.
    pub fn source_keys(&self) -> Vec<&str> {
        let leaves = self.leaves().into_iter();
        let keys = leaves.filter_map(|leaf| match leaf {
            Expression::Key { of: Origination::Source, key, .. } => Some(key.as_str()),
            _ => None,
        });
        keys.collect()
    }

    /// The first tensor of the checkpoint that it is made of, by its key.
    pub(crate) fn first_source(&self) -> Option<&str> {
        match self {
            Expression::Key { of: Origination::Source, key, .. } => Some(key),
            Expression::Formula(formula) => {
                formula.operands().into_iter().find_map(Expression::first_source)
            }
            made => made.inner().iter().find_map(Expression::first_source),
        }
    }

    /// True if it is made of nothing but tensors of the checkpoint, and is not one as it is there.
    pub(crate) fn is_regrouped(&self) -> bool {
        let is_own =
            |leaf: &&Expression| matches!(leaf, Expression::Key { of: Origination::Source, .. });
        match self {
            Expression::Key { .. } | Expression::Init(_) => false,
            Expression::Cast { of, .. } => of.is_regrouped(),
            made => made.leaves().iter().all(is_own),
        }
    }

    /// Why nothing leads back from it to what it is made of, if nothing does.
    pub fn one_way(&self) -> Option<String> {
        match self {
            Expression::Key { of: Origination::Source, .. } => None,
            Expression::Init(drawing) if drawing.init().is_fixed() => None,
            Expression::Key { .. } | Expression::Init(_) => {
                Some("has elements that are not the file's".into())
            }
            Expression::Cast { dtype, .. } => Some(format!("was cast to {dtype}")),
            Expression::Formula(formula) => Some(formula.result().into()),
            Expression::Arithmetic { of, step, returns } => {
                returns.obstacle(step).or_else(|| of.one_way())
            }
            made => made.inner().iter().find_map(Expression::one_way),
        }
    }

    /// True if something that it is made of is cast; what a formula gives is rounded once, to the type
    /// of the new tensor.
    fn casts(&self) -> bool {
        matches!(self, Expression::Cast { .. }) || self.inner().iter().any(Expression::casts)
    }

    /// Where the elements are, in a file of which `tensor` finds the tensors by their keys.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape or without plain elements, and steps that cannot be
    /// taken with the shapes and types there are.
    pub fn evaluate<'a>(
        &self,
        tensor: &impl Fn(Origination, &str) -> Option<&'a Tensor>,
    ) -> Result<Elements, String> {
        match self {
            Expression::Key { of, key, shape } => {
                let found = tensor(*of, key).ok_or_else(|| of.missing(key))?;
                if found.shape != *shape {
                    let found = &found.shape;
                    return Err(format!("'{key}' has shape {found:?}; expected {shape:?}"));
                }
                Elements::new(found.clone(), None).map_err(|why| format!("'{key}': {why}"))
            }
            Expression::Slice { of, axis, range } => {
                of.evaluate(tensor)?.slice(*axis, range.clone())
            }
            Expression::Permute { of, axes } => of.evaluate(tensor)?.permute(axes),
            Expression::Reshape { of, shape } => of.evaluate(tensor)?.reshape(shape.clone()),
            Expression::Concat { axis, parts } => {
                Elements::concat(*axis, evaluate_all(parts, tensor)?)
            }
            Expression::Stack { axis, parts } => {
                Elements::stack(*axis, evaluate_all(parts, tensor)?)
            }
            Expression::Cast { of, .. } if of.casts() => {
                Err(format!("{of} is cast already, and would be rounded once instead of twice"))
            }
            Expression::Cast { of, dtype } => Ok(of.evaluate(tensor)?.cast(dtype)),
            Expression::Arithmetic { of, step, .. } => of.evaluate(tensor)?.combined(*step),
            Expression::Formula(formula) => {
                Elements::computed(formula.try_map(|operand| operand.evaluate(tensor))?)
            }
            Expression::Init(drawing) => Ok(Elements::drawn(drawing.clone())),
        }
    }
}

impl Origination {
    fn missing(self, key: &str) -> String {
        match self {
            Origination::Source => format!("no tensor '{key}'"),
            Origination::Target => format!("'{key}' is the model's own, and no model was given"),
            Origination::Adapter => format!("'{key}' is the adapter's, and no adapter was given"),
        }
    }
}

/// As one would write it with PyTorch: `cat([a[:2], b.T], 0).to(bf16)`.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Key { of: Origination::Source, key, .. } => f.write_str(key),
            Expression::Key { of: Origination::Target, key, .. } => write!(f, "target {key}"),
            Expression::Key { of: Origination::Adapter, key, .. } => write!(f, "adapter {key}"),
            Expression::Slice { of, axis, range } => {
                write!(f, "{of}[")?;
                (0..*axis).try_for_each(|_| f.write_str(":, "))?;
                write!(f, "{}:{}]", range.start, range.end)
            }
            Expression::Permute { of, axes } => write!(f, "{of}.permute({axes:?})"),
            Expression::Reshape { of, shape } => write!(f, "{of}.reshape({shape:?})"),
            Expression::Concat { axis, parts } => write_joined(f, "cat", parts, *axis),
            Expression::Stack { axis, parts } => write_joined(f, "stack", parts, *axis),
            Expression::Cast { of, dtype } => write!(f, "{of}.to({dtype})"),
            Expression::Arithmetic { of, step, .. } => write!(f, "({of}{step})"),
            Expression::Formula(formula) => write!(f, "({formula})"),
            Expression::Init(drawing) => write!(f, "{}{:?}", drawing.init(), drawing.shape()),
        }
    }
}

fn evaluate_all<'a>(
    parts: &[Expression],
    tensor: &impl Fn(Origination, &str) -> Option<&'a Tensor>,
) -> Result<Vec<Elements>, String> {
    parts.iter().map(|part| part.evaluate(tensor)).collect()
}

fn all_returning(parts: Vec<Expression>, known: Returns) -> Vec<Expression> {
    parts.into_iter().map(|part| part.returning(known)).collect()
}

/// `cat([a, b], 0)`.
fn write_joined(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    parts: &[Expression],
    axis: usize,
) -> fmt::Result {
    write!(f, "{name}([")?;
    for (i, part) in parts.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{part}")?;
    }
    write!(f, "], {axis})")
}
