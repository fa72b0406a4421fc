//! Pickled modules: the state dict that `module.state_dict()` would give, without the class.
//!
//! Source: `Module._save_to_state_dict` in `torch/nn/modules/module.py`: own parameters, own
//! persistent buffers, then the children in order, depth first.

use std::collections::HashSet;

use statedict_core::{Fault, IndexMap};

use crate::pickle::Graph;
use crate::pickle::graph::{Compound, Kind, NodeId, Value};
use crate::scripted::Code;

/// How deeply modules may nest; each level is a segment of the keys.
const MAX_DEPTH: usize = 128;

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
}

/// A module still to be listed, with the prefix of its keys and its depth.
type Pending = (NodeId, String, usize);

impl Modules<'_> {
    /// The parameters and persistent buffers of a module and of those below it, by key; `None` for
    /// what is no module.
    ///
    /// # Errors
    /// Modules that nest or repeat beyond what the file's length allows.
    pub(crate) fn state_dict(
        &self,
        module: NodeId,
    ) -> Result<Option<IndexMap<String, NodeId>>, Fault> {
        if self.parts(module).is_none() {
            return Ok(None);
        }
        let mut found = IndexMap::default();
        let mut pending: Vec<Pending> = vec![(module, String::new(), 0)];
        let mut budget = self.graph.ops.len();
        while let Some((module, prefix, depth)) = pending.pop() {
            let spent = budget.checked_sub(1);
            budget = spent.filter(|_| depth < MAX_DEPTH).ok_or_else(too_deep)?;
            let Some(parts) = self.parts(module) else { continue };
            let key = |(name, node)| (format!("{prefix}{name}"), node);
            found.extend(parts.own.into_iter().map(key));
            let deeper = |(name, node)| (node, format!("{prefix}{name}."), depth + 1);
            pending.extend(parts.children.into_iter().rev().map(deeper));
        }
        Ok(Some(found))
    }

    fn parts(&self, node: NodeId) -> Option<Parts> {
        let (_, compound) = self.graph.as_compound(node)?;
        let Kind::Call { callable, .. } = compound.kind else { return None };
        let attributes = self.named(compound.states.last()?.node)?;
        match self.code {
            Some(code) => {
                let (module, name) = self.graph.global(callable.node)?;
                let members = code.members(&module, &name)?;
                let own = members.parameters.iter().chain(&members.buffers);
                let own = own.filter_map(|name| self.saved(name, *attributes.get(name)?));
                let own = own.collect();
                Some(Parts { own, children: attributes.into_iter().collect() })
            }
            None => self.pickled_parts(&attributes),
        }
    }

    fn pickled_parts(&self, attributes: &IndexMap<String, NodeId>) -> Option<Parts> {
        let group = |name: &str| self.named(*attributes.get(name)?);
        let (parameters, children) = (group("_parameters")?, group("_modules")?);
        let transient = attributes.get("_non_persistent_buffers_set");
        let transient = transient.map(|node| self.texts(*node)).unwrap_or_default();
        let buffers = group("_buffers").unwrap_or_default().into_iter();
        let buffers = buffers.filter(|(name, _)| !transient.contains(name));
        let own = parameters.into_iter().chain(buffers);
        let own = own.filter_map(|(name, node)| self.saved(&name, node)).collect();
        Some(Parts { own, children: children.into_iter().collect() })
    }

    /// A part, unless it is `None`, which `state_dict()` leaves out.
    fn saved(&self, name: &str, node: NodeId) -> Option<(String, NodeId)> {
        let absent = matches!(self.graph.value(node), Value::None);
        (!absent).then(|| (name.to_string(), node))
    }

    /// A mapping's values under texts, first place and last value.
    fn named(&self, node: NodeId) -> Option<IndexMap<String, NodeId>> {
        let (_, compound) = self.graph.as_compound(node)?;
        let entries = self.graph.entries(compound).into_iter();
        let text = |key: NodeId| self.graph.text(key).map(|text| text.into_owned());
        Some(entries.filter_map(|entry| Some((text(entry.key.node)?, entry.value.node))).collect())
    }

    /// The texts of a set, whichever way its pickler wrote it.
    fn texts(&self, node: NodeId) -> HashSet<String> {
        let Some((_, compound)) = self.graph.as_compound(node) else { return HashSet::new() };
        let elements = |compound: &Compound| {
            let nodes = compound.elements.iter().map(|element| element.value.node);
            nodes.filter_map(|node| self.graph.text(node).map(|text| text.into_owned())).collect()
        };
        match compound.kind {
            // Protocols below 4 call `set` on a list.
            Kind::Call { args, .. } => {
                let first = self.graph.tuple(args).and_then(|args| args.first());
                let list = first.and_then(|list| self.graph.as_compound(*list));
                list.map(|(_, list)| elements(list)).unwrap_or_default()
            }
            _ => elements(compound),
        }
    }
}

fn too_deep() -> Fault {
    let what = format!("modules nest deeper than {MAX_DEPTH}, or contain each other");
    Fault::TooLarge { at: None, what }
}
