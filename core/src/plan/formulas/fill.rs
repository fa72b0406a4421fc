//! Tensors that are added, made of constants, and taken out again.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{AllFound, Calculated, FoundTensor, tensor};
use crate::init::RandomInit;
use crate::plan::regroup::sizes_of;
use crate::rules::formula::Fill;
use crate::rules::template::Held;
use crate::{DType, Expression, IndexMap};

/// A tensor that a filling adds.
struct Added<'a> {
    position: usize,
    name: String,
    is: RandomInit,
    /// What it is added for.
    because: Option<(&'a str, Vec<u64>)>,
}

pub(super) fn calculate(fills: &[Fill], all: &AllFound) -> Calculated {
    let mut calculated = Calculated::default();
    for Added { position, name, is, because } in added(fills, all, &mut calculated.problems) {
        if all.contains_key(name.as_str()) {
            calculated.problems.push(format!("'{name}' is there already, and would be filled"));
            continue;
        }
        calculated.add(position, name, Expression::Init(is), because.as_slice());
    }
    calculated
}

/// What leads back: what would be added must be there, and is taken out.
pub(super) fn undo(fills: &[Fill], all: &AllFound) -> Calculated {
    let mut calculated = Calculated::default();
    for Added { name, is, .. } in added(fills, all, &mut calculated.problems) {
        match tensor(all, &name) {
            None => calculated.problems.push(format!("'{name}' is missing")),
            Some(FoundTensor { made, dtype }) => {
                if made.shape() != is.shape() || dtype != is.dtype() {
                    let (shape, wanted) = (made.shape(), is.shape());
                    calculated.problems.push(format!(
                        "'{name}' is {dtype} {shape:?}, and what is filled in is {} {wanted:?}",
                        is.dtype()
                    ));
                    continue;
                }
                calculated.groups += 1;
                calculated.checks.push((made.clone(), Expression::Init(is)));
                calculated.taken.insert(name);
            }
        }
    }
    calculated
}

/// Every tensor that fillings add, the first of several with one name.
fn added<'a>(fills: &[Fill], all: &'a AllFound, problems: &mut Vec<String>) -> Vec<Added<'a>> {
    let mut added = IndexMap::<String, Added>::default();
    for new in fills.iter().flat_map(|fill| of_all(fill, all)) {
        match new {
            Err(why) => problems.push(why),
            Ok(new) => match added.get(&new.name) {
                Some(other) if other.is != new.is => {
                    problems.push(format!("'{}' would be filled in two ways", new.name));
                }
                Some(_) => {}
                None => drop(added.insert(new.name.clone(), new)),
            },
        }
    }
    added.into_values().collect()
}

/// What one filling adds, for each tensor that it is for or once for all.
fn of_all<'a>(fill: &Fill, all: &'a AllFound) -> Vec<Result<Added<'a>, String>> {
    let Some(from) = fill.from() else {
        return of_one(fill, all.len(), (&Held::default(), None));
    };
    let found = all.iter().filter_map(|(name, found)| {
        let held = from.template().recognise(name)?;
        let own = found.tensor.as_ref()?;
        Some(of_one(fill, found.position, (&held, Some((name, own)))))
    });
    found.flatten().collect()
}

/// What one filling adds for one tensor.
fn of_one<'a>(
    fill: &Fill,
    position: usize,
    (held, because): (&Held, Option<(&'a str, &FoundTensor)>),
) -> Vec<Result<Added<'a>, String>> {
    let shape_of_source = because.map(|(_, own)| own.made.shape());
    let source = because.map(|(name, _)| name).zip(shape_of_source.as_deref());
    let (known, inline) = (fill.sizes(), fill.inline());
    let sizes = match sizes_of(fill.from(), source, (known, inline)) {
        Ok(sizes) => sizes,
        Err(problems) => return problems.into_iter().map(Err).collect(),
    };
    let dtype = fill.dtype().or(because.map(|(_, own)| &own.dtype));
    let terms = fill.terms().iter().map(|term| {
        let name = term.template().fill(held).map_err(|why| format!("'{term}': {why}"))?;
        let shape = sizes.shape(term.places());
        let shape = shape.ok_or_else(|| format!("the shape of '{name}' is not known"))?;
        let is = RandomInit::fixed(fill.what(), dtype.cloned().unwrap_or(DType::F32), shape);
        let is = is.map_err(|why| format!("'{name}': {why}"))?;
        let because = because.map(|(name, _)| name).zip(shape_of_source.clone());
        Ok(Added { position, name: name.to_string(), is, because })
    });
    terms.collect()
}
