//! Names of keys that a pickle holds outside its state dicts: which follow a rename, and which stay.
//!
//! | known to name keys | where |
//! |---|---|
//! | `param_shapes`, `frozen_param_shapes`, `shared_params`, `buffer_names`, `frozen_param_fragments` | DeepSpeed, beside the state dict |
//! | keys of `state`, the lists `params` and `param_names` of `param_groups` | optimizers that know parameters by name: FSDP, distributed checkpoints |
//! | `state.NAME.exp_avg`, `param_groups.NAME.lr` | the same, flattened |
//!
//! Any other text that is a renamed key as a whole is counted by place, and so are the names of
//! dropped keys, known or not: what is said of a parameter by its position (DeepSpeed's shapes cut
//! a flat buffer) cannot go with it.

mod names;
mod visit;

use statedict_core::{Catalog, Fault};

use crate::pickle::Graph;
use crate::pickle::graph::{CompoundId, Kind};
use crate::pickle::patch::Patch;
use crate::target::Target;
use crate::tensors::is_tensor;

use names::Names;
pub(crate) use visit::Found;
use visit::{Following, Visitor};

/// True if a pickle is one mapping of tensors, the only one that `mappings` has, and nothing else, so
/// that whatever becomes of its keys is mentioned nowhere.
pub(crate) fn is_without(graph: &Graph<'_>, mappings: &[CompoundId]) -> bool {
    let (Some((id, compound)), [only]) = (graph.as_compound(graph.root), mappings) else {
        return false;
    };
    let is_made_empty = match compound.kind {
        Kind::Dict => true,
        Kind::Call { args, .. } => graph.tuple(args).is_some_and(<[_]>::is_empty),
        Kind::List | Kind::Set => false,
    };
    let mut values = graph.entries.items(compound.entries).map(|entry| entry.value.node);
    id == *only
        && is_made_empty
        && compound.elements.is_empty()
        && values.all(|value| is_tensor(graph, value))
}

/// Finds the names of the keys that a plan changes.
///
/// # Errors
/// Payload beyond the reader's limits.
pub(crate) fn find(
    graph: &Graph<'_>,
    catalog: &Catalog,
    mappings: &[CompoundId],
    targets: &[Target<'_, '_>],
) -> Result<Found, Fault> {
    let names = Names::of(catalog, targets);
    if names.is_empty() || is_without(graph, mappings) {
        return Ok(Found::default());
    }
    Visitor::new(graph, mappings, targets, &names).run()
}

/// Notes the changes that let known names follow.
pub(crate) fn follow(patch: &mut Patch, graph: &Graph<'_>, found: &Found) {
    for Following { slot, new } in &found.following {
        patch.rename(graph, *slot, new.clone().into());
    }
}
