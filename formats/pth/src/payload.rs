//! What a pickle holds beside tensors, as values to look at.

use statedict_core::{Fault, Value};

use crate::pickle::Graph;
use crate::pickle::graph::{self, Kind, NodeId};
use crate::printed::{kind, printed};
use crate::tensors::is_tensor;
use crate::walk::is_mapping;

/// How deeply values may nest; see the limit of the walk that lists tensors.
const MAX_DEPTH: usize = 128;

/// The value that a pickle would build, objects shown by their class.
///
/// # Errors
/// Values that nest beyond the limit, or repeat beyond what the pickle's length allows.
pub(crate) fn payload(graph: &Graph<'_>) -> Result<Value, Fault> {
    Reader { graph, budget: graph.ops.len() }.value(graph.root, MAX_DEPTH)
}

struct Reader<'a> {
    graph: &'a Graph<'a>,
    /// Values still to be shown: a pickle with fewer opcodes repeats itself.
    budget: usize,
}

impl Reader<'_> {
    fn value(&mut self, node: NodeId, depth: usize) -> Result<Value, Fault> {
        self.budget = self.budget.checked_sub(1).filter(|_| depth > 0).ok_or_else(too_much)?;
        if is_tensor(self.graph, node) {
            return Ok(Value::Tensor);
        }
        if let Some(text) = self.graph.text(node) {
            return Ok(Value::Text(text.into_owned()));
        }
        if let Some(items) = self.items(node) {
            let values = items.into_iter().map(|item| self.value(item, depth - 1));
            return Ok(Value::List(values.collect::<Result<_, _>>()?));
        }
        Ok(match self.graph.value(node) {
            graph::Value::None => Value::None,
            graph::Value::Bool(value) => Value::Bool(value),
            graph::Value::Int(number) => Value::Int(number),
            graph::Value::Float(number) => Value::Float(number),
            graph::Value::Compound(id) if is_mapping(self.graph, self.graph.compound(id)) => {
                let entries = self.graph.entries(self.graph.compound(id));
                let entries = entries.into_iter().map(|entry| {
                    let value = self.value(entry.value.node, depth - 1)?;
                    Ok((printed(self.graph, entry.key.node), value))
                });
                Value::Map(entries.collect::<Result<_, Fault>>()?)
            }
            _ => Value::Object(kind(self.graph, node)),
        })
    }

    /// The values of a list, tuple or set; a `torch.Size` is a tuple.
    fn items(&self, node: NodeId) -> Option<Vec<NodeId>> {
        if let Some(items) = self.graph.sequence(node) {
            return Some(items);
        }
        let (_, compound) = self.graph.as_compound(node)?;
        match compound.kind {
            Kind::Set => Some(compound.elements.iter().map(|e| e.value.node).collect()),
            Kind::Call { callable, args } => {
                let (module, name) = self.graph.global(callable.node)?;
                let is_sequence = matches!(
                    (module.as_ref(), name.as_ref()),
                    ("torch", "Size") | ("builtins" | "__builtin__", "set" | "frozenset" | "tuple")
                );
                let inner = self.graph.tuple(args)?.first().filter(|_| is_sequence)?;
                self.graph.sequence(*inner)
            }
            _ => None,
        }
    }
}

fn too_much() -> Fault {
    let what = format!("payload nests deeper than {MAX_DEPTH}, or repeats itself");
    Fault::TooLarge { at: None, what }
}
