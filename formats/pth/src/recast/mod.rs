//! Tensors of a pickle that get another element type, everything else as it was.
//!
//! A tensor names its storage, and the storage its type; so a cast changes what names the storage,
//! and the storage's record is rewritten with each of its elements cast.
//! Tensors that share a storage go on sharing it, views keep their strides.
//! Where something else names the same storage and is not cast, the cast tensors get a record of
//! their own, and where one object is at several places of which not all are cast, those get
//! an object of their own.

mod site;
mod verify;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use statedict_core::{
    ByteOrder, Catalog, DType, Elements, Fault, IndexMap, Plan, Section, StateDict, Storage, Tensor,
};

use crate::dtype::{Storing, to_torch};
use crate::encode::{Gradient, Named, Parameter, Placed};
use crate::pickle::Graph;
use crate::pickle::graph::{CompoundId, NodeId, OpPlace, Slot};
use crate::pickle::opcode;
use crate::pickle::patch::Patch;
use crate::target::{Target, targets};
use crate::tensors::{StorageId, storage_id};

pub(crate) use verify::verify;

use site::{Place, Rebuilt};

/// How many parts the id of a storage has in an archive; one of a legacy stream has more.
const ARCHIVED_PARTS: usize = 5;

/// A storage's record as a cast writes it.
#[derive(Debug)]
pub(crate) struct NewRecord {
    /// The key of the storage it is made of, which may be its own.
    pub(crate) from: String,
    pub(crate) elements: Elements,
}

/// The records that a cast writes, by their keys.
pub(crate) type NewRecords = IndexMap<String, NewRecord>;

/// Notes the changes that give tensors of a pickle the types that a plan gives them.
///
/// # Errors
/// Tensors that the pickle holds in a way that has no other type.
pub(crate) fn recast(
    patch: &mut Patch,
    graph: &Graph<'_>,
    catalog: &Catalog,
    mappings: &[CompoundId],
    plan: &Plan,
) -> Result<NewRecords, Fault> {
    if !plan.casts() {
        return Ok(NewRecords::default());
    }
    let mut recast = Recast::new(graph)?;
    for Target { section, state_dict, mapping } in targets(catalog, mappings, plan)? {
        recast.collect(catalog, state_dict, mapping, section);
    }
    recast.run(patch)
}

/// A place of a tensor that is cast.
struct Site<'c> {
    at: &'c str,
    key: String,
    slot: Slot,
    tensor: &'c Tensor,
    to: DType,
}

/// What a cast makes of a storage: of which one, elements of which type, to which.
type Source = (String, DType, DType);

struct Recast<'a, 'c> {
    graph: &'a Graph<'a>,
    /// How often each node is fetched from the memo.
    fetched: HashMap<NodeId, usize>,
    /// The references that each persistent id makes.
    references: HashMap<NodeId, Vec<usize>>,
    /// How many references there are to each storage.
    named: HashMap<String, usize>,
    /// The places of tensors that are cast, by the object.
    sites: IndexMap<NodeId, Vec<Site<'c>>>,
}

/// How a tensor that is cast is written.
enum Change {
    /// Its reference to the storage names another one.
    Reference(usize),
    /// These opcodes are replaced by others that rebuild it, wherever they would be written.
    Everywhere(OpPlace, OpPlace),
    /// The same for one place of something that stays elsewhere.
    InPlace(OpPlace, OpPlace),
}

impl<'a, 'c> Recast<'a, 'c> {
    fn new(graph: &'a Graph<'a>) -> Result<Recast<'a, 'c>, Fault> {
        let mut fetched = HashMap::new();
        for (_, _, place) in &graph.gets {
            *fetched.entry(graph.memoized[*place as usize].node).or_default() += 1;
        }
        let (mut references, mut named) = (HashMap::<_, Vec<usize>>::new(), HashMap::new());
        for (i, reference) in graph.persistent.iter().enumerate() {
            if graph.class_named_by(reference.id).is_none() {
                references.entry(reference.id).or_default().push(i);
                *named.entry(storage_id(graph, reference.id)?.key).or_default() += 1;
            }
        }
        Ok(Recast { graph, fetched, references, named, sites: IndexMap::default() })
    }

    fn collect(
        &mut self,
        catalog: &'c Catalog,
        state_dict: &'c StateDict,
        mapping: CompoundId,
        section: &Section,
    ) {
        for entry in self.graph.entries(self.graph.compound(mapping)) {
            let Some(key) = self.graph.text(entry.key.node) else { continue };
            let Some(to) = section.cast(&key) else { continue };
            let Some(tensor) = catalog.tensor(state_dict, &key) else { continue };
            let (key, to) = (key.into_owned(), to.clone());
            let site = Site { at: &state_dict.path, key, slot: entry.value, tensor, to };
            self.sites.entry(entry.value.node).or_default().push(site);
        }
    }

    fn run(&self, patch: &mut Patch) -> Result<NewRecords, Fault> {
        let (mut changes, mut obstacles) = (Vec::new(), Vec::new());
        for (node, sites) in &self.sites {
            match Rebuilt::of(self.graph, *node) {
                Ok(rebuilt) => changes.extend(self.changes(*node, sites, &rebuilt)?),
                Err(why) => obstacles.push(obstacle(&sites[0], &why)),
            }
        }
        if !obstacles.is_empty() {
            return Err(Fault::Unsupported(obstacles.join("; ")));
        }
        let records = self.records(&changes)?;
        let keys: HashMap<&Source, &String> =
            records.iter().map(|(source, (key, _))| (source, key)).collect();
        for Changed { site, rebuilt, change, source, id } in &changes {
            let key = keys.get(source).expect("every source has a record").as_str();
            let named = Named {
                dtype: &site.to,
                key,
                location: &rebuilt.location(self.graph).map_err(|why| refused(site, &why))?,
                count: count(id, &site.tensor.dtype),
                parts: rebuilt.id_parts(self.graph),
            };
            match *change {
                Change::Reference(i) => {
                    let reference = &self.graph.persistent[i];
                    let opcodes = named.opcodes().expect("PyTorch has every type to cast to");
                    patch.replace(reference.start..self.graph.after(reference.op), opcodes);
                }
                Change::Everywhere(start, end) => {
                    patch.replace(start..end, placed(named, site.tensor, rebuilt.gradient, None));
                }
                Change::InPlace(start, end) => {
                    let Rebuilt { gradient, parameter, .. } = *rebuilt;
                    let opcodes = placed(named, site.tensor, gradient, parameter);
                    patch.replace_in_place(start..end, opcodes);
                }
            }
        }
        Ok(records.into_values().collect())
    }

    /// How the places of one object change.
    fn changes<'s>(
        &self,
        node: NodeId,
        sites: &'s [Site<'c>],
        rebuilt: &Rebuilt,
    ) -> Result<Vec<Changed<'s, 'c>>, Fault> {
        let first = &sites[0];
        let id = storage_id(self.graph, rebuilt.storage_id)?;
        if id.view.is_some() {
            return Err(refused(first, "its storage is a slice of another one"));
        }
        let goes_beside = |site: &Site| storing(&site.to) == Storing::Untyped;
        if sites.iter().any(goes_beside) && rebuilt.id_parts(self.graph) > ARCHIVED_PARTS {
            return Err(refused(first, "PyTorch does not read this type from a legacy stream"));
        }
        if sites.iter().any(goes_beside) && rebuilt.gradient == Gradient::Required {
            let why = "it requires a gradient and is not a parameter, which PyTorch does not load";
            return Err(refused(first, why));
        }
        let changed = |site: &'s Site<'c>, change| Changed {
            site,
            rebuilt: rebuilt.clone(),
            change,
            source: (id.key.clone(), site.tensor.dtype.clone(), site.to.clone()),
            id: id.clone(),
        };
        if self.is_cast_everywhere(node, sites, rebuilt) {
            let change = match (rebuilt.place, storing(&first.to)) {
                (Place::Storage, Storing::Typed) => self.reference(rebuilt).map(Change::Reference),
                _ => match rebuilt.call {
                    Some(call) => {
                        rebuilt.is_bare(self.graph).map_err(|why| refused(first, &why))?;
                        let (start, end) = site::ops(self.graph, call);
                        Some(Change::Everywhere(start, end))
                    }
                    None => return Err(refused(first, "a tensor subclass rebuilds it")),
                },
            };
            if let Some(change) = change {
                return Ok([changed(first, change)].into());
            }
        }
        let mut seen = HashSet::new();
        let mut all = Vec::new();
        for site in sites.iter().filter(|site| seen.insert(site.slot.pushed_by)) {
            rebuilt.is_plain(self.graph).map_err(|why| refused(site, &why))?;
            let (start, end) = self.ops_of(site.slot);
            all.push(changed(site, Change::InPlace(start, end)));
        }
        Ok(all)
    }

    /// True if an object is cast to one type wherever it is, and nothing else has its parts.
    fn is_cast_everywhere(&self, node: NodeId, sites: &[Site<'_>], rebuilt: &Rebuilt) -> bool {
        let fetched = |node: &NodeId| self.fetched.get(node).copied().unwrap_or(0);
        let places: HashSet<OpPlace> = sites.iter().map(|site| site.slot.pushed_by).collect();
        places.len() == 1 + fetched(&node)
            && sites.iter().all(|site| site.to == sites[0].to)
            && rebuilt.inner.iter().all(|inner| fetched(inner) == 0)
    }

    /// The only reference that a tensor's storage id makes.
    fn reference(&self, rebuilt: &Rebuilt) -> Option<usize> {
        match self.references.get(&rebuilt.storage_id).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            _ => None,
        }
    }

    /// The opcodes that put an object at its place, those that memoize it included: what is
    /// fetched later is the object as it was.
    fn ops_of(&self, slot: Slot) -> (OpPlace, OpPlace) {
        let mut end = self.graph.after(slot.pushed_by);
        if opcode::is_get(self.graph.op(slot.pushed_by).code) {
            return (slot.pushed_by, end);
        }
        // `STOP` is not such an opcode.
        while opcode::is_put(self.graph.op(end).code) {
            end = self.graph.after(end);
        }
        (slot.start, end)
    }

    /// The records of the storages that tensors are cast to, by what they are made of.
    ///
    /// A storage keeps its key if nothing else names it.
    fn records(
        &self,
        changes: &[Changed<'_, '_>],
    ) -> Result<IndexMap<Source, (String, NewRecord)>, Fault> {
        let mut replaced = HashMap::<&Source, usize>::new();
        for changed in changes {
            let goes = !matches!(changed.change, Change::InPlace(..));
            *replaced.entry(&changed.source).or_default() += usize::from(goes);
        }
        let numbers = self.named.keys().filter_map(|key| key.parse::<u64>().ok());
        let mut next = numbers.max().map_or(0, |highest| highest.saturating_add(1));
        let mut records = IndexMap::<Source, (String, NewRecord)>::default();
        for Changed { site, source, id, .. } in changes {
            if records.contains_key(source) {
                continue;
            }
            let key = if replaced.get(source) == self.named.get(&source.0) {
                source.0.clone()
            } else {
                while self.named.contains_key(&next.to_string()) {
                    next = next.wrapping_add(1);
                }
                next = next.wrapping_add(1);
                next.wrapping_sub(1).to_string()
            };
            let view = site.tensor.as_view().ok_or_else(|| refused(site, "it has no storage"))?;
            let storage = view.storage();
            if storage.byte_order == ByteOrder::Big && site.tensor.dtype.bits() > 8 {
                let why = "the file's storages are big-endian, and a cast would be little-endian";
                return Err(refused(site, why));
            }
            let elements = whole(storage, id, &site.tensor.dtype, &site.to)
                .map_err(|why| refused(site, &why))?;
            let record = NewRecord { from: source.0.clone(), elements };
            records.insert(source.clone(), (key, record));
        }
        Ok(records)
    }
}

/// A tensor that is cast, and how.
struct Changed<'s, 'c> {
    site: &'s Site<'c>,
    rebuilt: Rebuilt,
    change: Change,
    source: Source,
    id: StorageId,
}

/// A whole storage, cast.
fn whole(
    storage: &Arc<Storage>,
    id: &StorageId,
    dtype: &DType,
    to: &DType,
) -> Result<Elements, String> {
    let shape = vec![count(id, dtype)];
    let tensor = Tensor::dense(dtype.clone(), shape, 0, storage.clone());
    Elements::new(tensor.map_err(|wrong| wrong.to_string())?, Some(to))
}

/// How PyTorch stores the elements of a type to cast to.
fn storing(dtype: &DType) -> Storing {
    to_torch(dtype).map_or(Storing::Untyped, |(_, storing)| storing)
}

/// How many elements of a type a storage has.
fn count(id: &StorageId, dtype: &DType) -> u64 {
    let bytes = u128::from(id.count) * u128::from(id.dtype.bits()) / 8;
    let each = u128::from(dtype.bytes().unwrap_or(1).max(1));
    u64::try_from(bytes / each).unwrap_or(u64::MAX)
}

/// The opcodes that rebuild a tensor over another storage.
fn placed(
    storage: Named<'_>,
    tensor: &Tensor,
    gradient: Gradient,
    parameter: Option<Parameter>,
) -> Vec<u8> {
    let view = tensor.as_view().expect("tensors that are cast are views");
    let placed = Placed {
        storage,
        shape: &tensor.shape,
        strides: view.strides(),
        offset: view.offset(),
        gradient,
        parameter,
    };
    placed.opcodes().expect("PyTorch has every type to cast to")
}

fn refused(site: &Site<'_>, why: &str) -> Fault {
    Fault::Unsupported(obstacle(site, why))
}

fn obstacle(site: &Site<'_>, why: &str) -> String {
    let place = if site.at.is_empty() { String::new() } else { format!(" in '{}'", site.at) };
    let Site { key, to, .. } = site;
    format!("'{key}'{place} cannot be cast to {to} inside this file: {why}")
}
