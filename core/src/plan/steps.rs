//! Expressions put together step by step, in a normal form.
//!
//! Each step is taken as far down as it goes: a slice reaches through whatever keeps the entries of its
//! dimension together, a reshape through tensors that are joined, and steps that undo each other
//! vanish. So stages that follow each other make small expressions, and a tensor that only changed its
//! name is its key.
//!
//! The shapes of an expression that was read from a file need not fit; then a step is kept as it is,
//! and [`Expression::evaluate`] says what is wrong.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use super::Expression;
use crate::catalog::tensor::count_of;

impl Expression {
    /// What a range of one dimension counts; the expression itself, where that is all.
    #[must_use]
    pub fn slice(self, axis: usize, range: Range<u64>) -> Expression {
        let size = self.size(axis);
        if range.start == 0 && size == Some(range.end) {
            return self;
        }
        if range.start >= range.end || size.is_none_or(|size| range.end > size) {
            return Expression::Slice { of: Box::new(self), axis, range };
        }
        match self {
            Expression::Slice { of, axis: own, range: all } if own == axis => {
                of.slice(axis, all.start + range.start..all.start + range.end)
            }
            Expression::Slice { of, axis: own, range: all }
                if own > axis || of.passes_slice(axis) =>
            {
                of.slice(axis, range).slice(own, all)
            }
            Expression::Permute { of, axes } => match axes.get(axis) {
                Some(old) => of.slice(*old, range).permute(&axes),
                None => Expression::Permute { of, axes },
            },
            Expression::Cast { of, dtype } => of.slice(axis, range).cast(dtype),
            Expression::Arithmetic { of, step, returns } => {
                of.slice(axis, range).combined(step).returning(returns)
            }
            Expression::Concat { axis: own, parts } if own == axis => {
                joined_part(own, parts, range)
            }
            Expression::Concat { axis: own, parts } => {
                let parts = parts.into_iter().map(|part| part.slice(axis, range.clone()));
                Expression::concat(own, parts.collect())
            }
            Expression::Stack { axis: own, parts } if own == axis => {
                Expression::stack(own, some_of(parts, &range))
            }
            Expression::Stack { axis: own, parts } => {
                let inner = if axis < own { axis } else { axis - 1 };
                let parts = parts.into_iter().map(|part| part.slice(inner, range.clone()));
                Expression::stack(own, parts.collect())
            }
            Expression::Reshape { of, mut shape } => {
                let Some((inner, times)) = aligned(&of.shape(), &shape, axis) else {
                    return slice_of_merged(of, shape, axis, range);
                };
                shape[axis] = range.end - range.start;
                of.slice(inner, range.start * times..range.end * times).reshape(shape)
            }
            other => Expression::Slice { of: Box::new(other), axis, range },
        }
    }

    /// The same elements in the same order under another shape.
    #[must_use]
    pub fn reshape(self, shape: Vec<u64>) -> Expression {
        let own = self.shape();
        if own == shape {
            return self;
        }
        if count_of(&own).is_none() || count_of(&own) != count_of(&shape) {
            return Expression::Reshape { of: Box::new(self), shape };
        }
        match self {
            Expression::Reshape { of, .. } => of.reshape(shape),
            Expression::Cast { of, dtype } => of.reshape(shape).cast(dtype),
            Expression::Arithmetic { of, step, returns } => {
                of.reshape(shape).combined(step).returning(returns)
            }
            Expression::Stack { axis, parts } => reshaped_stack(axis, parts, &own, shape),
            Expression::Concat { axis, parts } => reshaped_concat(axis, parts, &own, shape),
            other => Expression::Reshape { of: Box::new(other), shape },
        }
    }

    /// The dimensions in another order, each of `axes` being one of this tensor.
    #[must_use]
    pub fn permute(self, axes: &[usize]) -> Expression {
        let shape = self.shape();
        let mut sorted = axes.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..shape.len()) {
            return Expression::Permute { of: Box::new(self), axes: axes.to_vec() };
        }
        // Dimensions of one entry may be anywhere.
        let moved = axes.iter().filter(|axis| shape[**axis] != 1);
        if moved.is_sorted() {
            return self.reshape(axes.iter().map(|axis| shape[*axis]).collect());
        }
        match self {
            Expression::Permute { of, axes: inner } if inner.len() == axes.len() => {
                let both: Vec<usize> = axes.iter().map(|axis| inner[*axis]).collect();
                of.permute(&both)
            }
            other => Expression::Permute { of: Box::new(other), axes: axes.to_vec() },
        }
    }

    /// Tensors one after another along a dimension.
    #[must_use]
    pub fn concat(axis: usize, parts: Vec<Expression>) -> Expression {
        let mut joined = Vec::<Expression>::with_capacity(parts.len());
        for part in parts {
            match part {
                Expression::Concat { axis: own, parts } if own == axis => {
                    parts.into_iter().for_each(|part| append(&mut joined, part, axis));
                }
                part => append(&mut joined, part, axis),
            }
        }
        match joined.len() {
            1 => joined.remove(0),
            _ => Expression::Concat { axis, parts: joined },
        }
    }

    /// Tensors of one shape as the entries of a new dimension.
    #[must_use]
    pub fn stack(axis: usize, mut parts: Vec<Expression>) -> Expression {
        if let [first] = parts.as_slice()
            && axis <= first.shape().len()
        {
            return parts.remove(0).lifted(axis);
        }
        if let [first, second, ..] = parts.as_slice()
            && axis <= first.shape().len()
            && follows(&first.clone().lifted(axis), &second.clone().lifted(axis), axis)
        {
            let parts = parts.into_iter().map(|part| part.lifted(axis));
            return Expression::concat(axis, parts.collect());
        }
        Expression::Stack { axis, parts }
    }

    /// The expression with other expressions for the tensors of the checkpoint that it is made of.
    ///
    /// Only what is needed of them is copied; those that `of` does not know stay.
    pub(crate) fn over<'a>(&self, of: &impl Fn(&str) -> Option<&'a Expression>) -> Expression {
        let all = |parts: &[Expression]| parts.iter().map(|part| part.over(of)).collect();
        match self {
            Expression::Key { key, of: super::Origination::Source, .. } => {
                of(key).unwrap_or(self).clone()
            }
            Expression::Key { .. } | Expression::Init(_) => self.clone(),
            Expression::Slice { of: inner, axis, range } => match inner.as_ref() {
                Expression::Key { key, of: super::Origination::Source, .. } => {
                    of(key).unwrap_or(inner).part(*axis, range.clone())
                }
                inner => inner.over(of).slice(*axis, range.clone()),
            },
            Expression::Permute { of: inner, axes } => inner.over(of).permute(axes),
            Expression::Reshape { of: inner, shape } => inner.over(of).reshape(shape.clone()),
            Expression::Concat { axis, parts } => Expression::concat(*axis, all(parts)),
            Expression::Stack { axis, parts } => Expression::stack(*axis, all(parts)),
            Expression::Cast { of: inner, dtype } => inner.over(of).cast(dtype.clone()),
            Expression::Arithmetic { of: inner, step, returns } => {
                inner.over(of).combined(*step).returning(*returns)
            }
            Expression::Formula(formula) => {
                let over =
                    formula.try_map(|inner| Ok::<_, core::convert::Infallible>(inner.over(of)));
                match over {
                    Ok(formula) => Expression::Formula(Box::new(formula)),
                    Err(never) => match never {},
                }
            }
        }
    }

    /// As [`Expression::slice`], copying no part of a joined tensor that is cut off.
    fn part(&self, axis: usize, range: Range<u64>) -> Expression {
        match self {
            Expression::Stack { axis: own, parts }
                if *own == axis && range.end <= parts.len() as u64 && range.start < range.end =>
            {
                let range = range.start as usize..range.end as usize;
                Expression::stack(axis, parts[range].to_vec())
            }
            Expression::Concat { axis: own, parts }
                if *own == axis
                    && range.start < range.end
                    && self.size(axis).is_some_and(|size| range.end <= size) =>
            {
                let (mut start, mut kept) = (0, Vec::new());
                for part in parts {
                    let end = start + part.size(axis).unwrap_or(0);
                    if end > range.start && start < range.end {
                        let from = range.start.max(start) - start;
                        kept.push(part.part(axis, from..range.end.min(end) - start));
                    }
                    start = end;
                }
                Expression::concat(axis, kept)
            }
            whole => whole.clone().slice(axis, range),
        }
    }

    /// The size of one dimension, as [`Expression::shape`] has it.
    fn size(&self, axis: usize) -> Option<u64> {
        match self {
            Expression::Key { shape, .. } | Expression::Reshape { shape, .. } => {
                shape.get(axis).copied()
            }
            Expression::Cast { of, .. } | Expression::Arithmetic { of, .. } => of.size(axis),
            Expression::Formula(formula) => formula.operands().first()?.size(axis),
            Expression::Slice { of, axis: own, range } if *own == axis => {
                of.size(axis).map(|_| range.end.saturating_sub(range.start))
            }
            Expression::Slice { of, .. } => of.size(axis),
            Expression::Permute { of, axes } => of.size(*axes.get(axis)?),
            Expression::Concat { axis: own, parts } if *own == axis => {
                let mut sizes = parts.iter().map(|part| part.size(axis));
                sizes.try_fold(0u64, |all, size| all.checked_add(size?))
            }
            Expression::Concat { parts, .. } => parts.first()?.size(axis),
            Expression::Stack { axis: own, parts } if *own == axis => Some(parts.len() as u64),
            Expression::Stack { axis: own, parts } => {
                parts.first()?.size(if axis < *own { axis } else { axis - 1 })
            }
            Expression::Init(drawing) => drawing.shape().get(axis).copied(),
        }
    }

    /// With a new dimension of one entry.
    fn lifted(self, axis: usize) -> Expression {
        let mut shape = self.shape();
        shape.insert(axis, 1);
        self.reshape(shape)
    }

    /// True if it is put together from several.
    fn is_joined(&self) -> bool {
        let is_own = matches!(self, Expression::Concat { .. } | Expression::Stack { .. });
        is_own || self.inner().iter().any(Expression::is_joined)
    }

    /// True if a slice of that dimension would be taken further down than here.
    fn passes_slice(&self, axis: usize) -> bool {
        match self {
            Expression::Key { .. } | Expression::Formula(_) | Expression::Init(_) => false,
            Expression::Slice { of, axis: own, .. } => *own == axis || of.passes_slice(axis),
            Expression::Reshape { of, shape } => aligned(&of.shape(), shape, axis).is_some(),
            Expression::Permute { .. }
            | Expression::Concat { .. }
            | Expression::Stack { .. }
            | Expression::Cast { .. }
            | Expression::Arithmetic { .. } => true,
        }
    }
}

/// A slice of a dimension that several were merged into.
///
/// Of what was put together only some entries of the first of these are taken, if the slice has no
/// others; a tensor of the file is left whole, so that its parts are cut from it by the same steps.
fn slice_of_merged(
    of: Box<Expression>,
    mut shape: Vec<u64>,
    axis: usize,
    range: Range<u64>,
) -> Expression {
    let first = merged(&of.shape(), &shape, axis).filter(|_| of.is_joined());
    let Some((inner, times)) = first else {
        let of = Box::new(Expression::Reshape { of, shape });
        return Expression::Slice { of, axis, range };
    };
    let entries = range.start / times..range.end.div_ceil(times);
    if entries == (0..shape[axis] / times) {
        let of = Box::new(Expression::Reshape { of, shape });
        return Expression::Slice { of, axis, range };
    }
    let before = entries.start * times;
    shape[axis] = (entries.end - entries.start) * times;
    of.slice(inner, entries).reshape(shape).slice(axis, range.start - before..range.end - before)
}

/// Some of what is joined along a dimension.
fn joined_part(axis: usize, parts: Vec<Expression>, range: Range<u64>) -> Expression {
    let (mut start, mut kept) = (0, Vec::new());
    for part in parts {
        let end = start + part.size(axis).unwrap_or(0);
        if end > range.start && start < range.end {
            let from = range.start.max(start) - start;
            kept.push(part.slice(axis, from..range.end.min(end) - start));
        }
        start = end;
    }
    Expression::concat(axis, kept)
}

fn some_of(parts: Vec<Expression>, range: &Range<u64>) -> Vec<Expression> {
    let kept = (0u64..).zip(parts).filter(|(index, _)| range.contains(index));
    kept.map(|(_, part)| part).collect()
}

/// Adds a part, as one with the last if it is cut from the same tensor just behind it.
fn append(parts: &mut Vec<Expression>, part: Expression, axis: usize) {
    let Some(last) = parts.last() else { return parts.push(part) };
    if !follows(last, &part, axis) {
        return parts.push(part);
    }
    let (Some((whole, first)), Some((_, second))) = (uncut(last, axis), uncut(&part, axis)) else {
        return parts.push(part);
    };
    let both = whole.slice(axis, first.start..second.end);
    parts.pop();
    parts.push(both);
}

/// True if the second is cut from the same tensor as the first, just behind it.
fn follows(first: &Expression, second: &Expression, axis: usize) -> bool {
    let (Some(a), Some(b)) = (cut_of(first, axis), cut_of(second, axis)) else { return false };
    a.end == b.start && uncut(first, axis).map(|it| it.0) == uncut(second, axis).map(|it| it.0)
}

/// The range of a dimension that is cut out by the slices at the top of an expression.
fn cut_of(expression: &Expression, axis: usize) -> Option<Range<u64>> {
    let Expression::Slice { of, axis: own, range } = expression else { return None };
    if *own == axis { Some(range.clone()) } else { cut_of(of, axis) }
}

/// The expression without the slice of that dimension, and the range of it.
fn uncut(expression: &Expression, axis: usize) -> Option<(Expression, Range<u64>)> {
    let Expression::Slice { of, axis: own, range } = expression else { return None };
    if *own == axis {
        return Some((of.as_ref().clone(), range.clone()));
    }
    let (whole, cut) = uncut(of, axis)?;
    Some((whole.slice(*own, range.clone()), cut))
}

/// Where the entries of a dimension of `to` are runs of entries of one of `from`, both being shapes of
/// the same elements: that dimension, and how many entries make one.
fn aligned(from: &[u64], to: &[u64], axis: usize) -> Option<(usize, u64)> {
    let (size, before) = (*to.get(axis)?, count_of(to.get(..axis)?)?);
    if size == 0 || before == 0 {
        return None;
    }
    let inner = starts(from, before).find(|at| from[*at].is_multiple_of(size) && from[*at] > 0)?;
    Some((inner, from[inner] / size))
}

/// The first of several dimensions of `from` that are one of `to`, and how many entries of that make
/// one of it.
fn merged(from: &[u64], to: &[u64], axis: usize) -> Option<(usize, u64)> {
    let (size, before) = (*to.get(axis)?, count_of(to.get(..axis)?)?);
    if size == 0 || before == 0 {
        return None;
    }
    let inner = starts(from, before).find(|at| from[*at] > 1 && size.is_multiple_of(from[*at]))?;
    Some((inner, size / from[inner]))
}

/// The dimensions before which the others count as many elements as given.
fn starts(shape: &[u64], before: u64) -> impl Iterator<Item = usize> {
    (0..shape.len()).filter(move |at| count_of(&shape[..*at]) == Some(before))
}

/// A stack under another shape, which is pushed down to its parts where their order allows it.
fn reshaped_stack(axis: usize, parts: Vec<Expression>, own: &[u64], shape: Vec<u64>) -> Expression {
    let entries = parts.len() as u64;
    let place = count_of(own.get(..axis).unwrap_or_default()).and_then(|before| {
        starts(&shape, before).find(|at| shape[*at] > 0 && shape[*at].is_multiple_of(entries))
    });
    let Some(at) = place.filter(|_| entries > 0) else {
        return Expression::Reshape { of: Box::new(Expression::Stack { axis, parts }), shape };
    };
    let mut of_part = shape.clone();
    if shape[at] == entries {
        of_part.remove(at);
        let parts = parts.into_iter().map(|part| part.reshape(of_part.clone()));
        return Expression::stack(at, parts.collect());
    }
    of_part[at] /= entries;
    let parts = parts.into_iter().map(|part| part.reshape(of_part.clone()));
    Expression::concat(at, parts.collect())
}

/// Joined tensors under another shape, the same way.
fn reshaped_concat(
    axis: usize,
    parts: Vec<Expression>,
    own: &[u64],
    shape: Vec<u64>,
) -> Expression {
    let sizes: Option<Vec<u64>> = parts.iter().map(|part| count_of(&part.shape())).collect();
    let before = count_of(own.get(..axis).unwrap_or_default());
    let place = sizes.as_ref().zip(before).and_then(|(sizes, before)| {
        starts(&shape, before).find(|at| {
            let each = count_of(&shape[at + 1..]).and_then(|after| after.checked_mul(before));
            each.is_some_and(|each| each > 0 && sizes.iter().all(|size| size.is_multiple_of(each)))
        })
    });
    let (Some(at), Some(sizes)) = (place, sizes) else {
        return Expression::Reshape { of: Box::new(Expression::Concat { axis, parts }), shape };
    };
    let each: u64 = shape[..at].iter().chain(&shape[at + 1..]).product();
    let parts = parts.into_iter().zip(sizes).map(|(part, size)| {
        let mut of_part = shape.clone();
        of_part[at] = size / each;
        part.reshape(of_part)
    });
    Expression::concat(at, parts.collect())
}
