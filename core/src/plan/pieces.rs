//! A tensor put together again from where its parts went.
//!
//! A piece is a part of an old tensor, which its steps lead to from the whole: cuts, and between them
//! other shapes. Pieces whose cuts fill a shape are separated along one dimension after another, and
//! those that are cut further after the same step are put together first.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use super::Expression;
use super::inverse::inverse_order;
use crate::sorting;

/// Pairs of expressions that must have the same elements.
pub(super) type Same = Vec<(Expression, Expression)>;

/// How one gets from a tensor to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// What a range of a dimension counts.
    Cut(usize, Range<u64>),
    /// Another shape.
    Reshape { from: Vec<u64>, to: Vec<u64> },
    /// Another order of dimensions.
    Permute(Vec<usize>),
}

/// A part of an old tensor, and what it is now.
#[derive(Clone)]
pub(super) struct Piece {
    steps: Vec<Step>,
    is: Expression,
}

/// What is known of an old tensor.
pub(super) struct Whole {
    shape: Vec<u64>,
    pieces: Vec<Piece>,
}

/// A piece with the ranges of all dimensions that its first steps cut out.
struct Cut {
    ranges: Vec<Range<u64>>,
    piece: Piece,
}

impl Piece {
    /// A part that these steps, the first one taken first, lead to.
    pub(super) fn new(steps: Vec<Step>, is: Expression) -> Piece {
        Piece { steps, is }
    }

    /// The piece as its first cuts have it; `None` if they do not fit the shape.
    fn cut(mut self, shape: &[u64]) -> Option<Cut> {
        let mut ranges: Vec<Range<u64>> = shape.iter().map(|size| 0..*size).collect();
        let cuts = self.steps.iter().take_while(|step| matches!(step, Step::Cut(..))).count();
        for step in self.steps.drain(..cuts) {
            let Step::Cut(axis, range) = step else { continue };
            let own = ranges.get_mut(axis)?;
            let (start, end) = (own.start + range.start, own.start.checked_add(range.end)?);
            if range.start > range.end || end > own.end {
                return None;
            }
            *own = start..end;
        }
        Some(Cut { ranges, piece: self })
    }

    /// That it must be the same as this part of the whole.
    fn same_as(self, whole: &Expression, same: &mut Same) {
        let mut part = whole.clone();
        for step in self.steps {
            part = match step {
                Step::Cut(axis, range) => part.slice(axis, range),
                Step::Reshape { to, .. } => part.reshape(to),
                Step::Permute(axes) => part.permute(&axes),
            };
        }
        if part != self.is {
            same.push((part, self.is));
        }
    }
}

impl Whole {
    pub(super) fn new(shape: Vec<u64>) -> Whole {
        Whole { shape, pieces: Vec::new() }
    }

    pub(super) fn add(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    /// The tensor, made of all of its parts; where parts are there several times they must be the
    /// same.
    pub(super) fn joined(self, same: &mut Same) -> Result<Expression, String> {
        join(&self.shape, self.pieces, same)
    }
}

/// The tensor of this shape that the pieces are parts of.
fn join(shape: &[u64], pieces: Vec<Piece>, same: &mut Same) -> Result<Expression, String> {
    let cuts: Option<Vec<Cut>> = pieces.into_iter().map(|piece| piece.cut(shape)).collect();
    let cuts = cuts.ok_or_else(|| "was cut where it has no elements".to_string())?;
    fill(shape.iter().map(|size| 0..*size).collect(), cuts, same)
}

/// The part of a tensor that lies within these ranges, put together.
fn fill(region: Vec<Range<u64>>, cuts: Vec<Cut>, same: &mut Same) -> Result<Expression, String> {
    let (whole, mut cuts): (Vec<Cut>, Vec<Cut>) =
        cuts.into_iter().partition(|cut| cut.ranges == region);
    if !whole.is_empty() {
        let shape: Vec<u64> = region.iter().map(|range| range.end - range.start).collect();
        let pieces = whole.into_iter().map(|cut| cut.piece).collect();
        let whole = continued(&shape, pieces, same)?;
        for Cut { ranges, mut piece } in cuts {
            let steps = (0..).zip(ranges.iter().zip(&region)).map(|(axis, (own, all))| {
                Step::Cut(axis, own.start - all.start..own.end - all.start)
            });
            piece.steps = steps.chain(piece.steps).collect();
            piece.same_as(&whole, same);
        }
        return Ok(whole);
    }
    let mut missing = None;
    for axis in 0..region.len() {
        sorting::sort_by_key(&mut cuts, |cut| cut.ranges[axis].start);
        match separated(&region[axis], cuts.iter().map(|cut| &cut.ranges[axis])) {
            Ok(bounds) if bounds.len() > 1 => return fill_along(axis, region, bounds, cuts, same),
            Ok(_) => {}
            Err(gap) => missing = missing.or(Some((axis, gap))),
        }
    }
    Err(match missing {
        Some((axis, gap)) => {
            format!("was cut: {}..{} of dim {axis} went nowhere", gap.start, gap.end)
        }
        None => "went to several places".to_string(),
    })
}

/// The ranges into which others, sorted by where they start, separate a whole one; or what of it is in
/// none of them.
fn separated<'a>(
    whole: &Range<u64>,
    ranges: impl Iterator<Item = &'a Range<u64>>,
) -> Result<Vec<Range<u64>>, Range<u64>> {
    let (mut bounds, mut start, mut end) = (Vec::new(), whole.start, whole.start);
    for range in ranges {
        if range.start > end {
            return Err(end..range.start);
        }
        if range.start == end && end > start {
            bounds.push(start..end);
            start = end;
        }
        end = end.max(range.end);
    }
    if end < whole.end {
        return Err(end..whole.end);
    }
    bounds.push(start..end);
    Ok(bounds)
}

/// What lies within the ranges of one dimension, one after another.
fn fill_along(
    axis: usize,
    region: Vec<Range<u64>>,
    bounds: Vec<Range<u64>>,
    cuts: Vec<Cut>,
    same: &mut Same,
) -> Result<Expression, String> {
    let (mut parts, mut cuts) = (Vec::new(), cuts.into_iter().peekable());
    for bound in bounds {
        let mut own = Vec::new();
        while let Some(cut) = cuts.next_if(|cut| cut.ranges[axis].start < bound.end) {
            own.push(cut);
        }
        let mut region = region.clone();
        region[axis] = bound;
        parts.push(fill(region, own, same)?);
    }
    Ok(Expression::concat(axis, parts))
}

/// The tensor of this shape whose pieces are not cut by their first step.
fn continued(shape: &[u64], pieces: Vec<Piece>, same: &mut Same) -> Result<Expression, String> {
    if let Some(whole) = pieces.iter().position(|piece| piece.steps.is_empty()) {
        let whole_is = pieces[whole].is.clone();
        let others = (0..).zip(pieces).filter(|(at, _)| *at != whole);
        others.for_each(|(_, piece)| piece.same_as(&whole_is, same));
        return Ok(whole_is);
    }
    let Some(first) = pieces.first().and_then(|piece| piece.steps.first()).cloned() else {
        return Err("went nowhere".to_string());
    };
    let (mut alike, others): (Vec<Piece>, Vec<Piece>) =
        pieces.into_iter().partition(|piece| piece.steps.first() == Some(&first));
    alike.iter_mut().for_each(|piece| drop(piece.steps.remove(0)));
    let whole = match first {
        Step::Reshape { from, to } if from == shape => join(&to, alike, same)?.reshape(from),
        Step::Permute(axes) => {
            let turned = axes.iter().filter_map(|axis| shape.get(*axis).copied());
            let back = inverse_order(&axes).ok_or_else(|| "went to several places".to_string())?;
            join(&turned.collect::<Vec<u64>>(), alike, same)?.permute(&back)
        }
        Step::Reshape { .. } | Step::Cut(..) => return Err("went to several places".to_string()),
    };
    others.into_iter().for_each(|piece| piece.same_as(&whole, same));
    Ok(whole)
}
