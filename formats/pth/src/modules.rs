//! Pickled modules: the state dict that `module.state_dict()` would give, without the class.
//!
//! Source: `Module._save_to_state_dict` in `torch/nn/modules/module.py`: own parameters, own
//! persistent buffers, then the children in order, depth first.

use std::collections::HashSet;

use statedict_core::{Fault, IndexMap};

use crate::budget::Budget;
use crate::mapping::is_named_mapping;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, Kind, NodeId, Value};
use crate::torchscript::Code;

/// How deeply modules may nest; each level is a segment of the keys.
const MAX_DEPTH: usize = 128;

/// What a part of a module costs beside its name, in bytes of the listing's budget.
const PART: usize = 32;

/// What a module holds: its own parameters and buffers, and its children, by name.
#[derive(Default)]
struct Parts {
    own: Vec<(String, NodeId)>,
    children: Vec<(String, NodeId)>,
}

/// Reads modules out of a graph.
#[derive(Clone, Copy)]
pub(crate) struct Modules<'a> {
    pub(crate) graph: &'a Graph<'a>,
    /// The code of a TorchScript archive, whose modules name their parts there.
    pub(crate) code: Option<&'a Code>,
    pub(crate) budget: &'a Budget,
}

/// A module still to be listed, with the prefix of its keys and its depth.
type Pending = (NodeId, String, usize);

impl Modules<'_> {
    /// The parameters and persistent buffers of a module and of those below it, by key; `None` for
    /// what is not a module.
    ///
    /// # Errors
    /// Modules that nest beyond the limit, or repeat beyond the budget.
    pub(crate) fn state_dict(
        &self,
        module: NodeId,
    ) -> Result<Option<IndexMap<String, NodeId>>, Fault> {
        if self.parts(module)?.is_none() {
            return Ok(None);
        }
        let mut found = IndexMap::default();
        let mut pending: Vec<Pending> = vec![(module, String::new(), 0)];
        while let Some((module, prefix, depth)) = pending.pop() {
            if depth == MAX_DEPTH {
                let what = format!("modules nest deeper than {MAX_DEPTH}, the reader's limit");
                return Err(Fault::TooLarge { at: None, what });
            }
            let Some(parts) = self.parts(module)? else { continue };
            let count = parts.own.len() + parts.children.len();
            self.budget.spend(count.saturating_mul(PART + prefix.len()))?;
            found.extend(
                parts.own.into_iter().map(|(name, node)| (format!("{prefix}{name}"), node)),
            );
            pending.extend(
                parts
                    .children
                    .into_iter()
                    .rev()
                    .map(|(name, node)| (node, format!("{prefix}{name}."), depth + 1)),
            );
        }
        Ok(Some(found))
    }

    /// True for what would give a state dict.
    pub(crate) fn is_module(&self, node: NodeId) -> Result<bool, Fault> {
        Ok(self.parts(node)?.is_some())
    }

    fn parts(&self, node: NodeId) -> Result<Option<Parts>, Fault> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(None) };
        let Kind::Call { callable, .. } = compound.kind else { return Ok(None) };
        // A mapping takes any attributes, a module's too, and has its own keys all the same.
        if is_named_mapping(self.graph, compound) {
            return Ok(None);
        }
        let state = self.graph.states.last(compound.states);
        let Some(state) = state else { return Ok(None) };
        let Some(attributes) = self.named(state.node)? else { return Ok(None) };
        match self.code {
            Some(code) => {
                let members = self.graph.global(callable);
                let members = members.and_then(|(module, name)| code.members(&module, &name));
                let Some(members) = members else { return Ok(None) };
                let own = members.parameters.iter().chain(&members.buffers);
                let own = own.filter_map(|name| self.saved(name, *attributes.get(name)?));
                let own = own.collect();
                Ok(Some(Parts { own, children: attributes.into_iter().collect() }))
            }
            None => self.pickled_parts(&attributes),
        }
    }

    fn pickled_parts(&self, attributes: &IndexMap<String, NodeId>) -> Result<Option<Parts>, Fault> {
        let group = |name: &str| match attributes.get(name) {
            Some(node) => self.named(*node),
            None => Ok(None),
        };
        let (Some(parameters), Some(children)) = (group("_parameters")?, group("_modules")?) else {
            return Ok(None);
        };
        let transient = attributes.get("_non_persistent_buffers_set");
        let transient = transient.map(|node| self.texts(*node)).transpose()?.unwrap_or_default();
        let buffers = group("_buffers")?.unwrap_or_default().into_iter();
        let buffers = buffers.filter(|(name, _)| !transient.contains(name));
        let own = parameters.into_iter().chain(buffers);
        let own = own.filter_map(|(name, node)| self.saved(&name, node)).collect();
        Ok(Some(Parts { own, children: children.into_iter().collect() }))
    }

    /// A part, unless it is `None`, which `state_dict()` leaves out.
    fn saved(&self, name: &str, node: NodeId) -> Option<(String, NodeId)> {
        let absent = matches!(self.graph.value(node), Value::None);
        (!absent).then(|| (name.to_string(), node))
    }

    /// A mapping's values under texts, first place and last value.
    fn named(&self, node: NodeId) -> Result<Option<IndexMap<String, NodeId>>, Fault> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(None) };
        let mut named = IndexMap::default();
        for entry in self.budget.entries(self.graph, compound)? {
            if let Some(text) = self.text(entry.key.node)? {
                named.insert(text, entry.value.node);
            }
        }
        Ok(Some(named))
    }

    fn text(&self, node: NodeId) -> Result<Option<String>, Fault> {
        let Some(text) = self.graph.text(node) else { return Ok(None) };
        self.budget.spend(PART + text.len())?;
        Ok(Some(text.into_owned()))
    }

    /// The texts of a set, whichever way its pickler wrote it.
    fn texts(&self, node: NodeId) -> Result<HashSet<String>, Fault> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(HashSet::new()) };
        let elements = |compound: &Compound| {
            let elements = self.graph.elements.items(compound.elements);
            elements.filter_map(|element| self.text(element.value.node).transpose()).collect()
        };
        match compound.kind {
            // Protocols below 4 call `set` on a list.
            Kind::Call { args, .. } => {
                let first = self.graph.tuple(args).and_then(|args| args.first());
                let list = first.and_then(|list| self.graph.as_compound(*list));
                list.map_or_else(|| Ok(HashSet::new()), |(_, list)| elements(list))
            }
            _ => elements(compound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An object of a class, filled with the attributes that make a module.
    fn is_module(class: &str) -> bool {
        let filled = b")\x81}(X\x0b\0\0\0_parameters}X\x08\0\0\0_modules}ub.";
        let pickle = [format!("c{class}\n").as_bytes(), filled].concat();
        let graph = Graph::read(&pickle).expect("sound");
        let modules = Modules { graph: &graph, code: None, budget: &Budget::of(&graph) };
        modules.is_module(graph.root).expect("short")
    }

    #[test]
    fn a_mapping_with_the_attributes_of_a_module_is_a_mapping() {
        assert!(is_module("torch.nn.modules.linear\nLinear"));
        assert!(is_module("zoo\nNet"));
        assert!(!is_module("collections\nOrderedDict"));
        assert!(!is_module("collections\nCounter"));
    }
}
