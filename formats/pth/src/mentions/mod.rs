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
use crate::pickle::graph::CompoundId;
use crate::pickle::patch::Patch;
use crate::target::Target;

use names::Names;
pub(crate) use visit::Found;
use visit::{Following, Visitor};

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
    if names.is_empty() {
        return Ok(Found::default());
    }
    Visitor::new(graph, mappings, targets, &names).run()
}

/// Notes the changes that let known names follow.
pub(crate) fn follow(patch: &mut Patch, found: &Found) {
    for Following { slot, new } in &found.following {
        patch.rename(*slot, new.clone().into());
    }
}
