//! What a pickle holds beside tensors, as values to look at.

use statedict_core::{Fault, Value};

use crate::budget::Budget;
use crate::mapping::mapping;
use crate::pickle::Graph;
use crate::pickle::graph::{self, Compound, Kind, NodeId};
use crate::python_repr::{kind, python_repr};
use crate::tensors::is_tensor;

/// How deeply values may nest; see the limit of the walk that lists tensors.
const MAX_DEPTH: usize = 128;

/// What a value costs beside its text, in bytes of the budget.
const VALUE: usize = 40;

/// What a key costs beside its text.
const KEY: usize = 24;

/// The value that a pickle would build, objects shown by their class.
///
/// # Errors
/// Values that nest beyond the limit, or repeat beyond the budget.
pub(crate) fn payload(graph: &Graph<'_>) -> Result<Value, Fault> {
    Reader { graph, budget: &Budget::of(graph) }.value(graph.root, MAX_DEPTH)
}

struct Reader<'a> {
    graph: &'a Graph<'a>,
    budget: &'a Budget,
}

impl Reader<'_> {
    fn value(&self, node: NodeId, depth: usize) -> Result<Value, Fault> {
        if depth == 0 {
            let what = format!("payload nests deeper than {MAX_DEPTH}, the reader's limit");
            return Err(Fault::TooLarge { at: None, what });
        }
        self.budget.spend(VALUE)?;
        if is_tensor(self.graph, node) {
            return Ok(Value::Tensor);
        }
        if let Some(text) = self.graph.text(node) {
            self.budget.spend(text.len())?;
            return Ok(Value::Text(text.into_owned()));
        }
        if let Some(items) = self.items(node) {
            self.budget.spend(items.len().saturating_mul(size_of::<NodeId>()))?;
            let values = items.into_iter().map(|item| self.value(item, depth - 1));
            return Ok(Value::List(values.collect::<Result<_, _>>()?));
        }
        if let Some((_, compound)) = mapping(self.graph, node, self.budget)? {
            return self.map(compound, depth);
        }
        Ok(match self.graph.value(node) {
            graph::Value::None => Value::None,
            graph::Value::Bool(value) => Value::Bool(value),
            graph::Value::Int(number) => Value::Int(number),
            graph::Value::Float(number) => Value::Float(number),
            _ => {
                let class = kind(self.graph, node);
                self.budget.spend(class.len())?;
                Value::Object(class)
            }
        })
    }

    fn map(&self, mapping: &Compound, depth: usize) -> Result<Value, Fault> {
        let entries = self.budget.entries(self.graph, mapping)?;
        self.budget.spend(size_of_val(entries.as_slice()))?;
        let entries = entries.into_iter().map(|entry| {
            let value = self.value(entry.value.node, depth - 1)?;
            let key = python_repr(self.graph, entry.key.node, self.budget)?;
            self.budget.spend(KEY + key.len())?;
            Ok((key, value))
        });
        Ok(Value::Map(entries.collect::<Result<_, Fault>>()?))
    }

    /// The values of a list, tuple or set; a `torch.Size` is a tuple.
    fn items(&self, node: NodeId) -> Option<Vec<NodeId>> {
        if let Some(items) = self.graph.sequence(node) {
            return Some(items);
        }
        let (_, compound) = self.graph.as_compound(node)?;
        match compound.kind {
            Kind::Set => {
                let elements = self.graph.elements.items(compound.elements);
                Some(elements.map(|element| element.value.node).collect())
            }
            Kind::Call { callable, args } => {
                let (module, name) = self.graph.global(callable)?;
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
