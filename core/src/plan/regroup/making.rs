//! What each tensor on the right is made of.
//!
//! A tensor's dimensions are flattened into atoms, one for each name and each sum. A sum is as many
//! parts, joined along it; a name that tells keys on the left apart is as many tensors, stacked along
//! it; what then is left are names that one part of one tensor on the left has, too.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::MAX_COPIES;
use super::groups::{Group, Member, advance, combinations, gathered, spread};
use super::layout::{Atom, Dimension, Sizes, atoms_of, dimensions, shape};
use super::pattern::{Made, Pattern};
use super::solving::unknown_names;
use crate::catalog::views::has_arithmetic;
use crate::init::{Init, RandomInit};
use crate::plan::Expression;
use crate::rules::template::Name;
use crate::rules::tensor::{Filling, Place, TensorRule, Term};
use crate::sorting;
use crate::{DType, IndexMap, IndexSet};

/// A part of a tensor on the left: some names, each a dimension of it.
struct Part {
    /// The names in their order.
    axes: Vec<Name>,
    expression: Expression,
}

/// The parts of the tensors on the left: by all their names, sorted, those of the key included.
struct Parts<'g> {
    /// Which term has a part of these names.
    terms: IndexMap<Vec<Name>, usize>,
    /// The names of each term's key that are gathered.
    gathered: Vec<Vec<&'g Name>>,
    /// For each term the parts of its tensors, by the values of those names.
    of: Vec<IndexMap<&'g [u64], Vec<Part>>>,
    /// Parts that are cut off, with the type of their tensor and what they are said to hold.
    beyond: Vec<(Expression, DType, Option<Filling>)>,
    /// The names of which the first is taken, and the others are the same.
    compared: &'g IndexSet<Name>,
    /// The types of the tensors by name.
    types: IndexMap<&'g str, &'g DType>,
}

/// The tensor on the right that is being made.
struct Maker<'g> {
    parts: &'g Parts<'g>,
    rule: &'g TensorRule,
    sizes: &'g Sizes,
    /// The values of names that are not places of what is made just now.
    fixed: Vec<(Name, u64)>,
}

/// What a group becomes, and every reason why it cannot.
pub(super) fn make(rule: &TensorRule, group: &Group, sizes: &Sizes) -> Pattern {
    let rest = rest_of(sizes);
    let parts = Parts::of(rule, group, sizes);
    let mut pattern = Pattern::of(group);
    if let Err(problem) =
        parts.note_beyond(&mut pattern).and_then(|()| parts.note_copies(&mut pattern))
    {
        pattern.problems.push(problem);
        return pattern;
    }
    for term in rule.right() {
        match make_term(rule, term, group, &parts, (sizes, rest)) {
            Ok(made) => pattern.terms.push(made),
            Err(problem) => {
                pattern.terms.push(Vec::new());
                pattern.problems.push(problem);
            }
        }
    }
    pattern
}

/// How many dimensions `..` stands for.
fn rest_of(sizes: &Sizes) -> usize {
    (0..).take_while(|number| sizes.contains_key(&super::layout::rest_name(*number))).count()
}

/// The tensors of one term on the right.
fn make_term(
    rule: &TensorRule,
    term: &Term,
    group: &Group,
    parts: &Parts,
    (sizes, rest): (&Sizes, usize),
) -> Result<Vec<Made>, String> {
    let own = spread(rule, term);
    let counts: Vec<u64> = own.iter().map(|name| sizes.get(*name).copied().unwrap_or(0)).collect();
    let dimensions = dimensions(term.places(), rest);
    let whole: Option<Vec<u64>> = dimensions.iter().map(|it| it.size(sizes)).collect();
    let whole = whole.ok_or_else(|| {
        let names: Vec<Name> = dimensions.iter().flat_map(|it| it.names()).collect();
        let unknown = unknown_names(&names, sizes).join(" and ");
        format!(
            "the size of {unknown} in '{term}' is not known (--set NAME=N, or a config.json, says it)"
        )
    })?;
    let atoms = flattened(&dimensions);
    let mut values = alloc::vec![0u64; own.len()];
    let mut all = Vec::new();
    for _ in 0..combinations(&counts, term.template())? {
        let fixed = own.iter().zip(&values).map(|(name, value)| ((*name).clone(), *value));
        let mut maker = Maker { parts, rule, sizes, fixed: fixed.collect() };
        let made = maker.build(&atoms)?.reshape(whole.clone());
        let made = term.steps().iter().fold(made, |made, step| made.combined(*step));
        let (members, one_type) = group.sources_of(&made);
        if made.is_combined()
            && let Some(problem) = group.uncombined(&made)
        {
            return Err(problem);
        }
        all.push(Made { values: values.clone(), expression: made, members, one_type });
        advance(&mut values, &counts);
    }
    Ok(all)
}

fn flattened<'r>(dimensions: &[Dimension<'r>]) -> Vec<Atom<'r>> {
    let mut atoms = Vec::new();
    dimensions.iter().for_each(|dimension| dimension.add_atoms(&mut atoms));
    atoms
}

impl<'g> Parts<'g> {
    fn of(rule: &'g TensorRule, group: &'g Group, sizes: &Sizes) -> Parts<'g> {
        let rest = rest_of(sizes);
        let mut parts = Parts {
            terms: IndexMap::default(),
            gathered: rule.left().iter().map(|term| gathered(rule, term)).collect(),
            of: Vec::new(),
            beyond: Vec::new(),
            compared: &rule.roles().compared,
            types: IndexMap::default(),
        };
        for (number, (term, members)) in rule.left().iter().zip(&group.members).enumerate() {
            let atoms = flattened(&dimensions(term.places(), rest));
            let mut of_term = IndexMap::default();
            for (values, member) in members {
                let mut own = Vec::new();
                let whole = member.source.expression().reshape(shape(&atoms, sizes));
                let whole = term.steps().iter().fold(whole, |whole, step| whole.combined(*step));
                let mut beyond = Vec::new();
                add_parts(whole, &atoms, sizes, (&mut own, &mut beyond));
                if let Ok((_, dtype)) = &member.source.tensor {
                    let typed = beyond.into_iter().map(|(part, it)| (part, dtype.clone(), it));
                    parts.beyond.extend(typed);
                    parts.types.insert(&member.source.name, dtype);
                }
                of_term.insert(values.as_slice(), own);
            }
            if let Some((_, own)) = of_term.first() {
                for part in own {
                    let key = parts.gathered[number].iter().map(|name| (*name).clone());
                    let own = part.axes.iter().filter(|name| !parts.compared.contains(*name));
                    let mut names: Vec<Name> = own.cloned().chain(key).collect();
                    sorting::sort(&mut names);
                    parts.terms.insert(names, number);
                }
            }
            parts.of.push(of_term);
        }
        parts
    }

    /// Counts what is cut off, and has what is said of it compared.
    fn note_beyond(&self, pattern: &mut Pattern) -> Result<(), String> {
        for (part, dtype, filled) in &self.beyond {
            let shape = part.shape();
            match filled {
                Some(filled) => {
                    let filling = filling(*filled, dtype, shape)?;
                    pattern.checks.push((filling, part.clone()));
                }
                None => {
                    let count = shape.iter().fold(1u64, |all, size| all.saturating_mul(*size));
                    pattern.cut = pattern.cut.saturating_add(count);
                }
            }
        }
        Ok(())
    }

    /// Has the copies compared of which one is taken.
    fn note_copies(&self, pattern: &mut Pattern) -> Result<(), String> {
        for part in self.of.iter().flat_map(IndexMap::values).flatten() {
            for (at, name) in part.axes.iter().enumerate() {
                if !self.compared.contains(name) {
                    continue;
                }
                let count = part.expression.shape().get(at).copied().unwrap_or(0);
                few_copies(count, name)?;
                let one = |index: u64| part.expression.clone().slice(at, index..index + 1);
                pattern.checks.extend((1..count).map(|index| (one(0), one(index))));
            }
        }
        Ok(())
    }
}

/// Elements of one number.
fn filling(filled: Filling, dtype: &DType, shape: Vec<u64>) -> Result<Expression, String> {
    let init = Init::Constant(filled.number());
    RandomInit::fixed(init, dtype.clone(), shape).map(Expression::Init)
}

fn few_copies(count: u64, name: &Name) -> Result<(), String> {
    match count {
        0 => Err(format!("'{name}' has no entries, of which one is taken")),
        1..=MAX_COPIES => Ok(()),
        _ => Err(format!("{count} copies along '{name}' exceed the limit of {MAX_COPIES}")),
    }
}

/// Adds the parts of a tensor that has a dimension for each atom.
fn add_parts(
    whole: Expression,
    atoms: &[Atom],
    sizes: &Sizes,
    (parts, beyond): (&mut Vec<Part>, &mut Vec<(Expression, Option<Filling>)>),
) {
    let sum = atoms.iter().enumerate().find_map(|(at, atom)| match atom {
        Atom::Sum(branches) => Some((at, *branches)),
        Atom::Axis(_) => None,
    });
    let Some((at, branches)) = sum else {
        let axes = atoms.iter().filter_map(|atom| match atom {
            Atom::Axis(name) => Some(name.clone()),
            Atom::Sum(_) => None,
        });
        return parts.push(Part { axes: axes.collect(), expression: whole });
    };
    let mut start = 0;
    for branch in branches {
        let inner = atoms_of(branch);
        let end = start + shape(&inner, sizes).iter().product::<u64>();
        let atoms = replaced(atoms, at, &inner);
        let part = whole.clone().slice(at, start..end);
        let is_beyond = Place::beyond(branch);
        if let Some((_, filled)) = is_beyond.filter(|_| end > start) {
            beyond.push((part, filled));
        } else if is_beyond.is_none() {
            let part = part.reshape(shape(&atoms, sizes));
            add_parts(part, &atoms, sizes, (&mut *parts, &mut *beyond));
        }
        start = end;
    }
}

/// The atoms with others in the place of one.
fn replaced<'r>(atoms: &[Atom<'r>], at: usize, by: &[Atom<'r>]) -> Vec<Atom<'r>> {
    [&atoms[..at], by, &atoms[at + 1..]].concat()
}

impl Maker<'_> {
    /// A tensor with a dimension for each atom.
    fn build(&mut self, atoms: &[Atom]) -> Result<Expression, String> {
        for (at, atom) in atoms.iter().enumerate() {
            let Atom::Sum(branches) = atom else { continue };
            return self.joined(atoms, at, branches);
        }
        for (at, atom) in atoms.iter().enumerate() {
            let Atom::Axis(name) = atom else { continue };
            if self.rule.roles().repeated.contains(name) {
                let count = atom.size(self.sizes);
                few_copies(count, name)?;
                let one = self.build(&replaced(atoms, at, &[]))?;
                return Ok(Expression::stack(at, (0..count).map(|_| one.clone()).collect()));
            }
            if !self.rule.roles().gathered.contains(name) {
                continue;
            }
            let rest = replaced(atoms, at, &[]);
            let mut parts = Vec::new();
            for value in 0..atom.size(self.sizes) {
                self.fixed.push((name.clone(), value));
                parts.push(self.build(&rest));
                self.fixed.pop();
            }
            let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
            return Ok(Expression::stack(at, parts));
        }
        self.part(atoms)
    }

    /// The parts of a sum one after another, what is filled in among them.
    fn joined(
        &mut self,
        atoms: &[Atom],
        at: usize,
        branches: &[Vec<Place>],
    ) -> Result<Expression, String> {
        let mut parts = Vec::new();
        let mut fillings = Vec::new();
        for branch in branches {
            let inner = atoms_of(branch);
            let mut merged = shape(atoms, self.sizes);
            merged[at] = shape(&inner, self.sizes).iter().product();
            match Place::beyond(branch) {
                Some((_, filled)) if merged[at] > 0 => {
                    fillings.push((parts.len(), merged, filled));
                }
                Some(_) => {}
                None => {
                    let part = self.build(&replaced(atoms, at, &inner))?;
                    parts.push(part.reshape(merged));
                }
            }
        }
        // What is filled in is of the type of what is there.
        let known = parts.iter().find_map(Expression::first_source);
        let dtype = known.and_then(|key| self.parts.types.get(key)).copied();
        for (place, shape, filled) in fillings.into_iter().rev() {
            let (Some(dtype), Some(filled)) = (dtype, filled) else {
                return Err("what was cut off is not known".to_string());
            };
            parts.insert(place, filling(filled, dtype, shape)?);
        }
        Ok(Expression::concat(at, parts))
    }

    /// The part of one tensor on the left that has these names.
    fn part(&self, atoms: &[Atom]) -> Result<Expression, String> {
        let axes: Vec<&Name> = atoms.iter().filter_map(Atom::name).collect();
        let fixed = self.fixed.iter().map(|(name, _)| name);
        let mut names: Vec<Name> = axes.iter().copied().chain(fixed).cloned().collect();
        sorting::sort(&mut names);
        let nothing = || format!("nothing on the left has the places {}", names.join(" "));
        let term = *self.parts.terms.get(&names).ok_or_else(nothing)?;
        let own = &self.parts.gathered[term];
        let values: Vec<u64> = own.iter().filter_map(|name| self.value(name)).collect();
        let parts = self.parts.of[term].get(values.as_slice()).ok_or_else(nothing)?;
        let compared = self.parts.compared;
        let part = parts.iter().find(|part| {
            let mut axes = part.axes.iter().filter(|name| !compared.contains(*name));
            axes.clone().count() + own.len() == names.len()
                && axes.all(|name| names.binary_search(name).is_ok())
        });
        let part = part.ok_or_else(nothing)?;
        Ok(self.turned(part, &axes))
    }

    /// A part with the places that are fixed taken out, and the others in this order.
    fn turned(&self, part: &Part, order: &[&Name]) -> Expression {
        let (mut expression, mut axes) = (part.expression.clone(), part.axes.clone());
        while let Some(at) = axes.iter().position(|name| !order.contains(&name)) {
            let value = self.value(&axes[at]).unwrap_or(0);
            let mut shape = expression.shape();
            shape.remove(at);
            expression = expression.slice(at, value..value + 1).reshape(shape);
            axes.remove(at);
        }
        let axes: Vec<usize> =
            order.iter().filter_map(|name| axes.iter().position(|own| own == *name)).collect();
        expression.permute(&axes)
    }

    fn value(&self, name: &Name) -> Option<u64> {
        self.fixed.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

impl Atom<'_> {
    fn name(&self) -> Option<&Name> {
        match self {
            Atom::Axis(name) => Some(name),
            Atom::Sum(_) => None,
        }
    }
}

impl Group {
    /// That constants are for other types than one that a tensor has.
    fn uncombined(&self, made: &Expression) -> Option<String> {
        let keys: IndexSet<&str> = made.source_keys().into_iter().collect();
        let mut sources = self.all().map(|member| &member.source);
        let found = sources.find_map(|source| {
            let (_, dtype) = source.tensor.as_ref().ok()?;
            (keys.contains(&*source.name) && !has_arithmetic(dtype)).then_some((source, dtype))
        });
        let (source, dtype) = found?;
        let name = &source.name;
        Some(format!("'{name}' is {dtype}, and constants are for F16, BF16, F32 and F64"))
    }

    /// The members that a tensor is made of, and that they have one type, or the several types with a
    /// key of each.
    fn sources_of(&self, made: &Expression) -> (Vec<usize>, Result<(), String>) {
        let mut types = IndexMap::<&DType, &str>::default();
        let mut numbers = Vec::new();
        let keys: IndexSet<&str> = made.source_keys().into_iter().collect();
        for (number, Member { source, .. }) in self.all().enumerate() {
            if !keys.contains(&*source.name) {
                continue;
            }
            numbers.push(number);
            if let Ok((_, dtype)) = &source.tensor {
                types.entry(dtype).or_insert(&source.name);
            }
        }
        if types.len() <= 1 {
            return (numbers, Ok(()));
        }
        let types = types.into_iter().map(|(dtype, key)| format!("{dtype} in '{key}'"));
        let types: Vec<String> = types.collect();
        (numbers, Err(types.join(", ")))
    }
}
