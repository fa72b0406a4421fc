//! From a graph to a catalog: every tensor with its path, and which mappings are state dicts.

use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use statedict_core::{
    Catalog, Fault, IndexMap, Key, Location, Payload, StateDict, Tensor, TensorEntry,
};

use crate::attributes::attributes;
use crate::budget::Budget;
use crate::disguise::{Disguises, Values};
use crate::holding::Holding;
use crate::keys::effective;
use crate::mapping::{is_mapping, mapping};
use crate::modules::Modules;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, NodeId, Slot};
use crate::python_repr::kind;
use crate::reserve::reserved_for;
use crate::tensors::{Storages, Tensors};
use crate::torchscript::Code;

/// How deeply containers may nest; trainers nest a handful, and paths grow with the depth.
const MAX_DEPTH: usize = 128;

/// How deep payload is listed one by one.
const PAYLOAD_DEPTH: usize = 4;

/// What a visit to an entry costs, in bytes of the listing's budget.
const VISIT: usize = 16;

/// What a listed tensor costs beside its path and shape.
const ROW: usize = 320;

/// What a listed thing beside the tensors costs beside its path.
const THING: usize = 64;

/// What a key costs beside its text.
const KEY: usize = 32;

/// Why the keys of some mappings cannot be renamed.
const IN_TUPLES: &str = "its class is called with a list of tuples, in which keys cannot be \
                         changed; 'convert' extracts the state dict into a file of its own";

/// What attributes are called that hold tensors.
const ATTRIBUTE: &str = "attribute that holds tensors";

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
    /// Where the pickle is in the file.
    pub(crate) pickle: Location,
}

/// Lists what a pickle holds.
///
/// # Errors
/// A tensor that cannot be, with its key; nesting beyond any real file's.
pub(crate) fn walk(graph: &Graph<'_>, around: Surroundings<'_>) -> Result<Walked, Fault> {
    let budget = &Budget::of(graph);
    // Most tensors have a storage of their own.
    let rows = reserved_for(graph.persistent.len());
    let catalog = Catalog { rows, ..Catalog::default() };
    let (modules, holding) = (Modules { graph, code: around.code, budget }, Holding::default());
    let mut walker = Walker {
        graph,
        tensors: Tensors { graph, storages: around.storages, budget },
        modules,
        found: Walked { catalog, mappings: Vec::new() },
        known: HashMap::new(),
        disguises: Disguises { graph, modules, pickle: around.pickle, holding, budget },
        budget,
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
    disguises: Disguises<'a>,
    budget: &'a Budget,
}

/// A container being listed.
struct Level<'a> {
    node: NodeId,
    at: Arc<str>,
    children: Children<'a>,
    /// The entries of a mapping, whose keys its state dict shares.
    entries: Option<Rc<Vec<Child>>>,
    /// The state dict that this mapping is, once it has proved to be one.
    state_dict: Option<usize>,
    role: Role,
    values: Values,
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

/// What is still to be visited of a container.
type Children<'a> = Box<dyn Iterator<Item = Child> + 'a>;

#[derive(Clone)]
struct Child {
    key: Key,
    node: NodeId,
}

impl<'a> Walker<'a> {
    fn run(&mut self) -> Result<(), Fault> {
        let root = self.graph.root;
        if let Some(tensor) = self.read_root(root)? {
            let row = TensorEntry { path: "".into(), key: Key::Text("".into()), tensor };
            self.found.catalog.rows.push(row);
            return Ok(());
        }
        let mut path: Vec<Level<'a>> =
            self.level(root, String::new(), false)?.into_iter().collect();
        while let Some(level) = path.last_mut() {
            let Some(child) = level.children.next() else {
                path.pop();
                continue;
            };
            self.budget.spend(VISIT)?;
            let depth = path.len();
            let is_its_own_ancestor = path.iter().any(|level| level.node == child.node);
            let Some(level) = path.last_mut() else { break };
            if let Some((child, at)) = self.visit(level, child, depth)?
                && !is_its_own_ancestor
            {
                let training = level.role == Role::Training;
                path.extend(self.level(child, at, training)?);
            }
            if path.len() > MAX_DEPTH {
                let what = format!("containers nest deeper than {MAX_DEPTH}, the reader's limit");
                return Err(Fault::TooLarge { at: None, what });
            }
        }
        Ok(())
    }

    /// The tensor that the whole file is, in whatever clothes; a file of one object is not a
    /// mapping.
    fn read_root(&mut self, root: NodeId) -> Result<Option<Tensor>, Fault> {
        match self.tensors.read(root)? {
            Some(tensor) => Ok(Some(tensor)),
            None => self.disguises.tensor(root),
        }
    }

    /// Lists a tensor, or gives what may be a container to go into, with the path to it.
    fn visit(
        &mut self,
        level: &mut Level<'a>,
        child: Child,
        depth: usize,
    ) -> Result<Option<(NodeId, String)>, Fault> {
        let tensor = match self.tensors.read(child.node) {
            Ok(None) if level.values == Values::Disguised => self.disguises.tensor(child.node),
            read => read,
        };
        let tensor = tensor.map_err(|fault| within(fault, &level.at, &child.key))?;
        if let Some(tensor) = tensor {
            let sizes = tensor.shape.len().saturating_mul(2 * size_of::<u64>());
            self.budget.spend(ROW + sizes + level.at.len() + child.key.as_str().len())?;
            let row = self.found.catalog.rows.len();
            self.found.catalog.rows.push(TensorEntry {
                path: level.at.clone(),
                key: child.key.clone(),
                tensor,
            });
            self.note_tensor(level, &child.key, row)?;
            if level.role != Role::Training {
                self.note_attributes(child.node, None, &joined(&level.at, &child.key))?;
            }
            return Ok(None);
        }
        self.budget.spend(level.at.len())?;
        let at = joined(&level.at, &child.key);
        let is_listed = match level.role {
            Role::Mapping => depth <= PAYLOAD_DEPTH,
            // What `torch.save` is given as a tuple is as good as a mapping.
            Role::Sequence => depth == 1,
            Role::Module | Role::Training => false,
        };
        if is_listed {
            let payload = Payload { path: at.clone(), kind: self.disguises.kind(child.node)? };
            self.budget.spend(THING + at.len() + payload.kind.len())?;
            self.found.catalog.payload.push(payload);
        }
        Ok(Some((child.node, at)))
    }

    /// A mapping with a tensor under a text is a state dict.
    fn note_tensor(&mut self, level: &mut Level<'a>, key: &Key, row: usize) -> Result<(), Fault> {
        let Key::Text(key) = key else { return Ok(()) };
        if !matches!(level.role, Role::Mapping | Role::Module) {
            return Ok(());
        }
        let index = match level.state_dict {
            Some(index) => index,
            None => self.enter_state_dict(level)?,
        };
        let state_dict = &mut self.found.catalog.state_dicts[index];
        if *state_dict.path == *level.at {
            state_dict.set_row(key, row);
        }
        Ok(())
    }

    /// The state dict of a mapping: a new one, or the one that another path led to before.
    fn enter_state_dict(&mut self, level: &mut Level<'a>) -> Result<usize, Fault> {
        let found = match level.role {
            Role::Module => self.graph.as_compound(level.node),
            _ => mapping(self.graph, level.node, self.budget)?,
        };
        let (id, compound) = found.expect("only mappings and modules are state dicts");
        let index = match self.known.get(&id) {
            Some(index) => {
                self.budget.spend(KEY + level.at.len())?;
                self.found.catalog.state_dicts[*index].aliases.push(level.at.to_string());
                *index
            }
            None => {
                self.note_attributes(level.node, Some(id), &level.at)?;
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

    /// Attributes of a mapping or a tensor that hold tensors, which no row of the catalog stands for.
    fn note_attributes(
        &mut self,
        node: NodeId,
        mapping: Option<CompoundId>,
        at: &str,
    ) -> Result<(), Fault> {
        for (name, value) in attributes(self.graph, node, self.budget)? {
            // Some mappings are around a dict that is an attribute.
            let is_mapping =
                self.graph.as_compound(value).is_some_and(|(id, _)| Some(id) == mapping);
            if is_mapping || !self.disguises.holds_tensors(value)? {
                continue;
            }
            let payload = Payload { path: format!("{at}.{name}"), kind: ATTRIBUTE.to_string() };
            self.budget.spend(THING + payload.path.len() + payload.kind.len())?;
            self.found.catalog.payload.push(payload);
        }
        Ok(())
    }

    fn new_state_dict(&self, level: &Level<'_>, compound: &Compound) -> Result<StateDict, Fault> {
        let module = match level.role {
            Role::Module => self.modules.state_dict(level.node)?,
            _ => None,
        };
        let fixed = match &module {
            Some(_) => Some(self.fixed(&kind(self.graph, level.node))),
            None => self.graph.has_keys_in_tuples(compound).then(|| IN_TUPLES.to_string()),
        };
        let keys: Vec<Arc<str>> = match module {
            Some(parts) => parts.into_keys().map(Arc::from).collect(),
            None => {
                let entries = level.entries.iter().flat_map(|entries| entries.iter());
                entries.filter_map(|entry| text(&entry.key)).cloned().collect()
            }
        };
        let mut state_dict = StateDict::of_keys(keys);
        state_dict.path = level.at.to_string();
        state_dict.modules = module_versions(self.graph, compound, self.budget)?;
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
    fn level(&self, node: NodeId, at: String, training: bool) -> Result<Option<Level<'a>>, Fault> {
        let Some(Inside { role, values, children, entries }) = self.children(node)? else {
            return Ok(None);
        };
        let (role, values) =
            if training { (Role::Training, Values::Plain) } else { (role, values) };
        let at = at.into();
        Ok(Some(Level { node, at, children, entries, state_dict: None, role, values }))
    }

    fn children(&self, node: NodeId) -> Result<Option<Inside<'a>>, Fault> {
        if let Some(items) = self.graph.sequence(node) {
            self.budget.spend(items.len().saturating_mul(size_of::<NodeId>()))?;
            let child =
                |(i, node): (usize, NodeId)| Child { key: Key::Other(i.to_string().into()), node };
            let children = Box::new(items.into_iter().enumerate().map(child));
            let (role, values) = (Role::Sequence, Values::Plain);
            return Ok(Some(Inside { role, values, children, entries: None }));
        }
        if let Some(parts) = self.modules.state_dict(node)? {
            let children = Box::new(
                parts.into_iter().map(|(key, node)| Child { key: Key::Text(key.into()), node }),
            );
            let (role, values) = (Role::Module, Values::Disguised);
            return Ok(Some(Inside { role, values, children, entries: None }));
        }
        let Some((_, compound)) = mapping(self.graph, node, self.budget)? else { return Ok(None) };
        let entries = effective(self.graph, compound, self.budget)?;
        let role = if is_training_state(&entries) { Role::Training } else { Role::Mapping };
        let values = self.disguises.values(&entries)?;
        let child = |(key, slot): (Key, Slot)| Child { key, node: slot.node };
        let entries = Rc::new(entries.into_iter().map(child).collect::<Vec<_>>());
        let children = Box::new(Entries { entries: entries.clone(), next: 0 });
        Ok(Some(Inside { role, values, children, entries: Some(entries) }))
    }
}

/// What a container has in it.
struct Inside<'a> {
    role: Role,
    values: Values,
    children: Children<'a>,
    entries: Option<Rc<Vec<Child>>>,
}

/// The children of a mapping, which keeps its entries.
struct Entries {
    entries: Rc<Vec<Child>>,
    next: usize,
}

impl Iterator for Entries {
    type Item = Child;

    fn next(&mut self) -> Option<Child> {
        let child = self.entries.get(self.next)?;
        self.next += 1;
        Some(child.clone())
    }
}

fn text(key: &Key) -> Option<&Arc<str>> {
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

/// True for the state of an optimizer or a learning-rate scheduler.
fn is_training_state(entries: &IndexMap<Key, Slot>) -> bool {
    let has = |key: &str| entries.contains_key(&Key::Text(key.into()));
    (has("state") && has("param_groups")) || (has("last_epoch") && has("_step_count"))
}

/// The modules in the `_metadata` that `BUILD` attached to a mapping, with their versions.
fn module_versions(
    graph: &Graph<'_>,
    compound: &Compound,
    budget: &Budget,
) -> Result<IndexMap<String, Option<u64>>, Fault> {
    let mut versions = IndexMap::default();
    let attributes = graph.states.last(compound.states).map(|state| state.node);
    let attributes = attributes.and_then(|node| graph.as_compound(node));
    let Some((_, attributes)) = attributes else { return Ok(versions) };
    budget.entries(graph, attributes)?;
    let Some(metadata) = metadata_of(graph, compound) else { return Ok(versions) };
    for entry in budget.entries(graph, metadata)? {
        let Some(path) = graph.text(entry.key.node) else { continue };
        budget.spend(KEY + path.len())?;
        versions.insert(path.into_owned(), version(graph, entry.value.node, budget)?);
    }
    Ok(versions)
}

/// The number in `{'version': 2}`.
fn version(graph: &Graph<'_>, module: NodeId, budget: &Budget) -> Result<Option<u64>, Fault> {
    let Some((_, attributes)) = graph.as_compound(module) else { return Ok(None) };
    let entries = budget.entries(graph, attributes)?;
    let number = entries
        .iter()
        .rfind(|entry| graph.text(entry.key.node).is_some_and(|key| key == "version"))
        .and_then(|entry| graph.int(entry.value.node));
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}

/// The mapping that is a state dict's `_metadata`.
pub(crate) fn metadata_of<'g>(graph: &'g Graph<'_>, compound: &Compound) -> Option<&'g Compound> {
    let state = graph.states.last(compound.states)?;
    let (_, attributes) = graph.as_compound(state.node)?;
    // A mapping that is its own attributes has the keys of a model in place of `_metadata`.
    let attributes = Some(attributes).filter(|attributes| !ptr::eq(*attributes, compound))?;
    let entry = graph
        .entries
        .items(attributes.entries)
        .filter(|entry| graph.text(entry.key.node).is_some_and(|key| key == "_metadata"))
        .last()?;
    let (_, metadata) = graph.as_compound(entry.value.node)?;
    is_mapping(graph, metadata).then_some(metadata)
}
