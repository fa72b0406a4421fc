//! What the sections of a plan are about.

use std::collections::{HashMap, VecDeque};
use std::iter;

use statedict_core::{Catalog, Fault, Plan, Section, StateDict};

use crate::pickle::graph::CompoundId;

/// A section of a plan with the state dict that it is about, and where that is in the graph.
pub(crate) struct Target<'p, 'c> {
    pub(crate) section: &'p Section,
    pub(crate) state_dict: &'c StateDict,
    pub(crate) mapping: CompoundId,
}

/// What each section of a plan is about.
///
/// # Errors
/// A state dict that is not there, or whose keys cannot be renamed.
pub(crate) fn targets<'p, 'c>(
    catalog: &'c Catalog,
    mappings: &[CompoundId],
    plan: &'p Plan,
) -> Result<Vec<Target<'p, 'c>>, Fault> {
    let mut places = places(catalog);
    let mut targets = Vec::with_capacity(plan.sections().len());
    for section in plan.sections() {
        let place =
            places.get_mut(section.path().trim_end_matches('/')).and_then(VecDeque::pop_front);
        let known = place.and_then(|i| catalog.state_dicts.get(i).zip(mappings.get(i)));
        let Some((state_dict, mapping)) = known else {
            return Err(Fault::Unsupported(format!("no state dict at '{}'", section.path())));
        };
        if let Some(reason) = &state_dict.fixed {
            return Err(Fault::Unsupported(format!("keys cannot be renamed: {reason}")));
        }
        targets.push(Target { section, state_dict, mapping: *mapping });
    }
    Ok(targets)
}

/// The state dicts by the paths to them; several that one path leads to in their order.
fn places(catalog: &Catalog) -> HashMap<&str, VecDeque<usize>> {
    let mut places = HashMap::<&str, VecDeque<usize>>::new();
    for (i, state_dict) in catalog.state_dicts.iter().enumerate() {
        for path in iter::once(&state_dict.path).chain(&state_dict.aliases) {
            places.entry(path).or_default().push_back(i);
        }
    }
    places
}
