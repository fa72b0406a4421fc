//! Plans that lead back.
//!
//! A computed tensor is taken apart step by step down to the old tensors it is made of; what each of
//! them was is then said of the new one. Where parts of an old tensor went to several new ones they
//! are joined again, if together they are all of it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;

use thiserror::Error;

use super::{Expression, Fates, Origination, Plan, Section};
use crate::{IndexMap, MetadataChange};

/// Why a plan has no inverse, tensor by tensor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the plan has no inverse: {}", .tensors.join("; "))]
pub struct NotInvertible {
    /// At least one: the key and why.
    pub tensors: Vec<String>,
}

impl Plan {
    /// The plan that leads back from the new names to the old; what was dropped stays dropped, and
    /// what was cast by name alone keeps its new type.
    ///
    /// # Errors
    /// Computed tensors that cannot be taken apart: what was cast or newly made, old tensors of which
    /// a part went nowhere, and such as went to several places.
    pub fn invert(&self) -> Result<Plan, NotInvertible> {
        let mut tensors = Vec::new();
        let sections = self.sections.iter().map(|section| section.invert(&mut tensors)).collect();
        if !tensors.is_empty() {
            return Err(NotInvertible { tensors });
        }
        let metadata = self.metadata.iter().map(MetadataChange::invert).collect();
        Ok(Plan { sections, metadata, ties: self.ties })
    }
}

impl Section {
    fn invert(&self, refused: &mut Vec<String>) -> Section {
        let back = self.kept().map(|(old, new)| (new.into(), Some(old.into())));
        let fates = back.collect::<Fates>().into();
        let mut back = Section { path: self.path.clone(), fates, ..Section::default() };
        if let Some(tensors) = &self.tensors {
            let mut pieces = IndexMap::<String, Whole>::default();
            for (new, made) in tensors {
                let own = Expression::Key {
                    of: Origination::Source,
                    key: new.clone(),
                    shape: made.shape(),
                };
                if let Err(why) = undo(made, own, None, &mut pieces) {
                    refused.push(format!("'{new}' {why}"));
                }
            }
            let mut found = IndexMap::default();
            for (old, whole) in pieces {
                match whole.joined() {
                    Ok(joined) => drop(found.insert(old, joined)),
                    Err(why) => refused.push(format!("'{old}' {why}")),
                }
            }
            back.tensors = Some(found);
        }
        back
    }
}

/// What is known of an old tensor.
struct Whole {
    shape: Vec<u64>,
    parts: Vec<(Cut, Expression)>,
}

/// A part of a tensor: what a range of one dimension counts. None for all of it.
type Cut = Option<(usize, Range<u64>)>;

/// Says of the old tensors in an expression what they are, the expression being `is`.
fn undo(
    made: &Expression,
    is: Expression,
    cut: Cut,
    pieces: &mut IndexMap<String, Whole>,
) -> Result<(), String> {
    match made {
        Expression::Key { of: Origination::Source, key, shape } => {
            let whole = pieces.entry(key.clone());
            let whole = whole.or_insert_with(|| Whole { shape: shape.clone(), parts: Vec::new() });
            whole.parts.push((cut, is));
            Ok(())
        }
        Expression::Key { of: Origination::Target, .. } | Expression::Init(_) => {
            Err("has elements that are not the file's".to_string())
        }
        Expression::Cast { dtype, .. } => Err(format!("was cast to {dtype}")),
        _ if cut.is_some() => Err("was cut after it was put together".to_string()),
        Expression::Slice { of, axis, range } => undo(of, is, Some((*axis, range.clone())), pieces),
        Expression::Reshape { of, .. } => {
            let is = Expression::Reshape { of: Box::new(is), shape: of.shape() };
            undo(of, is, None, pieces)
        }
        Expression::Permute { of, axes } => {
            let back: Option<Vec<usize>> =
                (0..axes.len()).map(|old| axes.iter().position(|axis| *axis == old)).collect();
            let back =
                back.ok_or_else(|| format!("is turned by {axes:?}, which is not an order"))?;
            undo(of, Expression::Permute { of: Box::new(is), axes: back }, None, pieces)
        }
        Expression::Concat { axis, parts } => {
            let mut start = 0u64;
            for part in parts {
                let size = part.shape().get(*axis).copied().unwrap_or(0);
                let end = start.saturating_add(size);
                undo(part, is.clone().slice(*axis, start..end), None, pieces)?;
                start = end;
            }
            Ok(())
        }
        Expression::Stack { axis, parts } => {
            for (index, part) in (0u64..).zip(parts) {
                let one = is.clone().slice(*axis, index..index + 1);
                let one = Expression::Reshape { of: Box::new(one), shape: part.shape() };
                undo(part, one, None, pieces)?;
            }
            Ok(())
        }
    }
}

impl Whole {
    /// The tensor, made of all of its parts.
    fn joined(mut self) -> Result<Expression, String> {
        if self.parts.len() == 1
            && let Some((None, _)) = self.parts.first()
        {
            return Ok(self.parts.remove(0).1);
        }
        let Some((Some((axis, _)), _)) = self.parts.first() else {
            return Err("went to several places".to_string());
        };
        let (axis, size) = (*axis, self.shape.clone());
        let mut cuts = Vec::new();
        for (cut, part) in self.parts {
            match cut {
                Some((along, range)) if along == axis => cuts.push((range, part)),
                _ => return Err("went to several places".to_string()),
            }
        }
        cuts.sort_by_key(|(range, _)| range.start);
        let mut end = 0;
        for (range, _) in &cuts {
            if range.start != end {
                return Err(format!("was cut: {end}..{} of dim {axis} went nowhere", range.start));
            }
            end = range.end;
        }
        match size.get(axis) {
            Some(size) if *size == end => {}
            size => {
                let size = size.copied().unwrap_or(0);
                return Err(format!("was cut: {end}..{size} of dim {axis} went nowhere"));
            }
        }
        Ok(Expression::Concat { axis, parts: cuts.into_iter().map(|(_, part)| part).collect() })
    }
}
