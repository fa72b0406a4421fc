//! From a graph to a catalog: every tensor with its path, and which mappings are state dicts.

use std::collections::HashMap;
use std::ptr;

use statedict_core::{Catalog, Fault, IndexMap, Key, Payload, Row, StateDict};

use crate::modules::Modules;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, Entry, Kind, NodeId, Slot};
use crate::printed::{kind, printed};
use crate::scripted::Code;
use crate::tensors::{Storages, Tensors};

/// How deeply containers may nest; trainers nest a handful, and paths grow with the depth.
const MAX_DEPTH: usize = 128;

/// How deep payload is listed one by one.
const PAYLOAD_DEPTH: usize = 4;

/// A catalog, and for each of its state dicts the mapping in the graph.
#[derive(Debug)]
pub(crate) struct Walked {
    pub(crate) catalog: Catalog,
    pub(crate) mappings: Vec<CompoundId>,
}

/// What a pickle's storages and classes are found by.
pub(crate) struct Surroundings<'a> {
    pub(crate) storages: &'a mut dyn Storages,
    /// The code of a TorchScript archive.
    pub(crate) code: Option<&'a Code>,
}

/// Lists what a pickle holds.
///
/// # Errors
/// A tensor that cannot be, with its key; nesting beyond any real file's.
pub(crate) fn walk(graph: &Graph<'_>, around: Surroundings<'_>) -> Result<Walked, Fault> {
    let mut walker = Walker {
        graph,
        tensors: Tensors { graph, storages: around.storages },
        modules: Modules { graph, code: around.code },
        found: Walked { catalog: Catalog::default(), mappings: Vec::new() },
        known: HashMap::new(),
        budget: graph.ops.len(),
    };
    walker.run()?;
    Ok(walker.found)
}

struct Walker<'a> {
    graph: &'a Graph<'a>,
    tensors: Tensors<'a>,
    modules: Modules<'a>,
    found: Walked,
    /// The state dicts found so far, by their mapping.
    known: HashMap<CompoundId, usize>,
    /// Entries still to be visited. A file with fewer opcodes than visits reaches its containers
    /// by ever more paths.
    budget: usize,
}

/// A container being listed.
struct Level {
    node: NodeId,
    at: String,
    children: std::vec::IntoIter<Child>,
    /// The state dict that this mapping is, once it has proved to be one.
    state_dict: Option<usize>,
    role: Role,
}

/// What a container may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A mapping that may be a state dict.
    Mapping,
    /// A list or tuple.
    Sequence,
    /// A pickled module, listed as the state dict it would give.
    Module,
    /// Part of an optimizer's or scheduler's state, whose keys are not a model's.
    Training,
}

struct Child {
    key: Key,
    node: NodeId,
}

impl<'a> Walker<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        let root = self.graph.root;
        if let Some(tensor) = self.tensors.read(root)? {
            let row = Row { at: String::new(), key: Key::Text(String::new()), tensor };
            self.found.catalog.rows.push(row);
            return Ok(());
        }
        let mut path: Vec<Level> = self.level(root, String::new(), false)?.into_iter().collect();
        while let Some(level) = path.last_mut() {
            let Some(child) = level.children.next() else {
                path.pop();
                continue;
            };
            self.spend()?;
            let depth = path.len();
            let Some(level) = path.last_mut() else { break };
            if let Some(deeper) = self.visit(level, child, depth)? {
                let is_its_own_ancestor = path.iter().any(|level| level.node == deeper.node);
                if !is_its_own_ancestor {
                    path.push(deeper);
                }
            }
            if path.len() > MAX_DEPTH {
                let what = format!("containers nest deeper than {MAX_DEPTH}, the reader's limit");
                return Err(Fault::TooLarge { at: None, what });
            }
        }
        Ok(())
    }

    fn spend(&mut self) -> Result<(), Fault> {
        let what = "containers are reached by more paths than the file has opcodes";
        let spent = self.budget.checked_sub(1);
        self.budget = spent.ok_or(Fault::TooLarge { at: None, what: what.into() })?;
        Ok(())
    }

    /// Lists a tensor, or gives the container to go into.
    fn visit(
        &mut self,
        level: &mut Level,
        child: Child,
        depth: usize,
    ) -> Result<Option<Level>, Fault> {
        let tensor = self.tensors.read(child.node).map_err(|f| within(f, &level.at, &child.key))?;
        if let Some(tensor) = tensor {
            let row = self.found.catalog.rows.len();
            self.found.catalog.rows.push(Row {
                at: level.at.clone(),
                key: child.key.clone(),
                tensor,
            });
            self.note_tensor(level, &child.key, row)?;
            return Ok(None);
        }
        let at = joined(&level.at, &child.key);
        if level.role == Role::Mapping && depth <= PAYLOAD_DEPTH {
            let payload = Payload { at: at.clone(), kind: kind(self.graph, child.node) };
            self.found.catalog.payload.push(payload);
        }
        self.level(child.node, at, level.role == Role::Training)
    }

    /// A mapping with a tensor under a text is a state dict.
    fn note_tensor(&mut self, level: &mut Level, key: &Key, row: usize) -> Result<(), Fault> {
        let Key::Text(key) = key else { return Ok(()) };
        if !matches!(level.role, Role::Mapping | Role::Module) {
            return Ok(());
        }
        let index = match level.state_dict {
            Some(index) => index,
            None => self.enter_state_dict(level)?,
        };
        let state_dict = &mut self.found.catalog.state_dicts[index];
        if state_dict.at == level.at {
            state_dict.set_row(key, row);
        }
        Ok(())
    }

    /// The state dict of a mapping: a new one, or the one that another path led to before.
    fn enter_state_dict(&mut self, level: &mut Level) -> Result<usize, Fault> {
        let (id, compound) = self.graph.as_compound(level.node).expect("mappings are compounds");
        let index = match self.known.get(&id) {
            Some(index) => {
                self.found.catalog.state_dicts[*index].aliases.push(level.at.clone());
                *index
            }
            None => {
                let state_dict = self.new_state_dict(level, compound)?;
                self.found.catalog.state_dicts.push(state_dict);
                self.found.mappings.push(id);
                self.known.insert(id, self.found.mappings.len() - 1);
                self.found.mappings.len() - 1
            }
        };
        level.state_dict = Some(index);
        Ok(index)
    }

    fn new_state_dict(&self, level: &Level, compound: &Compound) -> Result<StateDict, Fault> {
        let module = match level.role {
            Role::Module => self.modules.state_dict(level.node)?,
            _ => None,
        };
        let fixed = module.is_some().then(|| self.fixed(&kind(self.graph, level.node)));
        let keys: Vec<String> = match module {
            Some(parts) => parts.into_keys().collect(),
            None => effective(self.graph, compound).into_keys().filter_map(text).collect(),
        };
        let mut state_dict = StateDict::of_keys(keys);
        state_dict.at.clone_from(&level.at);
        state_dict.modules = module_versions(self.graph, compound);
        state_dict.fixed = fixed;
        Ok(state_dict)
    }

    /// Why a pickled module's keys stay as they are.
    fn fixed(&self, class: &str) -> String {
        let whose = match self.modules.code {
            Some(_) => {
                "attributes of a TorchScript module, which the archive's code refers to".into()
            }
            None => format!("attributes of a pickled {class}, which its code refers to"),
        };
        format!("they are {whose}; 'convert' extracts the state dict into a file of its own")
    }

    /// A container with its children; `None` for what holds nothing.
    fn level(&self, node: NodeId, at: String, training: bool) -> Result<Option<Level>, Fault> {
        let Some((role, children)) = self.children(node)? else { return Ok(None) };
        let role = if training { Role::Training } else { role };
        Ok(Some(Level { node, at, children: children.into_iter(), state_dict: None, role }))
    }

    fn children(&self, node: NodeId) -> Result<Option<(Role, Vec<Child>)>, Fault> {
        if let Some(items) = self.graph.sequence(node) {
            let child = |(i, node): (usize, NodeId)| Child { key: Key::Other(i.to_string()), node };
            let children = items.into_iter().enumerate().map(child).collect();
            return Ok(Some((Role::Sequence, children)));
        }
        if let Some(parts) = self.modules.state_dict(node)? {
            let child = |(key, node)| Child { key: Key::Text(key), node };
            return Ok(Some((Role::Module, parts.into_iter().map(child).collect())));
        }
        let Some((_, compound)) = self.graph.as_compound(node) else { return Ok(None) };
        if !is_mapping(self.graph, compound) {
            return Ok(None);
        }
        let entries = effective(self.graph, compound);
        let role = if is_training_state(&entries) { Role::Training } else { Role::Mapping };
        let child = |(key, slot): (Key, Slot)| Child { key, node: slot.node };
        Ok(Some((role, entries.into_iter().map(child).collect())))
    }
}

fn text(key: Key) -> Option<String> {
    match key {
        Key::Text(key) => Some(key),
        Key::Other(_) => None,
    }
}

/// A fault with the tensor it was met in.
fn within(fault: Fault, at: &str, key: &Key) -> Fault {
    let place = match at {
        "" => format!("tensor '{key}': "),
        at => format!("tensor '{key}' in '{at}': "),
    };
    match fault {
        Fault::Malformed { at, what } => Fault::Malformed { at, what: place + &what },
        Fault::TooLarge { at, what } => Fault::TooLarge { at, what: place + &what },
        Fault::Unsupported(what) => Fault::Unsupported(place + &what),
        unreadable => unreadable,
    }
}

fn joined(at: &str, key: &Key) -> String {
    if at.is_empty() { key.to_string() } else { format!("{at}/{key}") }
}

/// True for dicts and for objects that were given items or are known to be mappings.
pub(crate) fn is_mapping(graph: &Graph<'_>, compound: &Compound) -> bool {
    match compound.kind {
        Kind::Dict => true,
        Kind::List | Kind::Set => false,
        Kind::Call { callable, .. } => {
            let is_ordered_dict = || {
                let global = graph.global(callable.node);
                global
                    .is_some_and(|(module, name)| module == "collections" && name == "OrderedDict")
            };
            !compound.entries.is_empty() || is_ordered_dict()
        }
    }
}

/// The entries as a dict has them: where a key occurs twice, its first place and its last value.
fn effective(graph: &Graph<'_>, compound: &Compound) -> IndexMap<Key, Slot> {
    let mut entries = IndexMap::default();
    for Entry { key, value, .. } in graph.entries(compound) {
        let label = match graph.text(key.node) {
            Some(text) => Key::Text(text.into_owned()),
            None => Key::Other(printed(graph, key.node)),
        };
        entries.insert(label, value);
    }
    entries
}

/// True for the state of an optimizer or a learning-rate scheduler.
fn is_training_state(entries: &IndexMap<Key, Slot>) -> bool {
    let has = |key: &str| entries.contains_key(&Key::Text(key.to_string()));
    (has("state") && has("param_groups")) || (has("last_epoch") && has("_step_count"))
}

/// The modules in the `_metadata` that `BUILD` attached to a mapping, with their versions.
fn module_versions(graph: &Graph<'_>, compound: &Compound) -> IndexMap<String, Option<u64>> {
    let Some(metadata) = metadata_of(graph, compound) else { return IndexMap::default() };
    let entries = graph.entries(metadata).into_iter();
    let named = entries.filter_map(|entry| {
        let path = graph.text(entry.key.node)?.into_owned();
        Some((path, version(graph, entry.value.node)))
    });
    named.collect()
}

/// The number in `{'version': 2}`.
fn version(graph: &Graph<'_>, module: NodeId) -> Option<u64> {
    let (_, attributes) = graph.as_compound(module)?;
    let named = |entry: &&Entry| graph.text(entry.key.node).is_some_and(|key| key == "version");
    let entries = graph.entries(attributes);
    u64::try_from(graph.int(entries.iter().rfind(named)?.value.node)?).ok()
}

/// The mapping that is a state dict's `_metadata`.
pub(crate) fn metadata_of<'g>(graph: &'g Graph<'_>, compound: &Compound) -> Option<&'g Compound> {
    let state = compound.states.last()?;
    let (_, attributes) = graph.as_compound(state.node)?;
    // A mapping that is its own attributes has the keys of a model in place of `_metadata`.
    let attributes = Some(attributes).filter(|attributes| !ptr::eq(*attributes, compound))?;
    let named = |entry: &&Entry| graph.text(entry.key.node).is_some_and(|key| key == "_metadata");
    let entry = attributes.entries.iter().rfind(named)?;
    let (_, metadata) = graph.as_compound(entry.value.node)?;
    is_mapping(graph, metadata).then_some(metadata)
}
