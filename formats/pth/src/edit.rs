//! From a plan to the changes of a pickle: keys, entries, and the `_metadata` that follows them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use statedict_core::{Catalog, Fault, Mentions, Modules, Plan, Section};

use crate::budget::Budget;
use crate::mapping::mapping;
use crate::mentions::{find, follow};
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, CompoundId, Entry};
use crate::pickle::opcode;
use crate::pickle::patch::Patch;
use crate::pickle::strings::binunicode;
use crate::recast::{NewRecords, recast, verify};
use crate::target::{Target, targets};
use crate::walk::metadata_of;

/// A pickle as a plan makes it of another.
pub(crate) struct Edited {
    pub(crate) pickle: Vec<u8>,
    /// Storages that are rewritten, by their keys.
    pub(crate) records: NewRecords,
}

/// The pickle with the keys and types that a plan gives its state dicts.
pub(crate) fn edited(
    graph: Graph<'_>,
    catalog: &Catalog,
    mappings: &[CompoundId],
    plan: &Plan,
) -> Result<Edited, Fault> {
    let mut patch = Patch::default();
    edit(&mut patch, &graph, catalog, mappings, plan)?;
    let records = recast(&mut patch, &graph, catalog, mappings, plan)?;
    let pickle = patch.finish(graph)?;
    if plan.casts() {
        verify(&Graph::read(&pickle)?, catalog, plan)?;
    }
    Ok(Edited { pickle, records })
}

/// Notes the changes that give a pickle's state dicts the keys of a plan.
pub(crate) fn edit<'p>(
    patch: &mut Patch<'p>,
    graph: &Graph<'_>,
    catalog: &Catalog,
    mappings: &[CompoundId],
    plan: &'p Plan,
) -> Result<(), Fault> {
    let targets = targets(catalog, mappings, plan)?;
    follow(patch, graph, &find(graph, catalog, mappings, &targets)?);
    for Target { section, state_dict, mapping } in targets {
        let compound = graph.compound(mapping);
        rename_keys(patch, graph, compound, section);
        if let Some(metadata) = metadata_of(graph, compound) {
            let paths: Vec<String> = state_dict.modules.keys().cloned().collect();
            rename_modules(patch, graph, metadata, &section.modules(&paths));
        }
    }
    leave_out(patch, graph, plan.left_out())
}

/// Takes entries out of the outermost mapping.
///
/// # Errors
/// Entries that are not there.
fn leave_out(patch: &mut Patch, graph: &Graph<'_>, left_out: &[String]) -> Result<(), Fault> {
    if left_out.is_empty() {
        return Ok(());
    }
    let root = mapping(graph, graph.root, &Budget::of(graph))?;
    let entries = root.map(|(_, compound)| graph.entries(compound)).unwrap_or_default();
    let left_out: HashSet<&str> = left_out.iter().map(String::as_str).collect();
    let text = |entry: &Entry| graph.text(entry.key.node);
    let is_dead = |entry: &Entry| text(entry).is_some_and(|text| left_out.contains(&*text));
    let found: HashSet<_> =
        entries.iter().filter(|entry| is_dead(entry)).filter_map(text).collect();
    if found.len() < left_out.len() {
        let what = "the entries to leave out are not in the file's outermost dict";
        return Err(Fault::Unsupported(what.into()));
    }
    patch.delete(graph, &entries, is_dead);
    Ok(())
}

/// The names of keys that a plan changes outside the pickle's state dicts.
pub(crate) fn mentions(
    graph: &Graph<'_>,
    catalog: &Catalog,
    mappings: &[CompoundId],
    plan: &Plan,
) -> Result<Mentions, Fault> {
    let targets = targets(catalog, mappings, plan)?;
    Ok(find(graph, catalog, mappings, &targets)?.mentions)
}

fn rename_keys<'p>(
    patch: &mut Patch<'p>,
    graph: &Graph<'_>,
    compound: &Compound,
    section: &'p Section,
) {
    let fate = |entry: &Entry| {
        section.fate(&graph.text(entry.key.node)?).map(|new| new.map(Cow::Borrowed))
    };
    rename(patch, graph, graph.each_entry(compound), fate);
    if section.dropped().next().is_some() {
        patch.delete(graph, &graph.entries(compound), |entry| fate(entry) == Some(None));
    }
}

fn rename_modules(patch: &mut Patch, graph: &Graph<'_>, metadata: &Compound, modules: &Modules) {
    let entries = graph.entries(metadata);
    let fates = modules.fates.iter();
    let fates: HashMap<_, _> =
        fates.map(|(old, new)| (old.as_str(), new.clone().map(Cow::Owned))).collect();
    let path = |entry: &Entry| graph.text(entry.key.node);
    let fate = |entry: &Entry| fates.get(path(entry)?.as_ref()).cloned();
    rename(patch, graph, entries.iter().copied(), fate);
    patch.delete(graph, &entries, |entry| fate(entry) == Some(None));
    let mut by_path: HashMap<_, &Entry> = HashMap::new();
    for entry in &entries {
        if let Some(path) = path(entry) {
            by_path.entry(path).or_insert(entry);
        }
    }
    for (ancestor, before) in &modules.added {
        let Some(entry) = by_path.get(before.as_str()) else { continue };
        patch.insert_before(entry.start, &module_entry(graph, entry, ancestor));
    }
}

/// Renames entries; `fate` gives a new key, `Some(None)` for what is deleted, `None` to leave it.
fn rename<'p>(
    patch: &mut Patch<'p>,
    graph: &Graph<'_>,
    entries: impl Iterator<Item = Entry>,
    fate: impl Fn(&Entry) -> Option<Option<Cow<'p, str>>>,
) {
    for entry in entries {
        if let Some(Some(new)) = fate(&entry)
            && graph.text(entry.key.node).as_deref() != Some(&*new)
        {
            patch.rename(graph, entry.key, new);
        }
    }
}

/// The opcodes of `path: {'version': 1}`, which is what PyTorch writes for a plain module, added in
/// the manner of the entry that follows it.
fn module_entry(graph: &Graph<'_>, before: &Entry, path: &str) -> Vec<u8> {
    let version = [
        vec![opcode::EMPTY_DICT],
        binunicode("version"),
        vec![opcode::BININT1, 1, opcode::SETITEM],
    ]
    .concat();
    let (key, alone) = (binunicode(path), before.batch.mark().is_none());
    match graph.op(before.batch.close).code {
        // A pair in the list of pairs that Python 2 hands to `OrderedDict`.
        opcode::APPEND | opcode::APPENDS | opcode::LIST => {
            let mut pair = vec![opcode::EMPTY_LIST, opcode::MARK];
            pair.extend([key, version].concat());
            pair.push(opcode::APPENDS);
            pair.extend(alone.then_some(opcode::APPEND));
            pair
        }
        _ => {
            let mut entry = [key, version].concat();
            entry.extend(alone.then_some(opcode::SETITEM));
            entry
        }
    }
}
