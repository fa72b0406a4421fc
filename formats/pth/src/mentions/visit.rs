//! A walk over all that a pickle holds, once over each part, that looks for names.

use std::collections::{HashMap, HashSet};

use statedict_core::{Fault, Mentions};

use crate::mentions::names::{BESIDE, FLATTENED, Fate, Names, within};
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, Entry, Kind, NodeId, Slot, Value};
use crate::target::Target;
use crate::tensors::is_tensor;

/// A name that follows, and what it becomes.
pub(crate) struct Following {
    pub(super) slot: Slot,
    pub(super) new: String,
}

/// What names keys in a pickle.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) mentions: Mentions,
    pub(crate) following: Vec<Following>,
}

/// How deep the walk goes; the reader of tensors has a limit as well, and trainers nest a handful.
const MAX_DEPTH: usize = 256;

/// What the root is called, which has no labels.
const ROOT: &str = "/";

/// What is known of the texts in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing: texts may be names by chance.
    Unknown,
    /// All texts in it and below are names of the state dict that this target is.
    Beside(usize),
    /// Its keys are names of parameters.
    State,
    /// A list of groups.
    Groups,
    /// A group of parameters.
    Group,
    /// A list of parameters.
    Parameters,
    /// The keys of an optimizer's state, flattened.
    Flattened,
    /// A state dict: its keys are its own.
    StateDict,
}

/// A container on the way to where the walk is.
struct Level {
    label: String,
    /// What is still to be visited.
    children: std::vec::IntoIter<Child>,
}

struct Child {
    label: String,
    node: NodeId,
    role: Role,
}

pub(super) struct Visitor<'a> {
    graph: &'a Graph<'a>,
    targets: &'a [Target<'a, 'a>],
    names: &'a Names<'a>,
    /// Which target a mapping is, if it is one.
    target_of: HashMap<CompoundId, usize>,
    state_dicts: HashSet<CompoundId>,
    visited: Vec<bool>,
    found: Found,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(
        graph: &'a Graph<'a>,
        mappings: &[CompoundId],
        targets: &'a [Target<'a, 'a>],
        names: &'a Names<'a>,
    ) -> Visitor<'a> {
        let target_of = targets.iter().enumerate().map(|(i, target)| (target.mapping, i));
        Visitor {
            graph,
            targets,
            names,
            target_of: target_of.collect(),
            state_dicts: mappings.iter().copied().collect(),
            visited: vec![false; graph.nodes.len()],
            found: Found::default(),
        }
    }

    pub(super) fn run(mut self) -> Result<Found, Fault> {
        let root = Child { label: String::new(), node: self.graph.root, role: Role::Unknown };
        let mut path: Vec<Level> = Vec::new();
        let mut next = Some(root);
        loop {
            if let Some(child) = next.take()
                && path.len() < MAX_DEPTH
                && let Some(level) = self.enter(&path, child)
            {
                path.push(level);
            }
            let Some(level) = path.last_mut() else { return Ok(self.found) };
            next = level.children.next();
            if next.is_none() {
                path.pop();
            }
        }
    }

    /// Looks at a container's own texts; gives what is in it.
    fn enter(&mut self, path: &[Level], child: Child) -> Option<Level> {
        let Child { label, node, role } = child;
        let seen = self.visited.get_mut(node.0 as usize)?;
        if std::mem::replace(seen, true) || is_tensor(self.graph, node) {
            return None;
        }
        let place = || {
            let labels = path.iter().map(|level| level.label.as_str()).chain([label.as_str()]);
            joined(labels)
        };
        let mut children = Vec::new();
        if let Some(items) = self.graph.tuple(node) {
            self.in_tuple(&place, items);
            let role = role.of_items();
            children.extend(items.iter().map(|node| Child {
                label: "*".into(),
                node: *node,
                role,
            }));
        } else if let Some((id, compound)) = self.graph.as_compound(node) {
            self.in_compound(&place, (id, compound), role, &mut children);
        } else {
            return None;
        }
        Some(Level { label, children: children.into_iter() })
    }

    fn in_tuple(&mut self, place: &dyn Fn() -> String, items: &[NodeId]) {
        let graph = self.graph;
        let texts: Vec<_> = items.iter().filter_map(|item| graph.text(*item)).collect();
        let among_keys = texts.iter().all(|text| self.names.is_key(text));
        let names = texts
            .iter()
            .filter(|text| self.names.fate(text).is_some() && (among_keys || is_telling(text)));
        let names = names.count();
        if names > 0 {
            self.found.mentions.not_followed.add(&place(), names);
        }
    }

    fn in_compound(
        &mut self,
        place: &dyn Fn() -> String,
        (id, compound): (CompoundId, &'a Compound),
        role: Role,
        children: &mut Vec<Child>,
    ) {
        let entries = self.graph.entries(compound);
        let target = self.target_of.get(&id).copied();
        let role = match role {
            Role::Unknown if target.is_some() => Role::StateDict,
            Role::Unknown if self.is_flattened(&entries) => Role::Flattened,
            Role::Unknown if self.state_dicts.contains(&id) => Role::StateDict,
            // What a plan renames itself is not renamed a second time.
            Role::Beside(_) if target.is_some() => Role::StateDict,
            role => role,
        };
        if role != Role::StateDict {
            self.keys(place, &entries, role);
        }
        let values: Vec<Slot> = entries.iter().map(|entry| entry.value).collect();
        self.texts(place, &entries, &values, role);
        let elements = self.graph.elements.items(compound.elements).map(|element| element.value);
        let elements: Vec<Slot> = elements.collect();
        self.texts(place, &[], &elements, role);
        children.extend(self.roles_of_values(&entries, role, place));
        let role = role.of_items();
        children.extend(elements.iter().map(|slot| Child {
            label: "*".into(),
            node: slot.node,
            role,
        }));
        if let Kind::Call { args, .. } = compound.kind {
            children.push(Child { label: String::new(), node: args, role });
        }
        // The attributes of a state dict are its `_metadata`, which follows by its own rules.
        if !self.state_dicts.contains(&id) {
            let states = self.graph.states.last(compound.states);
            children.extend(states.map(|slot| Child {
                label: String::new(),
                node: slot.node,
                role,
            }));
        }
    }

    /// What is in a mapping, each with what is known of it.
    fn roles_of_values(
        &mut self,
        entries: &[Entry],
        role: Role,
        place: &dyn Fn() -> String,
    ) -> Vec<Child> {
        let beside = entries.iter().find_map(|entry| match self.graph.value(entry.value.node) {
            Value::Compound(id) => self.target_of.get(&id).copied(),
            _ => None,
        });
        let keyed = |name: &str| {
            entries.iter().any(|entry| self.graph.text(entry.key.node).as_deref() == Some(name))
        };
        let is_optimizer = keyed("state") && keyed("param_groups");
        if is_optimizer && self.names.dropped > 0 && self.counts_parameters(entries) {
            let at = joined([place().trim_start_matches('/'), "param_groups"].into_iter());
            self.found.mentions.not_followed.add(&at, self.names.dropped);
        }
        let child = |entry: &Entry| {
            let key = self.graph.text(entry.key.node);
            let inner = match (role, key.as_deref()) {
                (Role::Unknown | Role::StateDict, Some("state")) if is_optimizer => Role::State,
                (Role::Unknown | Role::StateDict, Some("param_groups")) if is_optimizer => {
                    Role::Groups
                }
                (Role::Unknown, Some(key)) if BESIDE.contains(&key) => {
                    beside.map_or(Role::Unknown, Role::Beside)
                }
                (Role::Group, Some("params" | "param_names")) => Role::Parameters,
                (Role::Beside(target), _) => Role::Beside(target),
                _ => Role::Unknown,
            };
            let label = key.map_or_else(|| "*".to_string(), |key| key.into_owned());
            Child { label, node: entry.value.node, role: inner }
        };
        // Most values of a state dict are tensors, which hold no names.
        let may_hold = |entry: &&Entry| {
            let node = entry.value.node;
            matches!(self.graph.value(node), Value::Tuple(_) | Value::Compound(_))
                && !is_tensor(self.graph, node)
        };
        entries.iter().filter(may_hold).map(child).collect()
    }

    /// True if an optimizer knows its parameters by their numbers.
    fn counts_parameters(&self, entries: &[Entry]) -> bool {
        let groups = entries
            .iter()
            .rfind(|entry| self.graph.text(entry.key.node).as_deref() == Some("param_groups"));
        let groups = groups.and_then(|entry| self.graph.sequence(entry.value.node));
        groups.unwrap_or_default().into_iter().any(|group| {
            let Some((_, group)) = self.graph.as_compound(group) else { return false };
            let named =
                |entry: &&Entry| self.graph.text(entry.key.node).as_deref() == Some("params");
            let entries = self.graph.entries(group);
            let params = entries.iter().rfind(named);
            let params = params.and_then(|entry| self.graph.sequence(entry.value.node));
            let first = params.and_then(|params| params.first().copied());
            first.is_some_and(|first| self.graph.int(first).is_some())
        })
    }

    fn is_flattened(&self, entries: &[Entry]) -> bool {
        FLATTENED.iter().all(|start| {
            let mut keys = entries.iter().filter_map(|entry| self.graph.text(entry.key.node));
            keys.any(|key| key.starts_with(start))
        })
    }

    /// The keys of a mapping that are names.
    fn keys(&mut self, place: &dyn Fn() -> String, entries: &[Entry], role: Role) {
        let keys: Vec<Slot> = entries.iter().map(|entry| entry.key).collect();
        let Some(found) = self.look(&keys, role) else { return };
        // Two keys on one name would be one entry less.
        let changed: HashMap<u32, &str> =
            found.following.iter().map(|it| (it.slot.pushed_by, it.new.as_str())).collect();
        let mut taken = HashSet::new();
        let collides = keys.iter().any(|slot| {
            let old = self.graph.text(slot.node);
            let new = changed.get(&slot.pushed_by).map(|new| (*new).to_string());
            let name = new.or_else(|| old.map(|old| old.into_owned()));
            name.is_some_and(|name| !taken.insert(name))
        });
        self.note(&place(), found, collides);
    }

    /// The values of a container that are names.
    fn texts(
        &mut self,
        place: &dyn Fn() -> String,
        entries: &[Entry],
        values: &[Slot],
        role: Role,
    ) {
        let role = match role {
            // Keys alone are names there.
            Role::State | Role::Flattened | Role::StateDict => Role::Unknown,
            role => role,
        };
        let Some(found) = self.look(values, role) else { return };
        let at = place();
        // At the root, the key under which the first name is found says more.
        let key = entries
            .iter()
            .filter(|_| at == ROOT)
            .find(|entry| found.first.is_some_and(|slot| slot.pushed_by == entry.value.pushed_by));
        let key = key.and_then(|entry| self.graph.text(entry.key.node));
        let at = key.map_or(at, |key| key.into_owned());
        self.note(&at, found, false);
    }

    /// Which of some texts are names, and which of those follow.
    fn look(&self, slots: &[Slot], role: Role) -> Option<Looked> {
        let texts = slots.iter().filter_map(|slot| Some((*slot, self.graph.text(slot.node)?)));
        let texts: Vec<_> = texts.collect();
        let among_keys = texts.iter().all(|(_, text)| self.names.is_key(text));
        let mut looked = Looked::default();
        for (slot, text) in &texts {
            let (fate, known) = match role {
                Role::Beside(target) => (within(self.targets[target].section, text), true),
                Role::State | Role::Parameters => (self.names.fate(text), true),
                Role::Flattened => (self.names.flattened(text), true),
                _ => {
                    let is_name = among_keys || is_telling(text);
                    (self.names.fate(text).filter(|_| is_name), false)
                }
            };
            match fate {
                None => continue,
                Some(Fate::Becomes(new)) if known => {
                    looked.following.push(Following { slot: *slot, new });
                }
                Some(_) => looked.staying += 1,
            }
            looked.first.get_or_insert(*slot);
        }
        (looked.first.is_some()).then_some(looked)
    }

    fn note(&mut self, at: &str, looked: Looked, collides: bool) {
        let Looked { following, staying, .. } = looked;
        let Found { mentions, following: all } = &mut self.found;
        if collides {
            return mentions.not_followed.add(at, staying + following.len());
        }
        mentions.followed.add(at, following.len());
        mentions.not_followed.add(at, staying);
        all.extend(following);
    }
}

/// Texts of one container that are names.
#[derive(Default)]
struct Looked {
    following: Vec<Following>,
    staying: usize,
    first: Option<Slot>,
}

impl Role {
    /// What is known of the elements of a container.
    fn of_items(self) -> Role {
        match self {
            Role::Beside(target) => Role::Beside(target),
            Role::Groups => Role::Group,
            // The arguments that a list is made of, in protocols without sets.
            Role::Parameters => Role::Parameters,
            _ => Role::Unknown,
        }
    }
}

/// The path that labels make; those of what is not a container of its own are empty.
fn joined<'l>(labels: impl Iterator<Item = &'l str>) -> String {
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    if labels.is_empty() { ROOT.into() } else { labels.join("/") }
}

/// True if a text of several segments, which is not any word.
fn is_telling(text: &str) -> bool {
    text.contains('.')
}
