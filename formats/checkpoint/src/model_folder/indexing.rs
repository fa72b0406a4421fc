//! An index made from the shards that are in a folder.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::{Container, Elements, Format, IndexMap, StateDict, sorting};

use crate::disk::{Disk, Existing, System};
use crate::error::{Action, Cause, Error};
use crate::folder::{InFolder, LocalFolder};
use crate::model_folder::series::{Series, series_of};
use crate::model_folder::survey::{Survey, first_few};
use crate::shards::index::Index;
use crate::shards::totals::Totals;
use crate::shards::{OpenFile, open_file, read_index};
use crate::write::stage::{Staged, stage_bytes};

/// An index that fits the shards of a folder, not yet written.
#[derive(Debug)]
pub struct NewIndex {
    /// Where it goes.
    pub path: PathBuf,
    /// The files it names.
    pub files: Vec<String>,
    /// How many keys they hold.
    pub keys: usize,
    /// How many bytes their tensors have, shared ones once.
    pub total_size: u64,
    /// What is in its place.
    pub replaces: Indexing,
    /// Weights in the folder that it does not name.
    pub left: Vec<String>,
    /// Other indexes in the folder.
    pub others: Vec<String>,
    index: Index,
}

/// What a new index replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// There is none.
    Nothing,
    /// It says what the new one does.
    Same,
    /// It cannot be read, for this reason.
    Unreadable(String),
    /// It says something else.
    Other {
        /// Keys that it does not name.
        added: Vec<String>,
        /// Keys that no file has.
        removed: Vec<String>,
        /// Keys that are in another file.
        moved: Vec<String>,
    },
}

/// Makes the index of the shards in a folder: of the files named, or of those whose names make them
/// one series.
///
/// # Errors
/// Files that are missing in a series, keys that several files hold, and whatever keeps a file from
/// being read.
pub fn index_folder(folder: &Path, files: &[String]) -> Result<NewIndex, Error> {
    let failed = |cause: Cause| Error::new(Action::Read, folder, cause);
    if folder.is_file() {
        let what = "it is a file; expected the folder of the shards".to_string();
        return Err(failed(Cause::Folder { what, files: Vec::new(), mends: None }));
    }
    let survey = Survey::of(folder).map_err(failed)?;
    let files = match files {
        [] => shards(&survey.weights).map_err(failed)?,
        named => named.to_vec(),
    };
    refuse_parts(folder, &survey, &files).map_err(failed)?;
    let store = LocalFolder::new(folder, &System);
    let opened = files.iter().map(|name| open_file(&store, name));
    let opened: Result<Vec<OpenFile>, _> = opened.collect();
    let opened = opened.map_err(|fault| Error::in_folder(folder, "", fault))?;
    let format = same_format(opened.iter().map(|file| file.format)).map_err(failed)?;
    let containers: Vec<&dyn Container> =
        opened.iter().map(|file| file.container.as_ref()).collect();
    let shards: Vec<_> = files.iter().map(String::as_str).zip(containers).collect();
    let map = weight_map(&shards).map_err(failed)?;
    let totals = totals(&shards);
    let name = index_name(&files, format).map_err(failed)?;
    let path = folder.join(&name);
    let (old, mut replaces) = existing(folder, &name);
    let mut index = old.clone().unwrap_or_default();
    index.weight_map.0 = map;
    index.set_totals(totals);
    if let Some(old) = &old {
        replaces = compared(old, &index);
    }
    Ok(NewIndex {
        keys: index.weight_map.0.len(),
        total_size: totals.bytes,
        left: survey.weights.into_iter().filter(|name| !files.contains(name)).collect(),
        others: survey.manifests.into_iter().map(|it| it.0).filter(|it| *it != name).collect(),
        path,
        files,
        replaces,
        index,
    })
}

impl NewIndex {
    /// Writes the index beside its place.
    ///
    /// # Errors
    /// Whatever keeps it from being written; then nothing is left of it.
    pub fn stage(&self, existing: Existing, disk: &Arc<dyn Disk>) -> Result<Staged, Error> {
        stage_bytes(self.index.to_json(), None, &self.path, existing, disk)
    }
}

/// Refuses files that hold parts of tensors, as ranks leave them: an index would make each part a
/// tensor.
fn refuse_parts(folder: &Path, survey: &Survey, files: &[String]) -> Result<(), Cause> {
    let unled = survey.manifests.iter().filter(|(name, format)| !format.is_manifest(name));
    for (manifest, format) in unled {
        let (folder, manifest) = (folder.to_path_buf(), manifest.clone());
        let found = InFolder { folder, format: *format, manifest };
        let all = found.files(&System).unwrap_or_default();
        if let Some(part) = files.iter().find(|file| all.contains(file)) {
            let what = format!(
                "'{part}' is of {}: the folder opens as it is, and needs no index",
                format.kind()
            );
            return Err(Cause::Folder { what, files: Vec::new(), mends: None });
        }
    }
    Ok(())
}

/// The files of the one series in a folder, in order, none of them missing.
fn shards(weights: &[String]) -> Result<Vec<String>, Cause> {
    let refused = |what: String| Err(Cause::Folder { what, files: Vec::new(), mends: None });
    let mut all: IndexMap<Series, Vec<(u64, String)>> = IndexMap::default();
    for name in weights {
        let Some((series, number)) = series_of(name) else { continue };
        all.entry(series).or_default().push((number, name.clone()));
    }
    let names = || first_few(&weights.iter().collect::<Vec<_>>());
    match (all.len(), weights.len()) {
        (1, _) => {}
        (0, 0) => return refused("it is a folder without checkpoints".into()),
        (0, 1) => return refused(format!("'{}' needs no index", names())),
        (0, _) => {
            return refused(format!("no file is named as one of several shards: {}", names()));
        }
        _ => {
            let series: Vec<String> =
                all.keys().map(|s| format!("{} of {}.{}", s.count, s.stem, s.extension)).collect();
            let series = first_few(&series.iter().collect::<Vec<_>>());
            return refused(format!("there are several series of shards: {series}"));
        }
    }
    let (series, mut files) = all.into_iter().next().expect("there is one");
    let there: HashSet<u64> = files.iter().map(|(number, _)| *number).collect();
    let missing = (1..=series.count).filter(|number| !there.contains(number));
    // A name may promise more files than anyone has.
    let missing: Vec<String> = missing.take(weights.len() + 100).map(|n| series.name(n)).collect();
    if !missing.is_empty() {
        let missing = first_few(&missing.iter().collect::<Vec<_>>());
        return refused(format!("shards are missing: {missing}"));
    }
    sorting::sort(&mut files);
    Ok(files.into_iter().map(|(_, name)| name).collect())
}

fn same_format<'a>(formats: impl Iterator<Item = &'a dyn Format>) -> Result<&'a dyn Format, Cause> {
    let formats: IndexMap<&str, &dyn Format> = formats.map(|it| (it.name(), it)).collect();
    match formats.values().collect::<Vec<_>>().as_slice() {
        [only] if only.facts().shard_names.is_some() => Ok(**only),
        _ => {
            let names: Vec<&str> = formats.keys().copied().collect();
            let what =
                format!("an index names files of one format, and these are {}", names.join(", "));
            Err(Cause::Folder { what, files: Vec::new(), mends: None })
        }
    }
}

/// Which file holds which key.
fn weight_map(shards: &[(&str, &dyn Container)]) -> Result<IndexMap<String, String>, Cause> {
    let mut map: IndexMap<String, String> = IndexMap::default();
    let mut twice = Vec::new();
    for (name, container) in shards {
        for key in state_dict(*container).keys() {
            match map.get(key) {
                Some(first) => twice.push(format!("'{key}' in '{first}' and '{name}'")),
                None => drop(map.insert(key.to_string(), (*name).to_string())),
            }
        }
    }
    if twice.is_empty() {
        return Ok(map);
    }
    let what = format!(
        "several files hold the same keys, so they are not shards of one checkpoint: {}",
        first_few(&twice.iter().collect::<Vec<_>>())
    );
    Err(Cause::Folder { what, files: Vec::new(), mends: None })
}

/// What the tensors of all files hold.
fn totals(shards: &[(&str, &dyn Container)]) -> Totals {
    let mut totals = Totals::default();
    for (_, container) in shards {
        let state_dict = state_dict(*container);
        totals.add(state_dict.keys().filter_map(|key| {
            let tensor = container.catalog().tensor(state_dict, key)?;
            Elements::new(tensor.clone(), None).ok()
        }));
    }
    totals
}

/// A shard's one state dict.
fn state_dict(container: &dyn Container) -> &StateDict {
    &container.catalog().state_dicts[0]
}

fn index_name(files: &[String], format: &dyn Format) -> Result<String, Cause> {
    let mut series = files.iter().map(|name| series_of(name).map(|(series, _)| series));
    let first = series.next().flatten();
    if let Some(first) = first
        && series.all(|other| other.as_ref() == Some(&first))
    {
        return Ok(first.index_name());
    }
    let names = format.facts().shard_names.expect("checked with the files' format");
    Ok(format!("{}.{}.index.json", names.stem, names.extension))
}

/// The index that is there.
fn existing(folder: &Path, name: &str) -> (Option<Index>, Indexing) {
    if fs::symlink_metadata(folder.join(name)).is_err() {
        return (None, Indexing::Nothing);
    }
    match read_index(&LocalFolder::new(folder, &System), name) {
        Ok(index) => (Some(index), Indexing::Same),
        Err(fault) => (None, Indexing::Unreadable(fault.to_string())),
    }
}

fn compared(old: &Index, new: &Index) -> Indexing {
    let (old_map, new_map) = (&old.weight_map.0, &new.weight_map.0);
    let absent = |from: &IndexMap<String, String>, other: &IndexMap<String, String>| {
        from.keys().filter(|key| !other.contains_key(*key)).cloned().collect::<Vec<_>>()
    };
    let (added, removed) = (absent(new_map, old_map), absent(old_map, new_map));
    let moved: Vec<String> = new_map
        .iter()
        .filter(|(key, file)| old_map.get(*key).is_some_and(|old| old != *file))
        .map(|(key, _)| key.clone())
        .collect();
    let size = |index: &Index| index.metadata.get("total_size").and_then(serde_json::Value::as_f64);
    let is_same = added.is_empty() && removed.is_empty() && moved.is_empty();
    if is_same && size(old) == size(new) {
        Indexing::Same
    } else {
        Indexing::Other { added, removed, moved }
    }
}
