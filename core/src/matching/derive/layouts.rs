//! Places in the dimensions of tensors, as products and sums of axes.

use alloc::vec::Vec;

use crate::matching::derive::terms::{Hand, Place, Terms};
use crate::row_major_strides;
use crate::sorting;

/// Axes are cut this often before the layout is given up.
const MAX_CUTS: usize = 256;

/// What a dimension, or a part of one, is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layout {
    /// One entry.
    One,
    /// The entries of an axis, by its class.
    Axis(usize),
    /// One within another, the slowest first.
    Product(Vec<Layout>),
    /// One after another.
    Sum(Vec<Layout>),
}

/// The dimensions of every term, and the classes of axes: those that are one place have one.
pub(super) struct Layouts {
    pub(super) left: Vec<Vec<Layout>>,
    pub(super) right: Vec<Vec<Layout>>,
    /// For each class its size.
    pub(super) sizes: Vec<u64>,
    /// For each class the digit that it is on either side: the term and its digit.
    pub(super) digits: Vec<Option<OfKey>>,
}

/// A digit of a key that is a place on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OfKey {
    Left { term: usize, digit: usize },
    Right { term: usize, digit: usize },
}

/// Why a layout is not found yet, or never.
enum Failure {
    /// An axis has to be cut first: its product, itself, and the entries of the inner one.
    Cut(usize, usize, u64),
    /// A product is one entry of a dimension, which needs a name.
    Unit(usize, Hand, usize),
    Never,
}

/// Some elements of a term within a dimension.
#[derive(Clone, Debug)]
struct Item {
    product: usize,
    /// Axis, size and step, the largest step first.
    axes: Vec<(usize, u64, u64)>,
    start: u64,
    /// An axis of one entry.
    unit: Option<usize>,
}

impl Layouts {
    /// The layouts of all terms, whose axes are cut as needed; none if there are none.
    pub(super) fn of(terms: &mut Terms) -> Option<Layouts> {
        for _ in 0..MAX_CUTS {
            if !terms.align() {
                return None;
            }
            match Builder::new(terms).layouts() {
                Ok(layouts) => return Some(layouts),
                Err(Failure::Cut(product, axis, inner)) => terms.split(product, axis, inner),
                Err(Failure::Unit(product, hand, at)) => terms.add_unit(product, hand, at),
                Err(Failure::Never) => return None,
            }
        }
        None
    }
}

struct Builder<'t> {
    terms: &'t Terms,
    /// The first axis of each product, counted through.
    first: Vec<usize>,
    /// For each axis another of its class, or itself.
    same: Vec<usize>,
}

impl<'t> Builder<'t> {
    fn new(terms: &'t Terms) -> Builder<'t> {
        let mut first = Vec::new();
        let mut next = 0;
        for product in &terms.products {
            first.push(next);
            next += product.axes.len();
        }
        Builder { terms, first, same: (0..next).collect() }
    }

    fn layouts(mut self) -> Result<Layouts, Failure> {
        self.unite_digits();
        let left = self.side(Hand::Left)?;
        let right = self.side(Hand::Right)?;
        let mut classes: Vec<Option<usize>> = alloc::vec![None; self.same.len()];
        let (mut sizes, mut digits) = (Vec::new(), Vec::new());
        for (at, product) in self.terms.products.iter().enumerate() {
            for (axis, own) in product.axes.iter().enumerate() {
                let root = self.root(self.first[at] + axis);
                let class = *classes[root].get_or_insert_with(|| {
                    sizes.push(own.size);
                    digits.push(None);
                    sizes.len() - 1
                });
                if sizes[class] != own.size {
                    return Err(Failure::Never);
                }
                let digit = match (own.left, own.right) {
                    (Place::Digit(digit), Place::Step(_)) => {
                        Some(OfKey::Left { term: product.left, digit })
                    }
                    (Place::Step(_), Place::Digit(digit)) => {
                        Some(OfKey::Right { term: product.right, digit })
                    }
                    _ => None,
                };
                if let Some(digit) = digit {
                    digits[class] = Some(digit);
                }
            }
        }
        let class = |axis: usize| classes[self.root(axis)].expect("every axis is of a class");
        let named = |side: Vec<Vec<Layout>>| {
            let terms = side.into_iter();
            terms.map(|all| all.into_iter().map(|it| it.renamed(&class)).collect()).collect()
        };
        Ok(Layouts { left: named(left), right: named(right), sizes, digits })
    }

    /// One digit of one term is one class.
    fn unite_digits(&mut self) {
        let mut known: Vec<(OfKey, usize)> = Vec::new();
        for (at, product) in self.terms.products.iter().enumerate() {
            for (axis, own) in product.axes.iter().enumerate() {
                let digit = match (own.left, own.right) {
                    (Place::Digit(digit), _) => OfKey::Left { term: product.left, digit },
                    (_, Place::Digit(digit)) => OfKey::Right { term: product.right, digit },
                    _ => continue,
                };
                let axis = self.first[at] + axis;
                match known.iter().find(|(other, _)| *other == digit) {
                    Some((_, other)) => self.unite(axis, *other),
                    None => known.push((digit, axis)),
                }
            }
        }
    }

    fn side(&mut self, hand: Hand) -> Result<Vec<Vec<Layout>>, Failure> {
        let terms = match hand {
            Hand::Left => &self.terms.left,
            Hand::Right => &self.terms.right,
        };
        let mut all = Vec::new();
        for (term, own) in terms.iter().enumerate() {
            let mut dimensions = Vec::new();
            for dimension in 0..own.shape.len() {
                let items = self.items(hand, term, dimension, &own.shape);
                let place = (hand, dimension);
                dimensions.push(self.build(items, own.shape[dimension], place)?);
            }
            all.push(dimensions);
        }
        Ok(all)
    }

    /// What lies in one dimension of a term.
    fn items(&self, hand: Hand, term: usize, dimension: usize, shape: &[u64]) -> Vec<Item> {
        let (stride, all) = (row_major_strides(shape)[dimension], shape[dimension]);
        let mut items = Vec::new();
        for (at, product) in self.terms.products.iter().enumerate() {
            let (own, start) = match hand {
                Hand::Left => (product.left, product.start_left),
                Hand::Right => (product.right, product.start_right),
            };
            if own != term {
                continue;
            }
            let axes = product.axes.iter().enumerate().filter_map(|(axis, it)| {
                let place = if hand == Hand::Left { it.left } else { it.right };
                let Place::Step(step) = place else { return None };
                let is_here = all > 1 && step >= stride && step < stride * all;
                is_here.then_some((self.first[at] + axis, it.size, step / stride))
            });
            let mut axes: Vec<_> = axes.collect();
            sorting::sort_by_key(&mut axes, |(_, _, step)| u64::MAX - step);
            let unit = product.axes.iter().position(|it| {
                let place = if hand == Hand::Left { it.left } else { it.right };
                place == Place::Unit(dimension)
            });
            let unit = unit.map(|axis| self.first[at] + axis);
            items.push(Item { product: at, axes, start: start / stride % all, unit });
        }
        items
    }

    fn build(
        &mut self,
        mut items: Vec<Item>,
        extent: u64,
        place: (Hand, usize),
    ) -> Result<Layout, Failure> {
        if let [only] = items.as_mut_slice()
            && let Some(unit) = only.unit.take()
        {
            let unit = Layout::Axis(unit);
            return Ok(match self.build(items, extent, place)? {
                Layout::One => unit,
                Layout::Product(more) => {
                    Layout::Product(core::iter::once(unit).chain(more).collect())
                }
                other => Layout::Product([unit, other].into()),
            });
        }
        if extent == 1 {
            let is_one = items.iter().all(|item| item.axes.is_empty() && item.start == 0);
            return if is_one { Ok(Layout::One) } else { Err(Failure::Never) };
        }
        let covers = |item: &Item| {
            item.axes
                .first()
                .is_some_and(|(_, size, step)| size * step == extent && item.start < *step)
        };
        if items.iter().all(covers) {
            return self.product(items, extent, place);
        }
        self.sum(items, extent, place)
    }

    /// The outermost axis is the same for all.
    fn product(
        &mut self,
        items: Vec<Item>,
        extent: u64,
        place: (Hand, usize),
    ) -> Result<Layout, Failure> {
        let least = items.iter().map(|item| item.axes[0].1).min().ok_or(Failure::Never)?;
        for item in &items {
            let (axis, size, _) = item.axes[0];
            if size != least {
                let inner = size / least;
                let is_cut = size.is_multiple_of(least) && inner > 1;
                let axis = axis - self.first[item.product];
                return Err(if is_cut {
                    Failure::Cut(item.product, axis, inner)
                } else {
                    Failure::Never
                });
            }
        }
        let (first, _, step) = items[0].axes[0];
        let mut rest = Vec::new();
        for mut item in items {
            let (axis, _, _) = item.axes.remove(0);
            self.unite(axis, first);
            rest.push(item);
        }
        let mut layouts = alloc::vec![Layout::Axis(first)];
        debug_assert_eq!(step * least, extent);
        match self.build(rest, step, place)? {
            Layout::One => {}
            Layout::Product(more) => layouts.extend(more),
            other => layouts.push(other),
        }
        Ok(if layouts.len() == 1 { Layout::Axis(first) } else { Layout::Product(layouts) })
    }

    /// One after another.
    fn sum(
        &mut self,
        mut items: Vec<Item>,
        extent: u64,
        place: (Hand, usize),
    ) -> Result<Layout, Failure> {
        let end = |item: &Item| {
            item.start + item.axes.iter().map(|(_, size, step)| (size - 1) * step).sum::<u64>() + 1
        };
        sorting::sort_by_key(&mut items, |item| item.start);
        let mut branches: Vec<(u64, u64, Vec<Item>)> = Vec::new();
        for item in items {
            let last = end(&item);
            match branches.last_mut() {
                Some((_, reached, all)) if item.start < *reached => {
                    *reached = last.max(*reached);
                    all.push(item);
                }
                _ => branches.push((item.start, last, [item].into())),
            }
        }
        let is_tiled = branches.first().is_some_and(|(start, _, _)| *start == 0)
            && branches.last().is_some_and(|(_, reached, _)| *reached == extent)
            && branches.windows(2).all(|pair| pair[0].1 == pair[1].0);
        if branches.len() < 2 || !is_tiled {
            return Err(Failure::Never);
        }
        let mut layouts = Vec::new();
        for (start, reached, mut all) in branches {
            all.iter_mut().for_each(|item| item.start -= start);
            let first = all[0].product;
            match self.build(all, reached - start, place)? {
                Layout::One => return Err(Failure::Unit(first, place.0, place.1)),
                layout => layouts.push(layout),
            }
        }
        Ok(Layout::Sum(layouts))
    }

    fn root(&self, mut axis: usize) -> usize {
        while self.same[axis] != axis {
            axis = self.same[axis];
        }
        axis
    }

    fn unite(&mut self, x: usize, y: usize) {
        let (x, y) = (self.root(x), self.root(y));
        self.same[x.max(y)] = x.min(y);
    }
}

impl Layout {
    fn renamed(self, class: &impl Fn(usize) -> usize) -> Layout {
        match self {
            Layout::One => Layout::One,
            Layout::Axis(axis) => Layout::Axis(class(axis)),
            Layout::Product(all) => {
                Layout::Product(all.into_iter().map(|it| it.renamed(class)).collect())
            }
            Layout::Sum(all) => Layout::Sum(all.into_iter().map(|it| it.renamed(class)).collect()),
        }
    }

    /// The classes in it, in order.
    pub(super) fn classes(&self, into: &mut Vec<usize>) {
        match self {
            Layout::One => {}
            Layout::Axis(class) => into.push(*class),
            Layout::Product(all) | Layout::Sum(all) => {
                all.iter().for_each(|layout| layout.classes(into));
            }
        }
    }
}
