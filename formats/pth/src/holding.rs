//! Which values hold tensors, however deep and in whatever objects.

use std::cell::RefCell;
use std::collections::HashMap;

use statedict_core::Fault;

use crate::arrays::is_array;
use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{Kind, NodeId, Value};
use crate::tensors::is_tensor;

/// What looking at a value costs, in bytes of the listing's budget.
const LOOK: usize = 8;

/// What is known of the values that were asked for.
#[derive(Default)]
pub(crate) struct Holding {
    known: RefCell<HashMap<NodeId, bool>>,
}

/// A value on the way to the one that is looked at, with what is still to be seen of it.
struct Step {
    node: NodeId,
    parts: Vec<NodeId>,
}

impl Holding {
    /// True if a tensor, a storage or an array is somewhere in a value.
    ///
    /// # Errors
    /// Values that take more steps than the budget allows.
    pub(crate) fn holds_tensors(
        &self,
        graph: &Graph<'_>,
        node: NodeId,
        budget: &Budget,
    ) -> Result<bool, Fault> {
        let mut known = self.known.borrow_mut();
        // What leads back to a value on the way is not known to hold nothing until all is seen.
        let mut seen = HashMap::new();
        let mut way = vec![Step { node, parts: vec![node] }];
        while let Some(step) = way.last_mut() {
            let Some(part) = step.parts.pop() else {
                way.pop();
                continue;
            };
            budget.spend(LOOK)?;
            let found = match known.get(&part) {
                Some(found) => *found,
                None => is_tensor(graph, part) || is_array(graph, part),
            };
            if found {
                known.extend(way.iter().map(|step| (step.node, true)));
                return Ok(true);
            }
            if !known.contains_key(&part) && seen.insert(part, ()).is_none() {
                let parts = parts(graph, part);
                budget.spend(parts.len().saturating_mul(LOOK))?;
                way.push(Step { node: part, parts });
            }
        }
        known.extend(seen.into_keys().map(|node| (node, false)));
        Ok(false)
    }
}

/// The values that a value is made of.
fn parts(graph: &Graph<'_>, node: NodeId) -> Vec<NodeId> {
    if let Some(items) = graph.tuple(node) {
        return items.to_vec();
    }
    let Value::Compound(id) = graph.value(node) else { return Vec::new() };
    let compound = graph.compound(id);
    let mut parts = Vec::new();
    if let Kind::Call { args, .. } = compound.kind {
        parts.push(args);
    }
    parts.extend(graph.states.items(compound.states).map(|state| state.node));
    parts.extend(graph.elements.items(compound.elements).map(|element| element.value.node));
    parts.extend(graph.entries.items(compound.entries).map(|entry| entry.value.node));
    parts
}
