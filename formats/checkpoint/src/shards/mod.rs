//! Checkpoints of several files with an index, as the Hugging Face hub keeps them.
//!
//! The files are laid end to end in one address space, so that every tensor of the merged catalog
//! has a place in one source. A rename lays out each file on its own, and the index after them.

pub(crate) mod index;
mod metadata;
mod split;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::{
    Catalog, Container, Elements, Fault, Format, IndexMap, Key, Mentions, MetadataChange, Plan,
    Section, Source, StateDict, Tensor, TensorEntry, TensorSet, UnsupportedTensors,
};

use metadata::{Voice, change_index, joined, of_file, of_index};
pub(crate) use split::split;
use split::{Group, lay_out};

use crate::disk::{Disk, System};
use crate::error::{Action, Cause, Error};
use crate::in_place::restore_if_needed;
use crate::model_folder::strays;
use crate::registry::FORMATS;
use crate::shards::index::{Index, MAX_INDEX};
use crate::source::FileSource;
use crate::write::pending_files::{Files, Manner, NewFile, PendingFiles};
use crate::write::stage::folder;

/// How many ways in which an index and its files disagree an error names.
const FAULTS_NAMED: usize = 8;

/// An opened index with its files.
pub(crate) struct Sharded {
    index_name: String,
    index: Index,
    shards: Vec<Shard>,
    catalog: Catalog,
}

/// One of the files.
struct Shard {
    name: String,
    format: &'static dyn Format,
    container: Box<dyn Container>,
    /// Where it starts in the joined address space, and how long it is.
    start: u64,
    len: u64,
}

impl Sharded {
    /// Opens an index and every file it names.
    ///
    /// # Errors
    /// What is wrong with the index or a file, and every way in which they disagree.
    pub(crate) fn open(path: &Path, disk: &dyn Disk) -> Result<(Sharded, FileSource), Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        Sharded::of(read_index(path).map_err(failed)?, path, disk)
    }

    /// The same for an index that is locked; files whose editing was cut short are restored, since
    /// their journals would outlast them.
    pub(crate) fn open_locked(
        path: &Path,
        file: &File,
        disk: &dyn Disk,
    ) -> Result<(Sharded, FileSource), Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let index = FileSource::restored(file, None).and_then(|source| parse_index(&source));
        let index = index.map_err(failed)?;
        let mut restored = Vec::new();
        for shard in index.files().into_iter().map(|name| beside(path, name)) {
            restored.extend(restore_if_needed(&shard, disk)?);
        }
        let (sharded, mut source) = Sharded::of(index, path, disk)?;
        source.note(restored);
        Ok((sharded, source))
    }

    /// Opens the files of an index.
    fn of(index: Index, path: &Path, disk: &dyn Disk) -> Result<(Sharded, FileSource), Error> {
        let failed = |cause: Cause| Error::new(Action::Read, path, cause);
        let (mut shards, mut sources) = (Vec::new(), Vec::new());
        let mut faults = missing_files(&index, path);
        refuse_faults(&faults, path)?;
        let mut start = 0;
        for name in index.files() {
            let (source, format, container) = open_file(&beside(path, name), disk)?;
            let len = source.len();
            shards.push(Shard { name: name.to_string(), format, container, start, len });
            sources.push(source);
            start += len;
        }
        let index_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let catalog = merged(&index, &shards, &mut faults).map_err(|fault| failed(fault.into()))?;
        refuse_faults(&faults, path)?;
        Ok((Sharded { index_name, index, shards, catalog }, FileSource::joined(sources)))
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The format of the files.
    pub(crate) fn format(&self) -> &'static dyn Format {
        self.shards[0].format
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self.format().name() {
            "pth" => "pth-sharded",
            _ => "safetensors-sharded",
        }
    }

    /// The length of the longest of its files.
    pub(crate) fn largest_file(&self) -> u64 {
        self.shards.iter().map(|shard| shard.len).max().unwrap_or_default()
    }

    /// The names of its files, the index among them.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        let shards = self.shards.iter().map(|shard| shard.name.as_str());
        shards.chain([self.index_name.as_str()])
    }

    /// The file that starts here in the joined source.
    pub(crate) fn container_at(&self, start: u64) -> Option<&dyn Container> {
        let shard = self.shards.iter().find(|shard| shard.start == start)?;
        Some(shard.container.as_ref())
    }

    /// What the files and the index say of themselves.
    pub(crate) fn metadata(&self) -> Vec<(String, String)> {
        joined(&self.voices())
    }

    /// Each file, and the index after them.
    fn voices(&self) -> Vec<Voice<'_>> {
        let shards = self
            .shards
            .iter()
            .map(|shard| Voice { file: &shard.name, metadata: shard.container.metadata() });
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

    /// The same under a renaming.
    pub(crate) fn metadata_after(&self, section: &Section) -> Vec<(String, String)> {
        let mut voices = self.voices();
        for (shard, voice) in self.shards.iter().zip(&mut voices) {
            voice.metadata = shard.container.metadata_after(&shard.section(section));
        }
        joined(&voices)
    }

    /// Every file with its keys as a plan has them, and the index that fits.
    ///
    /// Files that the plan empties go.
    pub(crate) fn rewrite(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Fault> {
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
                manner.rewrite(shard.container.as_ref(), shard.start, plan)?;
            let changed = !layout.is_copy_of(0..shard.len);
            layout.shift(shard.start);
            files.push(NewFile { name: shard.name.clone(), layout, renamed, changed });
        }
        Ok(self.sharded(files, index))
    }

    /// The names of keys that a plan changes outside the files' state dicts.
    pub(crate) fn mentions(&self, plan: &Plan) -> Result<Mentions, Fault> {
        let mut mentions = Mentions::default();
        for shard in &self.shards {
            for section in plan.sections() {
                let plan = Plan::from(shard.section(section));
                mentions.extend(&shard.container.mentions(&plan)?);
            }
        }
        Ok(mentions)
    }

    /// The tensors of a section written anew, each in the file where it was.
    ///
    /// # Errors
    /// Every tensor that the format of the files cannot hold.
    pub(crate) fn encode(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors> {
        let old: HashMap<&str, &str> = section.kept().map(|(old, new)| (new, old)).collect();
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
        Ok(self.sharded(files, index))
    }

    fn sharded(&self, files: Vec<NewFile>, index: Index) -> PendingFiles {
        let (index_name, index) = (self.index_name.clone(), Box::new(index));
        self.replaced_by(PendingFiles(Files::Shards { files, index_name, index, gone: Vec::new() }))
    }

    /// New files of which an index of this one's name says where keys are: this one's files go.
    pub(crate) fn replaced_by(&self, mut rewritten: PendingFiles) -> PendingFiles {
        if let Files::Shards { files, index_name, gone, .. } = &mut rewritten.0
            && *index_name == self.index_name
        {
            let kept: HashSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
            let old = self.shards.iter().map(|shard| &shard.name);
            gone.extend(old.filter(|name| !kept.contains(name.as_str())).cloned());
        }
        rewritten
    }

    /// An index like this one's with new keys, in its own order; its totals stay where all tensors do.
    fn renamed_index(&self, section: &Section, mut index: Index) -> Index {
        let renamed = self.index.weight_map.0.iter().filter_map(|(old, file)| {
            let new = section.fate(old).unwrap_or(Some(old))?;
            Some((new.to_string(), file.clone()))
        });
        index.weight_map.0 = renamed.collect();
        if section.dropped().next().is_some() || section.casts().next().is_some() {
            let (bytes, elements) = self.totals(section);
            index.set_totals(bytes, elements);
        }
        index
    }

    /// Bytes and elements of the tensors that a section keeps, shared ones once.
    fn totals(&self, section: &Section) -> (u64, u64) {
        let mut places = HashSet::new();
        let (mut bytes, mut elements) = (0u64, 0u64);
        for (old, _) in section.kept() {
            let tensor = self.catalog.tensor(&self.catalog.state_dicts[0], old);
            let new = |tensor: &Tensor| Elements::new(tensor.clone(), section.cast(old)).ok();
            let Some(tensor) = tensor.and_then(new) else { continue };
            let place = tensor.place().map(|place| format!("{place:?}"));
            if place.is_none_or(|place| places.insert(place)) {
                bytes = bytes.saturating_add(tensor.byte_len());
                elements = elements.saturating_add(tensor.count());
            }
        }
        (bytes, elements)
    }
}

impl Shard {
    /// The part of a plan for the merged state dict that is about this file.
    fn section(&self, whole: &Section) -> Section {
        let own = &self.container.catalog().state_dicts[0];
        whole.restricted_to(|key| own.contains(key))
    }
}

/// The path of a file that an index names.
fn beside(index: &Path, name: &str) -> PathBuf {
    index.parent().unwrap_or(Path::new("")).join(name)
}

/// A file, its format, and what it holds.
pub(crate) type OpenFile = (FileSource, &'static dyn Format, Box<dyn Container>);

/// An index that names keys, and only files beside it or below.
pub(crate) fn read_index(path: &Path) -> Result<Index, Cause> {
    parse_index(&FileSource::open(path, &System)?)
}

fn parse_index(source: &FileSource) -> Result<Index, Cause> {
    if source.len() > MAX_INDEX {
        let what = format!("an index of {} bytes, over {MAX_INDEX}", source.len());
        return Err(Fault::TooLarge { at: None, what }.into());
    }
    let index = Index::parse(&source.bytes(0..source.len())?)?;
    match index.weight_map.0.is_empty() {
        true => Err(Fault::broken("the index names no key").into()),
        false => Ok(index),
    }
}

/// A file of the index, which holds one state dict at its root.
pub(crate) fn open_file(path: &Path, disk: &dyn Disk) -> Result<OpenFile, Error> {
    let failed = |cause: Cause| Error::new(Action::Read, path, cause);
    let source = FileSource::open(path, disk).map_err(failed)?;
    for format in FORMATS {
        let container = format.open(&source).map_err(|fault| failed(fault.into()))?;
        let Some(container) = container else { continue };
        return match container.catalog().state_dicts.as_slice() {
            [only] if only.path.is_empty() => Ok((source, format, container)),
            _ => {
                let what = "a shard holds one state dict, at its root, and this file does not";
                Err(failed(Fault::Unsupported(what.into()).into()))
            }
        };
    }
    Err(failed(Cause::Foreign(
        "a shard is a checkpoint, and this file is of no known format".into(),
    )))
}

/// The files that an index names and that are not there, each as a clause.
fn missing_files(index: &Index, path: &Path) -> Vec<String> {
    let is_missing = |name: &&str| {
        let found = fs::metadata(beside(path, name));
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let missing = index.files().into_iter().filter(is_missing);
    let mut faults: Vec<String> =
        missing.map(|name| format!("it names '{name}': there is no such file or folder")).collect();
    if !faults.is_empty() {
        let named = index.files();
        let others = strays(folder(path), |name| named.contains(&name));
        let others = others.iter().map(|name| format!("it does not name '{name}'"));
        faults.extend(others);
    }
    faults
}

/// Refuses an index that its files contradict; a new one would not.
fn refuse_faults(faults: &[String], path: &Path) -> Result<(), Error> {
    if faults.is_empty() {
        return Ok(());
    }
    let named = faults.iter().take(FAULTS_NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = match faults.len().saturating_sub(FAULTS_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let cause = Cause::Folder {
        what: format!("the index and its files disagree: {named}{more}"),
        files: Vec::new(),
        mends: Some(folder(path).to_path_buf()),
    };
    Err(Error::new(Action::Read, path, cause))
}

/// One state dict of all files; what the index says otherwise is added to `faults`.
fn merged(index: &Index, shards: &[Shard], faults: &mut Vec<String>) -> Result<Catalog, Fault> {
    let mut catalog = Catalog::default();
    let mut state_dict = StateDict::default();
    let root = Arc::<str>::default();
    for shard in shards {
        let name = &shard.name;
        if shard.format.name() != shards[0].format.name() {
            return Err(Fault::Unsupported(format!("'{name}' is of another format than the rest")));
        }
        let own = shard.container.catalog();
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
                let (at, key) = (root.clone(), Key::Text(shared.clone()));
                catalog.rows.push(TensorEntry { path: at, key, tensor: tensor.moved(shard.start) });
                catalog.rows.len() - 1
            });
            let twice = |twice: statedict_core::DuplicateKey| Fault::broken(twice.to_string());
            state_dict.insert(shared, row).map_err(twice)?;
        }
        state_dict.modules.extend(own.state_dicts[0].modules.clone());
        state_dict.fixed = state_dict.fixed.or(own.state_dicts[0].fixed.clone());
    }
    let is_absent = |(key, _): &(&String, &String)| !state_dict.contains(key);
    let absent = index.weight_map.0.iter().filter(is_absent);
    faults.extend(
        absent.map(|(key, file)| {
            format!("key '{key}' is not in '{file}', where the index says it is")
        }),
    );
    catalog.state_dicts.push(state_dict);
    Ok(catalog)
}
