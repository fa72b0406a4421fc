//! What writing has shown of computed tensors: whether constants lead back, and what overflowed.

use statedict_core::{
    Catalog, Elements, Expression, IndexMap, Origination, Plan, Returns, StateDict, Tensor,
};

use crate::elements::losses::{Losses, Lossy};
use crate::elements::overflow::Overflow;

/// What the computed tensors of a plan lost, by path and new key; those that lost nothing have no
/// entry.
fn losses(
    catalog: &Catalog,
    lossy: &[Lossy],
    plan: &Plan,
    is_meant: impl Fn(&Expression) -> bool,
) -> IndexMap<(String, String), (Elements, Losses)> {
    let mut found = IndexMap::default();
    for section in plan.sections().iter().filter(|_| !lossy.is_empty()) {
        let Some(state_dict) = catalog.state_dict_at(section.path()) else {
            continue;
        };
        let tensors = section.tensors().into_iter().flatten();
        for (key, made) in tensors.filter(|(_, made)| is_meant(made)) {
            let Some(elements) = evaluated(catalog, state_dict, made) else { continue };
            let lost = lost(&elements, lossy);
            if !lost.is_none() {
                found.insert((section.path().to_string(), key.clone()), (elements, lost));
            }
        }
    }
    found
}

fn evaluated(catalog: &Catalog, state_dict: &StateDict, made: &Expression) -> Option<Elements> {
    made.evaluate(&of_file(catalog, state_dict)).ok()
}

/// Which tensor an expression means by a key, where only the file itself has tensors.
pub(crate) fn of_file<'a>(
    catalog: &'a Catalog,
    state_dict: &'a StateDict,
) -> impl Fn(Origination, &str) -> Option<&'a Tensor> {
    move |of, key| match of {
        Origination::Source => catalog.tensor(state_dict, key),
        Origination::Target | Origination::Adapter => None,
    }
}

/// What elements, or the parts in which they were written, have lost.
fn lost(elements: &Elements, lossy: &[Lossy]) -> Losses {
    let runs = elements.runs();
    let is_part = |part: &Elements| match &runs {
        Some(runs) => runs.contains(&part),
        None => elements == part,
    };
    lossy.iter().filter(|it| is_part(&it.elements)).map(|it| it.losses).sum()
}

/// The plan with what its writing has shown of constants.
pub(crate) fn returning(catalog: &Catalog, lossy: &[Lossy], plan: Plan) -> Plan {
    let lost = losses(catalog, lossy, &plan, Expression::is_combined);
    plan.returning(|path, key| {
        let lost = lost.get(&(path.to_string(), key.to_string()));
        let changed = lost.is_some_and(|(_, losses)| losses.changed > 0);
        Some(if changed { Returns::Inexactly } else { Returns::Exactly })
    })
}

/// The tensors that formulas give, or that are cast once they are made, in which finite numbers had no
/// room.
pub(crate) fn overflows(catalog: &Catalog, lossy: &[Lossy], plan: &Plan) -> Vec<Overflow> {
    let is_rounded = |made: &Expression| {
        matches!(made, Expression::Formula(_)) || made.cast_when_computed().is_some()
    };
    let lost = losses(catalog, lossy, plan, is_rounded).into_iter();
    let overflowed = lost.filter(|(_, (_, losses))| losses.overflows > 0);
    let named = overflowed.map(|((path, key), (elements, losses))| Overflow {
        path,
        key,
        to: elements.dtype().clone(),
        values: losses.overflows,
    });
    named.collect()
}
