//! The tar archives of PyTorch before 0.1.10, which are read, and rewritten as zip archives.
//!
//! ```text
//! sys_info  pickle of a dict
//! storages  n, then n × ((key, location, class), i64 count, bytes), then [(view, root, offset, count)]
//! tensors   n, then n × ((key, storage, class), i32 rank, 4 bytes, i64 sizes, i64 strides, i64 offset)
//! pickle    the object; a persistent id is the key of a tensor or storage, as text
//! ```
//! Source: `legacy_load` in `torch/serialization.py`.

mod members;
mod objects;

use std::collections::HashMap;

use statedict_core::{
    Catalog, Container, DType, Fault, Headroom, IndexSet, Layout, Location, Mentions,
    MetadataChange, Opened, Plan, Source, Value as Payload, objects::Objects as Built,
};

use crate::edit::{edit, mentions};
use crate::encode::archive;
use crate::objects::objects as built;
use crate::payload::payload;
use crate::pickle::Graph;
use crate::pickle::graph::{CompoundId, NodeId, Value};
use crate::pickle::patch::Patch;
use crate::recast::verify;
use crate::tar::members::{Cursor, members};
use crate::tar::objects::{Objects, number};
use crate::target::{Target, targets};
use crate::walk::{Surroundings, Walked, walk};

pub use members::{TarMember, tar_members};

/// An opened tar archive.
pub(crate) struct TarFile {
    pickle: Vec<u8>,
    objects: Objects,
    catalog: Catalog,
    mappings: Vec<CompoundId>,
}

impl TarFile {
    /// Reads the members; `None` if the file is not a tar archive with PyTorch's members.
    pub(crate) fn open(source: &dyn Source) -> Result<Option<TarFile>, Fault> {
        let members = members(source)?;
        let (Some(storages), Some(tensors), Some(pickle)) =
            (members.get("storages"), members.get("tensors"), members.get("pickle"))
        else {
            return Ok(None);
        };
        let mut objects = Objects::default();
        objects.read_storages(&mut Cursor::new(source, storages.clone()))?;
        objects.read_tensors(&mut Cursor::new(source, tensors.clone()))?;
        let start = pickle.start;
        let pickle = Cursor::new(source, pickle.clone()).pickle()?;
        let graph = Graph::read_of(&pickle, source.len())?;
        let location = Location::Stored(start..start + pickle.len() as u64);
        let around = Surroundings { storages: &mut objects, code: None, pickle: location };
        let Walked { catalog, mappings } = walk(&graph, around)?;
        drop(graph);
        Ok(Some(TarFile { pickle, objects, catalog, mappings }))
    }
}

impl Opened for TarFile {
    fn kind(&self) -> &'static str {
        "pth-tar"
    }

    fn rewritten_as(&self) -> &'static str {
        "pth"
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn payload(&self) -> Result<Option<Payload>, Fault> {
        payload(&Graph::read(&self.pickle)?).map(Some)
    }

    fn objects(&self) -> Result<Option<Built>, Fault> {
        let graph = Graph::read(&self.pickle)?;
        built(&graph, &mut self.objects.clone(), &self.mappings).map(Some)
    }

    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        mentions(&Graph::read(&self.pickle)?, &self.catalog, &self.mappings, plan)
    }
}

impl Container for TarFile {
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        let graph = Graph::read(&self.pickle)?;
        let casts = self.casts(&graph, plan)?;
        // Storages are numbered as the pickle comes to them, which is how PyTorch numbers its own.
        // One whose tensors get several types is written in each of them.
        let mut order: IndexSet<(i64, DType)> = IndexSet::default();
        let mut patch = Patch::default();
        for reference in graph.persistent.iter().filter(|r| graph.class_named_by(r.id).is_none()) {
            let key = number(&graph, reference.id)?;
            let Some((storage, tensor)) = self.objects.tensors.get(&key) else {
                let what = "the pickle holds a bare storage, which a zip archive has no place for";
                return Err(Fault::Unsupported(what.into()));
            };
            let held = &self.objects.storages[storage];
            let dtype = casts.get(&reference.id).unwrap_or(&held.dtype);
            let (place, _) = order.insert_full((held.root, dtype.clone()));
            let opcodes = self.objects.opcodes(held, tensor, place, dtype)?;
            patch.replace(reference.start..graph.after(reference.op), opcodes);
        }
        edit(&mut patch, &graph, &self.catalog, &self.mappings, plan)?;
        let pickle = patch.apply(&graph)?;
        if plan.casts() {
            verify(&Graph::read(&pickle)?, &self.catalog, plan)?;
        }
        let storages = order.iter().map(|(root, to)| self.objects.storages[root].elements(to));
        let storages = storages.collect::<Result<Vec<_>, _>>()?;
        let bytes = storages.iter().map(|storage| storage.byte_len()).fold(0, u64::saturating_add);
        let metadata = MetadataChange::apply(plan.metadata(), Vec::new());
        Ok(archive(pickle, storages.into_iter(), &metadata, reserve.beside(bytes)))
    }
}

impl TarFile {
    /// The types that tensors get, by the ids that name them.
    fn casts(&self, graph: &Graph<'_>, plan: &Plan) -> Result<HashMap<NodeId, DType>, Fault> {
        let mut casts = HashMap::new();
        for Target { section, mapping, .. } in targets(&self.catalog, &self.mappings, plan)? {
            for entry in graph.entries(graph.compound(mapping)) {
                let to = graph.text(entry.key.node).and_then(|key| section.cast(&key));
                if let (Some(to), Value::Persistent(id)) = (to, graph.value(entry.value.node)) {
                    casts.insert(id, to.clone());
                }
            }
        }
        Ok(casts)
    }
}
