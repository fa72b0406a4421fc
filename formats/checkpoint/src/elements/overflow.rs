//! Numbers that a cast has no room for, counted for each tensor: they become infinite, or the largest
//! of a type without infinities.
//!
//! They are noticed as elements are written, which may be whole storages; only where there are some
//! are the tensors over these storages read once more, to name them.

use std::collections::{HashMap, HashSet};

use statedict_core::{Catalog, DType, Elements, Fault, Origin, Plan, Source};

use crate::elements;
use crate::elements::losses::Lossy;

/// A tensor of which a cast has no room for some numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// The path to its state dict.
    pub path: String,
    /// Its key in the new file.
    pub key: String,
    /// The type it is cast to.
    pub to: DType,
    /// How many numbers.
    pub values: u64,
}

/// The tensors that a plan casts over storages that were noticed, so far as theirs overflow.
pub(crate) fn overflows(
    source: &dyn Source,
    catalog: &Catalog,
    noticed: &[Lossy],
    plan: &Plan,
) -> Result<Vec<Overflow>, Fault> {
    let noticed: HashSet<u64> = noticed
        .iter()
        .filter(|it| it.losses.overflows > 0)
        .filter_map(|it| start(&it.elements))
        .collect();
    let mut counted = HashMap::<String, u64>::new();
    let mut found = Vec::new();
    for section in plan.sections() {
        let state_dict = catalog.state_dict_at(section.path());
        let Some(state_dict) = state_dict.filter(|_| !noticed.is_empty()) else { continue };
        for (old, to) in section.casts() {
            let Some(tensor) = catalog.tensor(state_dict, old) else { continue };
            let Ok(elements) = Elements::new(tensor.clone(), Some(to)) else { continue };
            if !start(&elements).is_some_and(|start| noticed.contains(&start)) {
                continue;
            }
            let place = format!("{:?}", elements.place());
            let values = match counted.get(&place) {
                Some(values) => *values,
                None => elements::overflows(source, &elements)?,
            };
            counted.insert(place, values);
            if values > 0 {
                let key = section.fate(old).flatten().unwrap_or(old).to_string();
                let (path, to) = (section.path().to_string(), to.clone());
                found.push(Overflow { path, key, to, values });
            }
        }
    }
    Ok(found)
}

/// Where the storage of a tensor's elements starts.
fn start(elements: &Elements) -> Option<u64> {
    let first = match elements.origin() {
        Origin::Blocks(blocks) => blocks.first()?.elements(),
        Origin::Tensor(_) | Origin::Drawn(_) | Origin::Computed(_) => elements,
    };
    Some(first.tensor()?.as_view()?.storage().location.range().start)
}
