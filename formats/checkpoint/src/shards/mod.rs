//! Checkpoints of several files with an index, as the Hugging Face hub keeps them.
//!
//! The files are laid end to end in one address space, so that every tensor of the merged catalog
//! has a place in one source. A rename lays out each file on its own, and the index after them.

pub(crate) mod index;
mod metadata;
mod split;
pub(crate) mod totals;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use statedict_core::{
    Catalog, Container, Elements, Fault, Folder, FolderFormat, Format, IndexMap, Key, Manifest,
    Manner, Mentions, MetadataChange, NewFile, Opened, Opening, PendingFiles, Plan, Section,
    StateDict, Store, TensorEntry, TensorSet, UnsupportedTensors,
};

use metadata::{Voice, change_index, joined, of_file, of_index};
pub(crate) use split::split;
use split::{Group, lay_out};

use crate::error::Disagreement;
use crate::model_folder::roles::strays;
use crate::registry::FORMATS;
use crate::shards::index::{Index, MAX_INDEX, NamedIndex, is_index};
use crate::shards::totals::Totals;

/// How many ways in which an index and its files disagree an error names.
const FAULTS_NAMED: usize = 8;

/// Checkpoints of several files of one format with an index.
pub(crate) struct Shards;

/// The one value of [`Shards`], for the registry.
pub(crate) static SHARDS: Shards = Shards;

impl FolderFormat for Shards {
    fn kind(&self) -> &'static str {
        "sharded checkpoint"
    }

    fn manifest(&self) -> &'static str {
        "index"
    }

    fn is_manifest(&self, name: &str) -> bool {
        is_index(Path::new(name))
    }

    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault> {
        let index = read_index(store, manifest)?;
        Ok(index.files().into_iter().map(String::from).collect())
    }

    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        _opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault> {
        Ok(Box::new(Sharded::open(store, manifest)?))
    }
}

/// An opened index with its files.
struct Sharded {
    index_name: String,
    index: Index,
    shards: Vec<Shard>,
    catalog: Catalog,
}

/// One of the files.
struct Shard {
    name: String,
    file: OpenFile,
}

/// A file that holds one state dict at its root.
pub(crate) struct OpenFile {
    pub(crate) format: &'static dyn Format,
    pub(crate) container: Box<dyn Container>,
    /// Where it starts in the address space, and how long it is.
    start: u64,
    len: u64,
}

impl Sharded {
    /// Opens an index and every file it names.
    fn open(store: &dyn Store, index_name: &str) -> Result<Sharded, Fault> {
        let index = read_index(store, index_name)?;
        refuse_faults(&missing_files(&index, store))?;
        let mut shards = Vec::new();
        for name in index.files() {
            shards.push(Shard { name: name.to_string(), file: open_file(store, name)? });
        }
        let mut faults = Vec::new();
        let catalog = merged(&index, &shards, &mut faults)?;
        refuse_faults(&faults)?;
        Ok(Sharded { index_name: index_name.to_string(), index, shards, catalog })
    }

    /// Each file, and the index after them.
    fn voices(&self) -> Vec<Voice<'_>> {
        let shards = self
            .shards
            .iter()
            .map(|shard| Voice { file: &shard.name, metadata: shard.file.container.metadata() });
        let index = of_index(&self.index.metadata);
        shards.chain([Voice { file: &self.index_name, metadata: index }]).collect()
    }

    /// The index, its own metadata changed.
    fn changed_index(&self, changes: &[MetadataChange], voices: &[Voice<'_>]) -> Index {
        let mut index = self.index.clone();
        if let Some(own) = voices.last() {
            let mut own = of_file(changes, own, voices);
            // What is new is said by the files.
            own.retain(|change| change.old.is_some());
            change_index(&mut index.metadata, &own);
        }
        index
    }

    /// New files, which the index leads to; old ones that it does not go.
    fn led_to(&self, files: Vec<NewFile>, index: Index) -> PendingFiles {
        let kept: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let old = self.shards.iter().map(|shard| &shard.name);
        let gone = old.filter(|name| !kept.contains(name.as_str())).cloned().collect();
        let manifest: Box<dyn Manifest> = NamedIndex::boxed(self.index_name.clone(), index);
        PendingFiles::Folder { files, manifest: Some(manifest), gone }
    }

    /// An index like this one's with new keys, in its own order; its totals stay where all tensors do.
    fn renamed_index(&self, section: &Section, mut index: Index) -> Index {
        let renamed = self.index.weight_map.0.iter().filter_map(|(old, file)| {
            let new = section.fate(old).unwrap_or(Some(old))?;
            Some((new.to_string(), file.clone()))
        });
        index.weight_map.0 = renamed.collect();
        if section.dropped().next().is_some() || section.casts().next().is_some() {
            index.set_totals(self.totals(section));
        }
        index
    }

    /// What the tensors hold that a section keeps.
    fn totals(&self, section: &Section) -> Totals {
        let mut totals = Totals::default();
        totals.add(section.kept().filter_map(|(old, _)| {
            let tensor = self.catalog.tensor(&self.catalog.state_dicts[0], old)?;
            Elements::new(tensor.clone(), section.cast(old)).ok()
        }));
        totals
    }
}

impl Opened for Sharded {
    fn kind(&self) -> &'static str {
        self.format().facts().shard_names.map_or(self.format().name(), |names| names.kind)
    }

    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn metadata(&self) -> Vec<(String, String)> {
        joined(&self.voices())
    }

    fn metadata_after(&self, section: &Section) -> Vec<(String, String)> {
        let mut voices = self.voices();
        for (shard, voice) in self.shards.iter().zip(&mut voices) {
            voice.metadata = shard.file.container.metadata_after(&shard.section(section));
        }
        joined(&voices)
    }

    fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        let mut mentions = Mentions::default();
        for shard in &self.shards {
            for section in plan.sections() {
                let plan = Plan::from(shard.section(section));
                mentions.extend(&shard.file.container.mentions(&plan)?);
            }
        }
        Ok(mentions)
    }
}

impl Folder for Sharded {
    fn opened(&self) -> &dyn Opened {
        self
    }

    fn format(&self) -> &'static dyn Format {
        self.shards[0].file.format
    }

    fn files(&self) -> Vec<&str> {
        let shards = self.shards.iter().map(|shard| shard.name.as_str());
        shards.chain([self.index_name.as_str()]).collect()
    }

    fn container_at(&self, start: u64) -> Option<&dyn Container> {
        let shard = self.shards.iter().find(|shard| shard.file.start == start)?;
        Some(shard.file.container.as_ref())
    }

    /// Every file with its keys as a plan has them, and the index that fits; files that the plan
    /// empties go.
    fn rewrite(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Fault> {
        let Some(section) = plan.sections().first() else {
            return Err(Fault::Unsupported("the plan says nothing of the state dict".into()));
        };
        let voices = self.voices();
        let index = self.renamed_index(section, self.changed_index(plan.metadata(), &voices));
        let kept: HashSet<&str> = index.files().into_iter().collect();
        let mut files = Vec::new();
        let shards = self.shards.iter().zip(&voices);
        for (shard, voice) in shards.filter(|(shard, _)| kept.contains(shard.name.as_str())) {
            let metadata = of_file(plan.metadata(), voice, &voices);
            let plan = Plan::from(shard.section(section)).with_metadata(metadata);
            let (mut layout, renamed) =
                manner.rewrite(shard.file.container.as_ref(), shard.file.start, plan)?;
            let changed = !layout.is_copy_of(0..shard.file.len);
            layout.shift(shard.file.start);
            files.push(NewFile { name: shard.name.clone(), layout, renamed, changed });
        }
        Ok(self.led_to(files, index))
    }

    /// Each tensor in the file where it was.
    fn encode(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        let old: HashMap<&str, &str> = section.first_sources().collect();
        let TensorSet { tensors, metadata, modules, ties, reserve } = contents;
        let voices = self.voices();
        let changes = MetadataChange::between(&joined(&voices), &metadata);
        let own = |name: &str| {
            let voice = voices.iter().find(|voice| voice.file == name)?;
            let changes = of_file(&changes, voice, &voices);
            Some(MetadataChange::apply(&changes, voice.metadata.clone()))
        };
        let home = |key: &str| self.index.weight_map.0.get(*old.get(key)?);
        let mut groups: IndexMap<String, TensorSet> = IndexMap::default();
        for (key, elements) in tensors {
            let home = home(&key).unwrap_or(&self.shards[0].name);
            let group = groups.entry(home.clone()).or_insert_with(|| TensorSet {
                metadata: own(home).unwrap_or_default(),
                modules: modules.clone(),
                reserve,
                ..TensorSet::default()
            });
            group.tensors.push((key, elements));
        }
        let groups = groups.into_iter().map(|(name, contents)| Group { name, contents }).collect();
        let index = self.changed_index(&changes, &voices);
        let (files, index) = lay_out(self.format(), groups, ties, index)?;
        Ok(self.led_to(files, index))
    }
}

impl Shard {
    /// The part of a plan for the merged state dict that is about this file.
    fn section(&self, whole: &Section) -> Section {
        whole.restricted_to(self.file.container.catalog().state_dicts[0].keys())
    }
}

/// An index that names keys.
pub(crate) fn read_index(store: &dyn Store, name: &str) -> Result<Index, Fault> {
    let index = Index::parse(&store.read(name, MAX_INDEX)?)?;
    if index.weight_map.0.is_empty() {
        Err(Fault::broken("the index names no key"))
    } else {
        Ok(index)
    }
}

/// A file of an index, which holds one state dict at its root.
pub(crate) fn open_file(store: &dyn Store, name: &str) -> Result<OpenFile, Fault> {
    let opened = store.open(name)?;
    for &format in FORMATS {
        let container = format.open(opened.source.as_ref()).map_err(|fault| fault.in_file(name))?;
        let Some(container) = container else { continue };
        let (start, len) = (opened.start, opened.source.len());
        return match container.catalog().state_dicts.as_slice() {
            [only] if only.path.is_empty() => Ok(OpenFile { format, container, start, len }),
            _ => {
                let what = "a shard holds one state dict, at its root, and this file does not";
                Err(Fault::Unsupported(what.into()).in_file(name))
            }
        };
    }
    let what = "a shard is a checkpoint, and this file is of no known format";
    Err(Fault::Unsupported(what.into()).in_file(name))
}

/// The files that an index names and that are not there, each as a clause.
fn missing_files(index: &Index, store: &dyn Store) -> Vec<String> {
    let named = index.files();
    let missing = named.iter().filter(|name| !store.has(name));
    let mut faults: Vec<String> =
        missing.map(|name| format!("it names '{name}': no such file or directory")).collect();
    if !faults.is_empty() {
        let others = strays(store, |name| named.contains(&name));
        let others = others.iter().map(|name| format!("it does not name '{name}'"));
        faults.extend(others);
    }
    faults
}

/// Refuses an index that its files contradict; a new one would not.
fn refuse_faults(faults: &[String]) -> Result<(), Fault> {
    if faults.is_empty() {
        return Ok(());
    }
    let named = faults.iter().take(FAULTS_NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match faults.len().saturating_sub(FAULTS_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Err(Fault::Unreadable(Disagreement(format!("{named}{more}")).into()))
}

/// One state dict of all files; what the index says otherwise is added to `faults`.
fn merged(index: &Index, shards: &[Shard], faults: &mut Vec<String>) -> Result<Catalog, Fault> {
    let mut catalog = Catalog::default();
    let mut state_dict = StateDict::default();
    let root = Arc::<str>::default();
    for shard in shards {
        let name = &shard.name;
        if shard.file.format.name() != shards[0].file.format.name() {
            return Err(Fault::Unsupported(format!("'{name}' is of another format than the rest")));
        }
        let own = shard.file.container.catalog();
        for key in own.state_dicts[0].keys() {
            match index.weight_map.0.get(key) {
                Some(file) if file == name => {}
                Some(file) => {
                    faults.push(format!(
                        "'{name}' holds key '{key}', which the index says is in '{file}'"
                    ));
                }
                None => {
                    faults
                        .push(format!("'{name}' holds key '{key}', which the index does not name"));
                }
            }
            if state_dict.contains(key) {
                // Two files hold it, so one of them is not where the index says.
                continue;
            }
            let shared = Arc::<str>::from(key);
            let row = own.tensor(&own.state_dicts[0], key).map(|tensor| {
                let (path, key) = (root.clone(), Key::Text(shared.clone()));
                catalog.rows.push(TensorEntry {
                    path,
                    key,
                    tensor: tensor.moved(shard.file.start),
                });
                catalog.rows.len() - 1
            });
            state_dict.insert(shared, row).map_err(|twice| Fault::broken(twice.to_string()))?;
        }
        state_dict.modules.extend(own.state_dicts[0].modules.clone());
        state_dict.fixed = state_dict.fixed.or(own.state_dicts[0].fixed.clone());
    }
    let absent = index.weight_map.0.iter().filter(|(key, _)| !state_dict.contains(key));
    faults.extend(
        absent.map(|(key, file)| {
            format!("key '{key}' is not in '{file}', where the index says it is")
        }),
    );
    catalog.state_dicts.push(state_dict);
    Ok(catalog)
}
