//! What the elements of two files have to do with each other: which tensors are the same, cast,
//! turned or reshaped, and which are parts of others.
//!
//! Each question is asked of the tensors that the ones before have left open, so that in most files
//! all but the first cost nothing.

use statedict_core::{
    DType, IndexSet, Tensor,
    derive::{Alike, Arrangement, Evidence, Overlap, Rearranged, Side},
    diff::Entry,
    sorting,
};

use crate::checkpoint::Checkpoint;
use crate::compare::duplicate_groups::{Sort, halves, twins};
use crate::compare::operand::Operand;
use crate::compare::overlaps::overlaps;
use crate::compare::rows::reordered;
use crate::compare::slices::portions;
use crate::error::Error;

/// Orders of dimensions in which frameworks keep kernels: those of PyTorch from those of TensorFlow
/// and JAX, and back.
const PERMUTATIONS: [&[usize]; 3] = [&[2, 1, 0], &[3, 2, 0, 1], &[2, 3, 1, 0]];

/// What comparing the elements of two state dicts shows.
///
/// The entries are those of a state dict of `a` and of one of `b`. Memory stays bounded; a tensor
/// is read a few times at the most, and more often only as long as nothing is found for it.
///
/// # Errors
/// What keeps the elements from being read.
pub fn match_contents(
    a: (&Checkpoint, &[Entry<'_>]),
    b: (&Checkpoint, &[Entry<'_>]),
) -> Result<Evidence, Error> {
    let mut question =
        Question { a: halves(a.0, a.1), b: halves(b.0, b.1), evidence: Evidence::default() };
    question.ask()?;
    for dtype in question.types_of_b() {
        question.ask_cast(&dtype)?;
    }
    Ok(question.evidence)
}

/// The tensors of a side that nothing was found for.
type Operands<'a> = Vec<Option<Operand<'a>>>;

/// Tensors that nothing was found for yet, and what was found for the others.
struct Question<'a> {
    a: Vec<Option<Operand<'a>>>,
    b: Vec<Option<Operand<'a>>>,
    evidence: Evidence,
}

impl<'a> Question<'a> {
    fn ask(&mut self) -> Result<(), Error> {
        self.ask_alike()?;
        let open = (self.a.clone(), self.b.clone());
        self.ask_arrangement(Tensor::transposed, Sort::TypeAndShape, Arrangement::Transposed)?;
        for axes in PERMUTATIONS {
            let how = Arrangement::Permuted(axes);
            self.ask_arrangement(|it| it.permuted(axes), Sort::TypeAndShape, how)?;
        }
        self.ask_arrangement(|it| Some(it.clone()), Sort::TypeAndCount, Arrangement::Reshaped)?;
        for owner in [Side::A, Side::B] {
            let (parts, wholes) = match owner {
                Side::A => (&self.b, &self.a),
                Side::B => (&self.a, &self.b),
            };
            let found = portions(parts, wholes, owner)?;
            for portion in &found {
                let (in_a, in_b) = match owner {
                    Side::A => (portion.whole, portion.part),
                    Side::B => (portion.part, portion.whole),
                };
                (self.a[in_a], self.b[in_b]) = (None, None);
            }
            self.evidence.portions.extend(found);
        }
        for (a, b) in reordered(&self.a, &self.b)? {
            self.note(a, b, Arrangement::RowsReordered);
        }
        let mut found = overlaps(&open.0, &open.1)?;
        self.complete(&mut found, &open);
        for overlap in &found {
            (self.a[overlap.a], self.b[overlap.b]) = (None, None);
        }
        self.evidence.overlaps.extend(found);
        Ok(())
    }

    /// Adds what the other questions found of tensors that no single elements gave away.
    fn complete(&self, found: &mut Vec<Overlap>, (a, b): &(Operands<'a>, Operands<'a>)) {
        let known: IndexSet<usize> = found.iter().map(|it| it.b).collect();
        let shape = |halves: &Operands<'a>, at: usize| {
            halves[at].as_ref().map(|half| half.shape().to_vec())
        };
        for it in &self.evidence.rearranged {
            if !known.contains(&it.b)
                && let Some((x, y)) = shape(a, it.a).zip(shape(b, it.b))
            {
                found.extend(Overlap::rearranged(it, &x, &y));
            }
        }
        for it in &self.evidence.portions {
            let (at_a, at_b) = match it.owner {
                Side::A => (it.whole, it.part),
                Side::B => (it.part, it.whole),
            };
            if !known.contains(&at_b)
                && let Some((x, y)) = shape(a, at_a).zip(shape(b, at_b))
            {
                found.extend(Overlap::portion(it, if it.owner == Side::A { &x } else { &y }));
            }
        }
        sorting::sort_by_key(found, |it| (it.b, it.start_in_b, it.a, it.start_in_a));
    }

    /// The types that open tensors of `b` have, and open tensors of `a` could be cast to.
    fn types_of_b(&self) -> Vec<DType> {
        let types = self.b.iter().flatten().map(|half| half.dtype().clone());
        let types: IndexSet<DType> = types.filter(|dtype| dtype.is_float()).collect();
        types.into_iter().collect()
    }

    /// Asks the same of open tensors of `a` as they are when they are cast.
    fn ask_cast(&mut self, dtype: &DType) -> Result<(), Error> {
        let mut question = Question {
            a: self
                .a
                .iter()
                .map(|half| half.as_ref().and_then(|half| half.cast_to(dtype)))
                .collect(),
            b: self.b.clone(),
            evidence: Evidence::default(),
        };
        question.ask()?;
        self.evidence.alike.extend(question.evidence.alike);
        self.evidence.rearranged.extend(question.evidence.rearranged);
        self.evidence.portions.extend(question.evidence.portions);
        self.evidence.overlaps.extend(question.evidence.overlaps);
        let was_open = question.a.iter().zip(&mut self.a);
        was_open.for_each(|(left, half)| {
            if left.is_none() && half.as_ref().and_then(|half| half.cast_to(dtype)).is_some() {
                *half = None;
            }
        });
        self.b = question.b;
        Ok(())
    }

    fn ask_alike(&mut self) -> Result<(), Error> {
        for group in twins(self.a.clone(), self.b.clone(), Sort::TypeAndShape)? {
            let first = group.removed.first().and_then(|place| self.a[*place].as_ref());
            let is_constant = first.map_or(Ok(false), Operand::is_constant)?;
            group.removed.iter().for_each(|place| self.a[*place] = None);
            group.added.iter().for_each(|place| self.b[*place] = None);
            self.evidence.alike.push(Alike { a: group.removed, b: group.added, is_constant });
        }
        Ok(())
    }

    /// Asks which tensors of `b` are those of `a` in another view; what is one number, or fits
    /// several, shows nothing.
    fn ask_arrangement(
        &mut self,
        view: impl Fn(&Tensor) -> Option<Tensor>,
        sort: Sort,
        how: Arrangement,
    ) -> Result<(), Error> {
        let turned = self.a.iter().map(|half| half.as_ref().and_then(|half| half.viewed(&view)));
        for group in twins(turned.collect(), self.b.clone(), sort)? {
            if let ([a], [b]) = (group.removed.as_slice(), group.added.as_slice())
                && let Some(half) = &self.a[*a]
                && !half.is_constant()?
            {
                self.note(*a, *b, how);
            }
        }
        Ok(())
    }

    fn note(&mut self, a: usize, b: usize, how: Arrangement) {
        (self.a[a], self.b[b]) = (None, None);
        self.evidence.rearranged.push(Rearranged { a, b, how });
    }
}
