//! Plans that lead back.
//!
//! A computed tensor is taken apart step by step down to the old tensors it is made of; what each of
//! them was is then said of the new one. Where parts of an old tensor went to several new ones they
//! are joined again (see `pieces`), if together they are all of it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use thiserror::Error;

use super::pieces::{Piece, Same, Step, Whole};
use super::{Expression, Fates, Origination, Plan, Section};
use crate::{IndexMap, IndexSet, MetadataChange};

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
    /// Where one old tensor became several, the first is taken back, and the others are to be
    /// compared with it ([`Section::checks`]).
    ///
    /// # Errors
    /// Every tensor of which something is lost.
    pub fn invert(&self) -> Result<Plan, NotInvertible> {
        let mut refused = Vec::new();
        let sections: Vec<Section> =
            self.sections.iter().map(|section| section.invert(&mut refused)).collect();
        if !refused.is_empty() {
            return Err(NotInvertible { tensors: refused });
        }
        let metadata = self.metadata.iter().map(|change| MetadataChange {
            key: change.key.clone(),
            old: change.new.clone(),
            new: change.old.clone(),
        });
        let metadata = metadata.collect();
        Ok(Plan { sections, metadata, ties: self.ties, left_out: Vec::new() })
    }
}

impl Section {
    fn invert(&self, refused: &mut Vec<String>) -> Section {
        let back = self.kept().map(|(old, new)| (new.into(), Some(old.into())));
        let mut fates = back.collect::<Fates>();
        let mut back = Section { path: self.path.clone(), ..Section::default() };
        if let Some(tensors) = &self.tensors {
            let mut known = Known::default();
            // What was cut off as some number is that number again.
            for (filled, part) in self.checks.iter().filter(|(filled, _)| is_fixed(filled)) {
                let undone = undo(part, filled.clone(), &mut Vec::new(), &mut known);
                refused.extend(undone.err().map(|why| format!("'{part}' {why}")));
            }
            for (new, made) in tensors {
                let own = Expression::Key {
                    of: Origination::Source,
                    key: new.clone(),
                    shape: made.shape(),
                };
                if let Err(why) = undo(made, own, &mut Vec::new(), &mut known) {
                    refused.push(format!("'{new}' {why}"));
                }
            }
            let mut found = IndexMap::default();
            back.checks = known.checks;
            for (old, whole) in known.pieces {
                match whole.joined(&mut back.checks) {
                    Ok(joined) => drop(found.insert(old, joined)),
                    Err(why) => refused.push(format!("'{old}' {why}")),
                }
            }
            // What is only compared is not taken along.
            let used = found.values().flat_map(Expression::source_keys);
            let used: IndexSet<&str> = used.collect();
            for new in tensors.keys().filter(|new| !used.contains(new.as_str())) {
                fates.insert(new.as_str().into(), None);
            }
            drop(used);
            back.tensors = Some(found);
        }
        back.fates = fates.into();
        back
    }
}

/// True for elements that no file has and that are the same whatever the seed.
fn is_fixed(made: &Expression) -> bool {
    matches!(made, Expression::Init(drawing) if drawing.init().is_fixed())
}

/// What is known of the old tensors so far.
#[derive(Default)]
struct Known {
    pieces: IndexMap<String, Whole>,
    /// What must be the same, or something would be lost.
    checks: Same,
}

/// Says of the old tensors in an expression what they are, the expression being `is`, or the part of
/// it that `steps` lead to from the outside inwards.
fn undo(
    made: &Expression,
    is: Expression,
    steps: &mut Vec<Step>,
    known: &mut Known,
) -> Result<(), String> {
    match made {
        // What was filled in is taken out again, if it is still that.
        Expression::Init(_) if is_fixed(made) && steps.is_empty() => {
            known.checks.push((is, made.clone()));
            Ok(())
        }
        Expression::Key { of: Origination::Source, key, shape } => {
            let whole = known.pieces.entry(key.clone());
            let whole = whole.or_insert_with(|| Whole::new(shape.clone()));
            whole.add(Piece::new(steps.iter().rev().cloned().collect(), is));
            Ok(())
        }
        Expression::Key { of: Origination::Target | Origination::Adapter, .. }
        | Expression::Init(_) => Err("has elements that are not the file's".to_string()),
        Expression::Formula(formula) => Err(formula.result().to_string()),
        Expression::Arithmetic { of, step, returns } => match returns.obstacle(step) {
            // Steps that follow are of places, which constants do not change.
            None => undo(of, is.combined(step.inverse()).returning(*returns), steps, known),
            Some(why) => Err(why),
        },
        Expression::Cast { dtype, .. } => Err(format!("was cast to {dtype}")),
        Expression::Slice { of, axis, range } => {
            below(Step::Cut(*axis, range.clone()), of, is, steps, known)
        }
        Expression::Reshape { of, shape } if !steps.is_empty() => {
            let step = Step::Reshape { from: of.shape(), to: shape.clone() };
            below(step, of, is, steps, known)
        }
        Expression::Reshape { of, .. } => undo(of, is.reshape(of.shape()), steps, known),
        Expression::Permute { of, axes } => {
            let back = inverse_order(axes)
                .ok_or_else(|| format!("is turned by {axes:?}, which is not an order"))?;
            if steps.is_empty() {
                undo(of, is.permute(&back), steps, known)
            } else {
                below(Step::Permute(axes.clone()), of, is, steps, known)
            }
        }
        Expression::Concat { .. } | Expression::Stack { .. } if !steps.is_empty() => {
            Err("was cut after it was put together".to_string())
        }
        Expression::Concat { axis, parts } => {
            let mut start = 0u64;
            for part in parts {
                let size = part.shape().get(*axis).copied().unwrap_or(0);
                let end = start.saturating_add(size);
                undo(part, is.clone().slice(*axis, start..end), steps, known)?;
                start = end;
            }
            Ok(())
        }
        Expression::Stack { axis, parts } => {
            for (index, part) in (0u64..).zip(parts) {
                let one = is.clone().slice(*axis, index..index + 1);
                undo(part, one.reshape(part.shape()), steps, known)?;
            }
            Ok(())
        }
    }
}

/// The same of what a step was taken from.
fn below(
    step: Step,
    of: &Expression,
    is: Expression,
    steps: &mut Vec<Step>,
    known: &mut Known,
) -> Result<(), String> {
    steps.push(step);
    let result = undo(of, is, steps, known);
    steps.pop();
    result
}

/// The order that undoes one; `None` if it is not an order of dimensions.
pub(super) fn inverse_order(axes: &[usize]) -> Option<Vec<usize>> {
    (0..axes.len()).map(|old| axes.iter().position(|axis| *axis == old)).collect()
}
