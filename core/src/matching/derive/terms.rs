//! A component as terms: families of tensors, and which elements of one are which of another.

use alloc::vec::Vec;

use crate::matching::derive::components::Component;
use crate::matching::derive::families::{Digit, Family, Piece, family, pieces};
use crate::sorting;
use crate::{IndexMap, row_major_strides};

/// Tensors of one shape whose keys are one but for digits.
#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) members: Vec<usize>,
    pub(super) pieces: Vec<Piece>,
    pub(super) digits: Vec<Digit>,
    pub(super) shape: Vec<u64>,
}

/// Where the elements at the steps of an axis are: in a tensor, or in tensors of other keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Step(u64),
    Digit(usize),
    /// One entry of a dimension, which has a name because it is a part of a sum on one side.
    Unit(usize),
}

/// One of the two sides of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hand {
    Left,
    Right,
}

/// Elements at equal distances, in a term of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Axis {
    pub(super) size: u64,
    pub(super) left: Place,
    pub(super) right: Place,
}

/// Elements that a term of each side have in common.
#[derive(Clone, Debug)]
pub(super) struct Product {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) start_left: u64,
    pub(super) start_right: u64,
    pub(super) axes: Vec<Axis>,
}

/// What a rule says, before its places have names.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) left: Vec<Term>,
    pub(super) right: Vec<Term>,
    pub(super) products: Vec<Product>,
}

/// Keys and shapes of a side's tensors.
pub(super) struct Named<'n> {
    pub(super) keys: &'n dyn Fn(usize) -> &'n str,
    pub(super) shapes: &'n dyn Fn(usize) -> &'n [u64],
}

impl Terms {
    /// The terms of a component, as few as its keys allow.
    pub(super) fn of(component: &Component, a: &Named<'_>, b: &Named<'_>) -> Terms {
        let mut terms = Terms {
            left: component.sources.iter().map(|at| single(*at, a)).collect(),
            right: component.targets.iter().map(|at| single(*at, b)).collect(),
            products: Vec::new(),
        };
        for overlap in &component.overlaps {
            let place = |all: &[usize], at| all.binary_search(&at).expect("a member");
            terms.products.push(Product {
                left: place(&component.sources, overlap.a),
                right: place(&component.targets, overlap.b),
                start_left: overlap.start_in_a,
                start_right: overlap.start_in_b,
                axes: overlap
                    .steps
                    .iter()
                    .map(|step| Axis {
                        size: step.size,
                        left: Place::Step(step.in_a),
                        right: Place::Step(step.in_b),
                    })
                    .collect(),
            });
        }
        terms.gather(b);
        terms.flip();
        terms.gather(a);
        terms.flip();
        terms
    }

    /// Exchanges the sides.
    fn flip(&mut self) {
        core::mem::swap(&mut self.left, &mut self.right);
        for product in &mut self.products {
            core::mem::swap(&mut product.left, &mut product.right);
            core::mem::swap(&mut product.start_left, &mut product.start_right);
            for axis in &mut product.axes {
                core::mem::swap(&mut axis.left, &mut axis.right);
            }
        }
    }

    /// Makes terms of the right side one where only the place in the left side's tensors differs, in
    /// step with the digits of their keys.
    fn gather(&mut self, names: &Named<'_>) {
        let mut alike = IndexMap::<_, Vec<usize>>::default();
        for (term, own) in self.right.iter().enumerate() {
            alike.entry((own.shape.clone(), self.form(term))).or_default().push(term);
        }
        let mut queue: Vec<Vec<usize>> = alike.into_values().filter(|all| all.len() > 1).collect();
        while let Some(all) = queue.pop() {
            if self.join(&all, names) {
                continue;
            }
            // Those of one spelling may still differ in numbers alone.
            let mut spellings = IndexMap::<Vec<Piece>, Vec<usize>>::default();
            for term in &all {
                let masked = self.right[*term].pieces.iter().map(|piece| match piece {
                    Piece::Number(_) => Piece::Number(0),
                    other => other.clone(),
                });
                spellings.entry(masked.collect()).or_default().push(*term);
            }
            if spellings.len() > 1 {
                queue.extend(spellings.into_values().filter(|some| some.len() > 1));
            }
        }
        self.drop_empty();
    }

    /// The products of a term of the right side, but for where they start in the left side's tensors.
    fn form(&self, term: usize) -> Vec<(usize, u64, Vec<Axis>)> {
        let own = self.of_right(term);
        own.iter()
            .map(|at| {
                let product = &self.products[*at];
                (product.left, product.start_right, product.axes.clone())
            })
            .collect()
    }

    /// The products of a term of the right side, in an order that terms of one form share.
    fn of_right(&self, term: usize) -> Vec<usize> {
        let own = (0..self.products.len()).filter(|at| self.products[*at].right == term);
        let mut own: Vec<usize> = own.collect();
        sorting::sort_by_key(&mut own, |at| {
            let product = &self.products[*at];
            (product.left, product.start_right, product.start_left)
        });
        own
    }

    /// Makes these terms of the right side one, if their starts on the left go with their keys' digits.
    fn join(&mut self, all: &[usize], names: &Named<'_>) -> bool {
        let own: Vec<Vec<usize>> = all.iter().map(|term| self.of_right(*term)).collect();
        // Words are in the order of their places on the left.
        let mut order: Vec<usize> = (0..all.len()).collect();
        sorting::sort_by_key(&mut order, |at| {
            own[*at].first().map(|product| self.products[*product].start_left)
        });
        let keys: Vec<&str> =
            order.iter().map(|at| (names.keys)(self.right[all[*at]].members[0])).collect();
        let Some(mut family) = family(&keys) else { return false };
        let mut steps: Vec<Vec<u64>> = Vec::new();
        for (product, _) in own[0].iter().enumerate() {
            let starts: Vec<u64> =
                order.iter().map(|at| self.products[own[*at][product]].start_left).collect();
            let Some(found) = in_step(&mut family, &starts, product == 0) else { return false };
            steps.push(found);
        }
        let Some(first) = family.values.iter().position(|values| values.iter().all(|v| *v == 0))
        else {
            return false;
        };
        let kept = all[order[first]];
        for (product, steps) in own[order[first]].iter().zip(&steps) {
            let axes = steps.iter().enumerate().map(|(digit, step)| Axis {
                size: family.digits[digit].size(),
                left: Place::Step(*step),
                right: Place::Digit(digit),
            });
            self.products[*product].axes.extend(axes);
        }
        let members = order.iter().map(|at| self.right[all[*at]].members[0]).collect();
        let shape = self.right[kept].shape.clone();
        self.right[kept] = Term { members, pieces: family.pieces, digits: family.digits, shape };
        for term in all.iter().filter(|term| **term != kept) {
            self.products.retain(|product| product.right != *term);
            self.right[*term].members.clear();
        }
        true
    }

    /// Takes out terms of the right side that have become part of others.
    fn drop_empty(&mut self) {
        let mut becomes = Vec::new();
        let mut next = 0;
        for term in &self.right {
            becomes.push(next);
            next += usize::from(!term.members.is_empty());
        }
        self.right.retain(|term| !term.members.is_empty());
        for product in &mut self.products {
            product.right = becomes[product.right];
        }
    }

    /// Cuts axes so that each is within one dimension on both sides; false if that cannot be.
    pub(super) fn align(&mut self) -> bool {
        for at in 0..self.products.len() {
            let mut axis = 0;
            while axis < self.products[at].axes.len() {
                match self.cut(at, axis) {
                    Cut::Fits => axis += 1,
                    Cut::Within(inner) => self.split(at, axis, inner),
                    Cut::Impossible => return false,
                }
            }
        }
        true
    }

    fn cut(&self, at: usize, axis: usize) -> Cut {
        let product = &self.products[at];
        let axis = product.axes[axis];
        let sides = [
            (axis.left, product.start_left, &self.left[product.left].shape),
            (axis.right, product.start_right, &self.right[product.right].shape),
        ];
        for (place, start, shape) in sides {
            let Place::Step(step) = place else { continue };
            match cut(axis.size, step, start, shape) {
                Cut::Fits => {}
                other => return other,
            }
        }
        Cut::Fits
    }

    /// Gives a product that is one entry of a dimension on one side an axis for it.
    pub(super) fn add_unit(&mut self, product: usize, hand: Hand, dimension: usize) {
        let own = &self.products[product];
        let other = match hand {
            Hand::Left => &self.right[own.right].shape,
            Hand::Right => &self.left[own.left].shape,
        };
        let other = Place::Unit(other.iter().position(|size| *size == 1).unwrap_or(0));
        let here = Place::Unit(dimension);
        let (left, right) = match hand {
            Hand::Left => (here, other),
            Hand::Right => (other, here),
        };
        self.products[product].axes.push(Axis { size: 1, left, right });
    }

    /// An axis as two, the second of which has `inner` entries.
    pub(super) fn split(&mut self, product: usize, axis: usize, inner: u64) {
        let whole = self.products[product].axes[axis];
        let outer = |place: Place| match place {
            Place::Step(step) => Place::Step(step * inner),
            other @ (Place::Digit(_) | Place::Unit(_)) => other,
        };
        let size = whole.size / inner;
        let first = Axis { size, left: outer(whole.left), right: outer(whole.right) };
        let axes = &mut self.products[product].axes;
        axes[axis] = first;
        axes.insert(axis + 1, Axis { size: inner, ..whole });
    }
}

/// Whether an axis is within one dimension.
enum Cut {
    Fits,
    /// It is if it is cut so that the inner axis has this many entries.
    Within(u64),
    Impossible,
}

fn cut(size: u64, step: u64, start: u64, shape: &[u64]) -> Cut {
    let strides = row_major_strides(shape);
    let dimension = (0..shape.len()).find(|at| shape[*at] > 1 && strides[*at] <= step);
    let Some(dimension) = dimension else { return Cut::Impossible };
    let (all, stride) = (shape[dimension], strides[dimension]);
    if !step.is_multiple_of(stride) {
        return Cut::Impossible;
    }
    let (by, own) = (step / stride, start / stride % all);
    if own + by * (size - 1) < all {
        return Cut::Fits;
    }
    let inner = all / by;
    if inner > 1 && all.is_multiple_of(by) && size.is_multiple_of(inner) && size > inner {
        return Cut::Within(inner);
    }
    Cut::Impossible
}

fn single(at: usize, names: &Named<'_>) -> Term {
    let (key, shape) = ((names.keys)(at), (names.shapes)(at));
    Term { members: [at].into(), pieces: pieces(key), digits: Vec::new(), shape: shape.to_vec() }
}

/// The distance that each digit makes in these starts, if they are nothing but a sum of such; turns
/// digits of numbers that run backwards, if that is still allowed.
fn in_step(family: &mut Family, starts: &[u64], may_turn: bool) -> Option<Vec<u64>> {
    let mut steps = Vec::new();
    for digit in 0..family.digits.len() {
        let value = |member: usize, wanted: u64| {
            let values = &family.values[member];
            let others = values.iter().enumerate().all(|(at, value)| at == digit || *value == 0);
            others && values[digit] == wanted
        };
        let at = |wanted| (0..starts.len()).find(|member| value(*member, wanted));
        let (zero, one) = (starts[at(0)?], starts[at(1)?]);
        if one < zero && may_turn {
            let Digit::Numbers { size, first, by } = &mut family.digits[digit] else { return None };
            (*first, *by) = (*first + *by * (size.cast_signed() - 1), -*by);
            let last = *size - 1;
            family.values.iter_mut().for_each(|values| values[digit] = last - values[digit]);
            return in_step(family, starts, may_turn);
        }
        steps.push(one.checked_sub(zero).filter(|step| *step > 0)?);
    }
    let origin = family.values.iter().position(|values| values.iter().all(|value| *value == 0))?;
    let is_sum = family.values.iter().zip(starts).all(|(values, start)| {
        let by: u64 = values.iter().zip(&steps).map(|(value, step)| value * step).sum();
        starts[origin] + by == *start
    });
    is_sum.then_some(steps)
}
