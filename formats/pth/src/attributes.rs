//! What objects that are listed as something else, as mappings or tensors, have for attributes.

use statedict_core::Fault;

use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{CompoundId, NodeId};

/// The attributes of an object, by name; one that has itself for attributes has none.
///
/// # Errors
/// A budget that does not last for them.
pub(crate) fn attributes(
    graph: &Graph<'_>,
    node: NodeId,
    budget: &Budget,
) -> Result<Vec<(String, NodeId)>, Fault> {
    let mut found = Vec::new();
    for state in states(graph, node) {
        // What has slots gives a tuple of both kinds of attributes.
        let parts = graph.tuple(state).map_or_else(|| vec![state], <[NodeId]>::to_vec);
        for part in parts {
            let Some((id, compound)) = graph.as_compound(part) else { continue };
            if is_of(graph, node, id) {
                continue;
            }
            for entry in budget.entries(graph, compound)? {
                let Some(name) = graph.text(entry.key.node) else { continue };
                budget.spend(name.len())?;
                found.push((name.into_owned(), entry.value.node));
            }
        }
    }
    Ok(found)
}

/// What an object is given as its state: by `BUILD`, or as an argument of the call that rebuilds it.
fn states(graph: &Graph<'_>, node: NodeId) -> Vec<NodeId> {
    let Some((_, compound)) = graph.as_compound(node) else { return Vec::new() };
    let mut states: Vec<NodeId> =
        graph.states.items(compound.states).map(|state| state.node).collect();
    let rebuilt = graph.call(node).and_then(|(callable, args)| {
        let (module, name) = graph.global(callable)?;
        let is_known = matches!(&*name, "_rebuild_parameter_with_state" | "_rebuild_from_type_v2");
        graph.tuple(args)?.get(3).copied().filter(|_| is_known && module.starts_with("torch"))
    });
    states.extend(rebuilt);
    states
}

fn is_of(graph: &Graph<'_>, node: NodeId, id: CompoundId) -> bool {
    graph.as_compound(node).is_some_and(|(own, _)| own == id)
}
